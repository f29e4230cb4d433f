"""What the owners of jobs have used and may use: their shares and quotas, read from Redis."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from headrace_model.quota import What, run_limits
from headrace_model.share import faded, last_days, shifts
from headrace_scheduler.core.quota import Allowances
from headrace_scheduler.queue import Queue

if TYPE_CHECKING:
    from headrace_adapters.redis.quotas import QuotaStore

_CHANGING = 2  # days that shares may still come back on, by a clock that differs a little


class Owners:
    """Arranges a queue by the shares of its owners, within their quotas."""

    def __init__(self, quotas: "QuotaStore") -> None:
        self._store = quotas
        self._days: dict[str, Mapping[str, int]] = {}

    async def arrange(self, queue: Queue, now_ms: int) -> None:
        """Read what has changed, and put each owner's jobs where their share says.

        What running jobs have used until now counts as if it came back today.
        """
        counted = queue.given_back
        await self._read(last_days(now_ms))
        used = faded(self._days, now_ms)
        for use in queue.uses():
            used[use.owner] = used.get(use.owner, 0.0) + use.until_now(now_ms)
        groups = await self._store.groups({*queue.owners, *used})
        queue.arrange(shifts(used, groups), await self._allowances(groups, now_ms), counted)

    async def _allowances(self, groups: Mapping[str, tuple[str, ...]], now_ms: int) -> Allowances:
        limits = run_limits(await self._store.limits())
        windows = {each.days for each in limits if each.what is What.CPU_HOURS}
        past = {days: _sums(self._days, last_days(now_ms, days)) for days in windows}
        return Allowances(limits, groups, past)

    async def _read(self, days: list[str]) -> None:
        """Yesterday and what is older changes no more."""
        new = [day for place, day in enumerate(days) if place < _CHANGING or day not in self._days]
        found = await self._store.used(new)
        self._days = {day: found.get(day, self._days.get(day, {})) for day in days}


def _sums(used: Mapping[str, Mapping[str, int]], days: list[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for day in days:
        for owner, use in used.get(day, {}).items():
            found[owner] = found.get(owner, 0) + use
    return found
