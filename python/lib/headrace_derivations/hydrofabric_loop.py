"""Whether the water of a hydrofabric flows in a circle somewhere. Pure.

Each catchment and each nexus flows to one place at most, so that one walk down from each, which
ends where another one was already, sees every edge once: O(catchments + nexuses).
"""

from collections.abc import Iterator
from typing import Final

from headrace_derivations.base import DerivationFailed
from headrace_derivations.hydrofabric_network import Network, as_catchment

_MOST_SAID: Final = 8


def find_loop(network: Network) -> tuple[str, ...]:
    """The ids of a loop, in the order in which water flows; none: empty.

    Of several loops it is the one that the first catchment, then nexus, by the fabric's order,
    flows into; it begins with its first id by the alphabet, so that it is said the same however
    the fabric is sorted.
    """
    done: set[str] = set()
    for start in (*network.catchments, *network.nexuses):
        way: dict[str, None] = {}
        for id_ in _down(network, start):
            if id_ in done:
                break
            if id_ in way:
                return _from_first(list(way)[list(way).index(id_) :])
            way[id_] = None
        done.update(way)
    return ()


def check_loops(network: Network) -> None:
    """Refuse a fabric with a loop; raises `DerivationFailed`."""
    if loop := find_loop(network):
        shown = " → ".join(loop[:_MOST_SAID])
        more = f" → {len(loop) - _MOST_SAID:,} more" if len(loop) > _MOST_SAID else ""
        raise DerivationFailed(
            f"the hydrofabric has a loop: {shown}{more} → {loop[0]}",
            hint=(
                f"water must leave it: one of these has the wrong `toid`; look at that of "
                f"{loop[-1]} in the fabric's file, and upload the fabric anew"
            ),
        )


def _down(network: Network, start: str) -> Iterator[str]:
    at: str | None = start
    while at is not None:
        yield at
        to = network.catchments.get(at)
        at = to if to is not None else network.nexuses.get(at)
        at = as_catchment(at) if at else None


def _from_first(loop: list[str]) -> tuple[str, ...]:
    first = loop.index(min(loop))
    return (*loop[first:], *loop[:first])
