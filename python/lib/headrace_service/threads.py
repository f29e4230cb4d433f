"""Work that is over when its caller is, even a cancelled one."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def finish(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do blocking work in a thread; when cancelled, wait for it to end first.

    A thread can't be stopped: without the wait it would go on writing into the folder of an
    attempt whose node has confirmed that nothing transfers any more, or by the number of a file
    that was closed meanwhile, which by then may be another file's or a socket's.
    """
    return await to_end(asyncio.to_thread(work, *args, **kwargs))


async def to_end(work: Awaitable[T]) -> T:
    """Await work that must not stop half-way; when cancelled, wait for it to end first."""
    working = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        while not working.done():
            with suppress(asyncio.CancelledError):  # however often it is asked
                await asyncio.wait({working})
        raise
