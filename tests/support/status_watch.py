"""Following the statuses of jobs by their events, over a connection of the test's own."""

import asyncio
from types import TracebackType
from typing import Self

from headrace_local.redis_users import connect
from headrace_model.status import Status
from tests.support.stack import Stack

_WITHIN_S = 90.0


class StatusWatch:
    """Knows which statuses jobs entered since it was opened; ends with the Redis it reads."""

    def __init__(self, stack: Stack) -> None:
        self._redis = connect(stack.home).client
        self._last = "0-0"
        self._entered: dict[str, Status] = {}

    async def __aenter__(self) -> Self:
        tail = await self._redis.xrevrange("hr:events", count=1)
        self._last = str(tail[0][0]) if tail else "0-0"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._redis.aclose()

    async def until(self, job: str, status: Status) -> None:
        """Return when the job is in the status; raises TimeoutError when it does not come."""
        try:
            async with asyncio.timeout(_WITHIN_S):
                while self._entered.get(job) is not status:
                    await self._read()
        except TimeoutError:
            seen = self._entered.get(job)
            raise TimeoutError(f"job {job} did not enter {status}, it is in {seen}") from None

    async def any_until(self, status: Status) -> str:
        """Wait until any job enters the status; returns its id."""
        async with asyncio.timeout(_WITHIN_S):
            while status not in self._entered.values():
                await self._read()
        return next(job for job, entered in self._entered.items() if entered is status)

    async def _read(self) -> None:
        reply = await self._redis.xread({"hr:events": self._last}, block=1_000)
        for _, entries in reply:
            for self._last, fields in entries:
                if fields["kind"] == "job":
                    self._entered[fields["job"]] = Status(fields["to"])
