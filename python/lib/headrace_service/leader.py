"""Leading a role: one replica acts while it holds the lease, with a term that fences it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from secrets import token_hex
from typing import Protocol

from headrace_model.errors import Fenced, HeadraceError
from headrace_model.status import Role
from headrace_service.logs import logger
from headrace_service.metrics import LEADING


class _Lease(Protocol):
    @property
    def term(self) -> int: ...
    @property
    def held(self) -> bool: ...
    @property
    def left_ms(self) -> int: ...


class _Leases(Protocol):
    """What the leader needs of `LeaseStore` (the service kit must not import adapters)."""

    async def acquire(self, role: Role, holder: str, lease_ms: int) -> _Lease: ...
    async def release(self, role: Role, holder: str) -> None: ...


class Leader:
    """Runs `act(term)` while this replica leads; cancels it when the lease is or may be lost."""

    def __init__(
        self,
        leases: _Leases,
        role: Role,
        lease_s: float,
        refresh_epoch: Callable[[], Awaitable[None]],
    ) -> None:
        self._leases = leases
        self._role = role
        self._lease_s = lease_s
        self._refresh_epoch = refresh_epoch
        self._holder = token_hex(8)
        self._log = logger(role)

    async def run(
        self,
        act: Callable[[int], Awaitable[None]],
        prepare: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Try to lead for ever; `prepare` is called when the one who leads is late to renew, and
        is cancelled when it has renewed. Where this replica comes to lead instead, `act` may take
        over what is prepared; what of it still runs is cancelled when `act` ends. It must change
        nothing; one that failed is called again.
        """
        preparing: asyncio.Future[None] | None = None
        try:
            while True:
                try:
                    lease = await self._acquire()
                except Fenced:
                    # Redis was restored: this replica has decided nothing yet in the new epoch.
                    await self._refresh_epoch()
                    continue
                # Who renews in time has two thirds left.
                late = not lease.held and lease.left_ms < self._lease_s * 500
                if preparing is not None and preparing.done() and (why := preparing.exception()):
                    self._log.warning(f"prepares again: {why!r}", action="prepare")
                    preparing = None
                if preparing is None and late and prepare is not None:
                    preparing = asyncio.ensure_future(prepare())
                if lease.held:
                    await self._lead(lease.term, act)
                if preparing is not None and not late:
                    await _ended(preparing)
                    preparing = None
                if not lease.held:
                    # Not longer than a second: the holder may give its lease up early.
                    await asyncio.sleep(min(lease.left_ms / 1000 + 0.01, 1.0))
        finally:
            if preparing is not None:
                await _ended(preparing)
            with suppress(HeadraceError, TimeoutError, asyncio.CancelledError):
                await asyncio.wait_for(self._leases.release(self._role, self._holder), 2.0)

    async def _acquire(self) -> _Lease:
        return await self._leases.acquire(self._role, self._holder, int(self._lease_s * 1000))

    async def _lead(self, term: int, act: Callable[[int], Awaitable[None]]) -> None:
        LEADING.labels(self._role).set(1)
        self._log.info(f"leads as {self._role}", action="lead", term=term)
        acting = asyncio.ensure_future(act(term))
        renewing = asyncio.ensure_future(self._renew(term))
        try:
            await asyncio.wait({acting, renewing}, return_when=asyncio.FIRST_COMPLETED)
            for task in (acting, renewing):
                if task.done() and (error := task.exception()):
                    if not _is_fenced(error):
                        raise error
                    self._log.warning(f"leads no longer: {error}", action="fenced", term=term)
                    await self._refresh_epoch()
        finally:
            for task in (acting, renewing):
                task.cancel()
            await asyncio.gather(acting, renewing, return_exceptions=True)
            LEADING.labels(self._role).set(0)

    async def _renew(self, term: int) -> None:
        """Renew until the lease is lost, or may be because no answer came for its length."""
        renewed = time.monotonic()
        while True:
            await asyncio.sleep(self._lease_s / 3)
            try:
                async with asyncio.timeout(max(0.1, renewed + self._lease_s - time.monotonic())):
                    lease = await self._acquire()
            except TimeoutError:
                return
            if not lease.held or lease.term != term:
                return
            renewed = time.monotonic()


async def _ended(task: "asyncio.Future[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _is_fenced(error: BaseException) -> bool:
    """Tell whether nothing but a fence ended the tasks of an act."""
    if isinstance(error, BaseExceptionGroup):
        return error.split(Fenced)[1] is None
    return isinstance(error, Fenced)
