"""The scheduler takes over a long queue: it plans the head while it still reads the rest."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest

from headrace_adapters.redis.connection import Redis
from headrace_adapters.redis.events import Events
from headrace_adapters.redis.jobs import JobStore
from headrace_adapters.redis.maintenance import MaintenanceStore
from headrace_model.bounds import Bounds
from headrace_model.errors import Fenced
from headrace_model.ids import JobId, NodeId
from headrace_model.job import Job, first_step
from headrace_model.maintenance import Maintenance
from headrace_model.move import Move
from headrace_model.resources import Resources
from headrace_model.status import Role, Status
from headrace_request.core.desire import DesireVerb, desire
from headrace_scheduler import queue as queues
from headrace_scheduler.answers import Answers
from headrace_scheduler.core.plan import plan
from headrace_scheduler.forecasts import Forecasts
from headrace_scheduler.limits_file import LimitsFile
from headrace_scheduler.queue import Queue, nodes_of
from headrace_scheduler.reading import Reader
from headrace_scheduler.service import Scheduler
from headrace_scheduler.settings import Settings
from headrace_service.leader import Leader
from headrace_wire.why import PlanRequest
from tests.support.redis_server import RedisServer
from tests.support.script_scenes import N1, N2, PLAIN, Stage, new_job
from tests.support.wait import running, wait_until

_BATCH = 3


class _SlowJobs(JobStore):
    """Lets nobody read jobs of the queue until as many batches may be read."""

    def __init__(self, redis: Redis, ids: list[JobId], batches: int) -> None:
        super().__init__(redis)
        self._ids = ids
        self._room = asyncio.Condition()
        self._batches = batches

    async def let(self, batches: int) -> None:
        async with self._room:
            self._batches = batches
            self._room.notify_all()

    async def get_many(self, jobs: Iterable[JobId]) -> list[Job]:
        ids = set(jobs)
        async with self._room:
            await self._room.wait_for(lambda: not ids & set(self._ids[self._batches * _BATCH :]))
        return await super().get_many(ids)


@pytest.fixture
async def stage(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Stage]:
    monkeypatch.setattr(queues, "_AT_ONCE", _BATCH)
    redis = Redis(redis_server.url, patience_s=30.0)
    await redis.open()
    yield Stage(redis)
    await redis.close()


async def _submit(stage: Stage, numbers: Iterable[int], priority: int = 50) -> list[JobId]:
    made = []
    for number in numbers:
        new = replace(new_job(number), priority=priority, ask=PLAIN)
        await stage.jobs.create(new, first_step(new.needs))
        made.append(new.id)
    return made


async def _planned(stage: Stage, queue: Queue) -> list[JobId]:
    nodes = nodes_of(await stage.nodes.all())
    now_ms = await stage.jobs.now_ms()
    return [each.job for each in plan(queue.snapshot(nodes, now_ms), now_ms).placements]


async def test_what_is_planned_while_the_queue_is_read_is_its_head(stage: Stage) -> None:
    await stage.ready()
    ids = await _submit(stage, range(1, 7))
    queue = Queue(stage.jobs)
    await queue.begin()
    assert await _planned(stage, queue) == []
    await queue.read_on()
    assert await _planned(stage, queue) == ids[:_BATCH]
    # Hints name two jobs meanwhile: one has its place in what is known, the other behind it.
    (urgent,) = await _submit(stage, [7], priority=90)
    (late,) = await _submit(stage, [8], priority=10)
    await queue.refresh([urgent, late])
    assert await _planned(stage, queue) == [urgent, *ids[:_BATCH]]
    while queue.unread:
        await queue.read_on()
    assert await _planned(stage, queue) == [urgent, *ids, late]


async def test_jobs_that_have_left_while_the_queue_is_read_stop_nothing(stage: Stage) -> None:
    await stage.ready()
    ids = await _submit(stage, range(1, 7))
    queue = Queue(stage.jobs)
    await queue.begin()
    for id in ids[:_BATCH]:
        await stage.redis.command("DEL", f"hr:job:{id}")
    await queue.read_on()
    assert await _planned(stage, queue) == []
    await queue.read_on()
    assert await _planned(stage, queue) == ids[_BATCH : 2 * _BATCH]
    await queue.mend()
    assert await _planned(stage, queue) == ids[_BATCH : 2 * _BATCH]


async def test_what_hints_missed_is_found_without_the_jobs_that_are_still_unread(
    stage: Stage,
) -> None:
    await stage.ready()
    ids = await _submit(stage, range(1, 7))
    jobs = _SlowJobs(stage.redis, ids, batches=1)
    queue = Queue(jobs)
    await queue.begin()
    await queue.read_on()
    (urgent,) = await _submit(stage, [7], priority=90)
    async with asyncio.timeout(30.0):  # it would wait for ever for the others
        await queue.mend()
    assert await _planned(stage, queue) == [urgent, *ids[:_BATCH]]


def _scheduler(
    stage: Stage, jobs: JobStore, limits: LimitsFile | None = None, sweep_s: float = 600.0
) -> Scheduler:
    leader = Leader(stage.leases, Role.SCHEDULER, 6.0, stage.redis.open)
    settings = Settings(Path("/nowhere"), "", Path("/nowhere"), sweep_s=sweep_s)
    return Scheduler(
        jobs,
        stage.nodes,
        MaintenanceStore(stage.redis),
        limits or LimitsFile(None),
        stage.resources,
        stage.quotas,
        Events(stage.redis),
        leader,
        settings,
    )


def _answers(stage: Stage, limits: LimitsFile | None = None) -> Answers:
    bounds = limits or LimitsFile(None)
    reader = Reader(stage.jobs, stage.nodes, bounds, stage.quotas, lambda: None)
    return Answers(stage.jobs, MaintenanceStore(stage.redis), reader, Forecasts(reader))


async def test_the_head_starts_while_the_rest_is_still_read(stage: Stage) -> None:
    await stage.ready()
    await stage.leases.release(Role.SCHEDULER, "me")
    ids = await _submit(stage, range(1, 9))
    jobs = _SlowJobs(stage.redis, ids, batches=1)

    async def launched(expected: list[JobId]) -> bool:
        return sorted(await stage.jobs.in_status(Status.SCHEDULED)) == expected

    async with running(_scheduler(stage, jobs).run()):
        for batches in (1, 2, 3):
            await jobs.let(batches)
            await wait_until(lambda: launched(ids[: batches * _BATCH]), f"{batches} to start")  # noqa: B023 - awaited here


async def test_why_is_told_of_each_of_many_jobs_that_ask_alike(stage: Stage) -> None:
    await stage.ready()
    ids = await _submit(stage, range(1, 12))
    held = await stage.jobs.get(ids[0])
    hold = desire(held, DesireVerb.HOLD)
    assert isinstance(hold, Move)
    await stage.jobs.apply(hold)
    answers = _answers(stage)
    told = [await answers.why(id) for id in ids]
    assert "held" in told[0].explanation.sentence
    assert told[0].change is not None
    assert [bool(each.starts) for each in told[1:]] == [True] * 8 + [False] * 2
    assert "is being cleared for it" in told[9].explanation.sentence
    assert "It fits only after running jobs have ended." in told[10].explanation.sentence
    # Of the jobs that may start: who is held stands nowhere, and in nobody's way.
    assert [each.position for each in told] == [None, *range(1, 11)]


async def test_the_change_that_why_names_starts_the_job_when_it_is_submitted_so(
    stage: Stage,
) -> None:
    await stage.ready()
    large = replace(new_job(1), ask=replace(new_job(1).ask, resources=Resources(9_000, 1)))
    await stage.jobs.create(large, first_step(large.needs))
    told = await _answers(stage).why(large.id)
    assert [each.cause for each in told.causes] == ["TOO_LARGE", "CPUS"]
    assert told.change is not None
    cpus = int(told.change.set["resources.cpus"]) * 1_000
    for number, millicpus, started in ((2, cpus + 1_000, False), (3, cpus, True)):
        ask = replace(large.ask, resources=Resources(millicpus, 1))
        again = replace(new_job(number), ask=ask)
        await stage.jobs.create(again, first_step(again.needs))
        queue = Queue(stage.jobs)
        await queue.begin()
        await queue.read_on()
        assert (again.id in await _planned(stage, queue)) == started


async def test_who_leads_without_a_file_tells_that_the_one_before_counts_no_more(
    stage: Stage,
) -> None:
    await stage.ready()
    await stage.resources.publish("nodes: {}", 1)
    assert await stage.resources.get() == Bounds({})
    await stage.leases.release(Role.SCHEDULER, "me")
    async with running(_scheduler(stage, JobStore(stage.redis)).run()):

        async def told() -> bool:
            return await stage.resources.get() == Bounds()

        await wait_until(told, "the new leader to tell")
        with pytest.raises(Fenced):
            await stage.resources.publish("nodes: {}", 1)


async def test_a_resources_file_bounds_what_is_used_and_is_read_again_when_it_changes(
    stage: Stage, state_dir: Path
) -> None:
    await stage.ready()
    await stage.leases.release(Role.SCHEDULER, "me")
    file = state_dir / "resources.yaml"
    file.write_text(f"nodes:\n  {N2}: {{cpus: 1}}\n")
    limits = LimitsFile(file)
    await limits.open()
    first, second, third = await _submit(stage, range(1, 4))
    scheduler = _scheduler(stage, JobStore(stage.redis), limits, sweep_s=0.1)
    assert await stage.resources.get() is None

    async def started() -> dict[JobId, NodeId]:
        jobs = await stage.jobs.get_many(await stage.jobs.in_status(Status.SCHEDULED))
        return {job.id: job.allocation.shares[0].node for job in jobs if job.allocation}

    async def become(expected: dict[JobId, NodeId]) -> None:
        async def there() -> bool:
            return await started() == expected

        await wait_until(there, f"{expected} to be started")

    async with running(scheduler.run()):
        await become({first: N2})
        answers = _answers(stage, limits)
        why = (await answers.why(second)).explanation
        assert "fits only after running jobs have ended" in why.sentence
        said = await stage.resources.get()
        assert said is not None
        assert said.nodes == {N2: Resources(1_000, 2**53)}
        file.write_text("nodes: [wrong]")  # all stays as it was
        await limits.look()
        assert await started() == {first: N2}
        assert await stage.resources.get() == said
        file.write_text(f"nodes:\n  {N2}: {{cpus: 1}}\n  {N1}: {{cpus: 1}}\n")
        await become({first: N2, second: N1})

        async def told() -> bool:
            bounds = await stage.resources.get()
            return bounds is not None and set(bounds.nodes or ()) == {N1, N2}

        await wait_until(told, "the change to be told")
        file.write_text("nodes: {}")
        await limits.look()
        assert "0 CPUs" in (await answers.why(third)).explanation.sentence


async def test_in_maintenance_nobody_is_told_a_start(stage: Stage) -> None:
    await stage.ready()
    (job,) = await _submit(stage, [1])
    maintenance = MaintenanceStore(stage.redis)
    await maintenance.begin(Maintenance("2026-11-29T20:00:00Z", "ann", "disks"))
    expected = await _answers(stage).when(job)
    assert expected.start is None
    assert "maintenance" in expected.basis
    planned = await _answers(stage).plan(PlanRequest(PLAIN, 50, "ann"))
    assert (planned.told.starts, planned.expected.start, planned.end) == (None, None, None)


async def test_when_tells_the_place_that_why_tells_after_who_was_ahead_is_gone(
    stage: Stage,
) -> None:
    await stage.ready()
    first, second = await _submit(stage, [1, 2])
    bounds = LimitsFile(None)
    reader = Reader(stage.jobs, stage.nodes, bounds, stage.quotas, lambda: None)
    forecasts = Forecasts(reader)
    answers = Answers(stage.jobs, MaintenanceStore(stage.redis), reader, forecasts)
    async with running(forecasts.run()):
        assert (await answers.when(second)).position == 2
        job = await stage.jobs.get(first)
        cancel = desire(job, DesireVerb.CANCEL)
        assert isinstance(cancel, Move)
        await stage.jobs.apply(cancel)
        told = (await answers.why(second)).position
        assert (told, (await answers.when(second)).position) == (1, 1)


async def test_who_is_asked_changes_nothing_in_the_queue_that_the_leader_keeps(
    stage: Stage,
) -> None:
    await stage.ready()
    now_ms = await stage.jobs.now_ms()
    new = new_job(1)
    due = replace(new, ask=replace(PLAIN, not_before_ms=now_ms + 1))
    await stage.jobs.create(due, first_step(due.needs))
    queue = Queue(stage.jobs)
    await queue.begin()
    await queue.read_on()

    async def is_due() -> bool:
        return await stage.jobs.now_ms() > now_ms + 1

    await wait_until(is_due, "the job to be due")
    reader = Reader(stage.jobs, stage.nodes, LimitsFile(None), stage.quotas, lambda: queue)
    seen = await reader.read()
    assert [job.id for line in seen.snapshot.lines for job in line] == [due.id]
    # The leader still knows that there is a job to plan for.
    assert queue.next_change_ms() == now_ms + 1
    assert await _planned(stage, queue) == [due.id]


def _wished(job: Job, verb: DesireVerb) -> Move:
    move = desire(job, verb)
    assert isinstance(move, Move)
    return move


async def _leads_no_longer(stage: Stage) -> None:
    """Another one has led, and renews no more."""
    lease = await stage.leases.acquire(Role.SCHEDULER, "me", 2_900)
    await stage.jobs.rank_queue(Role.SCHEDULER, lease.term)


class _Counting(JobStore):
    """Counts how often the whole queue was asked for."""

    asked = 0

    async def queue_ranks(self, first: int, most: int) -> Sequence[tuple[JobId, float]]:
        self.asked += 1
        return await super().queue_ranks(first, most)


async def test_a_replica_that_does_not_lead_reads_the_queue_once_and_then_what_changes(
    stage: Stage,
) -> None:
    await stage.ready()
    ids = await _submit(stage, range(1, 8))
    jobs = _Counting(stage.redis)
    events = Events(stage.redis)
    reader = Reader(jobs, stage.nodes, LimitsFile(None), stage.quotas, lambda: None, events)
    async with running(reader.run()):

        async def seen() -> list[JobId]:
            found = (await reader.read()).snapshot
            return sorted(job.id for line in found.lines for job in line)

        assert await asyncio.gather(*(seen() for _ in range(5))) == [ids] * 5
        hold = _wished(await stage.jobs.get(ids[0]), DesireVerb.HOLD)
        await stage.jobs.apply(hold)
        more = await _submit(stage, [8])

        async def follows() -> bool:
            return await seen() == [*ids[1:], *more]

        await wait_until(follows, "what has changed to be seen")
        assert jobs.asked == 1


async def test_who_may_lead_soon_has_read_the_head_when_it_leads(stage: Stage) -> None:
    await stage.ready()
    ids = await _submit(stage, range(1, 8))
    jobs = _Counting(stage.redis)
    scheduler = _scheduler(stage, jobs)
    await _leads_no_longer(stage)
    async with running(scheduler.run()):

        async def prepared() -> bool:
            return bool(jobs.asked)

        await wait_until(prepared, "the queue to be read")
        assert (await stage.redis.command("HGET", "hr:lease:scheduler", "holder")) == "me"
        assert await stage.jobs.in_status(Status.SCHEDULED) == []
        gone = ids[0]
        await stage.jobs.apply(_wished(await stage.jobs.get(gone), DesireVerb.CANCEL))

        async def launched() -> bool:
            return sorted(await stage.jobs.in_status(Status.SCHEDULED)) == ids[1:]

        await wait_until(launched, "all others to start")
        assert jobs.asked == 1


async def test_what_comes_while_one_that_prepared_begins_to_lead_is_heard(stage: Stage) -> None:
    await stage.ready()
    await _submit(stage, range(1, 8))
    late: list[JobId] = []

    class Ranking(_Counting):
        async def rank_queue(self, role: Role, term: int) -> int:
            late.extend(await _submit(stage, [8]))
            return await super().rank_queue(role, term)

    jobs = Ranking(stage.redis)
    # No sweep finds it.
    scheduler = _scheduler(stage, jobs, sweep_s=600.0)
    await _leads_no_longer(stage)
    async with running(scheduler.run()):

        async def launched() -> bool:
            return bool(late) and late[0] in await stage.jobs.in_status(Status.SCHEDULED)

        await wait_until(launched, "the late job to start")
        assert jobs.asked == 1


async def test_what_was_prepared_in_vain_is_not_led_with(stage: Stage) -> None:
    await stage.ready()
    await _submit(stage, range(1, 8))
    jobs = _Counting(stage.redis)
    scheduler = _scheduler(stage, jobs)
    await _leads_no_longer(stage)
    async with running(scheduler.run()):
        await wait_until(lambda: bool(jobs.asked), "the queue to be read")
        # The one who leads renews after all, and gives its lease up soon after.
        await stage.leases.acquire(Role.SCHEDULER, "me", 30_000)
        await asyncio.sleep(1.5)
        await stage.leases.release(Role.SCHEDULER, "me")

        async def launched() -> bool:
            return len(await stage.jobs.in_status(Status.SCHEDULED)) == 7

        await wait_until(launched, "all to start")
        assert jobs.asked == 2


async def test_a_long_queue_is_read_whole_in_parts_that_overlap(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stage.ready()
    monkeypatch.setattr(queues, "_OWNERS_AT_ONCE", 4)
    monkeypatch.setattr(queues, "_OVERLAP", 1)
    ids = await _submit(stage, range(1, 12))

    class Leaving(JobStore):
        """A job leaves the queue after each part."""

        gone: ClassVar[list[JobId]] = []

        async def queue_ranks(self, first: int, most: int) -> Sequence[tuple[JobId, float]]:
            found = await super().queue_ranks(first, most)
            self.gone.append(found[0][0])
            await stage.apply(_wished(await self.get(found[0][0]), DesireVerb.CANCEL))
            return found

    queue = Queue(Leaving(stage.redis))
    await queue.begin()
    while queue.unread:
        await queue.read_on()
    known = {job.id for line in queue.lines(0) for job in line}
    assert known == set(ids) - set(Leaving.gone)
