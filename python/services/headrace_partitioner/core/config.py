"""The partition config of ngen: which catchments and nexuses a rank has, and what it exchanges.

As NOAA-OWP/ngen reads it (Partition_Parser, HY_Features_MPI, HY_PointHydroNexusRemote). A nexus
between partitions is in each of them. The rank with the catchment below it receives, once a time
step from each rank that has some above it: it has a connection `orig_cat-to-nex` for each
catchment above that is elsewhere, and each of those ranks one `nex-to-dest_cat`. At an outlet no
catchment is below; so that its water is not told by two ranks, one of them receives all the same,
for a catchment `wb-TERMINAL_SENTINEL-<nexus>` that ngen makes up there, as its own generator has
it.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from headrace_partitioner.core.drainage import NOWHERE, Drainage, by_number
from headrace_partitioner.errors import PartitioningFailed

SENTINEL: Final = "wb-TERMINAL_SENTINEL-"


class Direction(StrEnum):
    """Which end of an edge is elsewhere: the catchment above a nexus, or the one below."""

    INTO = "orig_cat-to-nex"
    OUT_OF = "nex-to-dest_cat"


@dataclass(frozen=True, slots=True)
class Connection:
    """A catchment at the other side of a nexus, and the rank that has it."""

    rank: int
    nexus: str
    catchment: str
    direction: Direction

    @property
    def key(self) -> tuple[tuple[str, int, str], tuple[str, int, str], str, int]:
        """What connections are sorted by."""
        return by_number(self.nexus), by_number(self.catchment), self.direction, self.rank


@dataclass(frozen=True, slots=True)
class Partition:
    """What one rank has. `catchments` may hold sentinels."""

    catchments: tuple[str, ...]
    nexuses: tuple[str, ...]
    connections: tuple[Connection, ...]


Config = tuple[Partition, ...]
"""The partitions by rank."""


def config_of(drainage: Drainage, assigned: Sequence[int], parts: int) -> Config:
    """Write down a split: `assigned[i]` is the part of catchment i, 0 to `parts` - 1."""
    catchments: list[list[str]] = [[] for _ in range(parts)]
    nexuses: list[set[str]] = [set() for _ in range(parts)]
    for number, part in enumerate(assigned):
        catchments[part].append(drainage.ids[number])
        nexuses[part].update(drainage.sources[number])
        if drainage.nexus[number]:
            nexuses[part].add(drainage.nexus[number])
    receivers = outlet_receivers(drainage, assigned)
    connections = connections_of(drainage, assigned, receivers)
    for outlet, receiver in receivers.items():
        if any(each.nexus == outlet for each in connections.get(receiver, ())):
            catchments[receiver].append(f"{SENTINEL}{outlet}")
    return tuple(
        Partition(
            tuple(catchments[part]),
            tuple(sorted(nexuses[part], key=by_number)),
            tuple(sorted(connections.get(part, ()), key=lambda each: each.key)),
        )
        for part in range(parts)
    )


def outlet_receivers(drainage: Drainage, assigned: Sequence[int]) -> dict[str, int]:
    """The rank that receives at an outlet: the one with most of the catchments above it."""
    counts: dict[int, Counter[int]] = {}
    for number, part in enumerate(assigned):
        below = drainage.below[number]
        if below >= len(drainage.ids):
            counts.setdefault(below, Counter())[part] += 1
    return {
        drainage.outlets[outlet - len(drainage.ids)]: min(
            found, key=lambda part: (-found[part], part)
        )
        for outlet, found in counts.items()
    }


def connections_of(
    drainage: Drainage, assigned: Sequence[int], receivers: Mapping[str, int]
) -> dict[int, set[Connection]]:
    """What each rank must tell, by rank; `receivers` tells who receives at outlets."""
    found: dict[int, set[Connection]] = {}
    for number, below, receiver in cut_edges(drainage, assigned, receivers):
        nexus, sender = drainage.nexus[number], assigned[number]
        arriving = Connection(sender, nexus, drainage.ids[number], Direction.INTO)
        leaving = Connection(receiver, nexus, below, Direction.OUT_OF)
        found.setdefault(receiver, set()).add(arriving)
        found.setdefault(sender, set()).add(leaving)
    return found


def cut_edges(
    drainage: Drainage, assigned: Sequence[int], receivers: Mapping[str, int]
) -> Iterator[tuple[int, str, int]]:
    """The edges between two partitions: a catchment, what is below it, and who has that."""
    count = len(drainage.ids)
    for number, part in enumerate(assigned):
        below = drainage.below[number]
        if below == NOWHERE:
            continue
        if below < count:
            receiver, name = assigned[below], drainage.ids[below]
        else:
            outlet = drainage.outlets[below - count]
            receiver, name = receivers[outlet], f"{SENTINEL}{outlet}"
        if receiver != part:
            yield number, name, receiver


def to_text(config: Config) -> str:
    """Write a config as JSON, four lines a partition."""
    return "".join(_pieces(config))


def _pieces(config: Config) -> Iterator[str]:
    yield '{"partitions": [\n'
    for rank, each in enumerate(config):
        connections = [
            {
                "mpi-rank": connection.rank,
                "nex-id": connection.nexus,
                "cat-id": connection.catchment,
                "cat-direction": str(connection.direction),
            }
            for connection in each.connections
        ]
        yield f'{{"id": {rank},\n'
        yield f' "cat-ids": {json.dumps(each.catchments)},\n'
        yield f' "nex-ids": {json.dumps(each.nexuses)},\n'
        yield f' "remote-connections": {json.dumps(connections)}}}'
        yield ",\n" if rank < len(config) - 1 else "\n"
    yield "]}\n"


def read_plain(plain: Any) -> Config:
    """Read the JSON of a config, ids of partitions as numbers or texts; the inverse of `to_text`.

    Raises `PartitioningFailed` that names the place of what is wrong.
    """
    entries = _of(list, _of(dict, plain, "the file").get("partitions"), "partitions")
    found: dict[int, Partition] = {}
    for place, entry in enumerate(entries):
        where = f"partitions[{place}]"
        entry = _of(dict, entry, where)
        rank = _rank(entry.get("id"), f"{where}.id")
        if rank in found:
            raise PartitioningFailed(f"{where}.id: another partition is {rank} too")
        connections = _of(list, entry.get("remote-connections", []), f"{where}.remote-connections")
        found[rank] = Partition(
            _texts(entry.get("cat-ids"), f"{where}.cat-ids"),
            _texts(entry.get("nex-ids"), f"{where}.nex-ids"),
            tuple(
                _connection(each, f"{where}.remote-connections[{number}]")
                for number, each in enumerate(connections)
            ),
        )
    if sorted(found) != list(range(len(found))) or not found:
        raise PartitioningFailed(
            "partitions: their ids must be 0, 1, 2, ... without a gap: they are ranks of MPI"
        )
    return tuple(found[rank] for rank in range(len(found)))


def _connection(plain: Any, where: str) -> Connection:
    plain = _of(dict, plain, where)
    said = plain.get("cat-direction")
    if said not in tuple(Direction):
        raise PartitioningFailed(f"{where}.cat-direction must be {' or '.join(Direction)}")
    return Connection(
        _rank(plain.get("mpi-rank"), f"{where}.mpi-rank"),
        _of(str, plain.get("nex-id"), f"{where}.nex-id"),
        _of(str, plain.get("cat-id"), f"{where}.cat-id"),
        Direction(said),
    )


_CALLED: Final[dict[Any, str]] = {dict: "an object", list: "a list", str: "text"}


def _of(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, kind):
        raise PartitioningFailed(f"{where} must be {_CALLED[kind]}")
    return value


def _texts(value: Any, where: str) -> tuple[str, ...]:
    return tuple(
        _of(str, each, f"{where}[{place}]") for place, each in enumerate(_of(list, value, where))
    )


def _rank(value: Any, where: str) -> int:
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 10:
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise PartitioningFailed(f"{where} must be a number from 0 on")
    return value


def without_sentinels(catchments: Iterable[str]) -> tuple[str, ...]:
    """The catchments that there are: what ngen makes up at outlets left out."""
    return tuple(each for each in catchments if not each.startswith(SENTINEL))
