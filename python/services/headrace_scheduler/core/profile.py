"""When and where the first blocked job of the queue will start: its reservation.

The profile of capacity is what is free now, plus what comes back at each known end. A reservation
is made in one of two ways:

* The job fits at some known end: it reserves its shares of that moment (`at_ms`). Other jobs may
  use those nodes meanwhile if they end by then, or if they fit in the `spare` beside the shares.
* No known end makes enough room, because jobs with unknown end are in the way. Then the job
  *clears* nodes: nothing else starts on them at all (`spare` is nothing) until the job has
  started. They are the nodes that miss least of what it asks once all known ends have passed (CPUs
  first, then memory, then by id), as few from the top of this order as hold the job when empty.

Clearing starves no one while running jobs do end: a cleared node only gains room, so its place in
the order only improves, and a node displaces another only by missing strictly less (or as
much, with a lower id). Such moves are finite, so in the end the same nodes stay cleared until they
are empty; the job fits then at the latest.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter

from headrace_model.fit import CPU, can_hold, memory_with, pieces, undivided
from headrace_model.ids import JobId, NodeId
from headrace_model.resources import NOTHING, Allocation, Paradigm, Resources
from headrace_scheduler.core.placement import place
from headrace_scheduler.core.snapshot import Node, WaitingJob

# When an allocation comes back (UTC, ms); a plain tuple, for there are thousands in each plan.
Return = tuple[int, Allocation]


@dataclass(frozen=True, slots=True)
class Reservation:
    """Room kept for the first blocked job; `at_ms` is None while its start can't be known.

    `spare` has a line for each node concerned: what later jobs that run past `at_ms` may use
    there, in all.
    """

    job: JobId
    at_ms: int | None
    spare: Mapping[NodeId, Resources]

    @property
    def nodes(self) -> tuple[NodeId, ...]:
        """The nodes concerned, by id."""
        return tuple(sorted(self.spare))


def reserve(
    job: WaitingJob,
    nodes: Sequence[Node],
    free: Mapping[NodeId, Resources],
    returns: Iterable[Return],
    now_ms: int,
) -> Reservation:
    """Make the reservation of a job that doesn't fit in `free` but does in the nodes' capacity.

    `nodes` are those that it may use (up, with its backend). An end that has passed without
    the room being back is taken to come any moment: at `now_ms` + 1.
    """
    tally = _Tally(job.resources, job.cut, {node.id: free[node.id] for node in nodes})
    fits_at_ms: int | None = None
    for ends_ms, allocation in sorted(returns, key=itemgetter(0)):
        at_ms = max(ends_ms, now_ms + 1)
        if fits_at_ms is not None and at_ms > fits_at_ms:
            break
        tally.add(allocation)
        if fits_at_ms is None and tally.fits():
            fits_at_ms = at_ms
    room = tally.room
    if fits_at_ms is None:
        return Reservation(job.id, None, dict.fromkeys(_cleared(job, nodes, room), NOTHING))
    found = place(job.resources, job.cut, room)
    shares = found.shares if isinstance(found, Allocation) else ()
    kept = {share.node: _needed(job.resources, share.resources) for share in shares}
    return Reservation(job.id, fits_at_ms, {node: room[node] - kept[node] for node in kept})


def _needed(asked: Resources, share: Resources) -> Resources:
    """What a node must have free to hold a share: its memory before the share was rounded down."""
    memory_bytes = max(share.memory_bytes, memory_with(asked, share.millicpus))
    return Resources(share.millicpus, memory_bytes)


class _Tally:
    """Room that grows, and whether a job fits in it: `can_hold`, counted on with each return."""

    __slots__ = ("_asked", "_corners", "_counted", "_undivided", "_wholes", "room")

    def __init__(
        self, asked: Resources, paradigm: Paradigm, room: dict[NodeId, Resources]
    ) -> None:
        self.room = room
        self._asked = asked
        self._undivided = undivided(asked, paradigm)
        self._wholes = 0
        self._corners = 0
        self._counted: dict[NodeId, tuple[int, bool]] = {}
        for node, free in room.items():
            self._count(node, free)

    def add(self, allocation: Allocation) -> None:
        for share in allocation.shares:
            before = self.room.get(share.node)
            if before is not None:
                after = before + share.resources
                self.room[share.node] = after
                self._count(share.node, after)

    def fits(self) -> bool:
        if self._undivided:
            return self._corners > 0
        wanted, fraction = divmod(self._asked.millicpus, CPU)
        return self._wholes > wanted or (
            self._wholes == wanted and (fraction == 0 or self._corners > 0)
        )

    def _count(self, node: NodeId, room: Resources) -> None:
        before = self._counted.get(node, (0, False))
        now = (0, self._asked.fits_in(room)) if self._undivided else pieces(self._asked, room)
        if now != before:
            self._counted[node] = now
            self._wholes += now[0] - before[0]
            self._corners += now[1] - before[1]


def _cleared(
    job: WaitingJob, nodes: Sequence[Node], room: Mapping[NodeId, Resources]
) -> list[NodeId]:
    asked, paradigm = job.resources, job.cut

    def missing(node: Node) -> tuple[int, int, NodeId]:
        lack = asked - room[node.id]
        return max(lack.millicpus, 0), max(lack.memory_bytes, 0), node.id

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
