"""A value that is costly to read, remembered for a moment."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Cached(Generic[T]):
    """Reads at most once in `age_s`; callers that come while it is read wait for that read."""

    def __init__(self, read: Callable[[], Awaitable[T]], age_s: float) -> None:
        self._read = read
        self._age_s = age_s
        self._read_at = 0.0
        self._kept: tuple[T] | None = None
        self._forgotten = 0  # how often
        self._reading = asyncio.Lock()

    async def get(self) -> T:
        """Give the value, at most `age_s` old; raises what reading raises."""
        async with self._reading:
            while self._kept is None or time.monotonic() - self._read_at >= self._age_s:
                started, forgotten = time.monotonic(), self._forgotten
                value = await self._read()
                if forgotten == self._forgotten:  # else what was read may be older than that
                    self._kept, self._read_at = (value,), started
                    break
            return self._kept[0]

    def forget(self) -> None:
        """Read anew the next time; what is just being read counts for nobody."""
        self._kept = None
        self._forgotten += 1
