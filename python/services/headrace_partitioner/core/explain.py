"""What a split means: how even it is, how much is exchanged, and beside it a naive split."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headrace_partitioner.core.config import cut_edges, outlet_receivers
from headrace_partitioner.core.drainage import Drainage
from headrace_partitioner.core.split import in_file_order


@dataclass(frozen=True, slots=True)
class PartFigures:
    """One partition: its share of the weight is `weight`; `sends`, `receives`: messages a step."""

    catchments: int
    weight: int
    sends: int
    receives: int


@dataclass(frozen=True, slots=True)
class Figures:
    """A whole split.

    `imbalance`: the heaviest partition over the mean, 1 is even. `edges`: from a catchment through
    its nexus to what is below; `cut_edges`: those between two partitions. `messages`: what is
    sent a time step; several edges of a partition through one nexus share one.
    """

    parts: tuple[PartFigures, ...]
    imbalance: float
    edges: int
    cut_edges: int
    messages: int


def figures_of(
    drainage: Drainage,
    assigned: Sequence[int],
    parts: int,
    receivers: Mapping[str, int] | None = None,
) -> Figures:
    """Count; `receivers` says who receives at outlets where a config tells it."""
    if receivers is None:
        receivers = outlet_receivers(drainage, assigned)
    counts, weights = [0] * parts, [0] * parts
    for number, part in enumerate(assigned):
        counts[part] += 1
        weights[part] += drainage.weights[number]
    edges = list(cut_edges(drainage, assigned, receivers))
    # By sender, nexus and receiver.
    messages = {(assigned[number], drainage.nexus[number], to) for number, _, to in edges}
    sends, receives = [0] * parts, [0] * parts
    for sender, _, receiver in messages:
        sends[sender] += 1
        receives[receiver] += 1
    return Figures(
        tuple(map(PartFigures, counts, weights, sends, receives)),
        max(weights) * parts / sum(weights),
        sum(1 for below in drainage.below if below >= 0),
        len(edges),
        len(messages),
    )


def naive_figures(drainage: Drainage, parts: int) -> Figures:
    """The figures of blocks of the same number of catchments, as the file has them."""
    return figures_of(drainage, in_file_order(drainage, parts), parts)
