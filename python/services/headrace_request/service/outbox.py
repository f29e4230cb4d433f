"""What one reader of a WebSocket is still to be told: bounded, so a slow one harms nobody."""

import asyncio
from collections import deque


class TooSlow(Exception):
    """The reader does not keep up."""


class Outbox:
    """Messages on their way to one reader."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._waiting: deque[str] = deque()
        self._bytes = 0
        self._filled = asyncio.Event()
        self._emptied = asyncio.Event()

    def put_now(self, text: str) -> None:
        """Add a message of which others get the same: raises `TooSlow` where there is no room."""
        if self._bytes + len(text) > self._most_bytes and self._waiting:
            raise TooSlow
        self._add(text)

    async def put(self, text: str, within_s: float) -> None:
        """Add a message that only this reader waits for, as soon as there is room for it.

        Raises `TooSlow` when there is none after `within_s`.
        """
        try:
            async with asyncio.timeout(within_s):
                while self._bytes > self._most_bytes // 4:
                    self._emptied.clear()
                    await self._emptied.wait()
        except TimeoutError:
            raise TooSlow from None
        self._add(text)

    async def take(self) -> str:
        """Take the oldest message, as soon as there is one."""
        while not self._waiting:
            self._filled.clear()
            await self._filled.wait()
        text = self._waiting.popleft()
        self._bytes -= len(text)
        self._emptied.set()
        return text

    def _add(self, text: str) -> None:
        self._waiting.append(text)
        self._bytes += len(text)
        self._filled.set()
