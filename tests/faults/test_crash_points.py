"""A service that dies right before, or right after, each of its writes to Redis on a job's way.

Every write is a script. `before`: decided, and nothing sent. `after`: Redis has done it, and
nobody has heard the answer. The service starts again, and must find what it was about.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from headrace_local import workers
from tests.support.fault_jobs import FaultJobs
from tests.support.stack import Stack
from tests.support.wait import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")

ON_THE_WAY = (
    ("request", "create_job"),
    ("data", "transition.NEEDS_ALLOCATION"),
    ("scheduler", "transition.ALLOCATED"),
    ("agent", "report_fact.staged"),
    ("data", "transition.STAGED"),
    ("scheduler", "transition.LAUNCHED"),
    ("agent", "report_fact.started"),
    ("monitor", "transition.STARTED"),
    ("agent", "report_fact.exited"),
    ("monitor", "transition.NEEDS_COLLECTION"),
    ("agent", "report_fact.collected"),
    ("data", "transition.COMPLETED"),
    ("data", "mark_dataset"),
    ("agent", "finish_work"),
)
OF_A_STOP = (
    ("request", "transition.DESIRE_STOP"),
    ("monitor", "transition.STOP"),
    ("agent", "report_fact.stopped"),
    ("monitor", "transition.END_STOPPED"),
)
# Not of the job, but while it is on its way: leases, and the counter of the node.
BESIDE_IT = (
    ("data", "acquire_lease"),
    ("scheduler", "acquire_lease"),
    ("monitor", "acquire_lease"),
    ("agent", "renew_node"),
)
_WITHIN_S = 90.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def jobs(run_root: Path) -> AsyncIterator[FaultJobs]:
    """A stack whose services stop where they are told to."""
    folder = run_root / "points"
    folder.mkdir()
    stack = Stack(folder / "home", keep_alive=True, points=True)
    async with stack:
        found = FaultJobs(stack, folder / "gates")
        await found.prepare()
        yield found


async def _died(jobs: FaultJobs, service: str, point: str) -> None:
    await wait_until(
        lambda: jobs.stack.points(service).reached(point),
        f"{service} to die at {point}",
        within_s=_WITHIN_S,
    )


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("service", "call"), ON_THE_WAY)
async def test_a_service_that_dies_at_its_write_has_the_job_completed_once(
    jobs: FaultJobs, service: str, call: str, when: str
) -> None:
    point = f"{call}.{when}"
    jobs.stack.points(service).crash_at(point)
    async with jobs.client() as client:
        job = await jobs.submit(client, jobs.new_gate(is_open=True))
        await jobs.completed(client, job)
        await _died(jobs, service, point)
        await jobs.check(client, job, stopped=False, most_lost=0)
    await jobs.no_leaks()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("service", "call"), OF_A_STOP)
async def test_a_service_that_dies_while_a_job_stops_has_it_stopped_and_restarted_once(
    jobs: FaultJobs, service: str, call: str, when: str
) -> None:
    point = f"{call}.{when}"
    async with jobs.client() as client:
        gate = jobs.new_gate()
        job = await jobs.submit(client, gate)
        await wait_until(lambda: job in _workers(jobs), f"a worker of {job}", within_s=_WITHIN_S)
        jobs.stack.points(service).crash_at(point)
        await client.desire(job, "stop")
        await _died(jobs, service, point)
        gate.touch()
        await jobs.completed(client, job)
        await jobs.check(client, job, stopped=True, most_lost=0)
    await jobs.no_leaks()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("service", "call"), BESIDE_IT)
async def test_a_service_that_dies_at_its_lease_has_the_running_job_completed_once(
    jobs: FaultJobs, service: str, call: str, when: str
) -> None:
    point = f"{call}.{when}"
    async with jobs.client() as client:
        gate = jobs.new_gate()
        job = await jobs.submit(client, gate)
        jobs.stack.points(service).crash_at(point)
        await _died(jobs, service, point)
        gate.touch()
        await jobs.completed(client, job)
        await jobs.check(client, job, stopped=False, most_lost=0)
    await jobs.no_leaks()


def _workers(jobs: FaultJobs) -> set[str]:
    return {name.partition(".")[0] for name in workers.living(jobs.stack.home)}
