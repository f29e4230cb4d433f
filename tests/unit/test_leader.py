"""What a replica prepares while the one who leads is late."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from headrace_model.status import Role
from headrace_service.leader import Leader


@dataclass(frozen=True)
class _Lease:
    term: int = 1
    held: bool = False
    left_ms: int = 10


class _Late:
    """Leases of which another one's is always about to run out."""

    async def acquire(self, role: Role, holder: str, lease_ms: int) -> _Lease:
        return _Lease()

    async def release(self, role: Role, holder: str) -> None:
        pass


async def _nothing() -> None:
    pass


async def _never(term: int) -> None:
    raise AssertionError("it never leads")


async def test_a_preparation_that_failed_is_tried_again_and_one_that_ended_is_not() -> None:
    calls: list[int] = []
    again = asyncio.Event()

    async def prepare() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise OSError("Redis is away")
        again.set()

    leader = Leader(_Late(), Role.SCHEDULER, 6.0, _nothing)
    running = asyncio.create_task(leader.run(_never, prepare))
    try:
        async with asyncio.timeout(30):
            await again.wait()
        await asyncio.sleep(0.1)  # a few more turns
        assert len(calls) == 2
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
