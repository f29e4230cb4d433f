"""What the scheduler remembers of Redis between two plans: a plan reads only what changed."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from headrace_model.ids import JobId
from headrace_model.job import Job
from headrace_model.resources import NOTHING
from headrace_model.status import HAS_ATTEMPT, Desired, Status
from headrace_scheduler.core.snapshot import Node, RunningJob, Snapshot, WaitingJob

if TYPE_CHECKING:
    from headrace_adapters.redis.jobs import JobStore
    from headrace_adapters.redis.nodes import NodeRecord

_HOLDING = (*HAS_ATTEMPT, Status.STOPPING)
_AT_ONCE = 1_000


def waiting_job(job: Job) -> WaitingJob:
    """What a plan looks at of a job in AWAITING_ALLOCATION."""
    return WaitingJob(
        id=job.id,
        version=job.version,
        attempt=job.attempt,
        rank=job.rank,
        resources=job.ask.resources,
        paradigm=job.ask.paradigm,
        backend=job.ask.backend,
        held=job.desired is Desired.HOLD,
        not_before_ms=job.ask.not_before_ms,
        time_limit_ms=job.ask.time_ms,
        queued_ms=job.entered_ms,
        tasks=job.ask.tasks,
    )


def _running_job(job: Job) -> RunningJob | None:
    if job.allocation is None:
        return None
    limit = job.ask.time_ms
    return RunningJob(job.id, job.allocation, job.entered_ms + limit if limit else None)


def nodes_of(records: "Iterable[NodeRecord]") -> tuple[Node, ...]:
    """The nodes as a plan sees them."""
    return tuple(
        Node(
            id=each.id,
            capacity=each.capacity,
            free=each.free or NOTHING,
            state=each.state,
            backends=each.backends,
        )
        for each in records
    )


class Queue:
    """The waiting and running jobs, as last read."""

    def __init__(self, jobs: "JobStore") -> None:
        self._jobs = jobs
        self._waiting: dict[JobId, WaitingJob] = {}
        self._running: dict[JobId, RunningJob] = {}

    async def load(self) -> None:
        """Read everything; forgets what Redis no longer has."""
        ids = set(await self._jobs.queue())
        for status in _HOLDING:
            ids.update(await self._jobs.in_status(status))
        for known in (self._waiting.keys() | self._running.keys()) - ids:
            self._forget(known)
        await self.refresh(ids)

    async def mend(self) -> None:
        """Read what hints missed, without reading the whole queue again.

        New and gone jobs are found by their ids. A missed change of a job that stays shows when
        its placement is refused as stale; only a held job would wait for ever, so those are read.
        """
        queued = set(await self._jobs.queue())
        under_way: set[JobId] = set()
        for status in _HOLDING:
            under_way.update(await self._jobs.in_status(status))
        held = {job.id for job in self._waiting.values() if job.held}
        moved = (queued ^ self._waiting.keys()) | (under_way ^ self._running.keys())
        await self.refresh(moved | held)

    async def refresh(self, ids: Iterable[JobId]) -> list[Job]:
        """Read these jobs anew; returns those that exist."""
        wanted = sorted(ids)
        found: list[Job] = []
        for first in range(0, len(wanted), _AT_ONCE):
            some = wanted[first : first + _AT_ONCE]
            jobs = await self._jobs.get_many(some)
            for gone in set(some) - {job.id for job in jobs}:
                self._forget(gone)
            for job in jobs:
                self._note(job)
            found += jobs
        return found

    def snapshot(self, nodes: tuple[Node, ...]) -> Snapshot:
        """All that a plan looks at."""
        waiting = sorted(self._waiting.values(), key=lambda job: (job.rank, job.id))
        return Snapshot(nodes, tuple(waiting), tuple(self._running.values()))

    def next_start_ms(self, now_ms: int) -> int | None:
        """When the next job whose start lies in the future may start."""
        times = [job.not_before_ms for job in self._waiting.values() if job.not_before_ms]
        return min((at for at in times if at > now_ms), default=None)

    def __len__(self) -> int:
        return len(self._waiting)

    def _note(self, job: Job) -> None:
        self._forget(job.id)
        if job.status is Status.AWAITING_ALLOCATION:
            self._waiting[job.id] = waiting_job(job)
        elif job.status in _HOLDING and (running := _running_job(job)):
            self._running[job.id] = running

    def _forget(self, job: JobId) -> None:
        self._waiting.pop(job, None)
        self._running.pop(job, None)
