"""What each node will have free over time, and when and where a blocked job will start.

A node's room grows at each known end of a job, and is less while something is *kept* there: for a
job with a reservation, or for a window of maintenance. A reservation is made in one of two ways:

* There is a moment from which on the job fits for as long as it may run: the earliest is taken
  (`at_ms`), and its shares are kept from then on, for that long.
* No known end makes enough room, because jobs with unknown end are in the way. Then the job
  *clears* nodes: nothing else starts on them at all until the job has started. They are the nodes
  that miss least of what it asks once all known ends have passed (CPUs first, then memory, then by
  id), as few from the top of this order as hold the job when empty.

Clearing starves no one while running jobs do end: a cleared node only gains room, so its place in
the order only improves, and a node displaces another only by missing strictly less (or as
much, with a lower id). Such moves are finite, so in the end the same nodes stay cleared until they
are empty; the job fits then at the latest.

Most nodes keep nothing, so that their room only grows: for those what is asked is found by
bisection in the sums of `running.py`. Steps are made of the others alone.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf

from headrace_model.fit import can_hold, part_with, pieces, undivided
from headrace_model.ids import JobId, NodeId
from headrace_model.resources import Allocation, Paradigm, Resources, Share
from headrace_scheduler.core.placement import Near, place
from headrace_scheduler.core.running import Running
from headrace_scheduler.core.snapshot import Node, RunningJob, WaitingJob
from headrace_scheduler.core.tally import CLOSED, Merged, Tally, usable

# From when until when (ms; inf: for good), and what; None: all that there is.
_Kept = tuple[float, float, Resources | None]
# From a moment on, until the next step.
_Step = tuple[float, Resources]


@dataclass(frozen=True, slots=True)
class Reservation:
    """Room that is kept for a blocked job: `shares` from `at_ms` on; where that is None its start
    can't be known, and the `nodes` are cleared for it."""

    job: JobId
    at_ms: int | None
    shares: tuple[Share, ...] = ()
    cleared: tuple[NodeId, ...] = ()

    @property
    def nodes(self) -> tuple[NodeId, ...]:
        """The nodes concerned, by id."""
        return tuple(sorted(self.cleared or (share.node for share in self.shares)))


class Profile:
    """What nodes have free from now on; it only gets less while a plan is made.

    An end that has passed without the room being back is taken to come any moment: 1 ms from now.
    """

    def __init__(
        self, nodes: Iterable[Node], running: Collection[RunningJob], now_ms: int
    ) -> None:
        self.now_ms = now_ms
        known = tuple(nodes)
        self.free = {node.id: node.free for node in known}
        # Where something is counted by the piece, all of it held or not.
        self._pieces = {node.id for node in known if node.capacity.generic or node.free.generic}
        self._holding = running
        self._started: dict[NodeId, list[tuple[int, Resources]]] = {}
        self._kept: dict[NodeId, list[_Kept]] = {}
        self._steps: dict[NodeId, list[_Step]] = {}
        self._not_before: dict[object, int] = {}  # of jobs that ask alike

    def start(self, allocation: Allocation, lasts_ms: int | None) -> None:
        """Take what a job holds that starts now."""
        for share in allocation.shares:
            self.free[share.node] -= share.resources
            if lasts_ms is not None:
                back = self.now_ms + lasts_ms, share.resources
                self._started.setdefault(share.node, []).append(back)
            self._steps.pop(share.node, None)

    def keep(
        self, node: NodeId, begin_ms: float, end_ms: float, what: Resources | None = None
    ) -> None:
        """Keep room from one moment to another; without `what` all of it, whatever it holds."""
        begin_ms = max(begin_ms, self.now_ms)
        if begin_ms < end_ms:
            self._kept.setdefault(node, []).append((begin_ms, end_ms, what))
            self._steps.pop(node, None)

    def through(self, node: NodeId, end_ms: float) -> Resources:
        """What a node has free from now on until then, all the time."""
        least = self.free[node]
        if node in self._kept:
            for begin_ms, room in self._steps_of(node):
                if begin_ms >= end_ms:
                    break
                least = least.least(room)
        return least

    def all_through(self, end_ms: float) -> Mapping[NodeId, Resources]:
        """What each node has free from now on until then; good until something is taken."""
        kept = {node: self.through(node, end_ms) for node in self._kept}
        return self.free | kept if kept else self.free

    def over(self, node: NodeId, begin_ms: float, end_ms: float) -> Resources:
        """What a node has free from one moment to another, all the time."""
        if self._only_grows(node):
            returns = self._running().returns(node)
            free = self.free[node]
            return free + returns.by(begin_ms) if returns and begin_ms > self.now_ms else free
        least: Resources | None = None
        steps = self._steps_of(node)
        for (at_ms, room), until_ms in zip(
            steps, [*(step[0] for step in steps[1:]), inf], strict=True
        ):
            if until_ms <= begin_ms:
                continue
            if at_ms >= end_ms and least is not None:
                break
            least = room if least is None else least.least(room)
        return least or steps[-1][1]

    def reserve(self, job: WaitingJob, nodes: Sequence[Node], near: Near = ()) -> Reservation:
        """Find when and where a job will start that can't now; `nodes` are those it may use.

        They hold it when they are empty. Nothing is kept by this: see `keep`.
        """
        lasts_ms = inf if job.time_limit_ms is None else job.time_limit_ms
        if undivided(job.resources, job.cut):
            at_ms, shares = self._reserve_whole(job, nodes, lasts_ms, near)
        else:
            at_ms, shares = self._reserve_cut(job, nodes, lasts_ms, near)
        if at_ms is None:
            room = {node.id: self.over(node.id, inf, inf) for node in nodes}
            return Reservation(job.id, None, cleared=tuple(_cleared(job, nodes, room)))
        return Reservation(job.id, at_ms, shares)

    def _reserve_whole(
        self, job: WaitingJob, nodes: Sequence[Node], lasts_ms: float, near: Near
    ) -> tuple[int | None, tuple[Share, ...]]:
        """The first moment at which a node holds the whole job, and the one that `place` takes."""
        best: float = inf
        able: list[Node] = []
        for node in nodes:
            at_ms = self._whole_from(job, node, lasts_ms, best)
            if at_ms is None or at_ms > best:
                continue
            if at_ms < best:
                best, able = at_ms, []
            able.append(node)
        if not able:
            return None, ()
        at = int(best)
        rooms = {node.id: self.over(node.id, at, at + lasts_ms) for node in able}
        return at, self._shares(job, able, rooms, near)

    def _whole_from(
        self, job: WaitingJob, node: Node, lasts_ms: float, by_ms: float
    ) -> float | None:
        """From when on a node holds the whole job for as long as that; None: not by `by_ms`."""
        asked, free = job.resources, self.free[node.id]
        if not asked.generic and not node.capacity.generic and self._only_grows(node.id):
            if job.whole_node and not asked.fits_in(node.capacity):
                return None
            lack = (node.capacity if job.whole_node else asked) - free
            if lack.millicpus <= 0 and lack.memory_bytes <= 0:
                return self.now_ms
            returns = self._running().returns(node.id)
            end_ms = returns.until(lack) if returns else None
            return None if end_ms is None else max(end_ms, self.now_ms + 1)
        since_ms: float | None = None
        for at_ms, room in self._steps_of(node.id):
            if asked.fits_in(usable(job, node, room)):
                if since_ms is None:
                    if at_ms > by_ms:
                        return None
                    since_ms = at_ms
            elif since_ms is not None:
                if at_ms - since_ms >= lasts_ms:
                    return since_ms
                since_ms = None
        return since_ms

    def _reserve_cut(
        self, job: WaitingJob, nodes: Sequence[Node], lasts_ms: float, near: Near
    ) -> tuple[int | None, tuple[Share, ...]]:
        """The first moment at which the nodes together hold a job that is cut.

        Room only gets less while a plan is made: one that asks alike starts no earlier.
        """
        at_ms: float = self._not_before.get(job.alike, self.now_ms)
        tally = Tally(
            job, nodes, {node.id: self.over(node.id, at_ms, at_ms + lasts_ms) for node in nodes}
        )
        growing = [node.id for node in nodes if self._only_grows(node.id)]
        others = [node.id for node in nodes if not self._only_grows(node.id)]
        changes = Merged(
            self._returns_to(frozenset(growing), at_ms),
            sorted(
                (change for node in others for change in self._changes(node, lasts_ms, at_ms)),
                key=lambda change: change[0],
            ),
        )
        while not tally.fits():
            at_ms = changes.next_ms
            if at_ms == inf:
                return None, ()
            changes.count_into(tally)
        at = int(at_ms)
        self._not_before[job.alike] = at
        return at, self._shares(job, nodes, tally.room, near)

    def _returns_to(
        self, nodes: frozenset[NodeId], after_ms: float
    ) -> Iterator[tuple[float, NodeId, Resources]]:
        """What comes back to nodes that keep nothing, in order."""
        soon_ms = self.now_ms + 1
        passed = after_ms if after_ms >= soon_ms else -inf
        for ends_ms, job in self._running().ends(passed):
            for share in job.allocation.shares:
                if share.node in nodes:
                    yield max(ends_ms, soon_ms), share.node, share.resources

    def _changes(
        self, node: NodeId, lasts_ms: float, after_ms: float
    ) -> Iterator[tuple[float, NodeId, Resources]]:
        """What a node has free for as long as that, from each moment on at which it changes."""
        steps = self._steps_of(node)
        moments = {at_ms for at_ms, _ in steps} | {at_ms - lasts_ms + 1 for at_ms, _ in steps}
        for at_ms in sorted(moments):
            if after_ms < at_ms < inf:
                yield at_ms, node, self.over(node, at_ms, at_ms + lasts_ms)

    def _shares(
        self,
        job: WaitingJob,
        nodes: Sequence[Node],
        rooms: Mapping[NodeId, Resources],
        near: Near,
    ) -> tuple[Share, ...]:
        """What a job needs of each node at a moment at which it fits."""
        able = {node.id: usable(job, node, rooms[node.id]) for node in nodes}
        found = place(job.resources, job.cut, able, near, job.spread)
        shares = found.shares if isinstance(found, Allocation) else ()
        if job.whole_node:
            return tuple(Share(share.node, able[share.node]) for share in shares)
        return tuple(Share(each.node, _needed(job.resources, each.resources)) for each in shares)

    def _running(self) -> Running:
        """The running jobs in order; made where it is needed, for most plans need it not."""
        if not isinstance(self._holding, Running):
            self._holding = Running(self._holding)
        return self._holding

    def _only_grows(self, node: NodeId) -> bool:
        return not (node in self._kept or node in self._started or node in self._pieces)

    def _steps_of(self, node: NodeId) -> list[_Step]:
        steps = self._steps.get(node)
        if steps is None:
            steps = self._steps[node] = self._made(node)
        return steps

    def _made(self, node: NodeId) -> list[_Step]:
        soon_ms = self.now_ms + 1
        changes: list[tuple[float, int, Resources]] = [
            (max(ends_ms, soon_ms), 1, part) for ends_ms, _, part in self._running().parts(node)
        ]
        changes += ((ends_ms, 1, part) for ends_ms, part in self._started.get(node, ()))
        shut: list[tuple[float, int]] = []
        for begin_ms, end_ms, what in self._kept.get(node, ()):
            if what is None:
                shut += ((begin_ms, 1), (end_ms, -1))
            else:
                changes += ((begin_ms, -1, what), (end_ms, 1, what))
        changes += ((at_ms, shuts, CLOSED) for at_ms, shuts in shut)
        changes.sort(key=lambda change: change[0])
        room, closed, steps = self.free[node], 0, [(float(self.now_ms), self.free[node])]
        for at_ms, sign, part in changes:
            if part is CLOSED:
                closed += sign
            else:
                room = room + part if sign > 0 else room - part
            step = at_ms, CLOSED if closed else room
            if steps[-1][0] == at_ms:
                steps[-1] = step
            else:
                steps.append(step)
        return steps if steps[-1][0] < inf else steps[:-1]


def _needed(asked: Resources, share: Resources) -> Resources:
    """What a node must have free for a share: what goes with its CPUs, before rounding down."""
    needed = part_with(asked, share.millicpus)
    return needed if share.fits_in(needed) else share


def _cleared(
    job: WaitingJob, nodes: Sequence[Node], room: Mapping[NodeId, Resources]
) -> list[NodeId]:
    asked, paradigm = job.resources, job.cut

    def missing(node: Node) -> tuple[int, int, int, NodeId]:
        lack = (node.capacity if job.whole_node else asked) - room[node.id]
        lacking = sum(amount for _, amount in lack.generic if amount > 0)
        return max(lack.millicpus, 0), max(lack.memory_bytes, 0), lacking, node.id

    order = sorted((node for node in nodes if _is_of_use(asked, paradigm, node)), key=missing)
    low, high = 0, len(order)
    while high - low > 1:
        middle = (low + high) // 2
        if can_hold(asked, paradigm, (node.capacity for node in order[:middle])):
            high = middle
        else:
            low = middle
    return [node.id for node in order[:high]]


def _is_of_use(asked: Resources, paradigm: Paradigm, node: Node) -> bool:
    """Tell whether the empty node could hold the job, or at least one piece of it."""
    if undivided(asked, paradigm):
        return asked.fits_in(node.capacity)
    whole, corner = pieces(asked, node.capacity)
    return whole > 0 or corner
