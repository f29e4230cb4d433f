"""What several sources tell, as one: each in its own order, read ahead by a little only."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")
_WAITING = 64


@dataclass(frozen=True, slots=True)
class _Ended:
    error: Exception | None = None


async def merged(sources: Sequence[AsyncGenerator[T, None]]) -> AsyncGenerator[T, None]:
    """Yield what the sources yield as it comes, until all have ended or one has failed."""
    told: asyncio.Queue[T | _Ended] = asyncio.Queue(_WAITING)

    async def pump(source: AsyncGenerator[T, None]) -> None:
        try:
            async with aclosing(source):
                async for each in source:
                    await told.put(each)
        except Exception as error:
            await told.put(_Ended(error))
        else:
            await told.put(_Ended())

    tasks = [asyncio.ensure_future(pump(source)) for source in sources]
    left = len(tasks)
    try:
        while left:
            each = await told.get()
            if not isinstance(each, _Ended):
                yield each
            elif each.error:
                raise each.error
            else:
                left -= 1
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
