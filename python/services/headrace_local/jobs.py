"""What the home's Redis says of jobs, read directly: it answers also while the services start."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from headrace_adapters.redis.jobs import JobStore
from headrace_local.layout import Home
from headrace_local.redis_users import connect
from headrace_model.ids import JobId
from headrace_model.status import HAS_ATTEMPT, Status

T = TypeVar("T")
_PATIENCE_S = 2.0
_UNDER_WAY = (*HAS_ATTEMPT, Status.STOPPING)


def counts(home: Home) -> dict[Status, int]:
    """How many jobs each status holds. Raises `Unavailable`."""
    return asyncio.run(_read(home, JobStore.counts))


def with_attempt(home: Home) -> list[JobId]:
    """The jobs whose attempt holds or held a share of the node. Raises `Unavailable`."""

    async def ask(store: JobStore) -> list[JobId]:
        found = await asyncio.gather(*(store.in_status(status) for status in _UNDER_WAY))
        return [job for jobs in found for job in jobs]

    return asyncio.run(_read(home, ask))


async def _read(home: Home, ask: Callable[[JobStore], Awaitable[T]]) -> T:
    redis = connect(home, patience_s=_PATIENCE_S)
    try:
        return await ask(JobStore(redis))
    finally:
        await redis.close()
