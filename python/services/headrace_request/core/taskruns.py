"""Runs of an array's tasks in what a node has shipped: where they lie, and what they hold.

The index of a node and the files it tells of may be far larger than memory, and come in parts.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import replace

from headrace_wire.logsearch import Line, Searcher
from headrace_wire.tasklogs import IndexLine, all_lines

_LONGEST_LINE = 200  # of an index; what is longer is damaged

Order = tuple[int, int, int, int]


def order_of(run: IndexLine) -> Order:
    """Where a run comes: slot by slot, and there by the place in the slot's file."""
    return run.slot, run.offset, run.index, run.lease


class IndexText:
    """An index that comes in parts, as whole lines."""

    def __init__(self) -> None:
        self._rest = b""

    def take(self, part: bytes) -> str:
        """The lines that are whole now."""
        whole, _, rest = (self._rest + part).rpartition(b"\n")
        self._rest = rest[-_LONGEST_LINE:]
        return whole.decode("ascii", "replace")


class NextRuns:
    """Of an index the first `most` runs of a stream that come behind a place; none twice."""

    def __init__(self, stream: str, behind: Order | None, most: int) -> None:
        self._stream = stream
        self._behind = behind or (-1,) * 4
        self._most = most
        self._runs: dict[Order, IndexLine] = {}
        self._last: Order | None = None  # what comes behind it is not wanted
        self._text = IndexText()

    def take(self, part: bytes) -> None:
        """Read a part of the index: in any order, each as often as it may be."""
        for run in all_lines(self._text.take(part), self._stream):
            order = order_of(run)
            if order > self._behind and (self._last is None or order <= self._last):
                self._runs[order] = run
                if len(self._runs) >= 2 * self._most:
                    self._keep_the_first()

    def runs(self) -> list[IndexLine]:
        """Those of what was read, in their order."""
        self._keep_the_first()
        return list(self._runs.values())

    def _keep_the_first(self) -> None:
        first = sorted(self._runs)[: self._most]
        self._runs = {order: self._runs[order] for order in first}
        if len(first) == self._most:
            self._last = first[-1]


class RunSearch:
    """Looks for a text in the logs of runs, which lie in their order in one file.

    The file comes in parts from the first run's byte on. Its end may come before that of a run:
    a file is cut at a limit that the index does not know of.
    """

    def __init__(self, text: bytes, runs: Iterable[IndexLine]) -> None:
        self._text = text
        self._waiting = deque(runs)
        self._at = self._waiting[0].offset
        self._searcher = Searcher(text)

    @property
    def over(self) -> bool:
        """Tell whether all runs are looked through."""
        return not self._waiting

    def take(self, part: bytes) -> list[Line]:
        """Look through a part that has come."""
        found: list[Line] = []
        while part and self._waiting:
            run = self._waiting[0]
            begin, end = max(self._at, run.offset), run.offset + run.size_bytes
            mine = part[begin - self._at : max(0, end - self._at)]
            used = min(len(part), max(begin, end) - self._at)
            self._searcher.take(mine)
            self._at, part = self._at + used, part[used:]
            found += self._look(ended=self._at >= end)
        return found

    def end(self) -> list[Line]:
        """Look through what is left of the last run that the file holds something of."""
        return self._look(ended=True) if self._waiting else []

    def _look(self, *, ended: bool) -> list[Line]:
        run = self._waiting[0]
        lines = self._searcher.look(last=ended)
        if ended:
            self._waiting.popleft()
            self._searcher = Searcher(self._text)
        return [replace(line, task=run.index, lease=run.lease) for line in lines]
