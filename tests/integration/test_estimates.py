"""What runs tell of later ones, in a real Redis."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest_asyncio

from headrace_adapters.redis import jobs as jobs_adapter
from headrace_adapters.redis.connection import Redis
from headrace_adapters.redis.jobs import JobStore
from headrace_model.estimate import KEPT, LEAST, Likeness, Run
from headrace_model.ids import JobId
from headrace_model.job import Job
from headrace_model.move import Learned, move_of
from headrace_model.status import Event, Role
from headrace_scheduler.queue import Queue
from tests.support.redis_server import RedisServer
from tests.support.script_scenes import N1, N2, TWO_NODES, Stage, launch, new_job

LIKE = Likeness("c1", "p1", "s1")


@pytest_asyncio.fixture
async def stage(redis_server: RedisServer) -> AsyncIterator[Stage]:
    redis = Redis(redis_server.url, patience_s=30.0)
    await redis.open()
    yield Stage(redis)
    await redis.close()


async def _ran(stage: Stage, number: int, run: Run, like: Likeness = LIKE) -> Job:
    job = await stage.make(replace(new_job(number), likeness=like))
    job = await stage.apply(launch(job, TWO_NODES))
    job = await stage.apply(move_of(job, Event.STARTED, Role.MONITOR))
    learned = Learned(like.keys(job.input_bytes), run)
    done = move_of(job, Event.COMPLETED, Role.MONITOR)
    return await stage.apply(replace(done, returns=(N1, N2), learns=learned))


async def test_a_waiting_and_a_running_job_are_estimated_by_those_that_ran_before(
    stage: Stage,
) -> None:
    await stage.ready()
    for number in range(1, LEAST + 1):
        assert not await _fresh(stage).estimates.of([await stage.make(_alike(100 + number))])
        await _ran(stage, number, Run(1000 * number, 2**20 * number))
    waiting = await stage.make(_alike(50))
    running = await stage.apply(launch(await stage.make(_alike(51)), TWO_NODES))
    told = await _fresh(stage).estimates.of([waiting, running])
    assert told[waiting.id] == told[running.id]
    assert (told[waiting.id].p90_ms, told[waiting.id].runs) == (9000, LEAST)
    assert told[waiting.id].basis == "p90 of 9 runs of this command"
    assert told[waiting.id].memory_bytes == 9 * 2**20
    queue = Queue(_fresh(stage))
    await queue.begin()
    await queue.read_on()
    snapshot = queue.snapshot((), running.entered_ms)
    assert [each.estimate for each in snapshot.running] == [told[running.id]]
    assert [each.end_ms for each in snapshot.running] == [running.entered_ms + 9000]
    late = queue.snapshot((), running.entered_ms + 9000)
    assert [each.end_ms for each in late.running] == [None], "it runs on, and has no limit"
    (line,) = snapshot.lines
    assert {each.estimate for each in line} == {told[waiting.id]}


async def test_who_waits_is_estimated_anew_when_jobs_alike_have_run(stage: Stage) -> None:
    await stage.ready()
    waiting = [await stage.make(_alike(number)) for number in (50, 51)]
    other = await stage.make(replace(new_job(60), likeness=Likeness("c2", "p2")))
    queue = Queue(_fresh(stage))
    await queue.begin()
    await queue.read_on()

    def estimates() -> dict[JobId, int | None]:
        lines = queue.snapshot((), waiting[0].entered_ms).lines
        return {each.id: each.estimate and each.estimate.p50_ms for line in lines for each in line}

    nothing = dict.fromkeys([*(each.id for each in waiting), other.id])
    assert estimates() == nothing
    for number in range(1, LEAST + 1):
        ran = await _ran(stage, number, Run(1000 * number), Likeness("c1", "p1"))
        await queue.refresh([ran.id])
        assert estimates() == nothing
    await queue.relearn()
    assert estimates() == {waiting[0].id: 5000, waiting[1].id: 5000, other.id: None}
    for number in range(1, LEAST + 1):
        ran = await _ran(stage, 10 + number, Run(500 * number), Likeness("c1", "p1"))
        await queue.refresh([ran.id])
    await queue.relearn()
    assert estimates()[waiting[0].id] == 3500
    await queue.refresh([waiting[0].id])
    assert len(estimates()) == 3


async def test_what_is_kept_is_bounded_in_runs_and_keys(stage: Stage, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(jobs_adapter, "_MOST_ESTIMATES", 4)
    await stage.ready()
    for number in range(1, KEPT + 4):
        await _ran(stage, number, Run(number), Likeness("c1", "p1"))
    kept = await stage.redis.command("HGETALL", "hr:estimates")
    assert kept.keys() == {"c1/0", "p1/0"}
    assert kept["c1/0"].split() == [f"{number}:0" for number in range(4, KEPT + 4)]
    await _ran(stage, 90, Run(1), Likeness("c2", "p2", "s2"))
    kept = await stage.redis.command("HGETALL", "hr:estimates")
    assert kept.keys() == {"p1/0", "c2/0", "p2/0", "s2/0"}, "the key that was idle longest goes"
    assert await stage.redis.command("ZCARD", "hr:estimates:age") == 4


def _fresh(stage: Stage) -> JobStore:
    """A store that has read nothing yet."""
    return JobStore(stage.redis)


def _alike(number: int):  # type: ignore[no-untyped-def]
    return replace(new_job(number), likeness=LIKE)
