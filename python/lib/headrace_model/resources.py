"""CPU, memory and whatever else is counted, as integers, and their shares on nodes.

CPUs are counted in millicpus (1000 = one CPU) and memory in bytes, so that sums are exact and
what is given back is what was taken.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from headrace_model.errors import InvalidInput
from headrace_model.ids import NodeId, check_name

# What is counted by the piece: amounts by name, sorted, none of them 0.
Generic = tuple[tuple[str, int], ...]
GPUS: Final = "gpus"
MOST_PIECES: Final = 1_000_000
MOST_GENERIC: Final = 32
"""How many resources a node or a job may name, beside GPUs."""


class Paradigm(StrEnum):
    """How an allocation spreads over nodes."""

    SINGLE_NODE = "SINGLE_NODE"
    FILL_NODES = "FILL_NODES"
    ROUND_ROBIN = "ROUND_ROBIN"


@dataclass(frozen=True, slots=True)
class Resources:
    """An amount of CPU (millicpus), memory (bytes) and generic resources, GPUs among them."""

    millicpus: int
    memory_bytes: int
    generic: Generic = ()

    def __add__(self, other: "Resources") -> "Resources":
        return Resources(
            self.millicpus + other.millicpus,
            self.memory_bytes + other.memory_bytes,
            _sum(self.generic, other.generic, 1) if other.generic else self.generic,
        )

    def __sub__(self, other: "Resources") -> "Resources":
        return Resources(
            self.millicpus - other.millicpus,
            self.memory_bytes - other.memory_bytes,
            _sum(self.generic, other.generic, -1) if other.generic else self.generic,
        )

    def times(self, count: int) -> "Resources":
        """That much for `count` of them."""
        pieces = generic({name: most * count for name, most in self.generic})
        return Resources(self.millicpus * count, self.memory_bytes * count, pieces)

    def fits_in(self, room: "Resources") -> bool:
        """Tell whether `room` holds at least this much of each."""
        return (
            self.millicpus <= room.millicpus
            and self.memory_bytes <= room.memory_bytes
            and (
                self.generic == room.generic
                or all(amount >= 0 for _, amount in _sum(room.generic, self.generic, -1))
            )
        )

    def least(self, other: "Resources") -> "Resources":
        """What both hold of each."""
        mine, others = dict(self.generic), dict(other.generic)
        pieces = {
            name: min(mine.get(name, 0), others.get(name, 0)) for name in mine.keys() | others
        }
        return Resources(
            min(self.millicpus, other.millicpus),
            min(self.memory_bytes, other.memory_bytes),
            generic(pieces),
        )

    @property
    def ranks(self) -> int:
        """How many ranks that work together they hold: one a whole CPU."""
        return self.millicpus // 1000

    @property
    def gpus(self) -> int:
        """How many GPUs."""
        return dict(self.generic).get(GPUS, 0)


def check_generic(name: str) -> str:
    """Check the name of a generic resource; raises `InvalidInput`."""
    if name == GPUS:
        raise InvalidInput("GPUs are no generic resource: they have a key of their own, `gpus`")
    return check_name(name, "generic resource")


def pieces_text(pieces: Generic) -> str:
    """As the ledger has them: `gpus=2 licence_x=1`."""
    return " ".join(f"{name}={amount}" for name, amount in pieces)


def parse_pieces(words: Iterable[str]) -> Generic:
    """Read the words of `pieces_text`; raises `ValueError`."""
    pairs = (word.rpartition("=") for word in words)
    return generic({name: int(amount) for name, _, amount in pairs})


def generic(amounts: Mapping[str, int]) -> Generic:
    """Amounts by name in the one form that equal amounts have."""
    return tuple(sorted(each for each in amounts.items() if each[1]))


def _sum(some: Generic, others: Generic, sign: int) -> Generic:
    found = dict(some)
    for name, amount in others:
        found[name] = found.get(name, 0) + sign * amount
    return generic(found)


NOTHING = Resources(0, 0)


@dataclass(frozen=True, slots=True)
class Constraints:
    """Which nodes may be used, and how: `labels` that they must have; `whole_node`: nobody else's
    workers on them, and all of them held; `spread`: of nodes that hold all of it the emptiest."""

    labels: tuple[tuple[str, str], ...] = ()
    whole_node: bool = False
    spread: bool = False


ANYWHERE: Final = Constraints()


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
    def nodes(self) -> tuple[NodeId, ...]:
        """The nodes of the shares, in rank order."""
        return tuple(share.node for share in self.shares)

    @property
    def total(self) -> Resources:
        """The sum over all shares."""
        return sum((share.resources for share in self.shares), NOTHING)
