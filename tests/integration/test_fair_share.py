"""Shares, quotas and deadlines, by schedulers on a real Redis."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from headrace_adapters.redis.connection import Redis
from headrace_adapters.redis.events import Events
from headrace_adapters.redis.jobs import JobStore
from headrace_adapters.redis.maintenance import MaintenanceStore
from headrace_model.cause import Cause
from headrace_model.ids import JobId
from headrace_model.job import Job
from headrace_model.move import move_of
from headrace_model.people import UserRole
from headrace_model.quota import CPU_HOUR, parse_quotas
from headrace_model.share import day_of
from headrace_model.status import Event, Role, Status
from headrace_scheduler import queue as queues
from headrace_scheduler.answers import Answers
from headrace_scheduler.core.plan import plan
from headrace_scheduler.forecasts import Forecasts
from headrace_scheduler.limits_file import LimitsFile
from headrace_scheduler.owners import Owners
from headrace_scheduler.queue import Queue, nodes_of
from headrace_scheduler.reading import Reader
from headrace_scheduler.service import Scheduler
from headrace_scheduler.settings import Settings
from headrace_service.leader import Leader
from tests.support.redis_server import RedisServer
from tests.support.script_scenes import N1, N2, PLAIN, Stage, new_job
from tests.support.wait import running, wait_until


@pytest.fixture
async def stage(redis_server: RedisServer) -> AsyncIterator[Stage]:
    """Two nodes of four CPUs; ann and bob in the group models, and cyd."""
    redis = Redis(redis_server.url, patience_s=30.0)
    await redis.open()
    stage = Stage(redis)
    await stage.ready()
    await stage.leases.release(Role.SCHEDULER, "me")
    await stage.users.create_group("models")
    for name in ("ann", "bob"):
        await stage.users.create_user(name, UserRole.USER, groups=["models"])
    await stage.users.create_user("cyd")
    yield stage
    await redis.close()


async def _submit(stage: Stage, owner: str, *numbers: int, **ask: int) -> list[JobId]:
    found = []
    for number in numbers:
        new = replace(new_job(number), owner=owner, ask=replace(PLAIN, **ask))
        made = await stage.make(new)
        found.append(made.id)
    return found


async def _has_used(stage: Stage, owner: str, hours: int, days_ago: int = 0) -> None:
    day = day_of(await stage.jobs.now_ms() - days_ago * 86_400_000)
    await stage.redis.command("HSET", f"hr:used:{day}", owner, hours * CPU_HOUR)


async def _planned(stage: Stage, queue: Queue) -> list[JobId]:
    now_ms = await stage.jobs.now_ms()
    nodes = nodes_of(await stage.nodes.all())
    return [each.job for each in plan(queue.snapshot(nodes, now_ms), now_ms).placements]


@asynccontextmanager
async def _scheduling(stage: Stage, sweep_s: float = 0.1) -> AsyncIterator[Answers]:
    jobs, maintenance, limits = (
        JobStore(stage.redis),
        MaintenanceStore(stage.redis),
        LimitsFile(None),
    )
    leader = Leader(stage.leases, Role.SCHEDULER, 6.0, stage.redis.open)
    scheduler = Scheduler(
        jobs,
        stage.nodes,
        maintenance,
        limits,
        stage.resources,
        stage.quotas,
        Events(stage.redis),
        leader,
        Settings(Path("/nowhere"), "", Path("/nowhere"), sweep_s=sweep_s),
    )
    async with running(scheduler.run()):
        reader = Reader(jobs, stage.nodes, limits, stage.quotas, lambda: None)
        yield Answers(jobs, maintenance, reader, Forecasts(reader))


async def _started(stage: Stage) -> list[Job]:
    return await stage.jobs.get_many(await stage.jobs.in_status(Status.SCHEDULED))


async def _end(stage: Stage, job: Job) -> None:
    """The whole rest of a job's life."""
    job = await stage.apply(move_of(job, Event.STARTED, Role.MONITOR))
    nodes = tuple(share.node for share in job.allocation.shares) if job.allocation else ()
    await stage.apply(replace(move_of(job, Event.COMPLETED, Role.MONITOR), returns=nodes))


async def test_who_has_used_much_goes_behind_also_while_the_queue_is_read(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues, "_AT_ONCE", 3)
    anns = await _submit(stage, "ann", 1, 2, 3, 4)
    bobs = await _submit(stage, "bob", 5)
    cyds = await _submit(stage, "cyd", 6, 7)
    await _has_used(stage, "ann", 100)
    await _has_used(stage, "cyd", 50, days_ago=8)  # half of it is forgotten
    queue, owners = Queue(stage.jobs), Owners(stage.quotas)
    await queue.begin()
    await owners.arrange(queue, await stage.jobs.now_ms())
    # Bob is in ann's group, which goes behind for what she has used; cyd's own use is less.
    await queue.read_on()
    assert await _planned(stage, queue) == [*cyds, *bobs]
    while queue.unread:
        await queue.read_on()
    assert await _planned(stage, queue) == [*cyds, *bobs, *anns]
    await stage.redis.command("DEL", f"hr:used:{day_of(await stage.jobs.now_ms())}")
    await owners.arrange(Queue(stage.jobs), await stage.jobs.now_ms())


async def test_what_runs_counts_before_it_ends(stage: Stage) -> None:
    (first,) = await _submit(stage, "ann", 1)
    async with _scheduling(stage):
        await wait_until(lambda: _launched(stage, [first]), "the job to start")
    await stage.redis.command("HINCRBY", f"hr:job:{first}", "taken_ms", -3_600_000)
    anns, cyds = await _submit(stage, "ann", 2), await _submit(stage, "cyd", 3)
    queue = Queue(stage.jobs)
    await queue.begin()
    await Owners(stage.quotas).arrange(queue, await stage.jobs.now_ms())
    while queue.unread:
        await queue.read_on()
    assert await _planned(stage, queue) == [*cyds, *anns]


async def _launched(stage: Stage, expected: list[JobId]) -> bool:
    return sorted(job.id for job in await _started(stage)) == sorted(expected)


async def test_a_quota_lets_no_more_run_at_a_time_and_why_names_it(stage: Stage) -> None:
    await stage.quotas.change("group", "models", parse_quotas("cpus=3"))
    anns = await _submit(stage, "ann", 1, 2)
    bobs = await _submit(stage, "bob", 3, 4, 5)
    cyds = await _submit(stage, "cyd", 6)
    async with _scheduling(stage) as answers:
        await wait_until(lambda: _launched(stage, [*anns, bobs[0], *cyds]), "what may run")
        told = await answers.why(bobs[1])
        assert told.explanation.sentence == (
            "A quota is used up: the members of group models together may use 3 CPUs at a time, "
            "and use 3 CPUs."
        )
        assert "headrace groups change models --quota" in told.explanation.next_step
        most, left = 0, 2
        for _ in range(2):
            ours = [job for job in await _started(stage) if job.owner != "cyd"]
            most = max(most, len(ours))
            await _end(stage, ours[0])
            left -= 1
            await wait_until(partial(_left, stage, left), "the next one to start")
        ours = [job for job in await _started(stage) if job.owner != "cyd"]
        assert max(most, len(ours)) == 3
        # An owner who comes anew, and a quota that all of a job is over.
        (whole,) = await _submit(stage, "bob", 8, time_ms=3_600_000)
        await stage.quotas.change("user", "bob", parse_quotas("cpu_hours=0/7d"))
        await wait_until(lambda: _told(answers, whole, "asks more than bob"), "why to tell")


async def _left(stage: Stage, most: int) -> bool:
    return len(await stage.jobs.queue()) <= most


async def _told(answers: Answers, job: JobId, words: str) -> bool:
    told = await answers.why(job)
    return words in told.explanation.sentence


async def test_cpu_hours_of_a_window_bound_what_may_still_be_used(stage: Stage) -> None:
    await stage.quotas.change("user", "cyd", parse_quotas("cpu_hours=10/7d"))
    await _has_used(stage, "cyd", 8, days_ago=3)
    await _has_used(stage, "cyd", 50, days_ago=8)  # out of the window
    ids = await _submit(stage, "cyd", 1, 2, time_ms=3_600_000 - 60_000)
    (third,) = await _submit(stage, "cyd", 3, time_ms=3_600_000 - 60_000)
    (other,) = await _submit(stage, "ann", 4)
    async with _scheduling(stage) as answers:
        await wait_until(lambda: _launched(stage, [*ids, other]), "what may run")
        told = await answers.why(third)
        assert "may use 10 CPU hours in 7 days, and use 9.9" in told.explanation.sentence


async def test_cpu_hours_that_came_back_count_before_the_next_plan(stage: Stage) -> None:
    await stage.quotas.change("user", "cyd", parse_quotas("cpu_hours=10/7d"))
    first, second = await _submit(stage, "cyd", 1, 2, time_ms=36_000_000)
    async with _scheduling(stage, sweep_s=60.0):
        await wait_until(lambda: _launched(stage, [first]), "the first to start")
        await asyncio.sleep(0.1)  # so much it uses of the ten hours
        await _end(stage, await stage.jobs.get(first))
        (other,) = await _submit(stage, "ann", 3)
        await wait_until(lambda: _launched(stage, [other]), "a plan after that")
        assert (await stage.jobs.get(second)).status is Status.AWAITING_ALLOCATION


async def test_an_array_runs_as_many_tasks_as_its_quotas_allow(stage: Stage) -> None:
    await stage.quotas.change("user", "ann", parse_quotas("cpus=3 jobs=1"))
    (array,) = await _submit(stage, "ann", 1, tasks=20)
    async with _scheduling(stage):
        await wait_until(lambda: _launched(stage, [array]), "the array to start")
    (job,) = await _started(stage)
    assert job.allocation is not None
    assert job.allocation.total.millicpus == 3_000


async def test_a_job_that_can_not_keep_its_deadline_ends_and_others_start(stage: Stage) -> None:
    for node in (N1, N2):
        await stage.nodes.drain(node, drained=True)
    now_ms = await stage.jobs.now_ms()
    (late,) = await _submit(stage, "ann", 1, deadline_ms=now_ms + 60_000, time_ms=61_000)
    (soon,) = await _submit(stage, "ann", 2, deadline_ms=now_ms + 500)
    (held,) = await _submit(
        stage, "ann", 3, deadline_ms=now_ms + 500, not_before_ms=now_ms + 3_600_000
    )
    (fine,) = await _submit(stage, "ann", 4, deadline_ms=now_ms + 3_600_000)

    async def failed() -> bool:
        return set(await stage.jobs.in_status(Status.FAILED)) == {late, soon, held}

    async with _scheduling(stage, sweep_s=600.0):
        await wait_until(failed, "the late ones to end")
        assert await stage.jobs.queue() == [fine]
    job = await stage.jobs.get(late)
    assert job.cause is Cause.DEADLINE
    assert "and may run 1m1s" in job.detail


async def test_a_group_that_is_removed_leaves_no_quota(stage: Stage) -> None:
    every = "5GiB cpus=3 memory=1GiB gpus=2 jobs=1 cpu_hours=1/7d"
    await stage.quotas.change("group", "models", parse_quotas(every))
    assert len(await stage.quotas.limits()) == 7
    await stage.users.remove_group("models")
    assert await stage.quotas.limits() == {}
    assert await stage.quotas.groups(["ann"]) == {"ann": ()}


async def test_groups_that_a_version_before_wrote_are_noted(stage: Stage) -> None:
    await stage.redis.command("DEL", "hr:memberships")
    await stage.users.note_memberships()
    names = ["ann", "bob", "cyd", "nobody"]
    known = await stage.quotas.groups(names)
    assert known["ann"] == ("models",)
    assert known["cyd"] == known["nobody"] == ()
    # Who leaves a group by a program of that version is in none from the next start on.
    await stage.redis.command("HSET", "hr:user:ann", "groups", "")
    await stage.users.note_memberships()
    assert await stage.quotas.groups(names) == known | {"ann": ()}
