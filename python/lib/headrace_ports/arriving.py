"""A file that still arrives while a store puts its beginning already."""

import asyncio
from pathlib import Path


class Arriving:
    """What writes the file tells here how far it is, what puts it waits here. For one event loop.

    `size_bytes` is announced, and None where nobody knows it. A writer that breaks off cancels
    what waits.
    """

    def __init__(self, path: Path, size_bytes: int | None) -> None:
        self.path = path
        self.size_bytes = size_bytes
        self._there = 0
        self._moved = asyncio.Event()
        self._whole = asyncio.Event()

    def reached(self, size: int) -> None:
        """So many bytes lie in the file."""
        self._there = size
        self._moved.set()

    def finish(self, size: int) -> None:
        """It has so many bytes, and these are the right ones."""
        self.size_bytes = size
        self.reached(size)
        self._whole.set()

    async def until(self, size: int) -> None:
        """Wait until so many bytes lie in the file: not the right ones, maybe."""
        while self._there < size:
            self._moved.clear()
            await self._moved.wait()

    async def whole(self) -> int:
        """Wait until the file is whole and right; its size in bytes."""
        await self._whole.wait()
        return self._there
