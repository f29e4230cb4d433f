"""What the agent tells of its machine beside the CPUs and memory that it offers."""

import asyncio
import os
import re
import shutil
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path

from headrace_agent.cache import Cache
from headrace_model.errors import HeadraceError
from headrace_model.ids import DatasetId
from headrace_model.node import Inventory
from headrace_service.logs import logger
from headrace_service.threads import finish

EVERY_S = 60.0
SOON_S = 5.0  # after staging: a look reads the whole cache, and inputs come many at a time
_GPU = re.compile(r"nvidia[0-9]+")

Held = Mapping[DatasetId, int]
"""The bytes of datasets that the cache holds whole."""
Look = Callable[[], Awaitable[tuple[Inventory, Held]]]
Tell = Callable[[Inventory, Held], Awaitable[None]]
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

    async def look(self) -> tuple[Inventory, Held]:
        """Look now. Raises `OSError`, and `Unavailable` while the engine is away."""
        disk = await finish(shutil.disk_usage, self._state)
        cached, held = await self._cache.held()
        inventory = Inventory(
            backend=self._backend,
            engine=await self._engine_version(),
            gpus=self._gpus if self._gpus >= 0 else await finish(count_gpus, Path("/dev")),
            disk_bytes=disk.total,
            disk_free_bytes=disk.free,
            cached=cached,
        )
        return inventory, held


class Teller:
    """Tells the inventory when it changed, looking about once a minute: no part of the lease.

    Once inputs were staged it looks a few seconds later: who plans likes to know who holds them.
    """

    def __init__(self, look: Look, tell: Tell) -> None:
        self._look = look
        self._tell = tell
        self._anew = False
        self._wake = asyncio.Event()
        self._log = logger("agent")

    def registered(self) -> None:
        """The node was registered: Redis may know nothing of it."""
        self._anew = True
        self._wake.set()

    def staged(self) -> None:
        """The cache may hold more than before."""
        self._wake.set()

    async def run(self) -> None:
        """Tell for ever, from the first registration on."""
        told: tuple[Inventory, Held] | None = None
        while not self._anew:
            self._wake.clear()
            await self._wake.wait()
        while True:
            self._wake.clear()
            if self._anew:
                self._anew, told = False, None
            try:
                found = await self._look()
                if found != told:
                    await self._tell(*found)
                    told = found
            except (HeadraceError, OSError) as error:
                self._log.warning(f"the machine can't be looked at: {error}", action="inventory")
            with suppress(TimeoutError):
                async with asyncio.timeout(EVERY_S):
                    await self._wake.wait()
                    if not self._anew:
                        await asyncio.sleep(SOON_S)


def count_gpus(devices: Path) -> int:
    """How many GPUs NVIDIA's driver shows as /dev/nvidia0, /dev/nvidia1, …"""
    return sum(bool(_GPU.fullmatch(name)) for name in os.listdir(devices))
