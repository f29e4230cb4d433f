"""Waiting for a condition: what tests use where a careless test would sleep."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any, TypeVar, cast

T = TypeVar("T")

_FIRST_PAUSE_S = 0.002
_LONGEST_PAUSE_S = 0.1


@asynccontextmanager
async def running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Have something run for ever beside the test, and end it after."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def wait_until(
    condition: Callable[[], T | Awaitable[T]], what: str, *, within_s: float = 90.0
) -> T:
    """Return the first truthy value of `condition`, which is asked again with growing pauses.

    `condition` may be a plain or an async function; what it raises is raised on. `what`
    completes the sentence "waited in vain for ...". Raises AssertionError after `within_s`
    seconds, naming the last value. A test without an event loop says
    `asyncio.run(wait_until(...))`.
    """
    deadline = monotonic() + within_s
    pause = _FIRST_PAUSE_S
    while True:
        value = condition()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return cast(T, value)
        if monotonic() >= deadline:
            raise AssertionError(
                f"waited {within_s:g} s in vain for {what}; the last value was {value!r}"
            )
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE_S)
