"""What matching compares: a dataset or promise, reduced to its domain and its rank."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from headrace_model.dataset import Dataset
from headrace_model.domain import ALL, Continuous, Discrete, Domain, Index, Restriction, contains
from headrace_model.requirement import Promise
from headrace_model.times import Instant
from headrace_model.visible import Readers, readers_of

# A hydrofabric by its content id or by the name people gave it → the ids of its catchments.
Fabrics = Mapping[tuple[Index, str], frozenset[str]]

# Wider than any time that can be written down (years 0001 to 9999).
_ALWAYS = Continuous(((Instant(-(10**15)), Instant(10**15)),))

FABRIC_INDEXES = (Index.HYDROFABRIC_ID, Index.HYDROFABRIC_DATA_ID)

Rank = tuple[int, int, int, str]


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A candidate. Of those that serve equally well, the lowest rank is taken."""

    key: str
    rank: Rank
    domain: Domain
    source: Dataset | Promise
    expires_ms: int | None
    readers: Readers

    @property
    def intervals(self) -> tuple[tuple[Instant, Instant], ...]:
        """The intervals of TIME; none if the domain says nothing about it."""
        time = self.domain.time
        return time.intervals if time else ()

    @property
    def title(self) -> str:
        """The name for people."""
        if isinstance(self.source, Dataset):
            return self.source.title
        return f"output {self.source.output} of job {self.source.job}"

    def expired(self, now_ms: int) -> bool:
        """Tell whether its time is over; it is from `expires_ms` on."""
        return self.expires_ms is not None and self.expires_ms <= now_ms


def dataset_entry(dataset: Dataset) -> Entry:
    """Rank a dataset: the newest, then the highest version, the fewest bytes, the lowest id."""
    rank = (-dataset.created_ms, -dataset.version, dataset.size_bytes, dataset.id)
    made = dataset.origin is not None
    readers = readers_of(dataset.owner, dataset.shared, made=made)
    return Entry(dataset.id, rank, dataset.domain, dataset, dataset.expires_ms, readers)


def promise_entry(promise: Promise) -> Entry:
    """Rank a promise: the oldest job first (it is likely to end first), then the output."""
    key = f"{promise.job}/{promise.output}"
    readers = readers_of(promise.owner, promise.shared, made=True)
    return Entry(key, (0, 0, 0, key), promise.domain, promise, None, readers)


def possible_entry(promise: Promise) -> Entry:
    """Take a promise for all that it may become.

    What it does not declare its files tell once they are there (TIME, ids), so such an index
    holds everything: ALL, or all of time.
    """
    declared = promise.domain
    whole = {
        index: declared.get(index) or (_ALWAYS if index is Index.TIME else ALL) for index in Index
    }
    return replace(promise_entry(promise), domain=Domain.of(whole))


def fabric_of(domain: Domain, fabrics: Fabrics) -> frozenset[str] | None:
    """Return the catchment ids of the one hydrofabric that a domain names, if it is known.

    None for a domain that names several: which of them has an id is then not said.
    """
    for index in FABRIC_INDEXES:
        names = domain.get(index)
        if isinstance(names, Discrete):
            if len(names.values) != 1:
                return None
            (name,) = names.values
            if (index, name) in fabrics:
                return fabrics[index, name]
    return None


def expanded(want: Domain, fabrics: Fabrics) -> Domain:
    """Replace CATCHMENT_ID: ALL by the ids of the fabric that the domain names, if known."""
    if want.get(Index.CATCHMENT_ID) is not ALL:
        return want
    ids = fabric_of(want, fabrics)
    return want.replacing(Index.CATCHMENT_ID, Discrete(ids)) if ids else want


def held(entry: Entry, index: Index, want: Domain, fabrics: Fabrics) -> Restriction | None:
    """Return what an entry covers of an index, as far as `want` may rely on it.

    CATCHMENT_ID: ALL of a dataset that names its hydrofabric means all of *that* fabric. If
    `want` asks for ids without naming a fabric, such an ALL counts only for the fabric's ids,
    and for nothing while these are not known.
    """
    have = entry.domain.get(index)
    if isinstance(entry.source, Promise) and index not in entry.source.domain:
        return have  # nothing is declared there, so no fabric either that would narrow it
    if have is ALL and index is Index.CATCHMENT_ID and want.get(index) is not ALL:
        names_fabric = any(name in entry.domain for name in FABRIC_INDEXES)
        if names_fabric and not any(name in want for name in FABRIC_INDEXES):
            ids = fabric_of(entry.domain, fabrics)
            return Discrete(ids) if ids else None
    return have


def covers(entry: Entry, want: Domain, fabrics: Fabrics, besides: Index | None = None) -> bool:
    """Tell whether an entry covers all that `want` asks, `besides` one index left out."""
    for index, asked in want.restrictions:
        if index is not besides:
            have = held(entry, index, want, fabrics)
            if have is None or not contains(have, asked):
                return False
    return True


def equals(entry: Entry, want: Domain, fabrics: Fabrics) -> bool:
    """Tell whether an entry covers what `want` asks and, on each index that it names, no more."""
    return all(held(entry, index, want, fabrics) == asked for index, asked in want.restrictions)
