"""The queue as it is now, to answer from: a copy of the leader's own, or read from Redis."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from headrace_model.ids import JobId
from headrace_scheduler.core.order import in_turn
from headrace_scheduler.core.snapshot import Snapshot
from headrace_scheduler.limits_file import LimitsFile
from headrace_scheduler.owners import Owners
from headrace_scheduler.queue import Queue, nodes_of

if TYPE_CHECKING:
    from headrace_adapters.redis.jobs import JobStore
    from headrace_adapters.redis.nodes import NodeStore
    from headrace_adapters.redis.quotas import QuotaStore

_MOST_READ: Final = 20_000  # waiting jobs, where only the first ones matter


@dataclass(frozen=True, slots=True)
class Seen:
    """The queue as it was read, and when; nothing changes it any more."""

    snapshot: Snapshot
    now_ms: int


class Reader:
    """Reads the queue; `kept` gives the one that a leader keeps, once it has read it all."""

    def __init__(
        self,
        jobs: "JobStore",
        nodes: "NodeStore",
        limits: LimitsFile,
        quotas: "QuotaStore",
        kept: Callable[[], Queue | None],
    ) -> None:
        self._jobs = jobs
        self._nodes = nodes
        self._limits = limits
        self._owners = Owners(quotas)
        self._kept = kept

    async def read(self, without: JobId | None = None, most: int | None = None) -> Seen:
        """All of the queue but one job, or the first `most` of it."""
        await self._limits.look()
        records, now_ms = await asyncio.gather(self._nodes.all(), self._jobs.now_ms())
        nodes = self._limits.limit(nodes_of(records))
        queue = self._kept()
        if queue is None:
            queue = Queue(self._jobs)
            await queue.begin()
            await self._owners.arrange(queue, now_ms)
            while queue.unread and (most is None or len(queue) < most):
                await queue.read_on()
        found = queue.snapshot(nodes, now_ms, policy=self._limits.policy)
        others = (tuple(job for job in line if job.id != without) for line in found.lines)
        later = () if without else queue.later()
        whole = (*(line for line in others if line), *((job,) for job in later))
        lines = in_turn(whole, found.shifts)
        return Seen(replace(found, lines=lines, running=tuple(found.running)), now_ms)

    async def first(self) -> Seen:
        """As much of the queue as a forecast looks at, and what is to start later."""
        return await self.read(most=_MOST_READ)
