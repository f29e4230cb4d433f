"""Matching: find the data that meets a requirement, or say what is missing and what is nearest.

Exact set algebra over all SEALED datasets, held in memory by index. The choice depends on the
datasets alone, never on the order in which they came:

1. one dataset alone, before a union; of several, the one created last, then the highest version,
   the fewest bytes, the lowest id. Of the shape EXACT, one that covers more is of no use;
2. for the shape ANY, a union of datasets of one format along one index: the fewest parts, then
   TIME before the other indexes in the order of `Index`;
3. the promised output of a live job, alone; of several, that of the oldest job. One that declares
   all that is asked comes first. Then one that may turn out to hold it: an index that an output
   does not declare, and its format if that is GENERIC, are read from its files, so they count as
   possible until the job closes; who waited is then matched again.

Each match is made for somebody: what they may not see is neither taken, nor waited for, nor named
as near, nor does a hydrofabric of it tell its ids.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from headrace_data.core.cover import Cover, Search
from headrace_data.core.entry import (
    Entry,
    Fabrics,
    Rank,
    dataset_entry,
    expanded,
    held,
    possible_entry,
    promise_entry,
)
from headrace_data.core.fabrics import KnownFabrics
from headrace_data.core.planning import MOST_STEPS, Have, planned, steps_for
from headrace_data.core.shelf import Shelf, Shelves
from headrace_kinds.derivation import Plan, Recipe, content_of
from headrace_model.dataset import Category, Dataset, DatasetState
from headrace_model.domain import Domain, Index, Restriction, lacking
from headrace_model.errors import Conflict
from headrace_model.ids import DatasetId, JobId
from headrace_model.requirement import (
    Fulfilment,
    Miss,
    Near,
    Promise,
    Promised,
    Requirement,
    Shape,
)
from headrace_model.visible import Readers

_UNKNOWN_FORMAT = "GENERIC"  # a promise of this format says only that files will come
_NEAREST = 3
_NEAR_LOOKED_AT = 10
_NAMED_PARTS = 3

_Places = dict[tuple[Category, str], dict[str, Shelf]]  # at last by the key of the reader


class Matcher:
    """All datasets and promises that requirements may be met with. Not safe across threads."""

    def __init__(self) -> None:
        self._datasets: _Places = {}
        self._promises: _Places = {}
        self._possible: _Places = {}
        # By what they were asked and made of.
        self._derived: dict[str, dict[DatasetId, Entry]] = {}
        self._entries: dict[DatasetId, Entry] = {}
        self._promised: dict[JobId, dict[str, tuple[Entry, Entry]]] = {}
        self._fabrics = KnownFabrics()

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, dataset: Dataset) -> None:
        """Offer a SEALED dataset; one with the same id is replaced. Raises `Conflict`."""
        if dataset.state is not DatasetState.SEALED:
            raise Conflict(f"dataset {dataset.title} is {dataset.state}: only SEALED data matches")
        self.remove(dataset.id)
        entry = dataset_entry(dataset)
        self._entries[dataset.id] = entry
        if content := _derived_content(dataset):
            self._derived.setdefault(content, {})[dataset.id] = entry
        else:
            _put(self._datasets, entry)
        self._fabrics.learn(dataset)

    def remove(self, dataset: DatasetId) -> None:
        """Offer a dataset no more; an unknown one is already gone."""
        entry = self._entries.pop(dataset, None)
        if entry is None:
            return
        if isinstance(entry.source, Dataset) and (content := _derived_content(entry.source)):
            del self._derived[content][dataset]
            if not self._derived[content]:
                del self._derived[content]
        else:
            _take(self._datasets, entry)
        self._fabrics.forget(dataset)

    def replace_all(self, datasets: Mapping[DatasetId, Dataset]) -> None:
        """Offer exactly these: for a sweep that read the whole catalogue. Raises `Conflict`."""
        for gone in self._entries.keys() - datasets.keys():
            self.remove(gone)
        for id_, dataset in datasets.items():
            if id_ not in self._entries or self._entries[id_].source != dataset:
                self.add(dataset)

    def promise(self, promise: Promise) -> None:
        """Offer what a live job will make; the same output promised again is replaced."""
        outputs = self._promised.setdefault(promise.job, {})
        if promise.output in outputs:
            self._retract(*outputs[promise.output])
        declared, possible = promise_entry(promise), possible_entry(promise)
        outputs[promise.output] = declared, possible
        _put(self._promises, declared)
        _put(self._possible, possible)

    def withdraw(self, job: JobId) -> None:
        """Offer no promise of a job any more: it is closed. An unknown job is already gone."""
        for entries in self._promised.pop(job, {}).values():
            self._retract(*entries)

    def _retract(self, declared: Entry, possible: Entry) -> None:
        _take(self._promises, declared)
        _take(self._possible, possible)

    def match(
        self,
        wanted: Requirement,
        now_ms: int,
        readers: Readers,
        for_job: JobId | None = None,
        *,
        here: bool = False,
    ) -> Fulfilment | Promised | Miss:
        """Meet a requirement by what stands under `readers`, the keys of who asks, or tell why
        not. Data that expired by `now_ms` does not exist.

        With `for_job`, only jobs older than that one are waited for: two jobs could otherwise
        wait for each other for ever. `here`: nobody is waited for.
        """
        asked = self._asked(wanted, now_ms, readers)
        found, covers = self._fulfilled(asked)
        if found is not None:
            return found
        promised = None if here else self._promised_for(asked, for_job)
        return promised or self._miss(asked, covers)

    def _asked(self, wanted: Requirement, now_ms: int, readers: Readers) -> "_Asked":
        fabrics = self._fabrics.seen_by(readers)
        return _Asked(wanted, expanded(wanted.domain, fabrics), fabrics, now_ms, readers)

    def _fulfilled(self, asked: "_Asked") -> tuple[Fulfilment | None, list[Cover]]:
        """What datasets meet it, and else what was tried."""
        wanted = asked.wanted
        searches = asked.searches(self._datasets)
        singles = [entry for search in searches if (entry := search.single())]
        if singles:
            best = min(singles, key=lambda entry: entry.rank)
            return _alone(wanted, best, f"{best.title} covers it"), []
        covers = [cover for search in searches for cover in search.unions()]
        whole = [cover for cover in covers if cover.left is None]
        if whole and wanted.shape is Shape.ANY:
            return _union(wanted, min(whole, key=_cover_order)), []
        return None, covers

    def plan(
        self, wanted: Requirement, now_ms: int, readers: Readers, recipes: Sequence[Recipe]
    ) -> Plan | None:
        """Find how to make what a requirement misses, from datasets alone; None: in no way."""

        def have(need: Requirement) -> Fulfilment | None:
            return self._fulfilled(self._asked(need, now_ms, readers))[0]

        return self._planned(wanted, readers, recipes, have)

    def made(
        self, wanted: Requirement, plan: Plan, now_ms: int, readers: Readers
    ) -> Fulfilment | None:
        """Find what the plan has made already: for the same question, of the same data."""
        there = [
            entry
            for entry in self._derived.get(plan.content, {}).values()
            if entry.readers & readers and not entry.expired(now_ms)
        ]
        best = min(there, key=lambda entry: entry.rank, default=None)
        if best is None:
            return None
        by = f" by {wanted.derived}" if wanted.derived else ""
        return _alone(wanted, best, f"{best.title} was derived for it{by}, from the same data")

    def plan_later(
        self,
        wanted: Requirement,
        now_ms: int,
        readers: Readers,
        recipes: Sequence[Recipe],
        for_job: JobId | None,
    ) -> Promised | None:
        """Find the output of a live job with which there will be a plan, where there is none."""
        kept: list[tuple[Fulfilment, Promised]] = []

        def have(need: Requirement) -> Fulfilment | None:
            found = self.match(need, now_ms, readers, for_job)
            if isinstance(found, Promised):
                kept.append((Fulfilment(need.name, (), None, found.why), found))
                return kept[-1][0]
            return found if isinstance(found, Fulfilment) else None

        plan = self._planned(wanted, readers, recipes, have)
        sources = [source for each in plan.in_order() for source in each.sources] if plan else []
        for stands_for, promised in kept:
            if any(source is stands_for for source in sources):
                why = f"{promised.why}, and it can be derived from that"
                return Promised(wanted.name, promised.promise, why)
        return None

    def explained(
        self,
        missed: Miss,
        now_ms: int,
        readers: Readers,
        recipes: Sequence[Recipe],
        deep: int = MOST_STEPS,
    ) -> Miss:
        """Add to a miss of what has to be derived which of the data to read is missing."""
        wanted = missed.requirement
        if wanted.derived is None or not deep:
            return missed

        def lacks(need: Requirement) -> Iterator[Miss]:
            if self.plan(need, now_ms, readers, recipes) is None:
                found = self.match(need, now_ms, readers, here=True)
                if isinstance(found, Miss):
                    yield self.explained(found, now_ms, readers, recipes, deep - 1)

        ways = (
            tuple(each for need in step.inputs for each in lacks(need))
            for step in steps_for(self._expanded(wanted, readers), recipes)
        )
        return replace(missed, causes=min(ways, key=len, default=()))

    def _planned(
        self, wanted: Requirement, readers: Readers, recipes: Sequence[Recipe], have: Have
    ) -> Plan | None:
        return planned(self._expanded(wanted, readers), recipes, have)

    def _expanded(self, wanted: Requirement, readers: Readers) -> Requirement:
        return replace(wanted, domain=expanded(wanted.domain, self._fabrics.seen_by(readers)))

    def _promised_for(self, asked: "_Asked", for_job: JobId | None) -> Promised | None:
        declared = asked.searches(self._promises)
        possible = asked.searches(self._possible, or_format=_UNKNOWN_FORMAT)
        for searches, will in ((declared, "will cover"), (possible, "may cover")):
            found = [entry for search in searches if (entry := search.single())]
            best = min(found, key=lambda entry: entry.rank, default=None)
            if best is None or not isinstance(best.source, Promise):
                continue
            # The best is of the oldest job: if that is not older than the asking one, none is.
            if for_job is None or best.source.job < for_job:
                return Promised(asked.wanted.name, best.source, f"{best.title} {will} it")
        return None

    def _miss(self, asked: "_Asked", covers: list[Cover]) -> Miss:
        nearest = self._nearest(asked, covers)
        # A union that was begun comes closer than any dataset alone: say what is left of it.
        begun = [(cover.over, cover.left) for cover in covers if cover.parts and cover.left]
        missing: tuple[tuple[Index, Restriction], ...]
        if any(cover.left is None for cover in covers):
            missing = ()  # all is there, but not in the shape that is asked
        elif begun:
            missing = (begun[0],)
        elif nearest and not nearest[0].lacks:
            missing = ()  # all is there, but in another format
        elif nearest and nearest[0].format is None:
            missing = nearest[0].lacks
        else:
            missing = asked.want.restrictions
        return Miss(asked.wanted, missing, nearest)

    def _nearest(self, asked: "_Asked", covers: list[Cover]) -> tuple[Near, ...]:
        """Rank by the number of lacks (another format is one), then by those lacked wholly."""
        wanted, want = asked.wanted, asked.want
        near = {part.key: part for cover in covers for part in cover.parts[:_NEAR_LOOKED_AT]}
        for shelves in asked.shelves(self._datasets, any_format=True):
            near.update((entry.key, entry) for entry in shelves.near(want, _NEAR_LOOKED_AT))
        ranked = []
        for entry in near.values():
            if entry.expired(asked.now_ms):
                continue
            other = (
                entry.source.format if wanted.format not in (None, entry.source.format) else None
            )
            lacks = _lacks(entry, want, asked.fabrics)
            wholly = sum(lack == want.get(index) for index, lack in lacks)
            # What has nothing in common with the requirement is not near.
            if wholly < len(want.restrictions) or not want.restrictions:
                count = len(lacks) + (other is not None)
                ranked.append((count, wholly, entry.rank, lacks, entry, other))
        ranked.sort(key=lambda found: found[:3])
        return tuple(
            Near(DatasetId(entry.key), entry.title, lacks, other)
            for _, _, _, lacks, entry, other in ranked[:_NEAREST]
        )


@dataclass(frozen=True, slots=True)
class _Asked:
    """One requirement, what its domain comes to (`want`), when, and for whom."""

    wanted: Requirement
    want: Domain
    fabrics: Fabrics
    now_ms: int
    readers: Readers

    def shelves(
        self, places: _Places, *, or_format: str | None = None, any_format: bool = False
    ) -> Iterator[Shelves]:
        """Yield what the asker may see of the category and format; those of `or_format` too.

        What has to be derived stands on no shelf: `made` finds it.
        """
        if self.wanted.derived is not None:
            return
        for category, format_ in sorted(places):
            fits = any_format or self.wanted.format in (None, format_) or format_ == or_format
            if category is not self.wanted.category or not fits:
                continue
            by_reader = places[category, format_]
            found = [by_reader[key] for key in sorted(self.readers & by_reader.keys())]
            if found:
                yield Shelves(found)

    def searches(self, places: _Places, or_format: str | None = None) -> list[Search]:
        """The look through each of the shelves."""
        exact = self.wanted.shape is Shape.EXACT
        return [
            Search(shelves, self.want, self.fabrics, self.now_ms, exact)
            for shelves in self.shelves(places, or_format=or_format)
        ]


def _derived_content(dataset: Dataset) -> str | None:
    """What names the contents of derived data: it answers the question that it was derived for,
    as long as that would be derived from the same data, and no other.
    """
    if dataset.derivation is None or not dataset.derived_from:
        return None
    return content_of(dataset.derivation)


def _alone(wanted: Requirement, entry: Entry, why: str) -> Fulfilment:
    return Fulfilment(wanted.name, (DatasetId(entry.key),), None, why, (entry.title,))


def _put(places: _Places, entry: Entry) -> None:
    by_reader = places.setdefault((entry.source.category, entry.source.format), {})
    for reader in entry.readers:
        by_reader.setdefault(reader, Shelf()).add(entry)


def _take(places: _Places, entry: Entry) -> None:
    place = (entry.source.category, entry.source.format)
    by_reader = places[place]
    for reader in entry.readers:
        by_reader[reader].remove(entry)
        if not len(by_reader[reader]):
            del by_reader[reader]
    if not by_reader:
        del places[place]


def _cover_order(cover: Cover) -> tuple[int, int, list[Rank]]:
    ranks = [entry.rank for entry in cover.parts]
    return len(cover.parts), list(Index).index(cover.over), ranks


def _union(wanted: Requirement, cover: Cover) -> Fulfilment:
    titles = tuple(entry.title for entry in cover.parts)
    more = len(titles) - _NAMED_PARTS
    named = ", ".join(titles[:_NAMED_PARTS]) + (f" and {more:,} more" if more > 0 else "")
    why = f"the union over {cover.over} of {named} covers it"
    ids = tuple(DatasetId(entry.key) for entry in cover.parts)
    return Fulfilment(wanted.name, ids, cover.over, why, titles)


def _lacks(entry: Entry, want: Domain, fabrics: Fabrics) -> tuple[tuple[Index, Restriction], ...]:
    found = (
        (index, lacking(asked, held(entry, index, want, fabrics)))
        for index, asked in want.restrictions
    )
    return tuple((index, lack) for index, lack in found if lack is not None)
