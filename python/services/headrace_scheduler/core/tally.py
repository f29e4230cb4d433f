"""Whether a job that is cut fits, counted on with each change of what nodes have free."""

from collections.abc import Iterable, Iterator, Sequence
from math import inf

from headrace_model.fit import CPU, pieces
from headrace_model.ids import NodeId
from headrace_model.resources import Resources
from headrace_scheduler.core.snapshot import Node, WaitingJob

CLOSED = Resources(-1, -1)  # not even nothing fits


def usable(job: WaitingJob, node: Node, room: Resources) -> Resources:
    """What of a node's room a job may use: nothing, if it wants the whole node and others are
    there."""
    return CLOSED if job.whole_node and room != node.capacity else room


class Merged:
    """Two orders of changes as one: what comes back, and what nodes have from then on."""

    def __init__(
        self,
        returns: Iterator[tuple[float, NodeId, Resources]],
        changes: Sequence[tuple[float, NodeId, Resources]],
    ) -> None:
        self._returns = returns
        self._return = next(returns, None)
        self._changes = iter(changes)
        self._change = next(self._changes, None)

    @property
    def next_ms(self) -> float:
        """When something changes next; inf: never again."""
        return min(
            self._return[0] if self._return else inf, self._change[0] if self._change else inf
        )

    def count_into(self, tally: "Tally") -> None:
        """Count all that changes at the next moment."""
        at_ms = self.next_ms
        while self._return and self._return[0] == at_ms:
            _, node, part = self._return
            tally.set(node, tally.room[node] + part)
            self._return = next(self._returns, None)
        while self._change and self._change[0] == at_ms:
            _, node, room = self._change
            tally.set(node, room)
            self._change = next(self._changes, None)


class Tally:
    """Room of each node, and whether a job that is cut fits in it: `can_hold`, counted on with
    each change."""

    __slots__ = ("_corners", "_counted", "_job", "_nodes", "_wholes", "room")

    def __init__(
        self, job: WaitingJob, nodes: Iterable[Node], room: dict[NodeId, Resources]
    ) -> None:
        self.room = room
        self._job = job
        self._nodes = {node.id: node for node in nodes} if job.whole_node else {}
        self._wholes = 0
        self._corners = 0
        self._counted: dict[NodeId, tuple[int, bool]] = {}
        for node, free in room.items():
            self._count(node, free)

    def set(self, node: NodeId, room: Resources) -> None:
        self.room[node] = room
        self._count(node, room)

    def fits(self) -> bool:
        wanted, fraction = divmod(self._job.resources.millicpus, CPU)
        return self._wholes > wanted or (
            self._wholes == wanted and (fraction == 0 or self._corners > 0)
        )

    def _count(self, node: NodeId, room: Resources) -> None:
        if self._nodes:
            room = usable(self._job, self._nodes[node], room)
        before = self._counted.get(node, (0, False))
        now = pieces(self._job.resources, room)
        if now != before:
            self._counted[node] = now
            self._wholes += now[0] - before[0]
            self._corners += now[1] - before[1]
