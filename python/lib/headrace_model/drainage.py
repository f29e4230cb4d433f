"""Where water flows, as far as ids tell it: a catchment to a nexus, a nexus to a catchment."""

from collections.abc import Mapping


def as_catchment(id_: str) -> str:
    """The catchment of a flowpath: ngen takes `wb-7` and `cat-7` for the same."""
    kind, dash, number = id_.partition("-")
    return f"cat-{number}" if dash and kind.lower() in ("wb", "fp") else id_


def loops(catchments: Mapping[str, str], nexuses: Mapping[str, str]) -> list[tuple[str, ...]]:
    """Find where water flows in a circle; each circle once, in the order in which it flows.

    `catchments` and `nexuses` tell where each flows to. A circle begins with the least id of its
    catchments: `("cat-1", "nex-1", "cat-2", "nex-2")`. Takes time in proportion to their number.
    """
    done: set[str] = set()
    found: list[tuple[str, ...]] = []
    for start in catchments:
        way: list[str] = []
        met: set[str] = set()
        at = start
        while at in catchments and at not in done and at not in met:
            met.add(at)
            way.append(at)
            at = as_catchment(nexuses.get(catchments[at], ""))
        if at in met:
            circle = way[way.index(at) :]
            first = circle.index(min(circle))
            turned = circle[first:] + circle[:first]
            found.append(tuple(id_ for each in turned for id_ in (each, catchments[each])))
        done |= met
    return sorted(found)


def loop_text(circle: tuple[str, ...], most: int = 8) -> str:
    """Say a circle: `cat-1 -> nex-1 -> cat-2 -> nex-2 -> cat-1`, a long one in short."""
    shown = [id_[:60] for id_ in circle[:most]]
    left = len(circle) - len(shown)
    return " -> ".join([*shown, *([f"... {left:,} more ..."] if left else []), circle[0][:60]])
