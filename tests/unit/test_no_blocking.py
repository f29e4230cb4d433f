"""`no_blocking` catches our packages, and leaves the tests their freedom."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from blockbuster import BlockingError

import headrace_model

pytestmark = pytest.mark.usefixtures("no_blocking")


def _sleeper_in(folder: Path) -> Callable[[], None]:
    """A function that sleeps, and whose code stands in a file of `folder`."""
    names: dict[str, Callable[[], None]] = {}
    code = "import time\ndef sleeper():\n    time.sleep(0)\n"
    exec(compile(code, str(folder / "planted.py"), "exec"), names)  # noqa: S102 - our own text
    return names["sleeper"]


async def test_a_package_of_ours_may_not_block_the_loop() -> None:
    with pytest.raises(BlockingError, match="sleep"):
        _sleeper_in(Path(headrace_model.__file__).parent)()


async def test_a_test_may_block_the_loop(tmp_path: Path) -> None:
    _sleeper_in(tmp_path)()


def test_without_a_loop_nothing_is_refused() -> None:
    _sleeper_in(Path(headrace_model.__file__).parent)()
    time.sleep(0)
