"""The scheduler's decision: which waiting jobs start now, where, and why the others wait.

The queue is taken in rank order and each job starts if it fits. The first that doesn't gets a
reservation (`profile.py`). From then on the policy (`policy.py`) decides: nobody starts (FIFO); or
a later job starts only if it can't delay that start: it ends by then, or it fits beside what is
reserved (EASY backfill); or each job that has to wait gets a reservation too, and none may be
delayed (conservative backfill), up to a number of them a plan.

Room only shrinks while a plan is made. So where a job can't start, none that asks alike and comes
later can, and once nothing more is reserved the walk leaves its whole line: a plan costs as much
as there are different asks, placements and reservations, however many jobs wait.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from math import inf

from headrace_model.ids import DatasetId, JobId, NodeId
from headrace_model.node import NodeState
from headrace_model.resources import Allocation, Paradigm, Resources, Share
from headrace_scheduler.core.placement import Near, Reason, Room
from headrace_scheduler.core.policy import MOST_WORK, rule_of
from headrace_scheduler.core.profile import Profile, Reservation
from headrace_scheduler.core.quota import Gate
from headrace_scheduler.core.rooms import Horizons
from headrace_scheduler.core.snapshot import Node, Place, Snapshot, WaitingJob
from headrace_scheduler.core.why import Why

_NEXT_PLAN = Why(Reason.NEXT_PLAN)
_NO_ROOM = Why(Reason.NO_ROOM)
_BEHIND = Why(Reason.BEHIND_RESERVATION)
_IN_TURN = Why(Reason.IN_TURN)
_HELD = Why(Reason.HELD)
_LATE = Why(Reason.DEADLINE)
_NO_NODE_KNOWN = Why(Reason.NO_NODE_KNOWN)
_NO_NODE_UP = Why(Reason.NO_NODE_UP)
_NO_BACKEND = Why(Reason.NO_BACKEND)
_TOO_LARGE = Why(Reason.TOO_LARGE)


@dataclass(frozen=True, slots=True)
class Placement:
    """Start this attempt with this allocation; refused on apply if the job's version has moved."""

    job: JobId
    version: int
    attempt: int
    allocation: Allocation


@dataclass(frozen=True, slots=True)
class Plan:
    """Placements in rank order, a reason for each waiting job that was looked at, and what is
    reserved for those that wait for room.

    The first job of a line that can't start is the last of it that is looked at.
    """

    placements: tuple[Placement, ...]
    reasons: Mapping[JobId, Why]
    reservations: tuple[Reservation, ...] = ()

    def allocation_of(self, job: JobId) -> Allocation | None:
        """Where a job starts; None: it waits."""
        found = (each.allocation for each in self.placements if each.job == job)
        return next(found, None)

    def why(self, job: JobId) -> Why:
        """The reason of a waiting job without a placement, looked at or not."""
        return self.reasons.get(job, _NEXT_PLAN)


def plan(snapshot: Snapshot, now_ms: int, limit: int = 100) -> Plan:
    """Decide. Pure, deterministic, and independent of the order of nodes and running jobs.

    It ends after `limit` placements (apply takes no more a call), or at `snapshot.until`; jobs
    after that have no entry in `reasons`, see `Plan.why`. A job that the nodes which are up
    couldn't hold even when empty gets no reservation, and so never blocks the queue.
    """
    desk = _Desk(snapshot, now_ms)
    placements: list[Placement] = []
    reasons: dict[JobId, Why] = {}
    gate = snapshot.quotas.gate()
    walk = _Walk(snapshot)
    while len(placements) < limit and (job := walk.next()) and walk.place(job) <= snapshot.until:
        if why := _gate(job, now_ms):
            reasons[job.id] = why
        elif bound := gate.may_start(job.owner, desk.most_held(job), job.time_limit_ms):
            reasons[job.id] = Why(Reason.QUOTA, bound=bound)
            continue
        else:
            answer = desk.decide(_bounded(job, gate))
            if not isinstance(answer, Allocation):
                reasons[job.id] = answer
                if answer.at_ms is not None and desk.reserves:
                    walk.stay()
                continue
            gate.take(job.owner, answer.total, job.time_limit_ms)
            placements.append(Placement(job.id, job.version, job.attempt, answer))
        walk.stay()
    return Plan(tuple(placements), reasons, tuple(desk.reservations))


class _Walk:
    """The jobs of all lines in rank order; who does not `stay` has left the line."""

    __slots__ = ("_entered", "_heads", "_line", "_lines", "_shifts")

    def __init__(self, snapshot: Snapshot) -> None:
        self._lines = snapshot.lines
        self._shifts = snapshot.shifts
        self._entered = 0  # so many of them; the others begin later
        self._heads: list[tuple[Place, WaitingJob, Iterator[WaitingJob]]] = []
        self._line: Iterator[WaitingJob] = iter(())

    def place(self, job: WaitingJob) -> Place:
        """Tell where in the queue a job is."""
        return job.place_in(self._shifts)

    def next(self) -> WaitingJob | None:
        """Give the next job."""
        begins = self._lines[self._entered][0] if self._entered < len(self._lines) else None
        if self._heads and (begins is None or self._heads[0][0] < self.place(begins)):
            # Places differ, so that nothing else is compared.
            _, job, self._line = heappop(self._heads)
            return job
        if begins is not None:
            self._line = iter(self._lines[self._entered])
            self._entered += 1
            return next(self._line)
        return None

    def stay(self) -> None:
        """Go on with what stands behind the last job in its line."""
        job = next(self._line, None)
        if job is not None:
            heappush(self._heads, (self.place(job), job, self._line))


def _gate(job: WaitingJob, now_ms: int) -> Why | None:
    """HOLD, start_not_before and back-off: the job isn't in the queue at all now."""
    if job.held:
        return _HELD
    if job.not_before_ms is not None and job.not_before_ms > now_ms:
        reason = Reason.BACK_OFF if job.attempt > 1 else Reason.NOT_BEFORE
        return Why(reason, at_ms=job.not_before_ms)
    if job.latest_start_ms is not None and job.latest_start_ms < now_ms:
        return _LATE
    return None


def _bounded(job: WaitingJob, gate: Gate) -> WaitingJob:
    """An array runs no more tasks at a time than quotas let it."""
    if job.tasks is None:
        return job
    most = gate.most(job.owner, job.resources, job.tasks, job.time_limit_ms)
    return job if most == job.tasks else replace(job, tasks=most)


class _Desk:
    """One plan in the making: what is free, what was taken, what is reserved."""

    def __init__(self, snapshot: Snapshot, now_ms: int) -> None:
        self._now_ms = now_ms
        self._known = bool(snapshot.nodes)
        self._up = [node for node in snapshot.nodes if node.state is NodeState.UP]
        self._profile = Profile(self._up, snapshot.running, now_ms)
        self._horizons = Horizons(self._profile, {node.id: node for node in self._up})
        for node in self._up:
            for window in node.windows:
                self._keep((node.id,), window.from_ms, window.until_ms)
        self._held = snapshot.held
        self._nears: dict[tuple[DatasetId, ...], Near] = {}
        self._rule = rule_of(snapshot.policy)
        self.reservations: list[Reservation] = []
        self._cleared = False
        self._able: dict[Hashable, list[Node]] = {}
        self._empty: dict[Hashable, Room] = {}

    @property
    def reserves(self) -> bool:
        """Tell whether one more blocked job may get a reservation."""
        few = len(self.reservations) < self._rule.reservations
        return few and self._profile.work < MOST_WORK

    def most_held(self, job: WaitingJob) -> Resources:
        """The most that a job (an array: a task) may come to hold: of whole nodes all."""
        nodes = self._able_for(job) if job.whole_node else ()
        if not nodes:
            return job.resources
        millicpus = [node.capacity.millicpus for node in nodes]
        memory = max(node.capacity.memory_bytes for node in nodes)
        match job.cut:
            case Paradigm.SINGLE_NODE:
                count = 1
            case Paradigm.FILL_NODES:
                count = -(-job.resources.millicpus // max(1, min(millicpus)))
            case Paradigm.ROUND_ROBIN:
                count = len(nodes)
        count = max(1, min(count, len(nodes)))
        return Resources(max(millicpus), memory, job.resources.generic).times(count)

    def decide(self, job: WaitingJob) -> Allocation | Why:
        """Take the room of a job that may start; tell why another may not."""
        if self.reservations and not self._rule.passing:
            return self._hopelessly(job) or _IN_TURN
        longest_ms = job.longest_ms
        rooms = self._horizons.ending(inf if longest_ms is None else self._now_ms + longest_ms)
        found = rooms.find(job, self._near(job))
        if isinstance(found, Allocation):
            self._profile.start(found, job.likely_ms)
            self._horizons.change(found.nodes)
            return found
        # What is kept for others begins later: a job that ended at once would use none of it.
        all_free = self._horizons.ending(self._now_ms)
        fits = all_free is not rooms and all_free.holds(job)
        if not fits and (hopeless := self._hopelessly(job)):
            return hopeless
        if self.reserves:
            return self._reserve(job, fits)
        return _BEHIND if fits else _NO_ROOM

    def _near(self, job: WaitingJob) -> Near:
        """The nodes that hold inputs of a job, those with most bytes first."""
        if not job.datasets or not self._held:
            return ()
        near = self._nears.get(job.datasets)
        if near is None:
            sizes: dict[NodeId, int] = {}
            for dataset in job.datasets:
                for node, size_bytes in self._held.get(dataset, {}).items():
                    sizes[node] = sizes.get(node, 0) + size_bytes
            near = sorted(sizes, key=lambda node: (-sizes[node], node))
            self._nears[job.datasets] = near
        return near

    def _reserve(self, job: WaitingJob, fits: bool) -> Why:
        """Keep room for a blocked job; `fits`: but for what is kept it would start now."""
        nodes = self._able_for(job)
        clears = not self._cleared
        reservation = self._profile.reserve(job, nodes, self._near(job), clears)
        at_ms = reservation.at_ms
        if at_ms is None and not clears:
            return _BEHIND if fits else _NO_ROOM
        first = not self.reservations
        self.reservations.append(reservation)
        if at_ms is None:
            self._cleared = True
            self._keep(reservation.cleared, self._now_ms, inf)
        else:
            end_ms = inf if job.longest_ms is None else at_ms + job.longest_ms
            self._keep(reservation.shares, at_ms, end_ms)
        reason = Reason.RESERVED
        if fits:
            reason = Reason.MAINTENANCE if first else Reason.BEHIND_RESERVATION
        return Why(reason, at_ms=at_ms, nodes=reservation.nodes)

    def _keep(
        self, parts: Iterable[NodeId] | Iterable[Share], begin_ms: float, end_ms: float
    ) -> None:
        """Keep shares, or whole nodes, from one moment to another."""
        self._horizons.begin(max(begin_ms, self._now_ms))
        nodes = []
        for part in parts:
            node, what = (part.node, part.resources) if isinstance(part, Share) else (part, None)
            self._profile.keep(node, begin_ms, end_ms, what)
            nodes.append(node)
        self._horizons.change(nodes)

    def _able_for(self, job: WaitingJob) -> list[Node]:
        able = self._able.get(job.where)
        if able is None:
            able = self._able[job.where] = [node for node in self._up if job.may_use(node)]
        return able

    def _hopelessly(self, job: WaitingJob) -> Why | None:
        """The reason that only a change of the nodes can end, if there is one."""
        if not self._known:
            return _NO_NODE_KNOWN
        if not self._up:
            return _NO_NODE_UP
        able = self._able_for(job)
        if not able:
            return _NO_BACKEND
        empty = self._empty.get(job.where)
        if empty is None:
            empty = self._empty[job.where] = Room({node.id: node.capacity for node in able})
        return None if empty.holds(job.resources, job.cut) else _TOO_LARGE
