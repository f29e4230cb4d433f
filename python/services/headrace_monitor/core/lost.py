"""When a node is lost: its counter stood still for long enough of the monitor's own time."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from headrace_model.ids import NodeId

_LEFT_TIMES: Final = 4


@dataclass(slots=True)
class _Watched:
    counter: str
    still_s: float


class NodeWatch:
    """Counts, for each node, the time during which its counter stood still and reads succeeded.

    A node that was left in good order, for an upgrade, is waited for `_LEFT_TIMES` as long: its
    workers live on, and whoever starts the next agent may have an image to fetch first.
    A pause of the monitor itself, or of Redis, adds at most `longest_step_s`: a monitor that was
    stopped for a minute has not seen anybody stand still for a minute.
    """

    def __init__(self, lost_after_s: float, longest_step_s: float) -> None:
        self._lost_after_s = lost_after_s
        self._longest_step_s = longest_step_s
        self._watched: dict[NodeId, _Watched] = {}

    def look(self, nodes: Iterable[tuple[NodeId, str, bool]], since_last_s: float) -> list[NodeId]:
        """Note one successful read, `since_last_s` after the last; returns the lost nodes.

        `nodes`: of each its counter, and whether it was left in good order.
        """
        step_s = min(since_last_s, self._longest_step_s)
        lost: list[NodeId] = []
        watched: dict[NodeId, _Watched] = {}
        for node, counter, left in nodes:
            known = self._watched.get(node)
            if known is None or known.counter != counter:
                known = _Watched(counter, 0.0)
            else:
                known.still_s += step_s
            watched[node] = known
            if known.still_s >= self._lost_after_s * (_LEFT_TIMES if left else 1):
                lost.append(node)
        self._watched = watched
        return lost
