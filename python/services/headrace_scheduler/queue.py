"""What the scheduler remembers of Redis between two plans: a plan reads only what changed."""

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice
from math import inf
from types import MappingProxyType
from typing import TYPE_CHECKING

from headrace_model.ids import JobId
from headrace_model.job import Job, Need
from headrace_model.resources import NOTHING
from headrace_model.status import HAS_ATTEMPT, Desired, Status
from headrace_scheduler.core.snapshot import END, Node, Place, RunningJob, Snapshot, WaitingJob
from headrace_scheduler.core.waiting import Waiting
from headrace_scheduler.holders import Held
from headrace_wire.records import fulfilling

if TYPE_CHECKING:
    from headrace_adapters.redis.jobs import JobStore
    from headrace_adapters.redis.nodes import NodeRecord

_HOLDING = (*HAS_ATTEMPT, Status.STOPPING)
_AT_ONCE = 500


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
        pool=job.ask.pool,
        datasets=fulfilling(job.fulfilments) if Need.STAGING in job.needs else (),
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
    """The waiting and running jobs, as last read.

    The queue is read from its head, in rank order. While the rest is `unread` a snapshot ends
    where reading has come to, so that a plan is that of the whole queue up to there.
    """

    def __init__(self, jobs: "JobStore") -> None:
        self._jobs = jobs
        self._waiting = Waiting()
        self._running: dict[JobId, RunningJob] = {}
        self._unread: deque[JobId] = deque()
        self.until: Place = END  # no waiting job before it is unknown

    async def begin(self) -> None:
        """Read what runs, and who waits; `read_on` then reads the waiting jobs."""
        self._unread.extend(await self._jobs.queue())
        self.until = (-inf, JobId("")) if self._unread else END
        await self.refresh(await self._under_way())

    @property
    def unread(self) -> bool:
        """Tell whether waiting jobs are still to be read."""
        return bool(self._unread)

    async def read_on(self) -> None:
        """Read the next waiting jobs."""
        some = list(islice(self._unread, _AT_ONCE))
        jobs = await self.refresh(some)
        for _ in some:
            self._unread.popleft()
        places = [(job.rank, job.id) for job in jobs]
        self.until = max([self.until, *places]) if self._unread else END

    async def mend(self) -> None:
        """Read what hints missed, without reading the whole queue again.

        New and gone jobs are found by their ids. A missed change of a job that stays shows when
        its placement is refused as stale; only a held job would wait for ever, so those are read.
        """
        queued = set(await self._jobs.queue())
        under_way = await self._under_way()
        waiting = set(self._waiting)
        moved = ((queued ^ waiting) - set(self._unread)) | (under_way ^ self._running.keys())
        await self.refresh(moved | self._waiting.held)

    async def refresh(self, ids: Iterable[JobId]) -> list[Job]:
        """Read these jobs anew; returns those that exist."""
        wanted = sorted(ids)
        found: list[Job] = []
        for first in range(0, len(wanted), _AT_ONCE):
            some = wanted[first : first + _AT_ONCE]
            jobs = await self._jobs.get_many(some)
            for gone in set(some) - {job.id for job in jobs}:
                self.forget(gone)
            for job in jobs:
                self._note(job)
            found += jobs
        return found

    def lines(self, now_ms: int) -> tuple[Sequence[WaitingJob], ...]:
        """The jobs that may start now; they hold until the next change."""
        return self._waiting.lines(now_ms)

    def snapshot(
        self, nodes: tuple[Node, ...], now_ms: int, held: Held = MappingProxyType({})
    ) -> Snapshot:
        """All that a plan looks at; it holds until the next change."""
        running = tuple(self._running.values())
        return Snapshot(nodes, self.lines(now_ms), running, self.until, held)

    def next_start_ms(self) -> int | None:
        """When the next job whose start lay in the future at the last snapshot may start."""
        return self._waiting.next_start_ms()

    def forget(self, job: JobId) -> None:
        """Leave a job out, known or not."""
        self._waiting.drop(job)
        self._running.pop(job, None)

    def __len__(self) -> int:
        return len(self._waiting)

    async def _under_way(self) -> set[JobId]:
        found: set[JobId] = set()
        for status in _HOLDING:
            found.update(await self._jobs.in_status(status))
        return found

    def _note(self, job: Job) -> None:
        self.forget(job.id)
        if job.status is Status.AWAITING_ALLOCATION:
            self._waiting.put(waiting_job(job))
        elif job.status in _HOLDING and (running := _running_job(job)):
            self._running[job.id] = running
