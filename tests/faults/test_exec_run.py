"""`headrace exec run -- echo hi` through the real command line, with everything killed beneath."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from headrace_model.status import Status
from tests.support.fault_jobs import FaultJobs
from tests.support.faults import VICTIMS, Kill
from tests.support.stack import Stack
from tests.support.status_watch import StatusWatch
from tests.support.wait import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")

HELD_AT = {
    Status.AWAITING_ALLOCATION: ("scheduler", "transition.LAUNCHED.before"),
    Status.SCHEDULED: ("monitor", "transition.STARTED.before"),
    Status.RUNNING: ("agent", "report_fact.exited.before"),
}
"""Each status of a job without data, and the write before which it rests there."""

_CLI = "from headrace_client.cli import main; main()"
_WITHIN_S = 90.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def jobs(run_root: Path) -> AsyncIterator[FaultJobs]:
    """A stack whose services stop where they are told to."""
    home = run_root / "exec" / "home"
    home.parent.mkdir()
    async with Stack(home, keep_alive=True, points=True) as stack:
        yield FaultJobs(stack, run_root)


async def _exec_run(stack: Stack) -> asyncio.subprocess.Process:
    environ = {**os.environ, "HEADRACE_HOME": str(stack.home.root)}
    words = ("exec", "run", "--cpus", "100m", "--memory", "32MiB", "-f", "--", "echo", "hi")
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", _CLI, *words,
        env=environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


@pytest.mark.parametrize("status", HELD_AT)
@pytest.mark.parametrize("victim", [each for each in VICTIMS if each != "nest"])
async def test_echo_hi_reaches_completed(jobs: FaultJobs, victim: str, status: Status) -> None:
    stack = jobs.stack
    service, point = HELD_AT[status]
    stack.points(service).hold_at(point)
    async with StatusWatch(stack) as watch:
        command = await _exec_run(stack)
        try:
            job = await watch.any_until(status)
            await wait_until(lambda: stack.points(service).reached(point), f"{service} to hold")
            Kill(victim).strike(stack)
            stack.points(service).let_go(point)
            said, noted = await asyncio.wait_for(command.communicate(), _WITHIN_S)
        finally:
            stack.points(service).let_go(point)
            if command.returncode is None:
                command.kill()
                await command.wait()
    assert command.returncode == 0, noted.decode()
    assert said == b"hi\n"
    ends = [entry.to for entry in await jobs.history(job) if entry.to.closed]
    assert ends == [Status.COMPLETED]
    await jobs.no_leaks()
