"""Entries in the order of their rank, cheap to change one by one and to fill by the thousand."""

from bisect import bisect_left, insort

from headrace_data.core.entry import Entry, Rank

# Up to so many new entries are put in one by one; more are sorted in with all the others.
_FEW_NEW = 32


class Ranked:
    """A set of entries, each with its own rank. What is added waits until somebody looks."""

    __slots__ = ("_new", "_sorted")

    def __init__(self) -> None:
        self._sorted: list[tuple[Rank, Entry]] = []
        self._new: list[tuple[Rank, Entry]] = []

    def __len__(self) -> int:
        return len(self._sorted) + len(self._new)

    def add(self, entry: Entry) -> None:
        """Hold an entry that is not held yet."""
        self._new.append((entry.rank, entry))

    def remove(self, entry: Entry) -> None:
        """Let go of an entry that is held."""
        pairs = self.pairs()
        # A tuple with the rank alone sorts just before the pair with that rank.
        del pairs[bisect_left(pairs, (entry.rank,))]

    def pairs(self) -> list[tuple[Rank, Entry]]:
        """Return (rank, entry) by rank; the list must not be changed."""
        if len(self._new) <= _FEW_NEW:
            for pair in self._new:
                insort(self._sorted, pair)
        else:
            self._sorted.extend(self._new)
            self._sorted.sort()
        self._new.clear()
        return self._sorted
