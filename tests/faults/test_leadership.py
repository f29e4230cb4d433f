"""Two replicas of a role: one acts, by a lease with a term; a late leader is refused."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from headrace_client.api import AsyncClient
from headrace_model.errors import Fenced
from headrace_model.status import Status
from tests.support.fault_jobs import FaultJobs
from tests.support.stack import Stack
from tests.support.wait import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROLES = {"scheduler": "transition.ALLOCATED", "monitor": "transition.STARTED"}
"""Each role with a write that only its leader does."""

_WITHIN_S = 90.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(run_root: Path) -> AsyncIterator[FaultJobs]:
    """A stack in which the dead stay dead."""
    folder = run_root / "leaders"
    folder.mkdir()
    async with Stack(folder / "home", points=True) as stack:
        found = FaultJobs(stack, folder / "gates")
        await found.prepare()
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def jobs(shared: FaultJobs) -> FaultJobs:
    """The stack with every process running."""
    await shared.stack.start()
    return shared


async def _term(jobs: FaultJobs, role: str) -> int:
    async with jobs.stack.redis() as redis:
        return int(await redis.command("HGET", f"hr:lease:{role}", "term") or 0)


async def _holder(jobs: FaultJobs, role: str) -> str | None:
    async with jobs.stack.redis() as redis:
        found = await redis.command("HGET", f"hr:lease:{role}", "holder")
    return found or None


async def _leader(jobs: FaultJobs, role: str) -> str:
    found = await wait_until(lambda: jobs.stack.leader(role), f"a leading {role}")
    assert found
    return found


async def _another_leads(jobs: FaultJobs, role: str, than: str) -> str:
    def another() -> str | None:
        found = jobs.stack.leader(role)
        return found if found != than else None

    found = await wait_until(another, f"another {role} than {than} to lead", within_s=_WITHIN_S)
    assert found
    return found


async def _completes(jobs: FaultJobs, client: AsyncClient, job: str) -> None:
    await jobs.completed(client, job)
    await jobs.check(client, job, stopped=False, most_lost=0)
    await jobs.no_leaks()


def _actions(jobs: FaultJobs, name: str) -> list[str]:
    lines = jobs.stack.log(name).splitlines()
    return [str(json.loads(line).get("action")) for line in lines if line.startswith("{")]


@pytest.mark.parametrize("role", ROLES)
async def test_when_the_leader_is_killed_the_other_replica_leads_with_a_higher_term(
    jobs: FaultJobs, role: str
) -> None:
    first, term = await _leader(jobs, role), await _term(jobs, role)
    jobs.stack.kill9(first)
    async with jobs.client() as client:
        job = await jobs.submit(client, jobs.new_gate(is_open=True))
        await _completes(jobs, client, job)
    second = await _another_leads(jobs, role, first)
    assert not jobs.stack.alive(first)
    assert "transition" in _actions(jobs, second)
    assert await _term(jobs, role) > term


@pytest.mark.parametrize("role", ROLES)
async def test_a_leader_that_ends_well_gives_its_lease_up(jobs: FaultJobs, role: str) -> None:
    first, term = await _leader(jobs, role), await _term(jobs, role)
    holder = await _holder(jobs, role)
    assert holder
    await jobs.stack.end(first)
    assert await _holder(jobs, role) != holder
    await _another_leads(jobs, role, first)
    assert await _term(jobs, role) > term


@pytest.mark.parametrize(("role", "write"), ROLES.items())
async def test_what_a_leader_decided_before_it_was_stopped_is_refused_afterwards(
    jobs: FaultJobs, role: str, write: str
) -> None:
    points, point = jobs.stack.points(role), f"{write}.before"
    first, term = await _leader(jobs, role), await _term(jobs, role)
    points.stop_at(point)
    async with jobs.client() as client:
        gate = jobs.new_gate()
        job = await jobs.submit(client, gate)
        await wait_until(lambda: points.reached(point), f"{first} to be about to {write}")
        # Its lease is over: the other replica leads, and does the same in its place.
        second = await _another_leads(jobs, role, first)
        await wait_until(
            lambda: _is_past(client, job), f"{second} to move the job on", within_s=_WITHIN_S
        )
        before = await jobs.history(job)
        jobs.stack.resume(first)
        await wait_until(
            lambda: f"{write} {Fenced.code}" in points.refusals(),
            f"{first} to be refused",
            within_s=_WITHIN_S,
        )
        assert await jobs.history(job) == before
        async with jobs.stack.redis() as redis:
            held = await redis.command("HGETALL", "hr:held:local")
        assert list(held) == [f"{job}.1"]
        gate.touch()
        await _completes(jobs, client, job)
    assert await _term(jobs, role) > term


async def _is_past(client: AsyncClient, job: str) -> bool:
    """Tell whether the job's worker runs, which all leaders have then done their part for."""
    return (await client.job(job)).status is Status.RUNNING
