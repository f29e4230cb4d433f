"""Blocking calls in a bounded number of threads, over when their awaiting caller is."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Event
from typing import TypeVar

T = TypeVar("T")


class Threads:
    """At most `limit` calls at a time; more wait in line."""

    def __init__(self, limit: int, name: str) -> None:
        self._pool = ThreadPoolExecutor(limit, thread_name_prefix=name)

    async def run(self, call: Callable[[], T], stop: Event) -> T:
        """Call in a thread. When cancelled: `stop` is set, and the call's end awaited."""
        future = self._pool.submit(call)
        waiting = asyncio.wrap_future(future)
        try:
            return await asyncio.shield(waiting)
        except asyncio.CancelledError:
            stop.set()
            if not future.cancel():
                await _ended(waiting)
            raise

    async def close(self) -> None:
        """Let the calls that run end; those in line never begin."""
        await asyncio.to_thread(self._pool.shutdown, wait=True, cancel_futures=True)


async def to_end(work: Awaitable[T]) -> T:
    """Await work that must be done to its end although the caller was cancelled."""
    working = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        await _ended(working)
        raise


async def _ended(working: "asyncio.Future[T]") -> None:
    while not working.done():
        with suppress(asyncio.CancelledError):  # however often it is asked
            await asyncio.wait({working})
    if not working.cancelled():
        working.exception()  # seen: the cancellation is what counts
