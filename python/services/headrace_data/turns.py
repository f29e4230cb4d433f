"""Handles named jobs side by side, each by one turn at a time."""

import asyncio
from collections.abc import Awaitable, Callable

from headrace_model.errors import HeadraceError, NotFound, Stale
from headrace_model.ids import JobId
from headrace_service.hints import Pending
from headrace_service.logs import logger

_SIDE_BY_SIDE = 32


class Turns:
    """Takes jobs from `pending` and has `turn` handle each.

    `Stale` means decided from what is no longer true: the job's turn comes again at once. What
    else goes wrong with one job is logged and left to the sweep. `fatal` errors end `run`.
    """

    def __init__(
        self,
        turn: Callable[[JobId], Awaitable[None]],
        pending: Pending[JobId],
        fatal: type[HeadraceError],
    ) -> None:
        self._turn = turn
        self._pending = pending
        self._fatal = fatal
        self._room = asyncio.Semaphore(_SIDE_BY_SIDE)
        self._busy: set[JobId] = set()
        self._again: set[JobId] = set()

    async def run(self) -> None:
        """Handle jobs for ever; cancelling it cancels the turns that go on."""
        async with asyncio.TaskGroup() as group:
            while True:
                for job in await self._pending.take():
                    if job in self._busy:
                        self._again.add(job)
                        continue
                    await self._room.acquire()
                    self._busy.add(job)
                    group.create_task(self._one(job))

    async def _one(self, job: JobId) -> None:
        try:
            await self._turn(job)
        except self._fatal:
            raise
        except Stale:
            self._pending.add(job)
        except NotFound:
            pass  # archived meanwhile
        except (HeadraceError, OSError) as error:
            logger("data").error(
                f"a job could not be handled, the sweep tries again: {error}",
                action="turn",
                job=job,
            )
        finally:
            self._room.release()
            self._busy.discard(job)
            if job in self._again:
                self._again.discard(job)
                self._pending.add(job)
