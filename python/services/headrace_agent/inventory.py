"""What the agent tells of its machine beside the CPUs and memory that it offers."""

import asyncio
import os
import re
import shutil
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from headrace_agent.cache import Cache
from headrace_model.errors import HeadraceError
from headrace_model.node import Inventory
from headrace_service.logs import logger
from headrace_service.threads import finish

EVERY_S = 60.0
_GPU = re.compile(r"nvidia[0-9]+")

Look = Callable[[], Awaitable[Inventory]]
Tell = Callable[[Inventory], Awaitable[None]]
EngineVersion = Callable[[], Awaitable[str]]


class Machine:
    """Looks at the machine. `gpus` below 0: as many as the driver shows."""

    def __init__(
        self, backend: str, engine_version: EngineVersion, cache: Cache, state: Path, gpus: int
    ) -> None:
        self._backend = backend
        self._engine_version = engine_version
        self._cache = cache
        self._state = state
        self._gpus = gpus

    async def look(self) -> Inventory:
        """Look now. Raises `OSError`, and `Unavailable` while the engine is away."""
        disk = await finish(shutil.disk_usage, self._state)
        return Inventory(
            backend=self._backend,
            engine=await self._engine_version(),
            gpus=self._gpus if self._gpus >= 0 else await finish(count_gpus, Path("/dev")),
            disk_bytes=disk.total,
            disk_free_bytes=disk.free,
            cached=await self._cache.held(),
        )


class Teller:
    """Tells the inventory when it changed, looking about once a minute: no part of the lease."""

    def __init__(self, look: Look, tell: Tell) -> None:
        self._look = look
        self._tell = tell
        self._anew = asyncio.Event()
        self._log = logger("agent")

    def registered(self) -> None:
        """The node was registered: Redis may know nothing of it."""
        self._anew.set()

    async def run(self) -> None:
        """Tell for ever, from the first registration on."""
        told: Inventory | None = None
        await self._anew.wait()
        while True:
            if self._anew.is_set():
                self._anew.clear()
                told = None
            try:
                found = await self._look()
                if found != told:
                    await self._tell(found)
                    told = found
            except (HeadraceError, OSError) as error:
                self._log.warning(f"the machine can't be looked at: {error}", action="inventory")
            with suppress(TimeoutError):
                async with asyncio.timeout(EVERY_S):
                    await self._anew.wait()


def count_gpus(devices: Path) -> int:
    """How many GPUs NVIDIA's driver shows as /dev/nvidia0, /dev/nvidia1, …"""
    return sum(bool(_GPU.fullmatch(name)) for name in os.listdir(devices))
