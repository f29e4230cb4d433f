"""What guards exclusive workers: they may not live on where Redis can't be reached."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from headrace_model.errors import HeadraceError
from headrace_model.ids import JobId
from headrace_service.logs import logger

Kill: TypeAlias = Callable[[JobId, int], Awaitable[None]]
_TURN_S = 0.5


class Watchdog:
    """Kills the attempts that it watches when the node was not renewed for `exclusive_s`."""

    def __init__(self, kill: Kill, exclusive_s: float) -> None:
        self._kill = kill
        self._exclusive_s = exclusive_s
        self._renewed = time.monotonic()
        self._watched: set[tuple[JobId, int]] = set()
        self._striking: set[tuple[JobId, int]] = set()
        self._log = logger("agent")

    def watch(self, job: JobId, attempt: int) -> None:
        """Watch an attempt, which has an exclusive worker."""
        self._watched.add((job, attempt))

    def leave(self, job: JobId, attempt: int) -> None:
        """Watch an attempt no longer; nothing where it is not watched."""
        self._watched.discard((job, attempt))

    def renewed(self, at: float) -> None:
        """Redis confirmed at `at` (`time.monotonic`) that the node is this agent's."""
        self._renewed = at

    async def run(self) -> None:
        """Guard for ever; each attempt is killed by itself, and again until its worker is gone."""
        async with asyncio.TaskGroup() as group:
            while True:
                await asyncio.sleep(min(_TURN_S, self._exclusive_s / 4))
                if time.monotonic() - self._renewed < self._exclusive_s:
                    continue
                for job, attempt in self._watched - self._striking:
                    self._striking.add((job, attempt))
                    group.create_task(self._strike(job, attempt))

    async def _strike(self, job: JobId, attempt: int) -> None:
        self._log.warning("an exclusive worker is killed", action="watchdog", job=job)
        try:
            await self._kill(job, attempt)
        except (HeadraceError, OSError) as error:  # the next turn tries again
            self._log.warning(f"it could not be killed: {error}", action="watchdog", job=job)
        finally:
            self._striking.discard((job, attempt))
