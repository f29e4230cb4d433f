"""Domains: what data covers, as exact sets.

A domain restricts indexes. TIME is continuous: a finite union of half-open intervals of
instants. Every other index is discrete: a set of names, or ALL. ALL is a value of its own: it
contains every set, no set contains it, and it is never the empty set. A domain never holds an
empty restriction, so that data which covers nothing can't be written.

As a requirement, a domain says nothing about an index that it leaves out; as the domain of a
dataset, an index that it leaves out is not covered. The format is kept beside the domain.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from difflib import get_close_matches
from enum import Enum, StrEnum
from heapq import nsmallest
from itertools import pairwise
from typing import Any, Final

from headrace_model.errors import InvalidDomain, InvalidInput
from headrace_model.times import Instant, format_instant, instant_of, parse_instant

Pair = tuple[Instant, Instant]
_FORMAT: Final = re.compile(r"[A-Z][A-Z0-9_]{0,63}")


class Index(StrEnum):
    """A dimension that data is described by; only TIME is continuous."""

    TIME = "TIME"
    CATCHMENT_ID = "CATCHMENT_ID"
    DATA_ID = "DATA_ID"
    HYDROFABRIC_ID = "HYDROFABRIC_ID"
    HYDROFABRIC_VERSION = "HYDROFABRIC_VERSION"
    HYDROFABRIC_REGION = "HYDROFABRIC_REGION"
    HYDROFABRIC_DATA_ID = "HYDROFABRIC_DATA_ID"
    LENGTH = "LENGTH"
    GLOBAL_CHECKSUM = "GLOBAL_CHECKSUM"
    ELEMENT_ID = "ELEMENT_ID"
    REALIZATION_CONFIG_DATA_ID = "REALIZATION_CONFIG_DATA_ID"
    FILE_NAME = "FILE_NAME"
    COMPOSITE_SOURCE_ID = "COMPOSITE_SOURCE_ID"
    GAUGE_ID = "GAUGE_ID"


_ORDER: Final = {index: place for place, index in enumerate(Index)}


class All(Enum):
    """The type of `ALL`; its own type, so that no code takes it for a set."""

    ALL = "ALL"


ALL: Final = All.ALL


@dataclass(frozen=True, slots=True)
class Continuous:
    """A union of half-open intervals: sorted, disjoint, not touching, none empty.

    `Continuous.of` brings any intervals into this form; the constructor only accepts it.
    Raises `InvalidDomain`.
    """

    intervals: tuple[Pair, ...]

    def __post_init__(self) -> None:
        last: Instant | None = None
        for begin, end in self.intervals:
            if begin >= end or (last is not None and begin <= last):
                raise InvalidDomain("intervals must be sorted, apart and not empty")
            last = end

    @classmethod
    def of(cls, pairs: Iterable[Pair]) -> "Continuous":
        """Unite intervals [begin, end) in any order; an empty or reversed one is an error."""
        merged: list[Pair] = []
        for begin, end in sorted(pairs):
            if begin >= end:
                raise InvalidDomain(
                    f"the interval {format_instant(begin)} to {format_instant(end)} is empty",
                    hint="the end is not part of an interval: it must lie after the begin",
                )
            if merged and begin <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((begin, end))
        return cls(tuple(merged))

    @property
    def is_empty(self) -> bool:
        """Tell whether no instant is inside."""
        return not self.intervals

    def contains(self, other: "Continuous") -> bool:
        """Tell whether every instant of `other` is inside."""
        mine, at = self.intervals, 0
        for begin, end in other.intervals:
            while at < len(mine) and mine[at][1] <= begin:
                at += 1
            if at == len(mine) or begin < mine[at][0] or mine[at][1] < end:
                return False
        return True

    def intersect(self, other: "Continuous") -> "Continuous":
        """Return the instants that are in both."""
        shared: list[Pair] = []
        a, b = 0, 0
        while a < len(self.intervals) and b < len(other.intervals):
            mine, theirs = self.intervals[a], other.intervals[b]
            begin, end = max(mine[0], theirs[0]), min(mine[1], theirs[1])
            if begin < end:
                shared.append((begin, end))
            if mine[1] <= theirs[1]:
                a += 1
            else:
                b += 1
        return Continuous(tuple(shared))

    def subtract(self, other: "Continuous") -> "Continuous":
        """Return the instants that are here and not in `other`."""
        left: list[Pair] = []
        theirs, at = other.intervals, 0
        for begin, end in self.intervals:
            while at < len(theirs) and theirs[at][1] <= begin:
                at += 1
            look = at
            while begin < end and look < len(theirs) and theirs[look][0] < end:
                if begin < theirs[look][0]:
                    left.append((begin, theirs[look][0]))
                begin = theirs[look][1]
                look += 1
            if begin < end:
                left.append((begin, end))
        return Continuous(tuple(left))

    def union(self, other: "Continuous") -> "Continuous":
        """Return the instants that are in either."""
        return Continuous.of((*self.intervals, *other.intervals))


@dataclass(frozen=True, slots=True)
class Discrete:
    """A finite set of names; `ALL` is not one of these."""

    values: frozenset[str]

    @property
    def is_empty(self) -> bool:
        """Tell whether there is no name inside."""
        return not self.values


Restriction = Continuous | Discrete | All


def is_empty(restriction: Restriction) -> bool:
    """Tell whether nothing is inside; ALL is never empty."""
    return not isinstance(restriction, All) and restriction.is_empty


def contains(have: Restriction, want: Restriction) -> bool:
    """Tell whether all of `want` is in `have`. Only ALL contains ALL.

    Raises `InvalidDomain` for a continuous and a discrete one, as do the functions below.
    """
    if isinstance(have, Continuous) and isinstance(want, Continuous):
        return have.contains(want)
    _same_sort(have, want)
    if isinstance(have, Discrete):
        return isinstance(want, Discrete) and want.values <= have.values
    return True


def intersect(one: Restriction, other: Restriction) -> Restriction:
    """Return what is in both."""
    if isinstance(one, Continuous) and isinstance(other, Continuous):
        return one.intersect(other)
    _same_sort(one, other)
    if isinstance(one, Discrete) and isinstance(other, Discrete):
        return Discrete(one.values & other.values)
    return other if one is ALL else one


def union(one: Restriction, other: Restriction) -> Restriction:
    """Return what is in either."""
    if isinstance(one, Continuous) and isinstance(other, Continuous):
        return one.union(other)
    _same_sort(one, other)
    if isinstance(one, Discrete) and isinstance(other, Discrete):
        return Discrete(one.values | other.values)
    return ALL


def subtract(one: Restriction, other: Restriction) -> Restriction:
    """Return what is in `one` and not in `other`.

    ALL without some names can't be written down, because ALL names none: `InvalidDomain`.
    """
    if isinstance(one, Continuous) and isinstance(other, Continuous):
        return one.subtract(other)
    _same_sort(one, other)
    if other is ALL:
        return Discrete(frozenset())
    if isinstance(one, Discrete) and isinstance(other, Discrete):
        return Discrete(one.values - other.values)
    if is_empty(other):
        return ALL
    raise InvalidDomain(
        f"ALL without {describe(other)} can't be written down",
        hint="name the hydrofabric, so that ALL becomes its ids",
    )


def lacking(want: Restriction, have: Restriction | None) -> Restriction | None:
    """Return what of `want` is not in `have`, or None if all is; no `have` covers nothing.

    Of an ALL that a set does not contain, all is lacking: which names are left is not known.
    """
    if have is None:
        return want
    if contains(have, want):
        return None
    return ALL if want is ALL else subtract(want, have)


@dataclass(frozen=True, slots=True)
class Domain:
    """Restrictions, at most one an index, in the order of `Index`; hashable, equal by value.

    `Domain.of` takes a mapping. Raises `InvalidDomain` for an empty restriction, an index given
    twice or out of order, and a restriction of the wrong sort for its index.
    """

    restrictions: tuple[tuple[Index, Restriction], ...] = ()
    _by_index: dict[Index, Restriction] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        places = [_ORDER[index] for index, _ in self.restrictions]
        if any(one >= other for one, other in pairwise(places)):
            raise InvalidDomain("the indexes of a domain must be in order, each once")
        for index, restriction in self.restrictions:
            if isinstance(restriction, Continuous) != (index is Index.TIME):
                sort = "intervals of time" if index is Index.TIME else "names, or ALL"
                raise InvalidDomain(f"{index} is restricted by {sort}")
            if is_empty(restriction):
                raise InvalidDomain(
                    f"{index} is restricted to nothing", hint=f"leave {index} out, or use ALL"
                )
        object.__setattr__(self, "_by_index", dict(self.restrictions))

    @classmethod
    def of(cls, restrictions: Mapping[Index, Restriction]) -> "Domain":
        """Build a domain from a mapping, in any order."""
        return cls(tuple(sorted(restrictions.items(), key=lambda pair: _ORDER[pair[0]])))

    def __contains__(self, index: Index) -> bool:
        return index in self._by_index

    def __iter__(self) -> Iterator[Index]:
        return iter(self._by_index)

    def get(self, index: Index) -> Restriction | None:
        """Return the restriction of an index, or None if the domain says nothing about it."""
        return self._by_index.get(index)

    @property
    def time(self) -> Continuous | None:
        """The restriction of TIME, if there is one."""
        found = self._by_index.get(Index.TIME)
        return found if isinstance(found, Continuous) else None

    def replacing(self, index: Index, restriction: Restriction) -> "Domain":
        """Return this domain with one index restricted otherwise."""
        return Domain.of({**self._by_index, index: restriction})

    @classmethod
    def from_plain(cls, plain: object) -> "Domain":
        """Read the form that job files and messages use (Appendix A of docs/design.md).

        `{TIME: [begin, end] or [[begin, end], ...], OTHER: name or [name, ...] or ALL}`; times
        are ISO 8601 text, dates or datetimes. Raises `InvalidDomain`.
        """
        if not isinstance(plain, Mapping):
            raise InvalidDomain("a domain is a mapping such as {TIME: [1979-01-01, 1981-01-01]}")
        return cls.of({_index(key): _read(_index(key), value) for key, value in plain.items()})

    def to_plain(self) -> dict[str, Any]:
        """Return the plain form; `from_plain` reads the same domain back."""
        return {str(index): _plain(restriction) for index, restriction in self.restrictions}

    def contains(self, want: "Domain") -> bool:
        """Tell whether data of this domain covers all that `want` asks."""
        for index, restriction in want.restrictions:
            have = self._by_index.get(index)
            if have is None or not contains(have, restriction):
                return False
        return True

    def unite(self, other: "Domain") -> "Domain | None":
        """Return the union if a domain can say it exactly, else None.

        It can if one contains the other's restrictions on the same indexes, or if they differ
        in one index only: a union over two indexes would claim corners that neither has.
        """
        if self._by_index.keys() != other._by_index.keys():
            return None
        if self.contains(other):
            return self
        if other.contains(self):
            return other
        differing = [index for index in self if self.get(index) != other.get(index)]
        if len(differing) > 1:
            return None
        index = differing[0]
        return self.replacing(index, union(self._by_index[index], other._by_index[index]))


def missing(want: Domain, have: Domain) -> dict[Index, Restriction]:
    """Return per index what `want` asks and `have` does not cover; empty if it covers all.

    Each index is looked at alone: {} means covered, exactly as `have.contains(want)`.
    """
    lacks = ((index, lacking(asked, have.get(index))) for index, asked in want.restrictions)
    return {index: lack for index, lack in lacks if lack is not None}


def describe(restriction: Restriction, at_most: int = 2) -> str:
    """Write a restriction for people, short: `cat-91, cat-92 and 1,203 more`."""
    if restriction is ALL:
        return "ALL"
    if isinstance(restriction, Discrete):
        shown = nsmallest(at_most, restriction.values)
        count = len(restriction.values)
    else:
        pairs = restriction.intervals[:at_most]
        shown = [f"{format_instant(begin)} to {format_instant(end)}" for begin, end in pairs]
        count = len(restriction.intervals)
    more = f" and {count - len(shown):,} more" if count > len(shown) else ""
    return (", ".join(shown) or "nothing") + more


def describe_all(restrictions: Mapping[Index, Restriction]) -> str:
    """Write restrictions for people: `TIME 1979-01-01 to 1980-01-01; GAUGE_ID 01472000`."""
    return "; ".join(f"{index} {describe(of)}" for index, of in restrictions.items())


def check_format(text: str) -> str:
    """Check the name of a format, such as `PRMS_NETCDF`; raises `InvalidDomain`."""
    if not _FORMAT.fullmatch(text):
        raise InvalidDomain(
            f"{text[:80]!r} can't be the name of a format: use 1 to 64 upper-case letters, "
            "digits and '_', beginning with a letter"
        )
    return text


def _same_sort(one: Restriction, other: Restriction) -> None:
    if isinstance(one, Continuous) or isinstance(other, Continuous):
        raise InvalidDomain("intervals of time and names can't be compared")


def _index(key: object) -> Index:
    if isinstance(key, str) and key in _ORDER:
        return Index(key)
    near = get_close_matches(str(key).upper(), list(Index), n=1)
    hint = f"did you mean {near[0]}?" if near else f"the indexes are {', '.join(Index)}"
    raise InvalidDomain(f"{str(key)[:60]!r} is not an index", hint=hint)


def _read(index: Index, value: object) -> Restriction:
    if index is not Index.TIME:
        return _read_names(index, value)
    pairs = value if isinstance(value, list | tuple) else ()
    if pairs and not isinstance(pairs[0], list | tuple):
        pairs = [pairs]
    if not pairs or not all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs):
        raise InvalidDomain("TIME is a pair [begin, end], or a list of such pairs")
    return Continuous.of((_read_time(begin), _read_time(end)) for begin, end in pairs)


def _read_time(value: object) -> Instant:
    try:
        if isinstance(value, date):
            return instant_of(value)
        return parse_instant(value if isinstance(value, str) else repr(value))
    except InvalidInput as error:
        raise InvalidDomain(f"TIME: {error.message}", hint=error.hint) from None


def _read_names(index: Index, value: object) -> Restriction:
    if value == "ALL":
        return ALL
    names: set[str] = set()
    for name in value if isinstance(value, list | tuple | set | frozenset) else [value]:
        if not isinstance(name, str):
            # YAML reads 01472000 as an octal number: the name that was meant is lost by then.
            raise InvalidDomain(
                f"{index}: {repr(name)[:60]} is not text", hint="write names in quotes"
            )
        if not name or len(name) > 1024 or name != name.strip() or not name.isprintable():
            raise InvalidDomain(f"{index}: {name[:60]!r} can't be a name")
        names.add(name)
    if "ALL" in names:
        raise InvalidDomain(f"{index}: ALL can't stand among names", hint="write ALL alone")
    return Discrete(frozenset(names))


def _plain(restriction: Restriction) -> str | list[Any]:
    if restriction is ALL:
        return "ALL"
    if isinstance(restriction, Discrete):
        names = sorted(restriction.values)
        return names[0] if len(names) == 1 else names
    pairs = [[format_instant(begin), format_instant(end)] for begin, end in restriction.intervals]
    return pairs[0] if len(pairs) == 1 else pairs
