"""Reads how full Redis and the disk are."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from headrace_request.core.room import Filling, Full, Watermarks, full

ReadInfo = Callable[[], Awaitable[Mapping[str, Any]]]


class Room:
    """Watches Redis's memory and one disk. `info` answers INFO memory."""

    def __init__(self, info: ReadInfo, folder: Path, marks: Watermarks) -> None:
        self._info = info
        self._folder = folder
        self._marks = marks

    async def look(self) -> Full | None:
        """Tell why there is no room for new work, or None."""
        info = await self._info()
        memory = Filling(int(info["used_memory"]), int(info["maxmemory"]))
        disk = await asyncio.to_thread(disk_filling, self._folder)
        return full(memory, disk, self._marks)


def disk_filling(folder: Path) -> Filling:
    """How full the disk is that a folder lies on; raises OSError."""
    found = os.statvfs(folder)
    # What only root may use counts as used, as `df` counts it.
    usable = (found.f_blocks - found.f_bfree + found.f_bavail) * found.f_frsize
    return Filling(usable - found.f_bavail * found.f_frsize, usable)
