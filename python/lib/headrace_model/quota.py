"""Quotas: how much the datasets of a user, or of a group's members together, may hold, and how
much their jobs may use at a time.

What of jobs is in use the scheduler counts, and a job that would pass a quota waits.
Of datasets that counts what lies in the store for one: the items of an OPEN one, a SEALED one, and
a DELETED one until its files go. It counts for its owner, and so for each of their groups.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, assert_never

from headrace_model.errors import InvalidInput, OverQuota
from headrace_model.resources import Resources
from headrace_model.units import (
    cpus_text,
    parse_cpus,
    parse_duration,
    parse_size,
    rough_size,
    size_text,
)

NONE: Final = "none"
STORE: Final = ""
_DAY_MS: Final = 86_400_000
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
        f"{whose} {rough_size(used)} in datasets and checkpoints, of a quota of "
        f"{rough_size(limit_bytes)}{more}",
        hint=_HINT,
    )


class What(StrEnum):
    """What of running jobs a quota bounds."""

    CPUS = "cpus"  # millicpus
    MEMORY = "memory"  # bytes
    GPUS = "gpus"
    JOBS = "jobs"  # that hold an allocation; an array is one
    CPU_HOURS = "cpu_hours"  # millicpus * ms in the last days


DAYS: Final = "cpu_hours_days"
CPU_HOUR: Final = 1_000 * 3_600_000
MOST_DAYS: Final = 70
_CPU: Final = 1_000
_SAID: Final = re.compile(r"(?:([a-z_-]+)=)?(\S+)")


UNLIMITED_MS: Final = 24 * 3_600_000
"""How long a job without a time limit is taken to run, as far as quotas of CPU time go."""


@dataclass(frozen=True, slots=True)
class RunLimit:
    """`who` may use `limit` of something; `days`: the window of CPU_HOURS."""

    who: str
    what: What
    limit: int
    days: int = 0

    def needs(self, asked: Resources, time_limit_ms: int | None) -> int:
        """How much of it a job needs; of CPU_HOURS by its time limit, or a day's without one."""
        match self.what:
            case What.CPUS:
                return asked.millicpus
            case What.MEMORY:
                return asked.memory_bytes
            case What.GPUS:
                return asked.gpus
            case What.JOBS:
                return 1
            case What.CPU_HOURS:
                return asked.millicpus * (time_limit_ms or UNLIMITED_MS)

    @property
    def whose(self) -> str:
        """Who it is for, as the beginning of a sentence."""
        kind, _, name = self.who.partition(":")
        return f"the members of group {name} together" if kind == "group" else name

    @property
    def text(self) -> str:
        """The limit for people: `64 CPUs at a time`."""
        window = f" in {self.days} days" if self.what is What.CPU_HOURS else " at a time"
        return self.amount_text(self.limit) + window

    def amount_text(self, count: int) -> str:
        """So much of it, for people."""
        match self.what:
            case What.CPUS:
                return f"{count / _CPU:g} CPU" + ("" if count == _CPU else "s")
            case What.MEMORY:
                return f"{rough_size(count)} of memory"
            case What.GPUS:
                return f"{count} GPU" + ("" if count == 1 else "s")
            case What.JOBS:
                return f"{count} running job" + ("" if count == 1 else "s")
            case What.CPU_HOURS:
                return f"{count / CPU_HOUR:.4g} CPU hours"

    def __str__(self) -> str:
        return f"{self.what}={_run_text(self.what, self.limit, self.days)}"


def parse_quotas(text: str) -> dict[str, int | None]:
    """Read quotas as people write them, parted by blanks; None takes one away.

    `none` takes away all that are not said beside it.
    `2TiB` is for datasets; `cpus=64`, `memory=256GiB`, `gpus=4`, `jobs=20` and
    `cpu_hours=1000/30d` for what runs. Raises `InvalidInput`.
    """
    words = text.split() or [text]
    said = _said([word for word in words if word != NONE])
    return dict.fromkeys((STORE, *What, DAYS)) | said if NONE in words else said


def _said(words: list[str]) -> dict[str, int | None]:
    found: dict[str, int | None] = {}
    for word in words:
        match = _SAID.fullmatch(word)
        name, value = match.groups() if match else (None, word)
        what = (name or STORE).replace("-", "_")
        if what in found:
            raise InvalidInput(f"the quota {name or 'of datasets'} is said twice")
        if what == STORE:
            found[what] = parse_quota(value)
        elif what not in list(What):
            raise InvalidInput(
                f"there is no quota {name!r}",
                hint=f"there are {', '.join(What)}, and a size for datasets, such as 2TiB",
            )
        else:
            found |= _parse_run(What(what), value)
    return found


def _parse_run(what: What, value: str) -> dict[str, int | None]:
    if value == NONE:
        return dict.fromkeys((what, DAYS) if what is What.CPU_HOURS else (what,))
    try:
        match what:
            case What.CPUS:
                return {what: _within(parse_cpus(value))}
            case What.MEMORY:
                return {what: parse_quota(value)}
            case What.GPUS | What.JOBS:
                return {what: _within(int(_digits(value)))}
            case What.CPU_HOURS:
                hours, slash, window = value.partition("/")
                days = parse_duration(window) / _DAY_MS if slash else 30
                if days != int(days) or not 1 <= days <= MOST_DAYS:
                    raise InvalidInput(f"a window has 1 to {MOST_DAYS} whole days")
                return {what: _within(int(_digits(hours)) * CPU_HOUR), DAYS: int(days)}
            case _:
                assert_never(what)
    except InvalidInput as error:
        raise InvalidInput(
            f"quota {what}: {error.message}",
            hint="write cpus=64, memory=256GiB, gpus=4, jobs=20, cpu_hours=1000/30d, or none "
            "instead of the number",
        ) from None


def _digits(text: str) -> str:
    if not re.fullmatch(r"[0-9]{1,12}", text):
        raise InvalidInput(f"{text!r} is no whole number")
    return text


def _within(number: int) -> int:
    if number > _MOST_BYTES:
        raise InvalidInput("so much is not counted exactly")
    return number


def run_limits(limits: Mapping[str, int]) -> tuple[RunLimit, ...]:
    """The quotas of running use among all (`QuotaStore.limits`), in order."""
    found = []
    for field, limit in sorted(limits.items()):
        kind, _, rest = field.partition(":")
        name, _, what = rest.partition(":")
        if what in list(What):
            who = f"{kind}:{name}"
            days = limits.get(f"{who}:{DAYS}", 30) if what == What.CPU_HOURS else 0
            found.append(RunLimit(who, What(what), limit, days))
    return tuple(found)


def run_quota_text(who: str, limits: Mapping[str, int]) -> str:
    """The quotas of running use of a user or group, as `parse_quotas` reads them."""
    return " ".join(str(each) for each in run_limits(limits) if each.who == who)


def _run_text(what: What, limit: int, days: int) -> str:
    match what:
        case What.CPUS:
            return cpus_text(limit)
        case What.MEMORY:
            return size_text(limit)
        case What.GPUS | What.JOBS:
            return str(limit)
        case What.CPU_HOURS:
            return f"{limit / CPU_HOUR:.1f}".removesuffix(".0") + f"/{days}d"
        case _:
            assert_never(what)


def parse_quota(text: str) -> int:
    """Read `2TiB`; raises `InvalidInput`."""
    if text == "0":
        return 0
    try:
        found = parse_size(text)
    except InvalidInput as error:
        raise InvalidInput(f"quota: {error.message}", hint="or `none`, for no quota") from None
    if found > _MOST_BYTES:
        raise InvalidInput(f"a quota is at most {rough_size(_MOST_BYTES)}", hint="or `none`")
    return found
