"""Which catchments this process runs: all, or its rank's share among the ranks of MPI.

Catchments do not talk to each other, so no rank needs MPI itself: the environment tells it which
one it is. Every rank writes files of its own catchments only.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from headrace_bmi.errors import BmiFailed

_OF_RANKS: Final = (
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),  # Open MPI
    ("PMI_RANK", "PMI_SIZE"),  # MPICH, Intel MPI and others by PMI
    ("SLURM_PROCID", "SLURM_NTASKS"),  # srun
)
_IN_NAME: Final = re.compile(r"(?<![A-Za-z0-9])(cat-\d{1,15})(?!\d)")
_SUFFIXES: Final = (".nc", ".csv")
_MOST_BYTES: Final = 512 << 20
_SHOWN: Final = 5


def rank_of(environ: Mapping[str, str]) -> tuple[int, int]:
    """This process's rank and how many there are; (0, 1) where no MPI started it."""
    for rank_name, size_name in _OF_RANKS:
        rank, size = environ.get(rank_name, ""), environ.get(size_name, "")
        if rank.isdecimal() and size.isdecimal() and int(rank) < int(size):
            return int(rank), int(size)
    return 0, 1


def in_order(catchments: Sequence[str] | frozenset[str]) -> list[str]:
    """Catchments in the order of their numbers."""
    return sorted(catchments, key=lambda each: (len(each), each))


def forcing_files(folder: Path) -> dict[str, list[Path]]:
    """Of each catchment the files with its id in the name (`cat-27.nc`, `cat-27_2015.csv`).

    A union of datasets brings several of one. Raises `BmiFailed` where there are none of any.
    """
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        name = _IN_NAME.search(path.name)
        if name is None or path.suffix not in _SUFFIXES or not path.is_file():
            continue
        found.setdefault(name[1], []).append(path)
    if not found:
        raise BmiFailed(
            f"the forcing in {folder} has no file named as a catchment, such as cat-27.nc"
        )
    return found


def chosen(asked: Sequence[str] | None, forcing: Mapping[str, Sequence[Path]]) -> list[str]:
    """The catchments of a run, in order; raises `BmiFailed` where one has no forcing."""
    if asked is None:
        return in_order(frozenset(forcing))
    missing = in_order(frozenset(asked) - forcing.keys())
    if missing:
        raise BmiFailed(
            f"{_listed(missing)} no forcing: no file there has that id in its name; add it to "
            "the forcing, or take it out of `catchments`"
        )
    return in_order(frozenset(asked))


def share(catchments: Sequence[str], rank: int, size: int, partitions: Path | None) -> list[str]:
    """The catchments of a rank: those of its partition, or every `size`-th without a config.

    Alone, a process runs all of them, whatever the config says. Raises `BmiFailed` for a config
    that is for another number of ranks, or leaves a catchment out, or has it twice.
    """
    if partitions is None:
        return list(catchments[rank::size])
    owner = read_partitions(partitions)
    parts = max(owner.values(), default=-1) + 1 if size == 1 else size
    if strange := sorted({each for each in owner.values() if each >= parts}):
        raise BmiFailed(
            f"the partition config has a partition {strange[-1]}, but there are {size} ranks: "
            f"make one with {size} partitions, or ask for {strange[-1] + 1} CPUs"
        )
    missing = [each for each in catchments if each not in owner]
    if missing:
        raise BmiFailed(
            f"{_listed(missing)} no partition: make a partition config that holds all "
            "catchments of the run"
        )
    return list(catchments) if size == 1 else [e for e in catchments if owner[e] == rank]


def read_partitions(path: Path) -> dict[str, int]:
    """Read ngen's partition config, a file or a folder with one: the rank of each catchment."""
    if path.is_dir():
        files = [each for each in sorted(path.rglob("*.json")) if each.is_file()]
        if len(files) != 1:
            raise BmiFailed(f"{path} must hold one partition config, not {len(files)} .json files")
        path = files[0]
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise BmiFailed(f"{path.name}: it has more than {_MOST_BYTES >> 20} MiB")
        plain = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise BmiFailed(f"{path.name}: it can't be read as JSON: {error}") from None
    entries = plain.get("partitions") if isinstance(plain, dict) else None
    if not isinstance(entries, list):
        raise BmiFailed(f"{path.name}: it is no partition config: it has no list `partitions`")
    owner: dict[str, int] = {}
    for place, entry in enumerate(entries):
        rank, ids = _partition(entry, f"{path.name}, partitions[{place}]")
        for each in ids:
            if each in owner:
                raise BmiFailed(f"{path.name}: {each} is in partitions {owner[each]} and {rank}")
            owner[each] = rank
    return owner


def _partition(entry: Any, where: str) -> tuple[int, list[str]]:
    """An id, a number or its digits as text, and the catchments."""
    entry = entry if isinstance(entry, dict) else {}
    id_, ids = str(entry.get("id")), entry.get("cat-ids")
    if not (id_.isascii() and id_.isdecimal() and len(id_) < 10):
        raise BmiFailed(f"{where}: its id must be a number from 0 on")
    if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
        raise BmiFailed(f"{where}: cat-ids must be a list of ids such as cat-27")
    return int(id_), ids


def _listed(ids: Sequence[str]) -> str:
    shown = ", ".join(ids[:_SHOWN])
    if len(ids) > _SHOWN:
        return f"{shown} and {len(ids) - _SHOWN:,} more catchments have"
    return f"{shown} {'has' if len(ids) == 1 else 'have'}"
