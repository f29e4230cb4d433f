"""Followers of containers end when they are told to, also while what they do fails."""

import asyncio
import errno
from typing import Any, cast

from headrace_adapters.backends.containers import Known
from headrace_adapters.backends.docker_engine import Engine
from headrace_adapters.backends.docker_followers import Followers
from headrace_adapters.backends.ends import Ends
from headrace_model.ids import JobId
from headrace_model.worker import WorkerKey

_KNOWN = Known("c1", WorkerKey(JobId("0123456789abcdef"), 1, 0), False, "/no/out", "/no/err", None)


class _FullDisk:
    """An engine whose copies of logs find no room at the moment at which they are canceled."""

    def __init__(self) -> None:
        self.copying = asyncio.Event()

    async def inspect(self, _id: str) -> dict[str, Any]:
        return {"State": {"Status": "running", "Running": True, "Error": ""}}

    async def copy_log(self, *_: Any, **__: Any) -> int:
        self.copying.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise OSError(errno.ENOSPC, "no room") from None
        return 0


async def test_a_worker_is_forgotten_though_its_output_fails_meanwhile() -> None:
    engine = _FullDisk()
    followers = Followers(cast(Engine, engine), Ends(), lambda _attempt: None)
    followers.follow(_KNOWN, seen=True)
    await engine.copying.wait()
    async with asyncio.timeout(5):
        assert await followers.forget(_KNOWN.key) == _KNOWN
        await followers.close()
