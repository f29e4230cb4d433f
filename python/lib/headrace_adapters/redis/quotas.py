"""Quotas in Redis, how much each user keeps in the store, and the CPU time that they used."""

from collections.abc import Iterable, Mapping

from headrace_adapters.redis.connection import Redis
from headrace_model.quota import STORE, Quota, check_quotas, quotas_of


class QuotaStore:
    """What the services do with quotas in Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def limits(self) -> dict[str, int]:
        """All quotas: bytes by `user:NAME` or `group:NAME`, and those of running use by the same
        with a colon and what they bound (`run_limits`)."""
        found: Mapping[str, str] = await self._redis.command("HGETALL", "hr:quotas")
        return {who: int(limit) for who, limit in found.items()}

    async def stored(self, owners: Iterable[str]) -> dict[str, int]:
        """How many bytes the datasets of some users hold, with the checkpoints of their jobs."""
        names = sorted(set(owners))
        if not names:
            return {}
        found = await self._redis.command("HMGET", "hr:stored", *names)
        return {name: int(count or 0) for name, count in zip(names, found, strict=True)}

    async def used(self, days: Iterable[str]) -> dict[str, dict[str, int]]:
        """What came back of CPU time on some days (UTC, `2026-01-31`): day → owner → use."""
        names = list(days)
        found = await self._redis.commands([("HGETALL", f"hr:used:{day}") for day in names])
        return {
            day: {owner: int(use) for owner, use in used.items()}
            for day, used in zip(names, found, strict=True)
            if used
        }

    async def of(self, owner: str) -> tuple[Quota, ...]:
        """The quotas that bound what an owner may have."""
        limits = await self.limits()
        if not limits:
            return ()
        mine = await self.groups([owner])
        if any(f"group:{group}" in limits for group in mine[owner]):
            # Who has made a dataset is there; nobody else has anything.
            mine |= await self.groups(await self._redis.command("HKEYS", "hr:stored"))
        return quotas_of(owner, mine, limits)

    async def check(self, owner: str, coming_bytes: int) -> None:
        """Raise `OverQuota` where so much more (0: anything) would pass a quota of an owner.

        What others add meanwhile is seen by the script that adds items alone.
        """
        if quotas := await self.of(owner):
            owners = {each for quota in quotas for each in quota.owners}
            check_quotas(quotas, await self.stored(owners), coming_bytes)

    async def set(self, kind: str, name: str, limit_bytes: int | None) -> None:
        """Give a `user` or `group` a quota for datasets; None: none. Raises `NotFound`."""
        await self.change(kind, name, {STORE: limit_bytes})

    async def change(self, kind: str, name: str, limits: Mapping[str, int | None]) -> None:
        """Give a `user` or `group` quotas, as `parse_quotas` reads them. Raises `NotFound`."""
        asked = [
            {"what": what} | ({} if limit is None else {"limit": limit})
            for what, limit in limits.items()
        ]
        await self._redis.script("set_quota", {"kind": kind, "name": name, "limits": asked})

    async def groups(self, users: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """The groups of each of some users; none of who is not there."""
        names = list(users)
        if not names:
            return {}
        texts = await self._redis.command("HMGET", "hr:memberships", *names)
        pairs = zip(names, texts, strict=True)
        return {name: tuple((text or "").split()) for name, text in pairs}
