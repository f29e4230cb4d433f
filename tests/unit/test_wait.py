"""`wait_until` returns the first truthy value, and says what it waited for in vain."""

import pytest

from tests.support.wait import wait_until


async def test_a_plain_condition_is_asked_until_it_holds() -> None:
    answers = iter([0, None, "", "here"])
    assert await wait_until(lambda: next(answers), "an answer") == "here"


async def test_an_async_condition_is_awaited() -> None:
    answers = iter([False, True])

    async def condition() -> bool:
        return next(answers)

    assert await wait_until(condition, "an answer") is True


async def test_a_condition_that_never_holds_is_named_with_its_last_value() -> None:
    with pytest.raises(AssertionError, match=r"0\.01 s in vain for the moon; .* was \[\]"):
        await wait_until(list, "the moon", within_s=0.01)


async def test_what_a_condition_raises_is_not_swallowed() -> None:
    with pytest.raises(ZeroDivisionError):
        await wait_until(lambda: 1 // 0, "a number")
