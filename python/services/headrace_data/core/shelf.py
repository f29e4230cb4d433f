"""An index over the datasets (or promises) of one category and format.

Entries stand under each name that they hold (HYDROFABRIC_DATA_ID drb, GAUGE_ID 01472000, ...).
An entry that holds ALL, or very many names, of an index stands under "wide" there instead. A
requirement is looked up under its most selective name, by rank or by time.

There is one shelf a reader; `Shelves` looks at those of one asker as if they were one.
"""

from collections.abc import Iterator, Sequence
from heapq import nsmallest

from headrace_data.core.entry import Entry
from headrace_data.core.ranked import Ranked
from headrace_data.core.timeline import Timeline
from headrace_model.domain import Discrete, Domain, Index

# Above this, an entry stands under "wide": a set of 100,000 ids must not cost 100,000 places.
MANY_NAMES = 64
# Of a requirement with many names, a miss looks for near entries under this many.
_NEAR_NAMES = 8


class Facet:
    """Entries that have something in common: by rank, and by the time that they cover."""

    __slots__ = ("ranked", "timeline")

    def __init__(self) -> None:
        self.ranked = Ranked()
        self.timeline = Timeline()

    def __len__(self) -> int:
        return len(self.ranked)

    def add(self, entry: Entry) -> None:
        """Hold an entry that is not held yet."""
        self.ranked.add(entry)
        self.timeline.add(entry)

    def remove(self, entry: Entry) -> None:
        """Let go of an entry that is held."""
        self.ranked.remove(entry)
        self.timeline.remove(entry)

    def first(self, most: int) -> Iterator[Entry]:
        """Yield at most `most` entries, by rank."""
        return (entry for _, entry in self.ranked.pairs()[:most])

    def __iter__(self) -> Iterator[Entry]:
        return (entry for _, entry in self.ranked.pairs())


_NONE = Facet()


class Shelf:
    """The entries of one category and format; each has its own rank."""

    __slots__ = ("_all", "_named", "_wide")

    def __init__(self) -> None:
        self._all = Facet()
        self._named: dict[tuple[Index, str], Facet] = {}
        self._wide: dict[Index, Facet] = {}

    def __len__(self) -> int:
        return len(self._all)

    def add(self, entry: Entry) -> None:
        """Hold an entry that is not held yet."""
        self._all.add(entry)
        for index, name in _places(entry.domain):
            if name is None:
                self._wide.setdefault(index, Facet()).add(entry)
            else:
                self._named.setdefault((index, name), Facet()).add(entry)

    def remove(self, entry: Entry) -> None:
        """Let go of an entry that is held."""
        self._all.remove(entry)
        for index, name in _places(entry.domain):
            if name is None:
                self._wide[index].remove(entry)
                if not self._wide[index]:
                    del self._wide[index]
            else:
                self._named[index, name].remove(entry)
                if not self._named[index, name]:
                    del self._named[index, name]

    def facets(self, want: Domain, besides: Index | None = None) -> tuple[Facet, ...]:
        """Return facets that together hold every entry which covers `want`.

        With `besides`, every entry that covers `want` on the other indexes. No entry stands in
        two of them. An entry in them need not cover anything: the caller compares.
        """
        best: tuple[Facet, ...] = (self._all,)
        fewest = len(self._all)
        for index, asked in want.restrictions:
            if index is Index.TIME or index is besides:
                continue
            wide = self.wide(index)
            named = _NONE
            if isinstance(asked, Discrete) and len(asked.values) <= MANY_NAMES:
                found = (self.named(index, name) for name in sorted(asked.values))
                named = min(found, key=len)
            if len(wide) + len(named) < fewest:
                best, fewest = (wide, named), len(wide) + len(named)
        return tuple(facet for facet in best if facet)

    def all(self) -> Facet:
        """Return the facet of all entries."""
        return self._all

    def named(self, index: Index, name: str) -> Facet:
        """Return the entries that stand under a name; those with very many names do not."""
        return self._named.get((index, name), _NONE)

    def wide(self, index: Index) -> Facet:
        """Return the entries that hold ALL, or very many names, of an index."""
        return self._wide.get(index, _NONE)

    def near(self, want: Domain, most: int) -> Iterator[Entry]:
        """Yield entries that may come close to `want`, at most `most` for each thing in common.

        By rank under each of the first names asked, then the first of all.
        """
        for index, asked in want.restrictions:
            names = nsmallest(_NEAR_NAMES, asked.values) if isinstance(asked, Discrete) else []
            for name in names:
                yield from self.named(index, name).first(most)
            yield from self.wide(index).first(most)
        yield from self._all.first(most)


class Shelves:
    """Several shelves as one. An entry may stand in more than one of them."""

    __slots__ = ("_shelves",)

    def __init__(self, shelves: Sequence[Shelf]) -> None:
        self._shelves = shelves

    def facets(self, want: Domain, besides: Index | None = None) -> tuple[Facet, ...]:
        """Return facets that together hold every entry which covers `want` (`Shelf.facets`)."""
        return tuple(facet for shelf in self._shelves for facet in shelf.facets(want, besides))

    def named(self, index: Index, name: str) -> Iterator[Facet]:
        """Yield the entries that stand under a name."""
        return (shelf.named(index, name) for shelf in self._shelves)

    def wide(self, index: Index) -> Iterator[Facet]:
        """Yield the entries that hold ALL, or very many names, of an index."""
        return (shelf.wide(index) for shelf in self._shelves)

    def near(self, want: Domain, most: int) -> Iterator[Entry]:
        """Yield entries that may come close to `want` (`Shelf.near`)."""
        return (entry for shelf in self._shelves for entry in shelf.near(want, most))


def _places(domain: Domain) -> Iterator[tuple[Index, str | None]]:
    for index, restriction in domain.restrictions:
        if index is Index.TIME:
            continue
        if isinstance(restriction, Discrete) and len(restriction.values) <= MANY_NAMES:
            for name in restriction.values:
                yield index, name
        else:
            yield index, None
