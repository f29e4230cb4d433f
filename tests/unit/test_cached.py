"""A remembered value: read once for all, and never older than what made it be forgotten."""

import asyncio

from headrace_request.service.cached import Cached


async def test_what_is_just_being_read_when_it_is_forgotten_is_read_again() -> None:
    gate = asyncio.Event()
    values = iter(["old", "new"])
    reads = 0

    async def read() -> str:
        nonlocal reads
        reads += 1
        value = next(values)
        if value == "old":
            await gate.wait()
        return value

    cached = Cached(read, 60.0)
    first = asyncio.ensure_future(cached.get())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    cached.forget()
    gate.set()
    assert await first == "new"
    assert await cached.get() == "new"
    assert reads == 2
