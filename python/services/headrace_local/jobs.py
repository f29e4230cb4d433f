"""What the home's Redis says of jobs, read directly: it answers also while the services start."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from headrace_adapters.redis.connection import Redis
from headrace_adapters.redis.jobs import JobStore
from headrace_adapters.redis.maintenance import MaintenanceStore
from headrace_local.layout import Home
from headrace_local.redis_users import connect
from headrace_model.ids import JobId
from headrace_model.maintenance import Maintenance
from headrace_model.status import HAS_ATTEMPT, Status

T = TypeVar("T")
_PATIENCE_S = 2.0
_UNDER_WAY = (*HAS_ATTEMPT, Status.STOPPING)


def counts(home: Home) -> dict[Status, int]:
    """How many jobs each status holds. Raises `Unavailable`."""
    return asyncio.run(_read(home, lambda redis: JobStore(redis).counts()))


def with_attempt(home: Home) -> list[JobId]:
    """The jobs whose attempt holds or held a share of the node. Raises `Unavailable`."""

    async def ask(redis: Redis) -> list[JobId]:
        store = JobStore(redis)
        found = await asyncio.gather(*(store.in_status(status) for status in _UNDER_WAY))
        return [job for jobs in found for job in jobs]

    return asyncio.run(_read(home, ask))


def maintenance(home: Home) -> Maintenance | None:
    """Who keeps new work away, or None. Raises `Unavailable`."""
    return asyncio.run(_read(home, lambda redis: MaintenanceStore(redis).get()))


async def _read(home: Home, ask: Callable[[Redis], Awaitable[T]]) -> T:
    redis = connect(home, patience_s=_PATIENCE_S)
    try:
        return await ask(redis)
    finally:
        await redis.close()
