"""What the scheduler remembers of Redis between two plans: a plan reads only what changed."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import replace
from heapq import heappop, heappush
from itertools import islice
from math import inf
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from headrace_model.bounds import Policy
from headrace_model.estimate import Estimate
from headrace_model.ids import DatasetId, JobId
from headrace_model.job import Ask, Job, Need
from headrace_model.quota import What
from headrace_model.resources import ANYWHERE, NOTHING
from headrace_model.status import HAS_ATTEMPT, Desired, Status
from headrace_scheduler.alike import Alike
from headrace_scheduler.core.order import in_order, in_turn
from headrace_scheduler.core.quota import NO_QUOTAS, Allowances, Quotas, Use
from headrace_scheduler.core.running import Running
from headrace_scheduler.core.snapshot import END, Node, Place, RunningJob, Snapshot, WaitingJob
from headrace_scheduler.core.waiting import Waiting
from headrace_scheduler.holders import Held
from headrace_wire.records import fulfilling

if TYPE_CHECKING:
    from headrace_adapters.redis.jobs import JobStore
    from headrace_adapters.redis.nodes import NodeOffer, NodeRecord

_HOLDING = (*HAS_ATTEMPT, Status.STOPPING)
_BEFORE_IT_RUNS = (Status.AWAITING_DATA, Status.AWAITING_SCHEDULING, Status.SCHEDULED)
STAGING_MS: Final = 10 * 60_000
"""What plans allow an attempt with inputs from its placement until it runs."""
_AT_ONCE = 500
_MENDED_AT_ONCE = 20_000
_OWNERS_AT_ONCE, _OVERLAP = 5_000, 500
_NO_LABELS: frozenset[tuple[str, str]] = frozenset()


def waiting_job(job: Job, estimate: Estimate | None = None) -> WaitingJob:
    """What a plan looks at of a job in AWAITING_ALLOCATION."""
    return asking(
        job.ask,
        job.id,
        job.owner,
        job.rank,
        job.entered_ms,
        version=job.version,
        attempt=job.attempt,
        held=job.desired is Desired.HOLD,
        datasets=_staged(job),
        estimate=estimate,
    )


def _staged(job: Job) -> tuple[DatasetId, ...]:
    return fulfilling(job.fulfilments) if Need.STAGING in job.needs else ()


def asking(
    ask: Ask,
    id: JobId,
    owner: str,
    rank: float,
    queued_ms: int,
    *,
    version: int = 1,
    attempt: int = 1,
    held: bool = False,
    datasets: tuple[DatasetId, ...] = (),
    estimate: Estimate | None = None,
) -> WaitingJob:
    """What a plan looks at of an ask; without more of one that was made just now."""
    where = ask.constraints or ANYWHERE
    return WaitingJob(
        id=id,
        version=version,
        attempt=attempt,
        rank=rank,
        resources=ask.resources,
        paradigm=ask.paradigm,
        backend=ask.backend,
        held=held,
        not_before_ms=ask.not_before_ms,
        time_limit_ms=ask.time_ms,
        queued_ms=queued_ms,
        tasks=ask.tasks,
        pool=ask.pool,
        datasets=datasets,
        labels=frozenset(where.labels) if where.labels else _NO_LABELS,
        spread=where.spread,
        whole_node=where.whole_node,
        estimate=estimate,
        owner=owner,
        deadline_ms=ask.deadline_ms,
        staging_ms=STAGING_MS if datasets else 0,
    )


def running_job(job: Job, estimate: Estimate | None = None) -> RunningJob | None:
    """What a plan looks at of a job that holds an allocation; None: it holds none."""
    if job.allocation is None:
        return None
    limit = job.ask.time_ms
    begins_ms = job.entered_ms
    if job.status in _BEFORE_IT_RUNS and _staged(job):
        begins_ms = max(begins_ms, (job.taken_ms or begins_ms) + STAGING_MS)
    ends_ms = begins_ms + limit if limit else None
    likely_ms = begins_ms + estimate.p90_ms if estimate else None
    if job.status is Status.STOPPING or (ends_ms and likely_ms and ends_ms <= likely_ms):
        likely_ms = None
    return RunningJob(
        job.id, job.allocation, ends_ms, estimate, job.owner, job.taken_ms, likely_ms
    )


def nodes_of(records: "Iterable[NodeRecord | NodeOffer]") -> tuple[Node, ...]:
    """The nodes as a plan sees them."""
    return tuple(
        Node(
            id=each.id,
            capacity=each.capacity,
            free=each.free or NOTHING,
            state=each.state,
            backends=each.backends,
            labels=frozenset(each.labels.items()),
        )
        for each in records
    )


class Queue:
    """The waiting and running jobs, as last read.

    The queue is read from its head. While the rest is `unread` a snapshot ends where reading has
    come to, so that a plan is that of the whole queue up to there; the shares of owners, which the
    order depends on, stay as they were when reading began.
    """

    def __init__(self, jobs: "JobStore") -> None:
        self._jobs = jobs
        self._waiting = Waiting()
        self._running = Running()
        self._likely: list[tuple[int, JobId]] = []  # ends by earlier runs, the soonest first
        self._shifts: Mapping[str, int] = {}
        self._queued: dict[str, list[tuple[float, JobId]]] = {}  # by owner, until reading begins
        self._allowed = Allowances()
        self._alike = Alike()
        self._owners: set[str] = set()  # of all jobs that were read
        self.given_back = 0  # so many of them held something and hold nothing any more
        self._counted = 0  # so many of these `arrange` was told of
        self._order: Iterator[tuple[Place, JobId]] = iter(())
        self._next: list[tuple[Place, JobId]] = []
        self._unread: set[JobId] = set()
        self._mended: Iterator[JobId] = iter(())  # what is left of a round over those known
        self._mended_to = 0  # so far in the queue
        self._held: Iterator[JobId] = iter(())  # what is left of a round over those held
        self.until: Place = END  # no waiting job before it is unknown

    async def begin(self) -> None:
        """Read what runs, and who waits; `arrange` and `read_on` then read the waiting jobs."""
        # A part at a time: a lease is not renewed while the answer for a million jobs comes in.
        # Parts overlap, since those behind move up when a job leaves the queue meanwhile.
        first, some = 0, await self._jobs.queue_ranks(0, _OWNERS_AT_ONCE)
        while some:
            owners = await self._jobs.owners([id for id, _ in some])
            for (id, rank), owner in zip(some, owners, strict=True):
                if owner and id not in self._unread:
                    self._queued.setdefault(owner, []).append((rank, id))
                    self._unread.add(id)
            if len(some) < _OWNERS_AT_ONCE:
                break
            first += _OWNERS_AT_ONCE - _OVERLAP
            some = await self._jobs.queue_ranks(first, _OWNERS_AT_ONCE)
        for line in self._queued.values():
            line.sort()
        self.until = (-inf, JobId("")) if self._unread else END
        await self.refresh(await self._under_way())
        self._owners.update(self._queued)

    def arrange(self, shifts: Mapping[str, int], allowed: Allowances, counted: int = 0) -> None:
        """Have the jobs of each owner so far back, and quotas bound what runs; `counted` was
        `given_back` before what came back was read.

        While the queue is being read it stays in the order in which that began.
        """
        self._allowed, self._counted = allowed, counted
        if self._unread and not self._queued:
            return
        self._shifts = shifts
        self._waiting.shift(shifts)

    @property
    def unread(self) -> bool:
        """Tell whether waiting jobs are still to be read."""
        return bool(self._unread)

    async def read_on(self) -> None:
        """Read the next waiting jobs."""
        if self._queued:
            self._order, self._queued = in_order(self._queued, self._shifts), {}
        # Kept until they are read: a reader may be cancelled meanwhile, and another go on.
        self._next = some = self._next or list(islice(self._order, _AT_ONCE))
        await self.refresh([id for _, id in some])
        self._next = []
        self._unread.difference_update(id for _, id in some)
        if some:
            self.until = some[-1][0]
        if not self._unread:
            self.until = END

    async def mend(self) -> None:
        """Read what hints missed, of a long queue a part: the next part the next time.

        New and gone jobs are found by their ids. A missed change of a job that stays shows when
        its placement is refused as stale; only a held job would wait for ever, so those are read,
        some each time.
        """
        queued = await self._jobs.queue(self._mended_to, _MENDED_AT_ONCE)
        self._mended_to = self._mended_to + len(queued) if len(queued) == _MENDED_AT_ONCE else 0
        known = list(islice(self._mended, _MENDED_AT_ONCE))
        if len(known) < _MENDED_AT_ONCE:
            self._mended = iter(list(self._waiting))
            known += islice(self._mended, _MENDED_AT_ONCE - len(known))
        gone = set(known) - await self._jobs.queued(known)
        under_way = await self._under_way()
        new = {id for id in queued if id not in self._waiting and id not in self._unread}
        held = list(islice(self._held, _AT_ONCE))
        if len(held) < _AT_ONCE:
            self._held = iter(self._waiting.held)
            held += islice(self._held, _AT_ONCE - len(held))
        await self.refresh(new | gone | (under_way ^ self._running.ids) | set(held))

    async def refresh(self, ids: Iterable[JobId]) -> list[Job]:
        """Read these jobs anew; returns those that exist."""
        wanted = sorted(ids)
        found: list[Job] = []
        for first in range(0, len(wanted), _AT_ONCE):
            some = wanted[first : first + _AT_ONCE]
            jobs = await self._jobs.get_many(some)
            for gone in set(some) - {job.id for job in jobs}:
                self.given_back += gone in self._running.ids
                self.forget(gone)
            estimates = await self._jobs.estimates.of(jobs)
            for job in jobs:
                self._note(job, estimates.get(job.id))
            found += jobs
        return found

    async def relearn(self) -> None:
        """Estimate waiting jobs anew of which runs that have ended since tell something new."""
        learned, groups = self._alike.take()
        self._jobs.estimates.forget(learned)
        for group in groups:
            made = await self._jobs.estimates.like(group.likeness, group.input_bytes)
            if not group.is_news(made):
                continue
            group.told = made
            for place, id in enumerate(tuple(group.jobs), 1):
                self._waiting.estimate(id, made)
                if place % _AT_ONCE == 0:
                    await asyncio.sleep(0)  # who waits for the loop comes first

    def lines(self, now_ms: int) -> tuple[Sequence[WaitingJob], ...]:
        """The jobs that may start now; they hold until the next change."""
        return self._waiting.lines(now_ms)

    def snapshot(
        self,
        nodes: tuple[Node, ...],
        now_ms: int,
        held: Held = MappingProxyType({}),
        policy: Policy = Policy.EASY,
    ) -> Snapshot:
        """All that a plan looks at; it holds until the next change."""
        self.correct(now_ms)
        return Snapshot(
            nodes,
            self.lines(now_ms),
            self._running,
            self.until,
            held,
            self._shifts,
            self.quotas(now_ms),
            policy,
        )

    def seen(
        self, nodes: tuple[Node, ...], now_ms: int, policy: Policy, without: JobId | None = None
    ) -> Snapshot:
        """The same for those who answer from it, perhaps about one job: it changes nothing of the
        queue, and holds for ever. Who is not yet in a line is in one of its own, and without a job
        to ask about also who is to start later.
        """
        own = None if without is None else self._waiting.line_of(without)
        lines = [
            tuple(line) if line is not own else tuple(job for job in line if job.id != without)
            for line in self._waiting.lined
        ]
        for job in self._waiting.later():
            if without is None or (job.id != without and (job.not_before_ms or 0) <= now_ms):
                lines.append((job,))
        return Snapshot(
            nodes,
            in_turn(filter(None, lines), self._shifts),
            tuple(_corrected(job, now_ms) for job in self._running),
            self.until,
            shifts=self._shifts,
            quotas=self.quotas(now_ms),
            policy=policy,
        )

    def quotas(self, now_ms: int) -> Quotas:
        """All quotas of running use, with what is used of each."""
        return self._allowed.in_use(self.uses(), now_ms) if self._allowed.limits else NO_QUOTAS

    def overdue(self, now_ms: int) -> list[JobId]:
        """Waiting jobs that can't end by their deadlines any more."""
        return self._waiting.overdue(now_ms)

    def next_change_ms(self) -> int | None:
        """When the next job whose start lay in the future at the last snapshot may start, or may
        start no more."""
        times = (self._waiting.next_start_ms(), self._waiting.next_overdue_ms())
        return min((each for each in times if each is not None), default=None)

    def uses(self) -> list[Use]:
        """What the jobs use that hold an allocation."""
        return [
            Use(each.owner, each.allocation.total, each.since_ms, each.ends_ms)
            for each in self._running
        ]

    @property
    def owners(self) -> Set[str]:
        """Whose jobs wait or run, or did."""
        return self._owners

    @property
    def has_strangers(self) -> bool:
        """Tell whether jobs of owners were read whom `arrange` was told nothing of."""
        return not self._owners <= self._allowed.groups.keys()

    @property
    def has_spent(self) -> bool:
        """Tell whether CPU time that quotas count came back since `arrange` was told of it."""
        counted = any(each.what is What.CPU_HOURS for each in self._allowed.limits)
        return counted and self._counted < self.given_back

    def forget(self, job: JobId) -> None:
        """Leave a job out, known or not."""
        self._waiting.drop(job)
        self._alike.drop(job)
        self._running.drop(job)

    def __len__(self) -> int:
        return len(self._waiting)

    async def _under_way(self) -> set[JobId]:
        found: set[JobId] = set()
        for status in _HOLDING:
            found.update(await self._jobs.in_status(status))
        return found

    def _note(self, job: Job, estimate: Estimate | None) -> None:
        held = job.id in self._running.ids
        self.forget(job.id)
        self._owners.add(job.owner)
        if job.status is Status.AWAITING_ALLOCATION:
            self._waiting.put(waiting_job(job, estimate))
            self._alike.put(job, estimate)
        elif job.status in _HOLDING and (running := running_job(job, estimate)):
            self._running.put(running)
            if running.likely_ms is not None:
                heappush(self._likely, (running.likely_ms, job.id))
        if job.status is Status.COMPLETED:
            self._alike.ended(job)
        self.given_back += held and job.id not in self._running.ids

    def correct(self, now_ms: int) -> None:
        """Reckon with the time limit of jobs that run on longer than was likely."""
        while self._likely and self._likely[0][0] <= now_ms:
            likely_ms, id = heappop(self._likely)
            job = self._running.get(id)
            if job is not None and job.likely_ms == likely_ms:
                self._running.put(_corrected(job, now_ms))


def _corrected(job: RunningJob, now_ms: int) -> RunningJob:
    late = job.likely_ms is not None and job.likely_ms <= now_ms
    return replace(job, likely_ms=None) if late else job
