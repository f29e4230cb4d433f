"""Holders of one key take turns, and keys that nobody wants are forgotten."""

import asyncio

import pytest

from headrace_service.locks import Locks


async def test_holders_of_a_key_take_turns_and_others_do_not_wait() -> None:
    locks, said = Locks[str](), list[str]()
    first = asyncio.Event()

    async def hold(name: str, key: str, until: asyncio.Event | None = None) -> None:
        async with locks.hold(key):
            said.append(f"{name} begins")
            if until:
                await until.wait()
            said.append(f"{name} ends")

    one = asyncio.create_task(hold("one", "a", first))
    two = asyncio.create_task(hold("two", "a"))
    await asyncio.create_task(hold("other", "b"))
    first.set()
    await asyncio.gather(one, two)
    assert said == [
        "one begins",
        "other begins",
        "other ends",
        "one ends",
        "two begins",
        "two ends",
    ]


async def test_nothing_is_kept_of_a_key_that_nobody_wants_even_after_an_error() -> None:
    locks = Locks[str]()

    async def hold(seconds: float) -> None:
        async with locks.hold("a"):
            await asyncio.sleep(seconds)

    holder, waiter = asyncio.create_task(hold(600)), asyncio.create_task(hold(600))
    await asyncio.sleep(0)
    assert ("a" in locks, len(locks)) == (True, 1)
    waiter.cancel()
    await asyncio.gather(waiter, return_exceptions=True)
    assert "a" in locks, "its holder still has it"
    holder.cancel()
    await asyncio.gather(holder, return_exceptions=True)
    assert ("a" in locks, len(locks)) == (False, 0)
    with pytest.raises(ValueError, match="within"):
        async with locks.hold("a"):
            raise ValueError("within")
    assert len(locks) == 0
