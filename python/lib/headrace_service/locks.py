"""One lock a key, for as long as somebody wants it."""

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Locks(Generic[K]):
    """Holders of a key take turns; of a key that nobody holds or awaits nothing is kept."""

    def __init__(self) -> None:
        self._wanted: dict[K, list[asyncio.Lock]] = {}  # the key's lock, once a holder or waiter

    def __contains__(self, key: K) -> bool:
        return key in self._wanted

    def __len__(self) -> int:
        return len(self._wanted)

    @asynccontextmanager
    async def hold(self, key: K) -> AsyncIterator[None]:
        """Hold a key alone."""
        wanted = self._wanted.setdefault(key, [])
        lock = wanted[0] if wanted else asyncio.Lock()
        wanted.append(lock)
        try:
            async with lock:
                yield
        finally:
            wanted.pop()
            if not wanted:
                del self._wanted[key]
