"""Redis without memory, or without a disk: nothing is half written, and work still finishes."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from headrace_adapters.redis.connection import Redis
from headrace_model.cause import Cause
from headrace_model.errors import Unavailable
from headrace_model.ids import JobId
from headrace_model.job import Job, Need
from headrace_model.move import move_of
from headrace_model.resources import Allocation, Share
from headrace_model.status import Event, Role, Status
from headrace_model.work import Fact, FactKind, Verb, Work
from tests.support.redis_keys import Keys
from tests.support.redis_server import RedisServer, find_redis_server
from tests.support.script_scenes import (
    N1,
    N2,
    NODE_SIZE,
    PLAIN,
    SMALL,
    Stage,
    fulfilled_by,
    launch,
    new_dataset,
    new_job,
    sealed,
)
from tests.support.small_disk import fill_disk, small_file_system

PATIENCE_S = 5.0


@pytest.fixture
def keys(redis_server: RedisServer) -> Iterator[Keys]:
    keys = Keys(redis_server.url)
    yield keys
    keys.close()


@pytest.fixture
async def stage(redis_server: RedisServer) -> AsyncIterator[Stage]:
    redis = Redis(redis_server.url, patience_s=PATIENCE_S)
    await redis.open()
    stage = Stage(redis)
    await stage.ready()
    yield stage
    await redis.close()


def fill(keys: Keys) -> None:
    """From now on Redis is over its limit of memory."""
    keys.client.config_set("maxmemory-policy", "noeviction")
    keys.client.config_set("maxmemory", 1)


def make_room(keys: Keys) -> None:
    keys.client.config_set("maxmemory", 0)


async def stopping(stage: Stage, number: int) -> Job:
    plain = Allocation(tuple(Share(node, PLAIN.resources) for node in (N1, N2)))
    job = await stage.apply(launch(await stage.make(new_job(number)), plain))
    return await stage.apply(
        move_of(job, Event.FAILED, Role.MONITOR, cause=Cause.NOT_STARTED, detail="why")
    )


async def test_without_memory_nothing_new_is_taken_and_nothing_half_written(
    stage: Stage, keys: Keys
) -> None:
    waiting = await stage.make(new_job(1))
    checked = await stage.make(new_job(2, Need.DATA_CHECK))
    there = await stage.sealed_dataset(1)
    fill(keys)
    before = keys.all()
    with pytest.raises(Unavailable, match="memory"):
        await stage.make(new_job(3))
    with pytest.raises(Unavailable, match="memory"):
        await stage.apply(launch(waiting, Allocation((Share(N1, SMALL),))))
    with pytest.raises(Unavailable, match="memory"):
        await stage.datasets.create(new_dataset(9), new_version=False, newest="")
    assert keys.all() == before
    make_room(keys)
    await stage.apply(
        replace(
            move_of(checked, Event.NEEDS_ALLOCATION, Role.DATA), fulfilments=fulfilled_by(there)
        )
    )
    await stage.make(new_job(3))
    job = await stage.apply(launch(waiting, Allocation((Share(N1, SMALL),))))
    assert job.status is Status.SCHEDULED


async def test_without_memory_running_jobs_still_finish(stage: Stage, keys: Keys) -> None:
    running = await stage.running(1)
    collecting = await stage.running(2, Need.COLLECTION)
    failed = await stopping(stage, 3)
    fill(keys)

    facts = [Fact(N1, running.id, 1, FactKind.EXITED)]
    assert await stage.jobs.report(N1, f"run of {N1}", facts) == 1
    complete = replace(
        move_of(running, Event.COMPLETED, Role.MONITOR),
        returns=(N1, N2),
        work=(Work(N1, running.id, 1, Verb.CLEAN),),
        consumes=((N1, FactKind.EXITED),),
    )
    assert (await stage.apply(complete)).status is Status.COMPLETED

    collect = move_of(collecting, Event.NEEDS_COLLECTION, Role.MONITOR)
    collecting = await stage.apply(replace(collect, returns=(N1, N2)))
    seal = replace(move_of(collecting, Event.COMPLETED, Role.DATA), seals=(sealed(new_dataset()),))
    assert (await stage.apply(seal)).status is Status.COMPLETED

    returned = move_of(failed, Event.SHARE_RETURNED, Role.MONITOR, cause=failed.cause)
    failed = await stage.apply(replace(returned, returns=(N1,)))
    end = move_of(failed, Event.END_FAILED, Role.MONITOR, cause=failed.cause)
    assert (await stage.apply(replace(end, returns=(N2,)))).status is Status.FAILED

    record = (await stage.jobs.work(N1))[f"{running.id}.1"]
    assert await stage.jobs.finish_work(N1, f"run of {N1}", record)
    make_room(keys)
    assert await stage.nodes.ledger_errors() == []
    assert {n.free for n in await stage.nodes.all()} == {NODE_SIZE}


async def test_without_memory_old_jobs_are_archived_and_make_room(
    stage: Stage, keys: Keys
) -> None:
    job = await stage.make(new_job(1))
    await stage.apply(move_of(job, Event.CANCEL, Role.REQUEST, cause=Cause.CANCELED))
    fill(keys)
    records = await stage.packs.records([job.id])
    assert await stage.packs.remove("pack", records, 1) == 1
    assert await stage.packs.held([job.id]) == set()
    await stage.packs.forget("pack", 1)
    assert await stage.packs.names() == []


async def test_without_memory_leaders_and_nodes_stay_alive(stage: Stage, keys: Keys) -> None:
    fill(keys)
    assert (await stage.leases.acquire(Role.MONITOR, "me", 1_000)).held
    await stage.leases.release(Role.MONITOR, "me")
    assert (await stage.leases.acquire(Role.MONITOR, "other", 1_000)).term == 2
    before = (await stage.nodes.all())[0].counter
    await stage.nodes.renew(N1, f"run of {N1}")
    after = (await stage.nodes.all())[0].counter
    assert int(after) == int(before) + 1
    assert await stage.nodes.lose(N1, after, 2)
    backends = frozenset({"process"})
    await stage.nodes.register(N1, "next", NODE_SIZE, backends, has_state_lock=True)


@pytest.fixture
def small_disk(state_dir: Path) -> Iterator[Path]:
    """A file system of its own with a few megabytes."""
    folder = state_dir / "disk"
    folder.mkdir()
    with small_file_system(folder, 6) as reason:
        if reason:
            pytest.skip(reason)
        yield folder


@pytest.fixture
def small_redis(small_disk: Path) -> Iterator[RedisServer]:
    """A Redis on the small disk."""
    binary = find_redis_server()
    assert binary is not None
    server = RedisServer(binary, small_disk)
    try:
        server.start()
        yield server
    finally:
        server.stop()


async def test_on_a_full_disk_no_accepted_job_is_lost_and_no_lost_job_was_accepted(
    small_redis: RedisServer, small_disk: Path
) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(2 << 20))
    redis = Redis(small_redis.url, patience_s=PATIENCE_S)
    await redis.open()
    stage = Stage(redis)
    await stage.ready()
    first = await stage.launched(1)
    rest = fill_disk(small_disk)
    accepted: list[JobId] = [first.id]
    refused: list[JobId] = []
    frozen: list[asyncio.Task[object]] = []
    for number in range(2, 40):
        new = replace(new_job(number), spec="{" + "x" * 20_000)
        call = asyncio.create_task(stage.jobs.create(new, Event.NEEDS_ALLOCATION))
        done, _ = await asyncio.wait([call], timeout=1.0)
        if not done:
            frozen.append(call)  # Redis is away: the call is repeated until it is back
            break
        if call.exception() is None:
            accepted.append(new.id)
        else:
            assert isinstance(call.exception(), Unavailable)
            refused.append(new.id)
    assert frozen or refused, "the disk was never full"

    small_redis.kill9()
    ballast.unlink()
    rest.unlink()
    small_redis.start()
    for call in frozen:
        made = await call
        assert isinstance(made, tuple)
        accepted.append(made[0])
    found = {job.id for job in await stage.jobs.get_many([*accepted, *refused])}
    assert set(accepted) <= found
    assert found.isdisjoint(refused)
    waiting = set(await stage.jobs.queue())
    assert waiting == set(accepted) - {first.id}
    assert (await stage.jobs.get(first.id)).status is Status.SCHEDULED
    assert await stage.nodes.ledger_errors() == []
    assert (await stage.make(new_job(99))).status is Status.AWAITING_ALLOCATION
    await redis.close()
