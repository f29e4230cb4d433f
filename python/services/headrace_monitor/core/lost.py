"""When a node is lost: its counter stood still for long enough of the monitor's own time."""

from collections.abc import Iterable
from dataclasses import dataclass

from headrace_model.ids import NodeId


@dataclass(slots=True)
class _Watched:
    counter: str
    still_s: float


class NodeWatch:
    """Counts, for each node, the time during which its counter stood still and reads succeeded.

    A pause of the monitor itself, or of Redis, adds at most `longest_step_s`: a monitor that was
    stopped for a minute has not seen anybody stand still for a minute.
    """

    def __init__(self, lost_after_s: float, longest_step_s: float) -> None:
        self._lost_after_s = lost_after_s
        self._longest_step_s = longest_step_s
        self._watched: dict[NodeId, _Watched] = {}

    def look(self, counters: Iterable[tuple[NodeId, str]], since_last_s: float) -> list[NodeId]:
        """Note one successful read, `since_last_s` after the last; returns the lost nodes."""
        step_s = min(since_last_s, self._longest_step_s)
        lost: list[NodeId] = []
        watched: dict[NodeId, _Watched] = {}
        for node, counter in counters:
            known = self._watched.get(node)
            if known is None or known.counter != counter:
                known = _Watched(counter, 0.0)
            else:
                known.still_s += step_s
            watched[node] = known
            if known.still_s >= self._lost_after_s:
                lost.append(node)
        self._watched = watched
        return lost
