"""What is archived and when, what stays in Redis, and what becomes of old packs."""

import math
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from headrace_adapters.files.store import DirectoryStore
from headrace_adapters.redis.connection import Redis
from headrace_data.archivist import Archivist, retention
from headrace_data.core.keys import log_key, pack_key
from headrace_model.cause import Cause
from headrace_model.errors import Fenced, InvalidInput, Unavailable
from headrace_model.ids import job_id
from headrace_model.job import Job, Need
from headrace_model.listing import Place
from headrace_model.move import move_of
from headrace_model.people import Share
from headrace_model.status import Desired, Event, Role, Status
from headrace_model.work import Verb, Work
from headrace_wire.packs import Record, read_pack
from tests.support.redis_server import RedisServer
from tests.support.script_scenes import N1, N2, TWO_NODES, Stage, derivation, launch, new_job
from tests.support.wait import wait_until

DAY_MS = 24 * 3_600_000


@pytest.fixture
async def stage(redis_server: RedisServer) -> AsyncIterator[Stage]:
    redis = Redis(redis_server.url)
    await redis.open()
    stage = Stage(redis)
    await stage.ready()
    yield stage
    await redis.close()


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "store")


def _archivist(
    stage: Stage, store: DirectoryStore, retention_ms: int = 1, archive_retention_ms: int = 0
) -> Archivist:
    return Archivist(stage.jobs, stage.packs, store, retention_ms, archive_retention_ms)


async def _canceled(stage: Stage, number: int, *needs: Need) -> Job:
    job = await stage.make(new_job(number, *needs))
    return await stage.apply(
        replace(
            move_of(job, Event.CANCEL, Role.REQUEST, cause=Cause.CANCELED),
            desired=Desired.CANCEL,
        )
    )


async def _failed(stage: Stage, number: int, *, cleaned: bool) -> Job:
    job = await stage.make(new_job(number))
    job = await stage.apply(launch(job, TWO_NODES))
    failed = move_of(job, Event.FAILED, Role.MONITOR, cause=Cause.EXIT_CODE)
    job = await stage.apply(replace(failed, exit_code=3))
    clean = tuple(Work(node, job.id, 1, Verb.CLEAN) for node in (N1, N2))
    return await stage.apply(
        replace(
            move_of(job, Event.END_FAILED, Role.MONITOR, cause=Cause.EXIT_CODE),
            exit_code=3,
            returns=(N1, N2),
            work=() if cleaned else clean,
            forgets=(N1, N2) if cleaned else (),
        )
    )


async def _later(stage: Stage) -> None:
    """Wait until what is over is past the shortest retention, by the clock of Redis."""
    now_ms = await stage.jobs.now_ms()

    async def passed() -> bool:
        return await stage.jobs.now_ms() > now_ms + 5

    await wait_until(passed, "a moment to pass")


async def _records(stage: Stage, store: DirectoryStore) -> dict[str, Record]:
    found = {}
    for name in await stage.packs.names():
        for record in read_pack(await store.get_bytes(pack_key(name), 2**20)):
            assert record.id not in found
            found[record.id] = record
    return found


async def test_the_key_of_a_derivation_goes_with_the_child_that_it_names(stage: Stage) -> None:
    async def parent_of_one(number: int) -> Job:
        """A job that waits for a derivation child of content `c`."""
        parent = await stage.make(new_job(number, Need.DATA_CHECK))
        derive = move_of(parent, Event.NEEDS_DERIVATION, Role.DATA)
        return await stage.apply(replace(derive, children=(derivation("c", number + 10, parent),)))

    async def cancel(parent: Job) -> Job:
        """Cancel a job, and so its child, which nobody else waits for; give the child."""
        change = move_of(parent, Event.CANCEL, Role.REQUEST, cause=Cause.CANCELED)
        await stage.apply(replace(change, desired=Desired.CANCEL))
        return await stage.jobs.get(parent.children[0])

    first = await cancel(await parent_of_one(1))
    parent = await parent_of_one(2)
    second = await stage.jobs.get(parent.children[0])
    assert (first.status.final, second.status.final) == (True, False)
    await stage.packs.remove("one", await stage.packs.records([first.id]), 1)
    assert await stage.redis.command("EXISTS", f"hr:job:{first.id}") == 0
    assert await stage.redis.command("GET", "hr:derivation:c") == second.id
    second = await cancel(parent)
    await stage.packs.remove("two", await stage.packs.records([second.id]), 1)
    assert await stage.redis.command("EXISTS", f"hr:job:{second.id}", "hr:derivation:c") == 0


async def test_a_pack_holds_all_that_redis_had_and_redis_then_nothing(
    stage: Stage, store: DirectoryStore
) -> None:
    job = await _failed(stage, 1, cleaned=True)
    fields = await stage.fields(job.id)
    history = await stage.jobs.history(job.id)
    await _later(stage)
    await _archivist(stage, store).sweep(1)
    record = (await _records(stage, store))[job.id]
    assert (record.fields, list(record.history), record.job) == (fields, history, job)
    assert record.allocation(1) == TWO_NODES
    keys = await stage.redis.command("KEYS", f"*{job.id}*")
    assert (keys, await stage.jobs.in_status(job.status)) == ([], [])


async def test_what_somebody_needs_stays_and_goes_later(
    stage: Stage, store: DirectoryStore
) -> None:
    over = await _canceled(stage, 1)
    waiting = await stage.make(new_job(2))
    stopped = await stage.make(new_job(3))
    stop = move_of(stopped, Event.STOP, Role.REQUEST, cause=Cause.STOPPED)
    await stage.apply(replace(stop, desired=Desired.STOP))
    with_work = await _failed(stage, 4, cleaned=False)
    awaited = await _canceled(stage, 5)
    dependent = await stage.make(new_job(6, Need.PREREQUISITES, after=(awaited.id,)))
    array = await _canceled(stage, 7)
    await stage.redis.command("HSET", f"hr:array:{array.id}", "total", "3")
    untidy = await _canceled(stage, 8)
    await stage.redis.command("ZADD", "hr:untidy", 1, untidy.id)
    await _later(stage)
    archivist = _archivist(stage, store)
    await archivist.sweep(1)
    assert (await _records(stage, store)).keys() == {over.id}
    stay = [waiting, stopped, with_work, awaited, dependent, array, untidy]
    ids = [job.id for job in stay]
    assert await stage.packs.held(ids) == set(ids)

    for node in (N1, N2):
        for record in (await stage.jobs.work(node)).values():
            await stage.jobs.finish_work(node, f"run of {node}", record)
    await stage.apply(
        replace(
            move_of(dependent, Event.CANCEL, Role.REQUEST, cause=Cause.CANCELED),
            desired=Desired.CANCEL,
        )
    )
    await _later(stage)
    await archivist.sweep(1)
    found = (await _records(stage, store)).keys()
    assert found == {over.id, with_work.id, awaited.id, dependent.id}


async def test_a_job_that_becomes_needed_after_it_was_packed_stays_in_redis(
    stage: Stage, store: DirectoryStore
) -> None:
    job, other = await _canceled(stage, 1), await _canceled(stage, 2)
    records = await stage.packs.records([job.id, other.id])
    await stage.make(new_job(3, Need.PREREQUISITES, after=(job.id,)))
    changed = replace(records[1], fields={**records[1].fields, "version": "77"})
    assert await stage.packs.remove("p", [records[0], changed], 1) == 0
    assert await stage.packs.held([job.id, other.id]) == {job.id, other.id}


@pytest.mark.parametrize("late", [(), (Share("user:eve"),)])
async def test_shares_that_changed_after_a_job_was_packed_are_as_they_are_now(
    stage: Stage, store: DirectoryStore, late: tuple[Share, ...]
) -> None:
    job = await _canceled(stage, 1)
    early = () if late else (Share("user:bob"),)
    await stage.jobs.share(job, early, "ann")
    await _later(stage)
    with pytest.raises(Fenced):  # the pack is in the store, its leader is not any more
        await _archivist(stage, store).sweep(77)
    await stage.jobs.share(await stage.jobs.get(job.id), late, "ann")
    await _later(stage)
    await _archivist(stage, store).sweep(1)

    assert await stage.packs.held([job.id]) == set()
    first, newest = sorted(await stage.packs.names())  # a reader takes the job from the newest
    packs = [read_pack(await store.get_bytes(pack_key(name), 2**20)) for name in (first, newest)]
    assert [[record.job.shared for record in pack] for pack in packs] == [[early], [late]]


async def test_young_jobs_wait_and_few_old_ones_wait_for_company(
    stage: Stage, store: DirectoryStore
) -> None:
    await _canceled(stage, 1)
    await _archivist(stage, store, DAY_MS).sweep(1)
    assert await stage.packs.names() == []
    # Its retention is over, but not by a tenth of it.
    aged = await _canceled(stage, 2)
    for days, packs in ((1.05, 0), (1.15, 1)):
        at = await stage.jobs.now_ms() - int(days * DAY_MS)
        await stage.redis.command("HSET", f"hr:job:{aged.id}", "entered_ms", at)
        await stage.redis.command("ZADD", f"hr:status:{aged.status}", at, aged.id)
        await _archivist(stage, store, DAY_MS).sweep(1)
        assert len(await stage.packs.names()) == packs
    assert (await _records(stage, store)).keys() == {aged.id}


async def test_many_jobs_go_in_several_packs_past_those_that_stay(
    stage: Stage, store: DirectoryStore
) -> None:
    jobs = [await _canceled(stage, number) for number in range(1, 31)]
    kept = {job.id for job in jobs[:12]}
    for job in kept:
        await stage.redis.command("SADD", f"hr:dependents:{job}", "x")
    await _later(stage)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("headrace_data.archivist._JOBS", 7)
        patch.setattr("headrace_data.archivist._READ", 5)
        await _archivist(stage, store).sweep(1)
    assert (await _records(stage, store)).keys() == {job.id for job in jobs} - kept
    # Jobs that ended in one millisecond come by their ids, so those that stay are anywhere.
    assert len(await stage.packs.names()) in (2, 3)


async def test_jobs_that_ended_in_one_millisecond_are_all_due(stage: Stage) -> None:
    jobs = [job_id(1_700_000_000_000, number) for number in range(40)]
    for number, job in enumerate(jobs):
        status = (Status.FAILED, Status.COMPLETED)[number % 3 == 0]
        at_ms = 7 if number < 30 else number
        await stage.redis.command("ZADD", f"hr:status:{status}", at_ms, job)
    found: list[Place] = []
    while some := await stage.packs.due(38, found[-1] if found else None, 4):
        found += some
    assert [place.job for place in found] == jobs[:39]


async def test_a_late_leader_archives_nothing(stage: Stage, store: DirectoryStore) -> None:
    job = await _canceled(stage, 1)
    await _later(stage)
    with pytest.raises(Fenced):
        await _archivist(stage, store).sweep(77)
    assert await stage.packs.held([job.id]) == {job.id}
    # Its pack is in the store, and the leader goes on with it.
    await _archivist(stage, store).sweep(1)
    assert (await _records(stage, store)).keys() == {job.id}
    assert len(await store.keys("archive")) == 1


async def test_nothing_leaves_redis_while_the_store_is_away(
    stage: Stage, store: DirectoryStore
) -> None:
    job = await _canceled(stage, 1)
    await _later(stage)

    async def refuses(_key: str, _data: bytes) -> None:
        raise Unavailable("the disk is full")

    archivist = _archivist(stage, store)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "put_bytes", refuses)
        with pytest.raises(Unavailable):
            await archivist.sweep(1)
    assert await stage.packs.held([job.id]) == {job.id}
    await archivist.sweep(1)
    assert await stage.packs.held([job.id]) == set()


async def test_a_pack_that_nobody_can_read_is_left_out(
    stage: Stage, store: DirectoryStore
) -> None:
    job = await _canceled(stage, 1)
    await store.put_bytes(pack_key("broken"), b"nonsense")
    await _later(stage)
    await _archivist(stage, store).sweep(1)
    assert await stage.packs.held([job.id]) == set()
    assert "broken" not in await stage.packs.names()
    assert await store.stat(pack_key("broken"))


async def test_old_packs_go_with_the_logs_of_their_jobs(
    stage: Stage, store: DirectoryStore
) -> None:
    old, young = await _canceled(stage, 1), await _canceled(stage, 2)
    for job in (old, young):
        await store.put_bytes(log_key(job.id, 1, "0.out"), b"said")
    await _later(stage)
    await _archivist(stage, store).sweep(1)
    (name,) = await stage.packs.names()
    await _archivist(stage, store, archive_retention_ms=DAY_MS).sweep(1)
    assert await stage.packs.names() == [name]

    # As after a restore, Redis holds one of them again.
    await _canceled(stage, 2)
    await stage.redis.command("ZADD", "hr:packs", 1, name)
    keeps = replace(_archivist(stage, store, 0, DAY_MS), _settled=True)
    await keeps.sweep(1)
    assert (await stage.packs.names(), await store.keys("archive")) == ([], [])
    assert await store.keys("logs") == [log_key(young.id, 1, "0.out")]
    await keeps.sweep(1)

    # A kill between the pack and its name: the name goes with the next sweep.
    await stage.redis.command("ZADD", "hr:packs", 1, name)
    await keeps.sweep(1)
    assert await stage.packs.names() == []


def test_a_retention_is_a_number_of_days_or_for_ever() -> None:
    assert [retention(days, "x") for days in (0, 1e-9, 0.5, 30.0)] == [
        0,
        1,
        DAY_MS // 2,
        30 * DAY_MS,
    ]
    for days in (-1.0, math.nan, math.inf, 1e9):
        with pytest.raises(InvalidInput, match="retention_days"):
            retention(days, "retention_days")
