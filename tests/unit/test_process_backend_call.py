"""A call to the nest that is cancelled in the moment of its answer."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from headrace_adapters.backends.process import ProcessBackend


async def test_a_cancel_that_comes_with_the_answer_is_not_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = ProcessBackend(tmp_path / "nest")
    answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

    class Link:
        async def call(self, op: str, **_: object) -> dict[str, Any]:
            return await answer

    async def connected() -> Link:
        return Link()

    monkeypatch.setattr(backend, "_connected", connected)
    calling = asyncio.ensure_future(backend._call("ping"))
    await asyncio.sleep(0.01)
    answer.set_result({})
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
