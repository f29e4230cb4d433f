"""A job starts beside its inputs: agents tell what they hold, and the scheduler goes by it."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from headrace_adapters.backends.process import ProcessBackend
from headrace_adapters.redis.events import Events
from headrace_adapters.redis.quotas import QuotaStore
from headrace_model.dataset import Dataset
from headrace_model.ids import DatasetId
from headrace_model.job import Job, Need
from headrace_model.move import move_of
from headrace_model.status import Event, Role, Status
from headrace_model.work import FactKind
from headrace_scheduler.core.plan import plan
from headrace_scheduler.limits_file import LimitsFile
from headrace_scheduler.queue import Queue, nodes_of
from headrace_scheduler.service import Scheduler
from headrace_scheduler.settings import Settings
from headrace_service.leader import Leader
from tests.support.agent_bench import WAIT_S, AgentBench, open_bench
from tests.support.redis_server import RedisServer
from tests.support.script_scenes import N1, N2, fulfilled_by, new_dataset, sealed
from tests.support.wait import running, wait_until

RAIN = DatasetId("d-rain")  # what the stand-in calls the dataset of the requirement `rain`


@pytest.fixture
async def bench(redis_server: RedisServer, state_dir: Path) -> AsyncIterator[AgentBench]:
    bench = await open_bench(state_dir, redis_server.url)
    try:
        yield bench
    finally:
        await bench.close()
        nest = ProcessBackend(state_dir / "two" / "nest")
        await nest.open()
        await nest.shut_down()


async def sealed_rain(bench: AgentBench) -> Dataset:
    await bench.datasets.create(replace(new_dataset(), id=RAIN), new_version=False, newest="")
    entry = await bench.datasets.get(RAIN)
    await bench.datasets.seal(entry, sealed(entry.dataset))
    return entry.dataset


async def wanting(bench: AgentBench, rain: Dataset) -> Job:
    """A job whose input is found, and which waits for its allocation."""
    job = await bench.submit("true", needs={Need.DATA_CHECK, Need.STAGING})
    move = move_of(job, Event.NEEDS_ALLOCATION, Role.DATA)
    return await bench.apply(replace(move, fulfilments=fulfilled_by(rain)))


def scheduler_of(bench: AgentBench) -> Scheduler:
    settings = Settings(Path("/nowhere"), "", Path("/nowhere"), sweep_s=600.0)
    leader = Leader(bench.leases, Role.SCHEDULER, 6.0, bench.redis.open)
    return Scheduler(
        bench.jobs,
        bench.nodes,
        bench.maintenance,
        LimitsFile(None),
        bench.resources,
        QuotaStore(bench.redis),
        Events(bench.redis),
        leader,
        settings,
    )


async def placed(bench: AgentBench, job: Job) -> list[str]:
    async def there() -> bool:
        return (await bench.jobs.get(job.id)).status is Status.AWAITING_DATA

    await wait_until(there, "the job to be placed", within_s=WAIT_S)
    allocation = (await bench.jobs.get(job.id)).allocation
    assert allocation is not None
    return [share.node for share in allocation.shares]


async def test_the_second_job_starts_where_the_first_ones_inputs_are(
    bench: AgentBench, state_dir: Path
) -> None:
    bench.data.staged = {"rain": {"a.txt": b"wet\n" * 1000}}
    rain = await sealed_rain(bench)
    # One CPU and GiB more than the other has: as much as the first job, which stays, takes of it.
    later = bench.start(node=N2, state_dir=state_dir / "two", cpus=5.0, memory_bytes=5 * 2**30)
    await wait_until(lambda: later.said("serves node"), "the agent", within_s=WAIT_S)
    await bench.leases.release(Role.SCHEDULER, "me")
    async with running(scheduler_of(bench).run()):
        first = await wanting(bench, rain)
        assert await placed(bench, first) == [N2]

        async def told() -> bool:
            facts = await bench.jobs.facts(first.id, 1, [N2])
            holders = await bench.nodes.holders([N1, N2], [RAIN])
            return (N2, FactKind.STAGED) in facts and holders == {RAIN: {N2: 4000}}

        await wait_until(told, "what it staged to be told", within_s=WAIT_S)
        await bench.agent()
        free = {node.id: node.free for node in await bench.nodes.all()}
        assert free[N1] == free[N2]
        second = await wanting(bench, rain)
        assert await placed(bench, second) == [N2]
    third = await wanting(bench, rain)
    queue = Queue(bench.jobs)
    await queue.begin()
    await queue.read_on()
    nodes = [replace(node, free=free[N1]) for node in nodes_of(await bench.nodes.all())]
    (made,) = plan(queue.snapshot(tuple(nodes), 0), 0).placements
    assert (made.job, made.allocation.shares[0].node) == (third.id, N1), "it would be the first"
