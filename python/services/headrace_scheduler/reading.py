"""The queue as it is now, to answer from: a copy of the leader's own, or read from Redis."""

import asyncio
import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from headrace_model.errors import Unavailable
from headrace_model.ids import JobId
from headrace_scheduler.core.quota import Quotas
from headrace_scheduler.core.snapshot import Snapshot
from headrace_scheduler.limits_file import LimitsFile
from headrace_scheduler.owners import Owners
from headrace_scheduler.queue import Queue, nodes_of

if TYPE_CHECKING:
    from headrace_adapters.redis.events import Events
    from headrace_adapters.redis.jobs import JobStore
    from headrace_adapters.redis.nodes import NodeStore
    from headrace_adapters.redis.quotas import QuotaStore

_MOST_READ: Final = 20_000  # waiting jobs, where only the first ones matter
_AT_ONCE: Final = 1_000
_KEPT_S: Final = 900.0  # so long after it was last asked for
_PATIENCE_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Seen:
    """The queue as it was read, and when; nothing changes it any more."""

    snapshot: Snapshot
    now_ms: int


class Reader:
    """Reads the queue; `kept` gives the one that a leader keeps, once it has read it all.

    Who does not lead keeps one too while somebody asks: it is read once, however many ask, and
    from then on what `events` tell of. Without `events` it is read for each who asks, one by one.
    """

    def __init__(
        self,
        jobs: "JobStore",
        nodes: "NodeStore",
        limits: LimitsFile,
        quotas: "QuotaStore",
        kept: Callable[[], Queue | None],
        events: "Events | None" = None,
    ) -> None:
        self._jobs = jobs
        self._nodes = nodes
        self._limits = limits
        self._owners = Owners(quotas)
        self._kept = kept
        self._events = events
        self._own: Queue | None = None
        self._one_at_a_time = asyncio.Lock()
        self._asked = asyncio.Event()
        self._asked_s = 0.0
        self._following = asyncio.Event()
        self._changed: set[JobId] = set()
        self._missed = False

    async def run(self) -> None:
        """Follow what changes in the queue that is kept, as long as somebody asks for it."""
        if self._events is None:
            return
        while True:
            await self._asked.wait()
            self._asked.clear()
            async with aclosing(self._events.follow()) as hints:
                async for hint in hints:
                    if self._kept() or time.monotonic() - self._asked_s > _KEPT_S:
                        break
                    match hint.get("kind"):
                        case "job":
                            self._changed.add(JobId(hint["job"]))
                        case None:
                            self._missed = True
                            self._following.set()
                        case _:
                            pass
            self._following.clear()
            self._own = None

    async def read(self, without: JobId | None = None, most: int | None = None) -> Seen:
        """All of the queue but one job, or the first `most` of it.

        Raises `Unavailable` where that takes long; it goes on where it was when asked again.
        """
        await self._limits.look()
        records, now_ms = await asyncio.gather(self._nodes.offers(), self._jobs.now_ms())
        nodes = self._limits.limit(nodes_of(records))
        queue = self._kept() or await self._read_own(now_ms, most)
        return Seen(queue.seen(nodes, now_ms, self._limits.policy, without), now_ms)

    async def quotas(self) -> Quotas:
        """The quotas of running use, with what is used of each."""
        now_ms = await self._jobs.now_ms()
        queue = self._kept()
        if queue is None:  # what waits need not be read
            queue = await self._read_own(now_ms, 0)
        return queue.quotas(now_ms)

    async def first(self) -> Seen:
        """As much of the queue as a forecast looks at, and what is to start later."""
        return await self.read(most=_MOST_READ)

    async def _read_own(self, now_ms: int, most: int | None) -> Queue:
        self._asked_s = time.monotonic()
        self._asked.set()
        try:
            async with asyncio.timeout(_PATIENCE_S), self._one_at_a_time:
                queue = await self._up_to_now(now_ms)
                while queue.unread and (most is None or len(queue) < most):
                    await queue.read_on()
                return queue
        except TimeoutError:
            raise Unavailable(
                "this replica of the scheduler still reads the queue", hint="ask again in a moment"
            ) from None

    async def _up_to_now(self, now_ms: int) -> Queue:
        """What was read before, with what has changed since; else the queue, still unread."""
        if self._events is not None:
            await self._following.wait()  # so that no change from now on is missed
        queue = self._own
        if queue is None or self._missed or self._events is None:
            self._missed, self._own, self._changed = False, None, set()
            queue = Queue(self._jobs)
            await queue.begin()
            self._own = queue
        else:
            while self._changed:
                # In parts, so that who runs out of patience has not done it in vain.
                some = set(islice(self._changed, _AT_ONCE))
                self._changed -= some
                try:
                    await queue.refresh(some)
                except BaseException:
                    self._changed |= some
                    raise
        queue.correct(now_ms)
        await self._owners.arrange(queue, now_ms)
        return queue
