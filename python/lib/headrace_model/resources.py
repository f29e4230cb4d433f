"""CPU and memory as integers, and their shares on nodes.

CPUs are counted in millicpus (1000 = one CPU) and memory in bytes, so that sums are exact and
what is given back is what was taken.
"""

from dataclasses import dataclass
from enum import StrEnum

from headrace_model.ids import NodeId


class Paradigm(StrEnum):
    """How an allocation spreads over nodes."""

    SINGLE_NODE = "SINGLE_NODE"
    FILL_NODES = "FILL_NODES"
    ROUND_ROBIN = "ROUND_ROBIN"


@dataclass(frozen=True, slots=True)
class Resources:
    """An amount of CPU (millicpus) and memory (bytes)."""

    millicpus: int
    memory_bytes: int

    def __add__(self, other: "Resources") -> "Resources":
        return Resources(self.millicpus + other.millicpus, self.memory_bytes + other.memory_bytes)

    def __sub__(self, other: "Resources") -> "Resources":
        return Resources(self.millicpus - other.millicpus, self.memory_bytes - other.memory_bytes)

    def times(self, count: int) -> "Resources":
        """That much for `count` of them."""
        return Resources(self.millicpus * count, self.memory_bytes * count)

    def fits_in(self, room: "Resources") -> bool:
        """Tell whether `room` holds at least this much of each."""
        return self.millicpus <= room.millicpus and self.memory_bytes <= room.memory_bytes


NOTHING = Resources(0, 0)


@dataclass(frozen=True, slots=True)
class Share:
    """What one node gives to an attempt."""

    node: NodeId
    resources: Resources


@dataclass(frozen=True, slots=True)
class Allocation:
    """The shares that an attempt holds, one a node, in rank order."""

    shares: tuple[Share, ...]

    @property
    def total(self) -> Resources:
        """The sum over all shares."""
        return sum((share.resources for share in self.shares), NOTHING)
