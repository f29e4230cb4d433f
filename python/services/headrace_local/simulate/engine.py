"""The simulation: events in order of time, and after each moment the plans of the scheduler."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from typing import Final, Protocol

from headrace_local.simulate.learned import Learned
from headrace_local.simulate.ledger import Ledger, NoRoom
from headrace_local.simulate.pool import BACKEND
from headrace_local.simulate.shares import Shares
from headrace_local.simulate.trace import TraceJob
from headrace_model.bounds import Policy
from headrace_model.ids import JobId
from headrace_model.priority import DEFAULT_PRIORITY, rank_of
from headrace_model.resources import Allocation, Paradigm, Resources
from headrace_scheduler.core.placement import Reason
from headrace_scheduler.core.plan import Plan, plan
from headrace_scheduler.core.snapshot import Node, RunningJob, Snapshot, WaitingJob
from headrace_scheduler.core.waiting import Waiting

_PLACED_AT_ONCE: Final = 100  # as the scheduler's shell does
_TELL_EVERY: Final = 64
_END, _ARRIVAL = 0, 1  # what ends gives its room before what comes looks for some


class Planner(Protocol):
    """The planner's one door: `plan` of the scheduler's core."""

    def __call__(self, snapshot: Snapshot, now_ms: int, limit: int = ...) -> Plan:
        """Decide."""
        ...


@dataclass(frozen=True, slots=True)
class Ran:
    """A job that ran; `promised_ms` is the start that its reservation first told, if any did."""

    job: TraceJob
    start_ms: int
    end_ms: int
    allocation: Allocation
    promised_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """What came of a simulation: what ran by its end, and what never could on these nodes.

    `refused` placements found no room in the ledger: the planner would have over-booked.
    `stranded` jobs still waited when nothing could happen any more. `planning_s` is the CPU time
    of all plans.
    """

    ran: tuple[Ran, ...]
    too_large: tuple[TraceJob, ...]
    placed: int
    refused: int
    stranded: int
    planning_s: float


@dataclass(frozen=True, slots=True)
class Setting:
    """What a simulation runs on: the nodes, the policy, how jobs spread over nodes, and what a CPU
    of a job asks of memory where the trace doesn't say."""

    nodes: tuple[Node, ...]
    policy: Policy = Policy.EASY
    paradigm: Paradigm = Paradigm.FILL_NODES
    memory_bytes: int = 0


class Simulation:
    """One run of a trace. `run` plays it; whoever wants to look on gives `watch`.

    `watch` gets the snapshot and the time of each plan, before it is made, and the waiting jobs
    that came at that time. `tell` gets, now and then, how many jobs have ended and the time.
    """

    def __init__(
        self,
        jobs: Sequence[TraceJob],
        setting: Setting,
        clock: Callable[[], float],
        *,
        planner: Planner = plan,
        ledger: type[Ledger] = Ledger,
        learned: type[Learned] = Learned,
        watch: Callable[[Snapshot, int, Sequence[WaitingJob]], None] | None = None,
        tell: Callable[[int, int], None] | None = None,
    ) -> None:
        self._setting = setting
        self._clock = clock
        self._planner = planner
        self._watch = watch
        self._tell = tell
        self._ledger = ledger((node.id, node.free) for node in setting.nodes)
        self._learned = learned()
        self._shares = Shares()
        self._shifts: Mapping[str, int] = {}
        self._nodes = {node.id: node for node in setting.nodes}
        self._waiting = Waiting()
        self._running: dict[JobId, RunningJob] = {}
        self._jobs = {JobId(f"j{at:09}"): job for at, job in enumerate(jobs)}
        self._events: list[tuple[int, int, JobId]] = [
            (job.submit_ms, _ARRIVAL, id) for id, job in self._jobs.items()
        ]  # in order, and so a heap
        self._started: dict[JobId, tuple[int, Allocation]] = {}
        self._promised: dict[JobId, int] = {}
        self._ran: list[Ran] = []
        self._too_large: list[TraceJob] = []
        self._refused = 0
        self._planning_s = 0.0

    def run(self) -> Run:
        """Play the trace until its last job has ended."""
        moments = 0
        while self._events:
            now_ms = self._events[0][0]
            came = list(self._move_to(now_ms))
            self._plan_all(now_ms, came)
            moments += 1
            if self._tell and moments % _TELL_EVERY == 0:
                self._tell(len(self._ran) + len(self._too_large), now_ms)
        return Run(
            tuple(self._ran),
            tuple(self._too_large),
            len(self._started),
            self._refused,
            len(self._waiting),
            self._planning_s,
        )

    def _move_to(self, now_ms: int) -> Iterator[WaitingJob]:
        """Let happen what happens at this moment; gives the jobs that came."""
        while self._events and self._events[0][0] == now_ms:
            _, kind, id = heappop(self._events)
            if kind == _ARRIVAL:
                job = self._waiting_job(id)
                self._waiting.put(job)
                yield job
            else:
                self._end(id, now_ms)

    def _end(self, id: JobId, now_ms: int) -> None:
        start_ms, allocation = self._started[id]
        self._ledger.give_back(id, allocation.nodes)
        self._look_at(allocation)
        del self._running[id]
        job = self._jobs[id]
        self._learned.note(job)
        self._shares.note(job.user, allocation.total.millicpus, now_ms - start_ms, now_ms)
        promised_ms = self._promised.pop(id, None)
        self._ran.append(Ran(job, start_ms, now_ms, allocation, promised_ms))

    def _plan_all(self, now_ms: int, came: Sequence[WaitingJob]) -> None:
        """Plan and apply until nothing more starts."""
        shifts = self._shares.shifts(now_ms)
        if shifts is not self._shifts:
            self._shifts = shifts
            self._waiting.shift(shifts)
        while len(self._waiting):
            snapshot = self._snapshot(now_ms)
            if self._watch:
                self._watch(snapshot, now_ms, came)
            before_s = self._clock()
            planned = self._planner(snapshot, now_ms, _PLACED_AT_ONCE)
            self._planning_s += self._clock() - before_s
            refused = sum(not self._start(p.job, p.allocation, now_ms) for p in planned.placements)
            self._refused += refused
            dropped = self._note(planned)
            # A refused one is planned again when something has happened.
            if refused or not (dropped or len(planned.placements) == _PLACED_AT_ONCE):
                return
            came = ()

    def _snapshot(self, now_ms: int) -> Snapshot:
        return Snapshot(
            nodes=tuple(self._nodes.values()),
            lines=self._waiting.lines(now_ms),
            running=tuple(self._running.values()),
            shifts=self._shifts,
            policy=self._setting.policy,
        )

    def _look_at(self, allocation: Allocation) -> None:
        """Keep what is free on the nodes of an allocation."""
        for share in allocation.shares:
            free = self._ledger.free[share.node]
            self._nodes[share.node] = replace(self._nodes[share.node], free=free)

    def _start(self, id: JobId, allocation: Allocation, now_ms: int) -> bool:
        try:
            self._ledger.take(id, allocation.shares)
        except NoRoom:
            return False
        self._look_at(allocation)
        job = self._jobs[id]
        self._waiting.drop(id)
        self._started[id] = now_ms, allocation
        ends_ms = None if job.limit_ms is None else now_ms + job.limit_ms
        estimate = self._learned.estimate(job)
        self._running[id] = RunningJob(
            id, allocation, ends_ms, estimate, owner=job.user, since_ms=now_ms
        )
        heappush(self._events, (now_ms + job.held_ms, _END, id))
        return True

    def _note(self, planned: Plan) -> bool:
        """Keep what was promised; let go of what these nodes could never hold, and tell of it."""
        before = len(self._too_large)
        for id, why in planned.reasons.items():
            if why.reason is Reason.RESERVED and why.at_ms is not None:
                self._promised.setdefault(id, why.at_ms)
            elif why.reason is Reason.TOO_LARGE:
                self._waiting.drop(id)
                self._too_large.append(self._jobs[id])
        return len(self._too_large) > before

    def _waiting_job(self, id: JobId) -> WaitingJob:
        job = self._jobs[id]
        memory = self._setting.memory_bytes if job.memory_bytes is None else job.memory_bytes
        return WaitingJob(
            id=id,
            version=1,
            attempt=1,
            rank=rank_of(job.submit_ms, DEFAULT_PRIORITY),
            resources=Resources(job.cpus * 1000, job.cpus * memory),
            paradigm=self._setting.paradigm,
            backend=BACKEND,
            held=False,
            not_before_ms=None,
            time_limit_ms=job.limit_ms,
            queued_ms=job.submit_ms,
            estimate=self._learned.estimate(job),
            owner=job.user,
        )
