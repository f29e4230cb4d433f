"""A write that was decided before the job moved on is refused, whoever sends it."""

import asyncio
from pathlib import Path

from headrace_model.errors import Stale
from headrace_model.status import Status
from tests.support.fault_jobs import FaultJobs
from tests.support.stack import Stack
from tests.support.wait import wait_until

STOP, CANCEL = "transition.DESIRE_STOP", "transition.CANCEL"


async def test_a_stop_that_comes_late_does_not_overwrite_a_cancel(state_dir: Path) -> None:
    async with Stack(state_dir / "home", points=True) as stack:
        jobs = FaultJobs(stack, state_dir / "gates")
        await jobs.prepare()
        request, monitor = stack.points("request"), stack.points("monitor")
        async with jobs.client() as client:
            job = await jobs.submit(client, jobs.new_gate())
            await client.until(job, lambda view: view.status is Status.RUNNING)
            request.hold_at(f"{STOP}.before")
            monitor.hold_at(f"{CANCEL}.before")
            late = asyncio.create_task(client.desire(job, "stop"))
            await wait_until(lambda: request.reached(f"{STOP}.before"), "the stop to be decided")
            # The status stays as it was until the monitor acts: only the version tells.
            await client.desire(job, "cancel")
            request.let_go(f"{STOP}.before")
            await asyncio.wait({late})
            late.exception()  # a cancelled job can't be stopped: an error or the job are right
            assert f"{STOP} {Stale.code}" in request.refusals()
            monitor.let_go(f"{CANCEL}.before")
            assert (await client.ended(job)).status is Status.CANCELED
        await jobs.no_leaks()
