"""Exclusive workers are killed one beside the other when Redis is out of reach."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from headrace_agent.watchdog import Watchdog
from headrace_model.errors import Unavailable
from headrace_model.ids import JobId
from tests.support.wait import wait_until

HANGS, FAILS, ENDS = JobId("hangs"), JobId("fails"), JobId("ends")


class Engine:
    """Kills as an engine does that answers of one attempt never, and of one not at first."""

    def __init__(self) -> None:
        self.told: Counter[JobId] = Counter()

    async def kill(self, job: JobId, _: int) -> None:
        self.told[job] += 1
        if job == HANGS:
            await asyncio.Event().wait()
        if job == FAILS and self.told[job] == 1:
            raise Unavailable("the engine does not answer")


@asynccontextmanager
async def running(watchdog: Watchdog) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(watchdog.run())
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_a_kill_that_hangs_or_fails_is_in_nobodys_way() -> None:
    engine = Engine()
    watchdog = Watchdog(engine.kill, 0.02)
    for job in (HANGS, FAILS, ENDS):
        watchdog.watch(job, 1)
    async with running(watchdog) as task:
        await wait_until(lambda: engine.told[ENDS] > 2, "the others to be killed")
        await wait_until(lambda: engine.told[FAILS] > 2, "the one that failed to be tried again")
        assert engine.told[HANGS] == 1, "one kill of an attempt at a time"
        assert not task.done()
        watchdog.leave(FAILS, 1)
        told = engine.told[FAILS]
        await wait_until(lambda: engine.told[ENDS] > 9, "some turns more")
        assert engine.told[FAILS] <= told + 1


async def test_nobody_is_killed_while_the_node_is_renewed() -> None:
    engine = Engine()
    lost, kept = Watchdog(engine.kill, 0.02), Watchdog(engine.kill, 0.02)
    lost.watch(FAILS, 1)
    kept.watch(ENDS, 1)
    kept.renewed(time.monotonic() + 3600)
    async with running(kept), running(lost):
        await wait_until(lambda: engine.told[FAILS] > 5, "some turns of the other")
        assert engine.told[ENDS] == 0
        kept.renewed(time.monotonic() - 1)
        await wait_until(lambda: engine.told[ENDS] > 0, "it to be killed after all")
