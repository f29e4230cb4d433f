"""Quotas of running use: what the jobs of a user, or of a group's members together, may use.

CPUs, memory, GPUs and running jobs count what is held at a time; CPU time what was used in a
window of days, with what running jobs have used until now and may still use until their time
limits.
A job that would pass one waits, and keeps nobody else from starting.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from headrace_model.people import named_as
from headrace_model.quota import UNLIMITED_MS, RunLimit, What
from headrace_model.resources import Resources


@dataclass(frozen=True, slots=True)
class Bound(RunLimit):
    """One quota: `who` (`user:NAME`, `group:NAME`) may use `limit` of something; `used` is used.

    `owners` are whose jobs count; `days` the window of CPU_HOURS.
    """

    used: int = 0
    owners: frozenset[str] = frozenset()

    def holds(self, used: int, need: int) -> bool:
        """Tell whether so much more may be used; who needs none of it is never kept by it."""
        return not need or used + need <= self.limit

    def ever_holds(self, asked: Resources, time_limit_ms: int | None) -> bool:
        """Tell whether a job may start when nothing else is used."""
        return self.holds(0, self.needs(asked, time_limit_ms))

    @property
    def in_use(self) -> RunLimit:
        """What is used of it, as the limit is written."""
        return RunLimit(self.who, self.what, self.used, self.days)

    @property
    def used_text(self) -> str:
        """What is used, for people."""
        return self.amount_text(self.used)


class Gate:
    """What of each quota is used while a plan is made; it only grows."""

    __slots__ = ("_by_owner", "_used")

    def __init__(self, by_owner: Mapping[str, tuple[int, ...]], bounds: tuple[Bound, ...]) -> None:
        self._by_owner = {
            owner: tuple((at, bounds[at]) for at in places) for owner, places in by_owner.items()
        }
        self._used = [bound.used for bound in bounds]

    def may_start(self, owner: str, asked: Resources, time_limit_ms: int | None) -> Bound | None:
        """The quota that keeps a job of so much (an array: of one task) from starting, if any.

        Of several that one which it could never meet.
        """
        found = None
        for at, bound in self._by_owner.get(owner, ()):
            if not bound.holds(self._used[at], bound.needs(asked, time_limit_ms)):
                if not bound.ever_holds(asked, time_limit_ms):
                    return bound
                found = found or bound
        return found

    def most(self, owner: str, task: Resources, tasks: int, time_limit_ms: int | None) -> int:
        """How many tasks of an array that `may_start` may run at a time: up to `tasks`."""
        for at, bound in self._by_owner.get(owner, ()):
            need = 0 if bound.what is What.JOBS else bound.needs(task, time_limit_ms)
            if need:
                tasks = min(tasks, (bound.limit - self._used[at]) // need)
        return tasks

    def take(self, owner: str, held: Resources, time_limit_ms: int | None) -> None:
        """Count a job that starts."""
        for at, bound in self._by_owner.get(owner, ()):
            self._used[at] += bound.needs(held, time_limit_ms)


@dataclass(frozen=True, slots=True)
class Quotas:
    """All quotas that there are, with what is used of each when the snapshot was taken."""

    bounds: tuple[Bound, ...] = ()
    _by_owner: Mapping[str, tuple[int, ...]] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        found: dict[str, tuple[int, ...]] = {}
        for at, bound in enumerate(self.bounds):
            for owner in bound.owners:
                found[owner] = (*found.get(owner, ()), at)
        object.__setattr__(self, "_by_owner", found)

    def counting(self, owner: str, groups: Iterable[str]) -> "Quotas":
        """The same where jobs of one more owner count, who is in these groups."""
        theirs = named_as(owner, groups)
        return Quotas(
            tuple(
                replace(bound, owners=bound.owners | {owner}) if bound.who in theirs else bound
                for bound in self.bounds
            )
        )

    def gate(self) -> Gate:
        """A count for one plan."""
        return Gate(self._by_owner, self.bounds)


NO_QUOTAS: Final = Quotas()


@dataclass(frozen=True, slots=True)
class Use:
    """What one running job uses: of whom, what it holds, since when, and until when at most."""

    owner: str
    held: Resources
    since_ms: int | None
    ends_ms: int | None

    def until_now(self, now_ms: int) -> int:
        """What CPU time it has used (millicpus * ms)."""
        return 0 if self.since_ms is None else self.held.millicpus * max(now_ms - self.since_ms, 0)

    def to_come(self, now_ms: int) -> int:
        """What CPU time it may still use: until its time limit, without one for a day in all."""
        ends_ms = self.ends_ms or (self.since_ms or now_ms) + UNLIMITED_MS
        return self.held.millicpus * max(ends_ms - now_ms, 0)


@dataclass(frozen=True, slots=True)
class Allowances:
    """All quotas of running use that there are.

    `groups`: of every owner whose jobs wait, run or have run; `past`: for each window in days the
    CPU time of each owner that came back in it.
    """

    limits: tuple[RunLimit, ...] = ()
    groups: Mapping[str, Iterable[str]] = field(default_factory=dict)
    past: Mapping[int, Mapping[str, int]] = field(default_factory=dict)

    def in_use(self, running: Sequence[Use], now_ms: int) -> Quotas:
        """The quotas with what is used of each while this runs."""
        by_owner: dict[str, dict[What, int]] = {}
        for use in running:
            sums = by_owner.setdefault(use.owner, dict.fromkeys(What, 0))
            sums[What.CPUS] += use.held.millicpus
            sums[What.MEMORY] += use.held.memory_bytes
            sums[What.GPUS] += use.held.gpus
            sums[What.JOBS] += 1
            sums[What.CPU_HOURS] += use.until_now(now_ms) + use.to_come(now_ms)
        return Quotas(tuple(self._bound(limit, by_owner) for limit in self.limits))

    def _bound(self, limit: RunLimit, by_owner: Mapping[str, Mapping[What, int]]) -> Bound:
        kind, _, name = limit.who.partition(":")
        owners = (
            frozenset({name})
            if kind == "user"
            else frozenset(owner for owner, theirs in self.groups.items() if name in theirs)
        )
        used = sum(by_owner[owner][limit.what] for owner in owners if owner in by_owner)
        if limit.what is What.CPU_HOURS:
            past = self.past.get(limit.days, {})
            used += sum(past.get(owner, 0) for owner in owners)
        return Bound(limit.who, limit.what, limit.limit, limit.days, used, owners)
