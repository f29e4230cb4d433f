"""How entries of one category and format meet a requirement: one alone, or a union of several.

A union needs every part to cover the requirement on all indexes but one, and all parts together
to cover it there. That is exact: a mosaic over two indexes at once is not looked for, because no
domain could say what it covers. All parts have one format.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from itertools import chain, islice

from headrace_data.core.entry import Entry, Fabrics, covers, equals, held
from headrace_data.core.ranked import Ranked
from headrace_data.core.shelf import MANY_NAMES, Facet, Shelves
from headrace_model.domain import Continuous, Discrete, Domain, Index, Restriction
from headrace_model.times import Instant

# So many of the best-ranked are tried before the index of times: mostly the newest serves.
_TRY_BEST = 64
# After so many gaps a union over TIME has long failed; the rest is called missing unseen.
_MOST_GAPS = 100
# So few candidates are all looked at; of more, so many for each name asked.
_FEW = 256
_BEST_OF_A_NAME = 16


@dataclass(frozen=True, slots=True)
class Cover:
    """Parts that cover `want` along one index, but for `left`; None left means complete."""

    over: Index
    parts: tuple[Entry, ...]
    left: Restriction | None


@dataclass(frozen=True, slots=True)
class Search:
    """The look for one requirement on the shelves of one asker, at one time (`now_ms`)."""

    shelves: Shelves
    want: Domain
    fabrics: Fabrics
    now_ms: int
    exact: bool = False  # alone, what covers more than `want` on an index that it names is no use

    def usable(self, entry: Entry, besides: Index | None = None) -> bool:
        """Tell whether an entry is not expired and covers `want`, `besides` one index."""
        if entry.expired(self.now_ms):
            return False
        if self.exact and besides is None:
            return equals(entry, self.want, self.fabrics)
        return covers(entry, self.want, self.fabrics, besides)

    def single(self) -> Entry | None:
        """Return the entry of the lowest rank that covers `want` alone."""
        found = (self._best_of(facet) for facet in self.shelves.facets(self.want))
        return min((entry for entry in found if entry), key=lambda e: e.rank, default=None)

    def _best_of(self, facet: Facet) -> Entry | None:
        time = self.want.time
        for entry in facet if time is None else facet.first(_TRY_BEST):
            if self.usable(entry):
                return entry
        if time is None or len(facet) <= _TRY_BEST:
            return None
        # Whoever covers all of the time covers its first interval by one of its own.
        begin, end = time.intervals[0]
        found = [self._first(same) for until, same in facet.timeline.at(begin) if until >= end]
        return min((entry for entry in found if entry), key=lambda e: e.rank, default=None)

    def _first(self, ranked: Ranked, besides: Index | None = None) -> Entry | None:
        return next((entry for _, entry in ranked.pairs() if self.usable(entry, besides)), None)

    def unions(self) -> Iterator[Cover]:
        """Yield the cover along each index where a union may help, complete or not."""
        for index, asked in self.want.restrictions:
            if isinstance(asked, Continuous):
                yield self._over_time(asked)
            elif isinstance(asked, Discrete) and len(asked.values) > 1:
                yield self._over_names(index, asked)

    def _over_time(self, asked: Continuous) -> Cover:
        """Cover greedily: at the first instant left, take whoever reaches furthest.

        That gives the fewest parts if each entry is one interval, and always an exact cover.
        """
        facets = self.shelves.facets(self.want, besides=Index.TIME)
        last = asked.intervals[-1][1]
        parts: list[Entry] = []
        gaps: list[tuple[Instant, Instant]] = []
        open_: Continuous = asked
        while not open_.is_empty:
            instant, end = open_.intervals[0]
            best = min(
                (
                    (-min(until, last), entry.rank, entry)
                    for facet in facets
                    for until, same in facet.timeline.at(instant)
                    if (entry := self._first(same, Index.TIME))
                ),
                key=lambda found: found[:2],
                default=None,
            )
            if best:
                parts.append(best[2])
                open_ = open_.subtract(Continuous(best[2].intervals))
                continue
            begins = (facet.timeline.next_begin(instant) for facet in facets)
            begin = min((begin for begin in begins if begin is not None), default=last)
            if begin >= last or len(gaps) >= _MOST_GAPS:
                gaps.extend(open_.intervals)
                break
            gap = Continuous(((instant, min(begin, end)),))
            gaps.extend(gap.intervals)
            open_ = open_.subtract(gap)
        left = Continuous.of(gaps) if gaps else None
        return Cover(Index.TIME, tuple(parts), left)

    def _over_names(self, index: Index, asked: Discrete) -> Cover:
        """Cover greedily: take whoever adds most names; then drop whom the others make idle.

        Fewest parts would be the set cover problem, which is NP-hard; whether a cover exists is
        found exactly.
        """
        heap = []
        for entry in self._candidates(index, asked):
            have = held(entry, index, self.want, self.fabrics)
            if have is None or not self.usable(entry, index):
                continue
            names = asked.values & have.values if isinstance(have, Discrete) else asked.values
            if names:
                heap.append((-len(names), entry.rank, entry.key, names, entry))
        heapify(heap)
        open_ = set(asked.values)
        chosen: list[tuple[Entry, frozenset[str]]] = []
        while open_ and heap:
            promised, rank, key, names, entry = heappop(heap)
            # What an entry adds only shrinks: if it has not, no other can add more.
            adds = len(names & open_)
            if adds == -promised:
                chosen.append((entry, names))
                open_ -= names
            elif adds:
                heappush(heap, (-adds, rank, key, names, entry))
        left = Discrete(frozenset(open_)) if open_ else None
        return Cover(index, _without_idle(chosen), left)

    def _candidates(self, index: Index, asked: Discrete) -> Iterable[Entry]:
        """Return, each once, entries that may be parts of a union along an index.

        A cover exists if each name stands in one usable entry. Where many entries share a name,
        the best-ranked ones are enough; the rest could only save a part or two.
        """
        facets = self.shelves.facets(self.want, besides=index)
        found: Iterable[Entry]
        if len(asked.values) > MANY_NAMES or sum(map(len, facets)) <= _FEW:
            found = chain.from_iterable(facets)
        else:
            named = (
                islice((each for each in facet if self.usable(each, index)), _BEST_OF_A_NAME)
                for name in sorted(asked.values)
                for facet in self.shelves.named(index, name)
            )
            found = chain(*self.shelves.wide(index), *named)
        return {entry.key: entry for entry in found}.values()


def _without_idle(chosen: list[tuple[Entry, frozenset[str]]]) -> tuple[Entry, ...]:
    """Drop parts whose names all stand in other parts too, the last chosen first."""
    counts = Counter(name for _, names in chosen for name in names)
    kept = []
    for entry, names in reversed(chosen):
        if all(counts[name] > 1 for name in names):
            counts.subtract(names)
        else:
            kept.append(entry)
    return tuple(reversed(kept))
