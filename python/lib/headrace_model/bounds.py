"""What an admin says in resources.yaml: how much may be used of nodes, pools, and the policy."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from headrace_model.ids import NodeId
from headrace_model.resources import NOTHING, Resources, generic


class Policy(StrEnum):
    """Who may start before a job that is ahead in the queue and has no room."""

    FIFO = "FIFO"  # nobody
    EASY = "EASY"  # who does not delay the first of those jobs
    CONSERVATIVE = "CONSERVATIVE"  # who delays none of those jobs that a plan looks at


@dataclass(frozen=True, slots=True)
class Window:
    """A time (UTC, ms) in which nothing may run on some nodes: begin ≤ t < end."""

    from_ms: int
    until_ms: int
    why: str


@dataclass(frozen=True, slots=True)
class Bounds:
    """`nodes`: the most that may be used of each, and nothing of one that is missing; None: all of
    all nodes. `pools`: the nodes of each pool by its name, also of such as have not joined.
    `maintenance`: the windows of each node that has some.

    What is counted by the piece is there because the node's agent tells it, or because it stands
    here; where both say how much, the less counts.
    """

    nodes: Mapping[NodeId, Resources] | None = None
    pools: Mapping[str, frozenset[NodeId]] = field(default_factory=dict)
    policy: Policy = Policy.EASY
    maintenance: Mapping[NodeId, tuple[Window, ...]] = field(default_factory=dict)

    def usable(self, node: NodeId, capacity: Resources) -> Resources:
        """How much of a node's capacity may be used."""
        if self.nodes is None:
            return capacity
        most = self.nodes.get(node)
        if most is None:
            return NOTHING
        pieces = dict(capacity.generic)
        for name, amount in most.generic:
            pieces[name] = min(amount, pieces.get(name, amount))
        return Resources(
            min(capacity.millicpus, most.millicpus),
            min(capacity.memory_bytes, most.memory_bytes),
            generic(pieces),
        )

    def pools_of(self, node: NodeId) -> frozenset[str]:
        """The names of the pools that a node is in."""
        return frozenset(name for name, nodes in self.pools.items() if node in nodes)
