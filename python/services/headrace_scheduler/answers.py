"""Answers about the queue: any replica gives them, from what Redis holds now."""

import asyncio
import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from headrace_model.errors import Conflict
from headrace_model.ids import JobId
from headrace_model.job import CONTAINER, PARALLEL, Job
from headrace_model.priority import MOST_OF_USERS, rank_of
from headrace_model.status import Status
from headrace_scheduler.core.causes import Answer, Cause, ahead_of, answer
from headrace_scheduler.core.change import Anew
from headrace_scheduler.core.snapshot import Snapshot
from headrace_scheduler.core.why import Explanation, after_restore, in_maintenance
from headrace_scheduler.limits_file import LimitsFile
from headrace_scheduler.owners import Owners
from headrace_scheduler.queue import Queue, nodes_of, waiting_job

if TYPE_CHECKING:
    from headrace_adapters.redis.jobs import JobStore
    from headrace_adapters.redis.maintenance import MaintenanceStore
    from headrace_adapters.redis.nodes import NodeStore
    from headrace_adapters.redis.quotas import QuotaStore


@dataclass(frozen=True, slots=True)
class _Seen:
    """The queue as it was read, and when."""

    snapshot: Snapshot
    now_ms: int


class Answers:
    """Says why jobs wait."""

    def __init__(
        self,
        jobs: "JobStore",
        nodes: "NodeStore",
        maintenance: "MaintenanceStore",
        limits: LimitsFile,
        quotas: "QuotaStore",
    ) -> None:
        self._jobs = jobs
        self._nodes = nodes
        self._maintenance = maintenance
        self._limits = limits
        self._owners = Owners(quotas)
        self._one_at_a_time = asyncio.Lock()  # an answer may be a second's work

    async def why(self, job_id: JobId) -> Answer:
        """Tell why a job in AWAITING_ALLOCATION waits, and what would let it start now.

        Raises `NotFound`, and `Conflict` where the job waits for no allocation.
        """
        job = await self._jobs.get(job_id)
        if job.status is not Status.AWAITING_ALLOCATION:
            raise Conflict(f"job {job_id} is in {job.status} and waits for no allocation")
        seen = await self._read(without=job_id)
        position = ahead_of(waiting_job(job), seen.snapshot) + 1
        if said := await self._maintenance.get():
            return _closed("MAINTENANCE", in_maintenance(said), position)
        if backup := await self._jobs.restored_from():
            return _closed("RESTORE", after_restore(backup), position)
        async with self._one_at_a_time:
            return await asyncio.to_thread(
                answer, seen.snapshot, waiting_job(job), anew(job, seen.now_ms), seen.now_ms
            )

    async def _read(self, without: JobId) -> _Seen:
        queue = Queue(self._jobs)
        await queue.begin()
        await self._owners.arrange(queue, await self._jobs.now_ms())
        while queue.unread:
            await queue.read_on()
        queue.forget(without)
        await self._limits.look()
        nodes = self._limits.limit(nodes_of(await self._nodes.all()))
        now_ms = await self._jobs.now_ms()
        return _Seen(queue.snapshot(nodes, now_ms, policy=self._limits.policy), now_ms)


def _closed(cause: str, said: Explanation, position: int) -> Answer:
    """Nothing at all starts now."""
    return Answer(said, (Cause(cause, said.sentence),), position=position)


def anew(job: Job, now_ms: int) -> Anew:
    """How the job would stand if it were submitted now."""

    together = "parallel" in json.loads(job.spec) and job.ask.backend == CONTAINER
    return Anew(
        job.priority, MOST_OF_USERS, partial(rank_of, now_ms), PARALLEL if together else None
    )
