"""Which entries cover an instant: an index of intervals that grows and shrinks cheaply.

An interval lies in one cell of a grid whose cell width is the power of two at or above its
length. One that holds an instant must therefore begin in the instant's cell or the one before,
so a look-up reads two cells a width in use, and a change touches one. Entries with the very same
interval stand together, by rank: thousands of runs of one period cost a look-up no more than one.
"""

from bisect import bisect_right
from collections import Counter

from headrace_data.core.entry import Entry
from headrace_data.core.ranked import Ranked
from headrace_model.times import Instant

Span = tuple[Instant, Instant]


class Timeline:
    """The TIME intervals of entries. Entries without TIME are not held."""

    __slots__ = ("_begins", "_cells", "_levels")

    def __init__(self) -> None:
        self._cells: dict[tuple[int, int], dict[Span, Ranked]] = {}
        self._levels: Counter[int] = Counter()
        self._begins: list[Instant] | None = None

    def add(self, entry: Entry) -> None:
        """Hold an entry that is not held yet."""
        for span in entry.intervals:
            level, cell = _place(span)
            spans = self._cells.setdefault((level, cell), {})
            if span not in spans:
                spans[span] = Ranked()
                self._levels[level] += 1
                self._begins = None
            spans[span].add(entry)

    def remove(self, entry: Entry) -> None:
        """Let go of an entry that is held."""
        for span in entry.intervals:
            level, cell = _place(span)
            spans = self._cells[level, cell]
            spans[span].remove(entry)
            if spans[span]:
                continue
            del spans[span]
            self._begins = None
            if not spans:
                del self._cells[level, cell]
            self._levels[level] -= 1
            if not self._levels[level]:
                del self._levels[level]

    def at(self, instant: Instant) -> list[tuple[Instant, Ranked]]:
        """Return the entries that cover an instant, with the end of their interval there."""
        found = []
        for level in self._levels:
            place = instant >> level
            for cell in (place - 1, place):
                for (begin, end), entries in self._cells.get((level, cell), {}).items():
                    if begin <= instant < end:
                        found.append((end, entries))
        return found

    def next_begin(self, after: Instant) -> Instant | None:
        """Return the first begin of an interval later than an instant.

        Only misses ask this: the begins are sorted when it is asked, not with each change.
        """
        if self._begins is None:
            self._begins = sorted(begin for spans in self._cells.values() for begin, _ in spans)
        place = bisect_right(self._begins, after)
        return self._begins[place] if place < len(self._begins) else None


def _place(span: Span) -> tuple[int, int]:
    begin, end = span
    level = (end - begin - 1).bit_length()
    return level, begin >> level
