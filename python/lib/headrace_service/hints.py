"""What hints have named and no turn has handled yet."""

import asyncio
from typing import Generic, TypeVar

K = TypeVar("K")


class Pending(Generic[K]):
    """A set that can be waited for; naming a thing twice before it is taken is naming it once."""

    def __init__(self) -> None:
        self._named: set[K] = set()
        self._some = asyncio.Event()

    def add(self, *things: K) -> None:
        """Name things."""
        self._named.update(things)
        if self._named:
            self._some.set()

    async def take(self, timeout_s: float | None = None) -> set[K]:
        """Wait for at least one and take all; an empty set after `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._some.wait()
        except TimeoutError:
            return set()
        self._some.clear()
        taken, self._named = self._named, set()
        return taken
