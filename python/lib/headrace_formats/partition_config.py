"""NGEN_PARTITION_CONFIG: which process of a parallel ngen runs which catchments.

As NOAA-OWP/ngen reads and writes it (Partition_Parser, partitionGenerator): ids of partitions are
numbers, or texts of digits. Where water leaves the fabric the generator writes a catchment
`wb-TERMINAL_SENTINEL-<nexus>` that does not exist; it is none here.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from headrace_formats.base import Field, FileDomain, Format, checked_names
from headrace_formats.errors import FormatError
from headrace_formats.json_text import begins_as_json, listed, load_json, mapping
from headrace_formats.report import Report
from headrace_model.dataset import Category
from headrace_model.domain import Discrete, Domain, Index

_SENTINEL: Final = "wb-TERMINAL_SENTINEL-"
_INTO: Final = "orig_cat-to-nex"
_OUT_OF: Final = "nex-to-dest_cat"


@dataclass(frozen=True, slots=True)
class _Partition:
    where: str
    catchments: frozenset[str]
    nexuses: frozenset[str]
    connections: tuple[Any, ...]


def _sniff(head: bytes) -> bool:
    return begins_as_json(head) and b'"partitions"' in head and b'"cat-ids"' in head


def _read(path: Path, report: Report) -> FileDomain:
    entries = listed(mapping(load_json(path), "the file").get("partitions"), "partitions")
    partitions: dict[int, _Partition] = {}
    for place, entry in enumerate(entries):
        where = f"partitions[{place}]"
        id_, found = _partition(entry, where, report)
        if id_ in partitions:
            report.error(where, f"its id, {id_}, is that of {partitions[id_].where} too")
        elif id_ is not None:
            partitions[id_] = found
    if not partitions:
        raise FormatError("partitions: there are none")
    if sorted(partitions) != list(range(len(partitions))):
        report.error("partitions", f"their ids must be 0 to {len(partitions) - 1}: ranks of MPI")
    held = Counter(name for each in partitions.values() for name in each.catchments)
    for name in sorted(name for name, count in held.items() if count > 1)[:20]:
        report.error("partitions", f"the catchment {name[:60]} is in {held[name]} partitions")
    for id_, each in partitions.items():
        if not each.catchments:
            report.warn(each.where, "it has no catchment")
        for place, connection in enumerate(each.connections):
            where = f"{each.where}.remote-connections[{place}]"
            _check_connection(id_, partitions, connection, where, report)
    catchments = [name for name in held if not name.startswith(_SENTINEL)]
    length = Discrete(frozenset((str(len(partitions)),)))
    return FileDomain(
        (
            ("catchments", Domain.of({Index.CATCHMENT_ID: Discrete(frozenset(catchments))})),
            ("length", Domain.of({Index.LENGTH: length})),
        )
        if catchments
        else (("length", Domain.of({Index.LENGTH: length})),)
    )


def _partition(entry: Any, where: str, report: Report) -> tuple[int | None, _Partition]:
    entry = mapping(entry, where)
    id_ = _number(entry.get("id"))
    if id_ is None:
        report.error(where, "its id must be a number from 0 on")
    connections = entry.get("remote-connections", [])
    found = _Partition(
        where,
        _ids(entry, "cat-ids", where, report),
        _ids(entry, "nex-ids", where, report),
        tuple(listed(connections, f"{where}.remote-connections")),
    )
    return id_, found


def _number(value: Any) -> int | None:
    """A rank: a whole number, or its digits as text."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 10:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _ids(entry: dict[str, Any], key: str, where: str, report: Report) -> frozenset[str]:
    ids = listed(entry.get(key), f"{where}.{key}")
    for place, each in enumerate(ids):
        if not isinstance(each, str):
            report.error(f"{where}.{key}[{place}]", "an id must be text, such as cat-1")
    texts = [each for each in ids if isinstance(each, str)]
    return checked_names(texts, f"{where}.{key}") if texts else frozenset()


def _check_connection(
    of: int, partitions: dict[int, _Partition], connection: Any, where: str, report: Report
) -> None:
    """Check that a connection is between what its two partitions hold, and told by both."""
    connection = mapping(connection, where)
    nexus, catchment = connection.get("nex-id"), connection.get("cat-id")
    rank, direction = _number(connection.get("mpi-rank")), connection.get("cat-direction")
    there = partitions.get(rank) if rank is not None and rank != of else None
    if there is None:
        report.error(f"{where}.mpi-rank", "there is no such other partition")
        return
    if direction not in (_INTO, _OUT_OF):
        report.error(f"{where}.cat-direction", f"it must be {_INTO} or {_OUT_OF}")
        return
    if nexus not in partitions[of].nexuses:
        report.warn(f"{where}.nex-id", f"{str(nexus)[:60]!r} is not in this partition's nex-ids")
    if catchment not in there.catchments:
        report.warn(f"{where}.cat-id", f"{str(catchment)[:60]!r} is not in partition {rank}")
    back = _OUT_OF if direction == _INTO else _INTO
    if not any(
        isinstance(each, dict)
        and (each.get("nex-id"), each.get("cat-direction")) == (nexus, back)
        and _number(each.get("mpi-rank")) == of
        for each in there.connections
    ):
        report.warn(where, f"partition {rank} has no connection back through that nexus")


FORMAT: Final = Format(
    name="NGEN_PARTITION_CONFIG",
    summary="which process of a parallel ngen runs which catchments",
    categories=(Category.CONFIG,),
    indexes=(
        (Index.CATCHMENT_ID, "`cat-ids` of all partitions, without `wb-TERMINAL_SENTINEL-…`"),
        (Index.LENGTH, "the number of partitions"),
    ),
    sniff=_sniff,
    read=_read,
    fields=(
        Field("id", "", "the rank: 0, 1, …, as a number or as text"),
        Field("cat-ids", "", "the catchments that it runs"),
        Field("nex-ids", "", "the nexuses that it holds"),
        Field("remote-connections", "", "nexuses that it shares, with whom, in which direction"),
    ),
    warns=(
        "a partition has no catchment",
        "a connection names a nexus or catchment that is not there, or only one side tells of it",
    ),
    source="NOAA-OWP/ngen, Partition_Parser and partitionGenerator",
)
