"""The scheduler's decision: which waiting jobs start now, where, and why the others wait.

The queue is taken in rank order and each job starts if it fits. The first that doesn't gets a
reservation (`profile.py`). From then on the policy (`policy.py`) decides: nobody starts (FIFO), or
a later job starts only if it can't delay that start (EASY backfill): it ends by then, or it fits
beside what is reserved. One reservation a plan: the job behind the first blocked one gets its own
when it is first.

Room only shrinks while a plan is made. So where a job can't start, none that asks alike and comes
later can, and the walk leaves its whole line: a plan costs as much as there are different asks
and placements, however many jobs wait.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush

from headrace_model.fit import can_hold
from headrace_model.ids import DatasetId, JobId, NodeId
from headrace_model.node import NodeState
from headrace_model.resources import Allocation, Paradigm, Resources
from headrace_scheduler.core.placement import Near, Reason, Room
from headrace_scheduler.core.policy import rule_of
from headrace_scheduler.core.profile import Reservation, Return, reserve
from headrace_scheduler.core.quota import Gate
from headrace_scheduler.core.snapshot import Node, Place, Snapshot, WaitingJob
from headrace_scheduler.core.why import Why

_NEXT_PLAN = Why(Reason.NEXT_PLAN)
_NO_ROOM = Why(Reason.NO_ROOM)
_IN_TURN = Why(Reason.IN_TURN)
_HELD = Why(Reason.HELD)
_LATE = Why(Reason.DEADLINE)


@dataclass(frozen=True, slots=True)
class Placement:
    """Start this attempt with this allocation; refused on apply if the job's version has moved."""

    job: JobId
    version: int
    attempt: int
    allocation: Allocation


@dataclass(frozen=True, slots=True)
class Plan:
    """Placements in rank order, and a reason for each waiting job that was looked at.

    The first job of a line that can't start is the last of it that is looked at.
    """

    placements: tuple[Placement, ...]
    reasons: Mapping[JobId, Why]

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
        elif bound := gate.may_start(job.owner, job.resources, job.time_limit_ms):
            reasons[job.id] = Why(Reason.QUOTA, bound=bound)
            continue
        else:
            answer = desk.decide(_bounded(job, gate))
            if not isinstance(answer, Allocation):
                reasons[job.id] = answer
                continue
            gate.take(job.owner, answer.total, job.time_limit_ms)
            placements.append(Placement(job.id, job.version, job.attempt, answer))
        walk.stay()
    return Plan(tuple(placements), reasons)


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


class _Rooms:
    """Free room of the nodes that are up, indexed by each backend and pool that jobs ask for."""

    __slots__ = ("_nodes", "_rooms", "free")

    def __init__(self, nodes: Sequence[Node], free: dict[NodeId, Resources]) -> None:
        self._nodes = nodes
        self.free = free
        self._rooms: dict[tuple[str, str | None], Room] = {}

    def room(self, job: WaitingJob) -> Room:
        where = job.backend, job.pool
        room = self._rooms.get(where)
        if room is None:
            room = Room({n.id: self.free[n.id] for n in self._nodes if job.may_use(n)})
            self._rooms[where] = room
        return room

    def set(self, node: NodeId, free: Resources) -> None:
        self.free[node] = free
        for room in self._rooms.values():
            if node in room:
                room.set(node, free)


class _Desk:
    """One plan in the making: what is free, what was taken, what is reserved."""

    def __init__(self, snapshot: Snapshot, now_ms: int) -> None:
        self._now_ms = now_ms
        self._known = bool(snapshot.nodes)
        self._up = [node for node in snapshot.nodes if node.state is NodeState.UP]
        self._rooms = _Rooms(self._up, {node.id: node.free for node in self._up})
        self._running = snapshot.running
        self._held = snapshot.held
        self._rule = rule_of(snapshot.policy)
        self._nears: dict[tuple[DatasetId, ...], Near] = {}
        self._started: list[Return] = []
        self._reservation: Reservation | None = None
        self._spare: dict[NodeId, Resources] = {}
        self._late_rooms = self._rooms  # for jobs that may run past the reservation
        self._behind = _NO_ROOM
        self._hopeless: dict[tuple[int, int, bool, str, str | None], Why | None] = {}

    def decide(self, job: WaitingJob) -> Allocation | Why:
        """Take the room of a job that may start; tell why another may not."""
        if self._reservation is not None and not self._rule.passing:
            return self._hopelessly(job) or _IN_TURN
        in_time = self._ends_in_time(job)
        rooms = self._rooms if in_time else self._late_rooms
        room = rooms.room(job)
        if job.tasks is None:
            found = room.find(job.resources, job.paradigm, self._near(job))
        else:
            found = room.find_slots(job.resources, job.paradigm, job.tasks, self._near(job))
        if isinstance(found, Allocation):
            self._take(job, found, in_time)
            return found
        if not in_time and self._rooms.room(job).holds(job.resources, job.cut):
            return self._behind
        return self._blocked(job)

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

    def _ends_in_time(self, job: WaitingJob) -> bool:
        if self._reservation is None:
            return True
        at_ms = self._reservation.at_ms
        return (
            at_ms is not None
            and job.time_limit_ms is not None
            and self._now_ms + job.time_limit_ms <= at_ms
        )

    def _take(self, job: WaitingJob, allocation: Allocation, in_time: bool) -> None:
        reserved = self._reservation is not None
        for share in allocation.shares:
            free = self._rooms.free[share.node] - share.resources
            self._rooms.set(share.node, free)
            if not reserved:
                continue
            spare = self._spare.get(share.node)
            if spare is not None:
                if not in_time:
                    spare -= share.resources
                    self._spare[share.node] = spare
                free = _lesser(free, spare)
            self._late_rooms.set(share.node, free)
        if not reserved and job.time_limit_ms is not None:
            self._started.append((self._now_ms + job.time_limit_ms, allocation))

    def _blocked(self, job: WaitingJob) -> Why:
        if hopeless := self._hopelessly(job):
            return hopeless
        return _NO_ROOM if self._reservation is not None else self._reserve(job)

    def _hopelessly(self, job: WaitingJob) -> Why | None:
        asked = job.resources
        single = job.cut is Paradigm.SINGLE_NODE
        shape = (asked.millicpus, asked.memory_bytes, single, job.backend, job.pool)
        if shape not in self._hopeless:
            self._hopeless[shape] = self._why_hopeless(job)
        return self._hopeless[shape]

    def _why_hopeless(self, job: WaitingJob) -> Why | None:
        """The reason that only a change of the nodes can end, if there is one."""
        if not self._known:
            return Why(Reason.NO_NODE_KNOWN)
        if not self._up:
            return Why(Reason.NO_NODE_UP)
        able = [node.capacity for node in self._up if job.may_use(node)]
        if not able:
            return Why(Reason.NO_BACKEND)
        if not can_hold(job.resources, job.cut, able):
            return Why(Reason.TOO_LARGE)
        return None

    def _reserve(self, job: WaitingJob) -> Why:
        free = self._rooms.free
        able = [node for node in self._up if job.may_use(node)]
        returns = [(r.ends_ms, r.allocation) for r in self._running if r.ends_ms is not None]
        returns += self._started
        self._reservation = reserve(job, able, free, returns, self._now_ms)
        self._spare = dict(self._reservation.spare)
        late = dict(free)
        for node, spare in self._spare.items():
            late[node] = _lesser(free[node], spare)
        self._late_rooms = _Rooms(self._up, late)
        self._behind = Why(Reason.BEHIND_RESERVATION)
        return Why(Reason.RESERVED, at_ms=self._reservation.at_ms, nodes=self._reservation.nodes)


def _lesser(one: Resources, other: Resources) -> Resources:
    return Resources(
        min(one.millicpus, other.millicpus), min(one.memory_bytes, other.memory_bytes)
    )
