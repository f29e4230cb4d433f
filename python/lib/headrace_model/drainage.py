"""Where water flows, as far as ids tell it: a catchment to a nexus, a nexus to a catchment."""

from collections.abc import Iterable, Mapping
from typing import Final

ELEMENT_PATTERN: Final = (
    r"((?:cat|wb|fp)-(?P<catchment>\w+)|(?:nex|tnx|cnx|inx)-\w+|gages-(?P<gauge>\d{8,15}))"
)
"""A catchment, flowpath or nexus, or where a gauge stands; in ASCII, whatever the case."""
_MOST_SAID: Final = 8

Loop = tuple[str, ...]
"""Catchments and nexuses in the order in which water flows, from the least id on."""


def as_catchment(id_: str) -> str:
    """The catchment of a flowpath: ngen takes `wb-7` and `cat-7` for the same."""
    kind, dash, number = id_.partition("-")
    return f"cat-{number}" if dash and kind.lower() in ("wb", "fp") else id_


def loops(catchments: Mapping[str, str], nexuses: Mapping[str, str]) -> list[Loop]:
    """Find all loops, in the order of their ids; the mappings tell where each flows to.

    Each flows to one place at most, so that one walk down from each, which ends where another one
    was already, sees every edge once.
    """
    done: set[str] = set()
    found: list[Loop] = []
    for start in (*catchments, *nexuses):
        way: dict[str, None] = {}
        at = start
        while at not in done and at not in way:
            way[at] = None
            to = catchments.get(at) or nexuses.get(at)
            if not to:
                break
            at = as_catchment(to)
        else:
            if at in way:
                ids = list(way)
                found.append(_from_least(ids[ids.index(at) :]))
        done.update(way)
    return sorted(found)


def _from_least(ids: list[str]) -> Loop:
    first = ids.index(min(ids))
    return (*ids[first:], *ids[:first])


def loop_text(loop: Loop) -> str:
    """Say a loop: `cat-1 → nex-1 → cat-2 → nex-2 → cat-1`, a long one in short."""
    more = len(loop) - _MOST_SAID
    left = (f"{more:,} more",) if more > 0 else ()
    return " → ".join(each[:60] for each in (*loop[:_MOST_SAID], *left, loop[0]))


def loops_text(found: Iterable[Loop]) -> tuple[str, str]:
    """Say to people that a hydrofabric has loops, one or more, and what to do."""
    first, *others = found
    more = f"; it has {len(others):,} more" if others else ""
    return (
        f"the hydrofabric has a loop: {loop_text(first)}{more}",
        "water must leave it: one of these has the wrong `toid`; look at that of "
        f"{first[-1][:60]} in the hydrofabric's file, and take it anew",
    )
