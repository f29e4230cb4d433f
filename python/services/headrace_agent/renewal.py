"""Grants of what is staged, asked for anew when their URLs are no longer valid."""

import asyncio
from collections.abc import Awaitable, Callable

from headrace_agent.cache import StagedItem
from headrace_agent.grants import Grant
from headrace_model.errors import NotFound


class Renewal:
    """Grants of staged items that are asked for anew, for all items in one call."""

    def __init__(
        self,
        ask: Callable[[], Awaitable[dict[str, list[StagedItem]]]],
        staged: dict[str, list[StagedItem]],
    ) -> None:
        self._ask = ask
        self._known = self._grants(staged)
        self._asking = asyncio.Lock()

    async def of(self, requirement: str, item: StagedItem, old: Grant) -> Grant:
        """A grant for the item that is newer than `old`. Raises `NotFound`."""
        async with self._asking:
            if self._known.get((requirement, item.path)) in (None, old):
                self._known = self._grants(await self._ask())
            newer = self._known.get((requirement, item.path))
            if newer is None:
                raise NotFound(f"{item.path} is no longer to be staged")
            return newer

    @staticmethod
    def _grants(staged: dict[str, list[StagedItem]]) -> dict[tuple[str, str], Grant]:
        return {(name, item.path): item.grant for name, items in staged.items() for item in items}
