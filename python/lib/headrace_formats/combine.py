"""The domain of a dataset of several files; pure, and never more than the files hold.

Files with the same variable are pieces of it: their domains unite, if one domain can say the
union exactly. If none can, the largest plain piece is taken: one index united, all others
common. Files with different variables must all cover what the dataset says, so that the
variables are intersected, index by index; an index that a variable does not run over doesn't
bind it. Pieces without ids unite only if their TIMEs lie apart (one series cut into pieces);
if they overlap they must be different things, of which only the common TIME is said.
"""

from collections.abc import Iterable, Sequence
from functools import reduce
from typing import Final

from headrace_formats.base import FileDomain
from headrace_model.domain import (
    ALL,
    Continuous,
    Discrete,
    Domain,
    Index,
    Restriction,
    intersect,
    is_empty,
)

_NOTHING: Final = Domain()


def combine(files: Iterable[FileDomain]) -> tuple[Domain, tuple[str, ...]]:
    """Return the domain of the files together, and notes on what could not be said."""
    pieces: dict[tuple[str, tuple[Index, ...]], list[Domain]] = {}
    unknown: set[Index] = set()
    for file in files:
        unknown |= file.unknown
        for variable, domain in file.variables:
            pieces.setdefault((variable, tuple(domain)), []).append(domain)
    notes: list[str] = []
    wholes: dict[Domain, str] = {}
    for (variable, _), domains in pieces.items():
        whole, note = _unite(domains)
        if note:
            notes.append(f"variable {variable}: {note}")
        if whole is None:
            return _NOTHING, tuple(notes)
        wholes.setdefault(whole, variable)
    restrictions: dict[Index, Restriction] = {}
    for whole in wholes:
        for index, restriction in whole.restrictions:
            if index in unknown:
                continue
            have = restrictions.get(index)
            common = restriction if have is None else intersect(have, restriction)
            if is_empty(common):
                names = ", ".join(sorted(wholes.values())[:5])
                notes.append(f"the variables ({names}) have no {index} in common")
                return _NOTHING, tuple(notes)
            restrictions[index] = common
    return Domain.of(restrictions), tuple(notes)


def _unite(domains: Sequence[Domain]) -> tuple[Domain | None, str]:
    """Unite the pieces of one variable, all with the same indexes; None: nothing can be said."""
    if tuple(domains[0]) == (Index.TIME,):
        return _unite_times([domain.time for domain in domains if domain.time])
    left = list(dict.fromkeys(domains))
    while len(left) > 1:
        before = len(left)
        for index in domains[0]:
            left = _united_along(left, index)
        if len(left) == before:
            return _plain_piece(left)
    return left[0], ""


def _unite_times(times: Sequence[Continuous]) -> tuple[Domain | None, str]:
    together = Continuous.of(pair for each in times for pair in each.intervals)
    lengths = sum(_length(each) for each in times)
    if lengths == _length(together) or all(each == times[0] for each in times):
        return Domain(((Index.TIME, together),)), ""
    common = reduce(Continuous.intersect, times)
    if common.is_empty:
        return None, "its files overlap in TIME, have no ids, and no TIME is common to all"
    return Domain(
        ((Index.TIME, common),)
    ), "its files differ in TIME and have no ids: the common TIME is taken"


def _length(time: Continuous) -> int:
    return sum(end - begin for begin, end in time.intervals)


def _united_along(domains: Sequence[Domain], index: Index) -> list[Domain]:
    """Unite those domains that differ in one index only."""
    groups: dict[Domain, list[Restriction]] = {}
    for domain in domains:
        rest = Domain(tuple(pair for pair in domain.restrictions if pair[0] is not index))
        groups.setdefault(rest, []).extend(of for at, of in domain.restrictions if at is index)
    return [rest.replacing(index, _all_of(values)) for rest, values in groups.items()]


def _all_of(values: Sequence[Restriction]) -> Restriction:
    """The union of many, without copying what has been united so far again and again."""
    times = [each for each in values if isinstance(each, Continuous)]
    if times:
        return Continuous.of(pair for each in times for pair in each.intervals)
    names = [each.values for each in values if isinstance(each, Discrete)]
    return Discrete(frozenset().union(*names)) if len(names) == len(values) else ALL


def _plain_piece(domains: Sequence[Domain]) -> tuple[Domain | None, str]:
    """Unite one index and keep what is common in the others: all of that is in some piece."""
    for united in reversed(tuple(domains[0])):
        found: dict[Index, Restriction] = {}
        for index in domains[0]:
            values = [of for domain in domains for at, of in domain.restrictions if at is index]
            found[index] = _all_of(values) if index is united else reduce(intersect, values)
        if not any(is_empty(each) for each in found.values()):
            others = ", ".join(index for index in found if index is not united)
            return Domain.of(
                found
            ), f"its files differ in more than {united}: the common {others} is taken"
    return None, "its files have no index in common: their union is no domain"
