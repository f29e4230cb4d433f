"""Quotas: how much the datasets of a user, or of a group's members together, may hold.

What counts is what lies in the store for a dataset: the items of an OPEN one, a SEALED one, and a
DELETED one until its files go. It counts for the dataset's owner, and so for each of their groups.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from headrace_model.errors import InvalidInput, OverQuota
from headrace_model.units import parse_size, rough_size

NONE: Final = "none"
_MOST_BYTES: Final = 2**53  # what a script in Redis counts exactly
_HINT: Final = (
    "`headrace dataset delete NAME --now` makes room (what is deleted without --now counts until "
    "its files go); an admin can raise the quota"
)


@dataclass(frozen=True, slots=True)
class Quota:
    """`who` is `user:NAME` or `group:NAME`; what `owners` have counts together."""

    who: str
    limit_bytes: int
    owners: tuple[str, ...]


def quotas_of(
    owner: str, groups: Mapping[str, Iterable[str]], limits: Mapping[str, int]
) -> tuple[Quota, ...]:
    """The quotas that bound what an owner may have: their own, and those of their groups.

    `groups`: of every user who counts; `limits`: bytes by `who`.
    """
    found = (
        [Quota(f"user:{owner}", limits[f"user:{owner}"], (owner,))]
        if (f"user:{owner}" in limits)
        else []
    )
    for group in sorted(set(groups.get(owner, ()))):
        if (who := f"group:{group}") in limits:
            members = tuple(sorted(name for name, theirs in groups.items() if group in theirs))
            found.append(Quota(who, limits[who], members))
    return tuple(found)


def check_quotas(quotas: Iterable[Quota], stored: Mapping[str, int], coming_bytes: int) -> None:
    """Raise `OverQuota` where so much more (0: anything) would pass one; `stored`: by owner."""
    for quota in quotas:
        used = sum(stored.get(owner, 0) for owner in quota.owners)
        if used + max(coming_bytes, 1) > quota.limit_bytes:
            raise over_quota(quota.who, used, quota.limit_bytes, coming_bytes)


def over_quota(who: str, used: int, limit_bytes: int, coming_bytes: int) -> OverQuota:
    """The error that says whose quota it is, how much of it is used, and what was to come."""
    kind, _, name = who.partition(":")
    whose = f"the members of group {name} have" if kind == "group" else f"{name} has"
    more = f", and {rough_size(coming_bytes)} were to come" if coming_bytes else ""
    return OverQuota(
        f"{whose} {rough_size(used)} in datasets, of a quota of {rough_size(limit_bytes)}{more}",
        hint=_HINT,
    )


def parse_quota(text: str) -> int | None:
    """Read `2TiB`, or `none` (None); raises `InvalidInput`."""
    if text == NONE:
        return None
    if text == "0":
        return 0
    try:
        found = parse_size(text)
    except InvalidInput as error:
        raise InvalidInput(f"quota: {error.message}", hint="or `none`, for no quota") from None
    if found > _MOST_BYTES:
        raise InvalidInput(f"a quota is at most {rough_size(_MOST_BYTES)}", hint="or `none`")
    return found
