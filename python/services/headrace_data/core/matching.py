"""Matching: find the data that meets a requirement, or say what is missing and what is nearest.

Exact set algebra over all SEALED datasets, held in memory by index. The choice depends on the
datasets alone, never on the order in which they came:

1. one dataset alone, before a union; of several, the one created last, then the highest version,
   the fewest bytes, the lowest id;
2. a union of datasets of one format along one index: the fewest parts, then TIME before the other
   indexes in the order of `Index`;
3. the promised output of a live job, alone; of several, that of the oldest job. One that declares
   all that is asked comes first. Then one that may turn out to hold it: an index that an output
   does not declare, and its format if that is GENERIC, are read from its files, so they count as
   possible until the job closes; who waited is then matched again.
"""

from collections.abc import Iterator, Mapping

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
from headrace_data.core.shelf import Shelf
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
)

_UNKNOWN_FORMAT = "GENERIC"  # a promise of this format says only that files will come
_NEAREST = 3
_NEAR_LOOKED_AT = 24
_NAMED_PARTS = 3

Shelves = dict[tuple[Category, str], Shelf]


class Matcher:
    """All datasets and promises that requirements may be met with. Not safe across threads."""

    def __init__(self) -> None:
        self._datasets: Shelves = {}
        self._promises: Shelves = {}
        self._possible: Shelves = {}
        self._entries: dict[DatasetId, Entry] = {}
        self._promised: dict[JobId, dict[str, tuple[Entry, Entry]]] = {}
        self._fabrics: dict[tuple[Index, str], frozenset[str]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, dataset: Dataset) -> None:
        """Offer a SEALED dataset; one with the same id is replaced. Raises `Conflict`."""
        if dataset.state is not DatasetState.SEALED:
            raise Conflict(f"dataset {dataset.title} is {dataset.state}: only SEALED data matches")
        self.remove(dataset.id)
        entry = dataset_entry(dataset)
        self._entries[dataset.id] = entry
        _put(self._datasets, entry)

    def remove(self, dataset: DatasetId) -> None:
        """Offer a dataset no more; an unknown one is already gone."""
        entry = self._entries.pop(dataset, None)
        if entry is not None:
            _take(self._datasets, entry)

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

    def learn_fabric(self, index: Index, name: str, catchments: frozenset[str]) -> None:
        """Let CATCHMENT_ID: ALL of a hydrofabric stand for its ids.

        `index` is HYDROFABRIC_ID or HYDROFABRIC_DATA_ID, `name` the fabric's value there. Later
        calls for the same fabric replace the ids.
        """
        self._fabrics[index, name] = catchments

    def match(
        self, wanted: Requirement, now_ms: int, for_job: JobId | None = None
    ) -> Fulfilment | Promised | Miss:
        """Meet a requirement, or tell why not. Data that expired by `now_ms` does not exist.

        With `for_job`, only jobs older than that one are waited for: two jobs could otherwise
        wait for each other for ever.
        """
        want = expanded(wanted.domain, self._fabrics)
        searches = [
            Search(shelf, want, self._fabrics, now_ms)
            for shelf in _shelves(self._datasets, wanted)
        ]
        singles = [entry for search in searches if (entry := search.single())]
        if singles:
            best = min(singles, key=lambda entry: entry.rank)
            ids = (DatasetId(best.key),)
            return Fulfilment(wanted.name, ids, None, f"{best.title} covers it")
        covers = [cover for search in searches for cover in search.unions()]
        whole = [cover for cover in covers if cover.left is None]
        if whole:
            return _union(wanted, min(whole, key=_cover_order))
        promised = self._promised_for(wanted, want, now_ms, for_job)
        return promised or self._miss(wanted, want, now_ms, covers)

    def _promised_for(
        self, wanted: Requirement, want: Domain, now_ms: int, for_job: JobId | None
    ) -> Promised | None:
        declared = list(_shelves(self._promises, wanted))
        possible = list(_shelves(self._possible, wanted, or_format=_UNKNOWN_FORMAT))
        for shelves, will in ((declared, "will cover"), (possible, "may cover")):
            searches = (Search(shelf, want, self._fabrics, now_ms) for shelf in shelves)
            found = [entry for search in searches if (entry := search.single())]
            best = min(found, key=lambda entry: entry.rank, default=None)
            if best is None or not isinstance(best.source, Promise):
                continue
            # The best is of the oldest job: if that is not older than the asking one, none is.
            if for_job is None or best.source.job < for_job:
                return Promised(wanted.name, best.source, f"{best.title} {will} it")
        return None

    def _miss(self, wanted: Requirement, want: Domain, now_ms: int, covers: list[Cover]) -> Miss:
        nearest = self._nearest(wanted, want, now_ms, covers)
        # A union that was begun comes closer than any dataset alone: say what is left of it.
        begun = [(cover.over, cover.left) for cover in covers if cover.parts and cover.left]
        missing: tuple[tuple[Index, Restriction], ...]
        if begun:
            missing = (begun[0],)
        elif nearest and nearest[0].lacks and nearest[0].format is None:
            missing = nearest[0].lacks
        else:
            missing = want.restrictions
        return Miss(wanted, missing, nearest)

    def _nearest(
        self, wanted: Requirement, want: Domain, now_ms: int, covers: list[Cover]
    ) -> tuple[Near, ...]:
        """Rank by the number of lacks (another format is one), then by those lacked wholly."""
        near = {part.key: part for cover in covers for part in cover.parts[:_NEAR_LOOKED_AT]}
        for (category, _), shelf in self._datasets.items():
            if category is wanted.category:
                near.update((entry.key, entry) for entry in shelf.near(want, _NEAR_LOOKED_AT))
        ranked = []
        for entry in near.values():
            if entry.expired(now_ms):
                continue
            other = (
                entry.source.format if wanted.format not in (None, entry.source.format) else None
            )
            lacks = _lacks(entry, want, self._fabrics)
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


def _shelves(
    shelves: Shelves, wanted: Requirement, or_format: str | None = None
) -> Iterator[Shelf]:
    """Yield the shelves of the category and format asked; those of `or_format` too."""
    for category, format_ in sorted(shelves):
        has_format = wanted.format in (None, format_) or format_ == or_format
        if category is wanted.category and has_format:
            yield shelves[category, format_]


def _put(shelves: Shelves, entry: Entry) -> None:
    place = (entry.source.category, entry.source.format)
    shelves.setdefault(place, Shelf()).add(entry)


def _take(shelves: Shelves, entry: Entry) -> None:
    place = (entry.source.category, entry.source.format)
    shelves[place].remove(entry)
    if not len(shelves[place]):
        del shelves[place]


def _cover_order(cover: Cover) -> tuple[int, int, list[Rank]]:
    ranks = [entry.rank for entry in cover.parts]
    return len(cover.parts), list(Index).index(cover.over), ranks


def _union(wanted: Requirement, cover: Cover) -> Fulfilment:
    titles = [entry.title for entry in cover.parts[:_NAMED_PARTS]]
    more = len(cover.parts) - len(titles)
    named = ", ".join(titles) + (f" and {more:,} more" if more else "")
    why = f"the union over {cover.over} of {named} covers it"
    ids = tuple(DatasetId(entry.key) for entry in cover.parts)
    return Fulfilment(wanted.name, ids, cover.over, why)


def _lacks(entry: Entry, want: Domain, fabrics: Fabrics) -> tuple[tuple[Index, Restriction], ...]:
    found = (
        (index, lacking(asked, held(entry, index, want, fabrics)))
        for index, asked in want.restrictions
    )
    return tuple((index, lack) for index, lack in found if lack is not None)
