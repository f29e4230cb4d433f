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

All nodes are looked at in one pass over flat arrays (`timeline.py`).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Final

from headrace_model.fit import can_hold, part_with, pieces, undivided
from headrace_model.ids import JobId, NodeId
from headrace_model.resources import Allocation, Paradigm, Resources, Share
from headrace_scheduler.core.placement import Near, place
from headrace_scheduler.core.running import Running
from headrace_scheduler.core.snapshot import Node, RunningJob, WaitingJob
from headrace_scheduler.core.timeline import CLOSED, Timeline

# What a search for a job that is cut costs a step, and a share that is kept; for a job on one node
# a step costs 1.
_CUT: Final = 4
_SHARE: Final = 400

# Where, from when until when (ms; inf: for good), and what; None: all that there is.
_Taken = tuple[NodeId, float, float, Resources | None]


@dataclass(frozen=True, slots=True)
class Reservation:
    """Room that is kept for a blocked job: `shares` from `at_ms` on; where that is None its start
    can't be known, and the `nodes` are cleared for it."""

    job: JobId
    at_ms: int | None
    shares: tuple[Share, ...] = ()
    cleared: tuple[NodeId, ...] = ()

    def __post_init__(self) -> None:
        if self.at_ms is not None and not self.shares:
            raise ValueError(f"the reservation of job {self.job} has a time and keeps nothing")

    @property
    def nodes(self) -> tuple[NodeId, ...]:
        """The nodes concerned, by id."""
        return tuple(sorted(self.cleared or (share.node for share in self.shares)))


class Profile:
    """What nodes have free from now on; it only gets less while a plan is made.

    `work`: what its reservations have cost, in steps looked at; the same on each machine.

    An end that has passed without the room being back is taken to come any moment: 1 ms from now.
    """

    def __init__(
        self, nodes: Iterable[Node], running: Collection[RunningJob], now_ms: int
    ) -> None:
        self.now_ms = now_ms
        self.work = 0
        self._nodes = {node.id: node for node in nodes}
        self.free = {node.id: node.free for node in self._nodes.values()}
        self._running = running
        self._timeline: Timeline | None = None
        self._taken: list[_Taken] = []  # that the timeline does not have yet
        self._kept: set[NodeId] = set()

    def start(self, allocation: Allocation, lasts_ms: int | None) -> None:
        """Take what a job holds that starts now."""
        end_ms = inf if lasts_ms is None else self.now_ms + lasts_ms
        for share in allocation.shares:
            self.free[share.node] -= share.resources
            self._taken.append((share.node, self.now_ms, end_ms, share.resources))

    def keep(
        self, node: NodeId, begin_ms: float, end_ms: float, what: Resources | None = None
    ) -> None:
        """Keep room from one moment to another; without `what` all of it, whatever it holds."""
        begin_ms = max(begin_ms, self.now_ms)
        if begin_ms < end_ms:
            self._kept.add(node)
            self._taken.append((node, begin_ms, end_ms, what))

    def through(self, node: NodeId, end_ms: float) -> Resources:
        """What a node has free from now on until then, all the time."""
        if node not in self._kept or end_ms <= self.now_ms:
            return self.free[node]
        return self._steps().through(node, end_ms)

    def all_through(self, end_ms: float) -> Mapping[NodeId, Resources]:
        """What each node has free from now on until then; good until something is taken."""
        kept = {node: self.through(node, end_ms) for node in self._kept}
        return self.free | kept if kept else self.free

    def over(self, begin_ms: float, end_ms: float) -> Mapping[NodeId, Resources]:
        """What each node has free from one moment to another, all the time."""
        return self._steps().over(begin_ms, end_ms)

    def reserve(
        self, job: WaitingJob, nodes: Sequence[Node], near: Near = (), clears: bool = True
    ) -> Reservation:
        """Find when and where a job will start that can't now; `nodes` are those it may use.
        Where its start can't be known it `clears` some, or nothing is reserved.

        They hold it when they are empty. Nothing is kept by this: see `keep`.
        """
        lasts_ms = inf if job.longest_ms is None else job.longest_ms
        steps = self._steps()
        whole = undivided(job.resources, job.cut)
        find = steps.first_whole if whole else steps.first_cut
        at_ms, rooms = find(job, nodes, lasts_ms)
        self.work += len(steps) * (1 if whole else _CUT)
        able = [self._nodes[id] for id in rooms]
        if at_ms is not None and (shares := self._shares(job, able, rooms, near)):
            self.work += len(shares) * _SHARE
            return Reservation(job.id, at_ms, shares)
        # Without a place then, whatever the sums say, its start is not known.
        if not clears:
            return Reservation(job.id, None)
        room = steps.over(inf, inf)
        return Reservation(job.id, None, cleared=tuple(_cleared(job, nodes, room)))

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

    def _steps(self) -> Timeline:
        """Made where it is needed, for most plans need it not."""
        if self._timeline is None:
            running = self._running
            if not isinstance(running, Running):
                running = Running(running)
            self._timeline = Timeline(tuple(self._nodes.values()), running, self.now_ms)
        for each in self._taken:
            self._timeline.take(*each)
        self._taken.clear()
        return self._timeline


def usable(job: WaitingJob, node: Node, room: Resources) -> Resources:
    """What of a node's room a job may use: nothing, if it wants the whole node and others are
    there."""
    return CLOSED if job.whole_node and room != node.capacity else room


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
