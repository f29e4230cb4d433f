"""Leaders of both roles are killed while thousands of jobs wait: another replica goes on, and
nothing is done twice."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from headrace_adapters.redis.connection import Redis
from headrace_adapters.redis.jobs import JobStore
from headrace_adapters.redis.nodes import NodeStore
from headrace_adapters.redis.quotas import QuotaStore
from headrace_model.ids import JobId
from headrace_model.resources import Resources
from headrace_model.share import last_days
from headrace_model.status import Event, Role, Status
from tests.benchmarks.jobs import new_jobs
from tests.support.redis_server import RedisServer
from tests.support.replicas import Replica, SimulatedNodes, leader
from tests.support.wait import wait_until

JOBS = 3_000
NODES, SIZE = 20, Resources(4_000, 2**40)
AT_ONCE = 500
WITHIN_S = 300.0


class Ground:
    """A real Redis, two replicas of each role, simulated nodes, and jobs of three owners."""

    def __init__(self, redis: Redis, url: str, folder: Path) -> None:
        self.jobs, self.nodes, self.quotas = JobStore(redis), NodeStore(redis), QuotaStore(redis)
        self.agents = SimulatedNodes(redis, NODES, SIZE)
        self.replicas = {
            role: [Replica(role, number, url, folder) for number in (1, 2)]
            for role in (Role.SCHEDULER, Role.MONITOR)
        }
        self.ids: list[JobId] = []

    async def submit(self, number: int) -> None:
        owners = ("ann", "bob", "cyd")
        for first in range(0, number, AT_ONCE):
            some = new_jobs(min(AT_ONCE, number - first))
            made = [
                (replace(each.new, owner=owners[place % 3], priority=place % 76), each.first)
                for place, each in enumerate(some)
            ]
            await asyncio.gather(*(self.jobs.create(new, event) for new, event in made))
            self.ids += [new.id for new, _ in made]

    async def ended(self) -> int:
        return (await self.jobs.counts())[Status.COMPLETED]

    async def until(self, number: int) -> None:
        async def there() -> bool:
            return await self.ended() >= number

        await wait_until(there, f"{number} jobs to have ended", within_s=WITHIN_S)

    async def leader(self, role: Role) -> Replica:
        found = await wait_until(lambda: leader(self.replicas[role]), f"a leading {role}")
        assert found is not None
        return found


@pytest.fixture
async def ground(redis_server: RedisServer, run_root: Path) -> AsyncIterator[Ground]:
    folder = run_root / "takeover"
    folder.mkdir()
    redis = Redis(redis_server.url, patience_s=30.0)
    await redis.open()
    ground = Ground(redis, redis_server.url, folder)
    await ground.agents.join()
    serving = asyncio.create_task(ground.agents.run())
    try:
        yield ground
    finally:
        for each in (one for both in ground.replicas.values() for one in both):
            each.kill9()
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving
        await redis.close()


async def test_leaders_killed_while_thousands_wait_cost_no_job_and_do_none_twice(
    ground: Ground,
) -> None:
    await ground.submit(JOBS)
    for both in ground.replicas.values():
        for each in both:
            each.start()
    killed: Counter[str] = Counter()
    for number, role in enumerate((Role.SCHEDULER, Role.MONITOR), start=1):
        await ground.until(number * JOBS // 8)
        first = await ground.leader(role)
        before = await ground.ended()
        first.kill9()
        killed[first.name] += 1
        assert before < JOBS, "the others were to wait meanwhile"

        def another(role: Role = role, first: Replica = first) -> bool:
            found = leader(ground.replicas[role])
            return found is not None and found is not first and found.term > first.term

        await wait_until(another, f"another {role} to lead", within_s=WITHIN_S)
    await ground.until(JOBS)
    assert len(killed) == 2
    await _nothing_twice(ground)


async def _nothing_twice(ground: Ground) -> None:
    # Each attempt was launched once, on one node, and each edge of each job was taken once.
    launched = ground.agents.launched
    assert {run: times for run, times in launched.items() if times > 1} == {}
    assert launched.keys() == {f"{job}.1" for job in ground.ids}
    histories = [await ground.jobs.history(job) for job in ground.ids]
    for lines in histories:
        events = [json.loads(line)["event"] for line in lines]
        assert events == [
            "SUBMIT", Event.NEEDS_ALLOCATION, Event.LAUNCHED, Event.STARTED, Event.COMPLETED,
        ]  # fmt: skip
    # Each share came back once, and counts once for its owner.
    assert await ground.nodes.ledger_errors() == []
    assert [node.held for node in await ground.nodes.all() if node.held] == []
    expected: Counter[str] = Counter()
    for job in [await ground.jobs.get(each) for each in ground.ids]:
        assert job.taken_ms is not None
        expected[job.owner] += job.ask.resources.millicpus * (job.entered_ms - job.taken_ms)
    found: Counter[str] = Counter()
    for used in (await ground.quotas.used(last_days(await ground.jobs.now_ms(), 2))).values():
        found.update(used)
    assert found == expected
