"""The age of a job counts from when it could have started: over real scripts of Redis."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from headrace_model.ids import JobId
from headrace_model.job import Job
from headrace_model.move import Move, move_of
from headrace_model.priority import rank_of
from headrace_model.status import Event, Role, Status
from headrace_request.core.desire import DesireVerb, desire
from tests.support.ages import eligible_ms
from tests.support.redis_server import RedisServer
from tests.support.script_scenes import Recorder, Stage, new_job
from tests.support.wait import wait_until


@pytest.fixture
async def stage(redis_server: RedisServer) -> AsyncIterator[Stage]:
    redis = Recorder(redis_server.url)
    await redis.open()
    stage = Stage(redis)
    await stage.ready()
    yield stage
    await redis.close()


async def _wish(stage: Stage, job: JobId, verb: DesireVerb) -> Job:
    move = desire(await stage.jobs.get(job), verb)
    assert isinstance(move, Move)
    return await stage.apply(move)


async def _pass(stage: Stage, ms: int) -> None:
    begin = await stage.jobs.now_ms()

    async def over() -> bool:
        return await stage.jobs.now_ms() >= begin + ms

    await wait_until(over, "the clock of Redis to go on")


async def test_a_fleet_of_held_jobs_passes_nobody_once_released(stage: Stage) -> None:
    began = await stage.jobs.now_ms()
    fleet = [await stage.make(new_job(number)) for number in range(1, 4)]
    for job in fleet:
        await _wish(stage, job.id, DesireVerb.HOLD)
    counts_ms = await stage.jobs.now_ms() - began  # no more of it is the age of one of them
    await _pass(stage, 20)
    waited = await stage.make(new_job(9))
    await _pass(stage, counts_ms + 20)
    for job in fleet:
        released = await _wish(stage, job.id, DesireVerb.RELEASE)
        lines = [json.loads(line) for line in await stage.jobs.history(job.id)]
        assert released.rank == rank_of(eligible_ms(lines, 0), job.priority)
    first, *others = await stage.jobs.queue()
    assert first == waited.id
    assert set(others) == {job.id for job in fleet}


async def test_what_a_job_had_waited_before_it_was_held_counts_on(stage: Stage) -> None:
    first = await stage.make(new_job(1))
    await _pass(stage, 40)
    await _wish(stage, first.id, DesireVerb.HOLD)
    await _pass(stage, 3)
    second = await stage.make(new_job(2))
    await _wish(stage, first.id, DesireVerb.RELEASE)
    assert await stage.jobs.queue() == [first.id, second.id]


async def test_a_job_that_waits_for_others_is_as_old_as_its_place_in_the_queue(
    stage: Stage,
) -> None:
    other = await stage.make(new_job(1))
    new = new_job(2, after=(other.id,))
    await stage.jobs.create(new, Event.NEEDS_PREREQUISITES)
    await _pass(stage, 10)
    waited = await stage.make(new_job(3))
    await _pass(stage, 10)
    job = await stage.jobs.get(new.id)
    job = await stage.apply(move_of(job, Event.NEEDS_ALLOCATION, Role.SCHEDULER))
    assert job.rank == rank_of(job.entered_ms, job.priority)
    assert await stage.jobs.queue() == [other.id, waited.id, job.id]


async def test_a_job_that_is_not_due_is_as_old_as_the_time_since_it_was(stage: Stage) -> None:
    now_ms = await stage.jobs.now_ms()
    new = new_job(1)
    later = await stage.make(replace(new, ask=replace(new.ask, not_before_ms=now_ms + 60_000)))
    assert later.rank == rank_of(now_ms + 60_000, later.priority)
    # Once it is stopped and restarted it is to start at once.
    await _wish(stage, later.id, DesireVerb.STOP)
    job = await _wish(stage, later.id, DesireVerb.RESTART)
    assert job.status is Status.AWAITING_ALLOCATION
    assert job.rank == rank_of(job.entered_ms, job.priority)


async def test_names_that_look_like_a_time_are_no_time(stage: Stage) -> None:
    new = new_job(1)
    pool = '"not_before_ms":9000000000000'
    job = await stage.make(replace(new, ask=replace(new.ask, pool=pool)))
    assert job.rank == rank_of(job.created_ms, job.priority)


async def test_jobs_of_the_version_before_keep_their_places(stage: Stage) -> None:
    old, young = await stage.make(new_job(1)), await stage.make(new_job(2))
    await stage.redis.command("HDEL", f"hr:job:{old.id}", "eligible_ms")
    assert (await stage.jobs.get(old.id)).rank == rank_of(old.created_ms, old.priority)
    await _pass(stage, 5)
    await _wish(stage, old.id, DesireVerb.HOLD)
    await _pass(stage, 5)
    released = await _wish(stage, old.id, DesireVerb.RELEASE)
    assert released.rank > old.rank
    await stage.redis.command("DEL", "hr:ranked")
    await stage.redis.command("ZADD", "hr:queue", 10**15, young.id)
    assert await stage.jobs.rank_queue(Role.SCHEDULER, 1) == 1
    assert set(await stage.jobs.queue()) == {old.id, young.id}
