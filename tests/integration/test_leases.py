"""One leader a role: terms rise, leases run out, and whoever is late is fenced."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from headrace_adapters.redis.connection import Redis
from headrace_adapters.redis.leases import Lease
from headrace_model.errors import Fenced, Unavailable
from headrace_model.move import move_of
from headrace_model.resources import Allocation, Share
from headrace_model.status import Event, Role, Status
from tests.support.redis_server import RedisServer
from tests.support.script_scenes import N1, SMALL, Stage, launch, new_job
from tests.support.wait import wait_until

LONG_MS, SHORT_MS = 600_000, 50
ROLE = Role.REQUEST  # nobody leads it in the stage


@pytest.fixture
async def stage(redis_server: RedisServer) -> AsyncIterator[Stage]:
    redis = Redis(redis_server.url, patience_s=30.0)
    await redis.open()
    stage = Stage(redis)
    await stage.ready()
    yield stage
    await redis.close()


async def test_the_first_of_two_holders_leads_and_the_other_is_told_for_how_long(
    stage: Stage,
) -> None:
    assert await stage.leases.acquire(ROLE, "one", LONG_MS) == Lease(1, True)
    other = await stage.leases.acquire(ROLE, "other", LONG_MS)
    assert (other.term, other.held) == (1, False)
    assert 0 < other.left_ms <= LONG_MS


async def test_two_who_ask_at_once_never_both_lead(stage: Stage) -> None:
    asked = [stage.leases.acquire(ROLE, f"holder {number}", LONG_MS) for number in range(20)]
    answers = await asyncio.gather(*asked)
    assert sum(answer.held for answer in answers) == 1


async def test_to_acquire_again_is_to_renew_and_keeps_the_term(stage: Stage) -> None:
    for _ in range(3):
        assert await stage.leases.acquire(ROLE, "one", LONG_MS) == Lease(1, True)


async def test_a_released_lease_is_taken_at_once_with_a_higher_term(stage: Stage) -> None:
    await stage.leases.acquire(ROLE, "one", LONG_MS)
    await stage.leases.release(ROLE, "one")
    await stage.leases.release(ROLE, "one")
    assert await stage.leases.acquire(ROLE, "other", LONG_MS) == Lease(2, True)
    await stage.leases.release(ROLE, "one")
    assert await stage.leases.acquire(ROLE, "one", LONG_MS) == Lease(2, False, pytest.approx(
        LONG_MS, abs=60_000))  # fmt: skip


async def test_a_released_lease_that_is_taken_by_its_old_holder_has_a_new_term(
    stage: Stage,
) -> None:
    await stage.leases.acquire(ROLE, "one", LONG_MS)
    await stage.leases.release(ROLE, "one")
    assert await stage.leases.acquire(ROLE, "one", LONG_MS) == Lease(2, True)


async def test_a_lease_that_ran_out_goes_to_another_with_a_higher_term(stage: Stage) -> None:
    await stage.leases.acquire(ROLE, "one", SHORT_MS)

    async def taken() -> bool:
        return (await stage.leases.acquire(ROLE, "other", LONG_MS)).held

    await wait_until(taken, "the lease to run out")
    assert (await stage.leases.acquire(ROLE, "other", LONG_MS)).term == 2
    assert not (await stage.leases.acquire(ROLE, "one", LONG_MS)).held


async def test_a_leader_that_was_replaced_can_do_nothing_more(stage: Stage) -> None:
    job = await stage.make(new_job(1))
    late = launch(job, Allocation((Share(N1, SMALL),)))
    await stage.leases.release(Role.SCHEDULER, "me")
    new = await stage.leases.acquire(Role.SCHEDULER, "other", LONG_MS)
    with pytest.raises(Fenced, match="scheduler"):
        await stage.jobs.apply(late, new.term - 1)
    assert (await stage.jobs.get(job.id)) == job
    await stage.jobs.apply(late, new.term)
    monitor = await stage.leases.acquire(Role.MONITOR, "me", LONG_MS)
    counter = (await stage.nodes.all())[0].counter
    with pytest.raises(Fenced):
        await stage.nodes.lose(N1, counter, monitor.term + 1)


async def test_terms_rise_over_a_crash_of_redis(stage: Stage, redis_server: RedisServer) -> None:
    await stage.leases.acquire(ROLE, "one", LONG_MS)
    redis_server.kill9()
    redis_server.start()
    assert not (await stage.leases.acquire(ROLE, "other", LONG_MS)).held
    await stage.leases.release(ROLE, "one")
    assert (await stage.leases.acquire(ROLE, "other", LONG_MS)).term == 2


async def test_calls_under_way_when_redis_crashes_take_effect_once(
    stage: Stage, redis_server: RedisServer
) -> None:
    jobs = [await stage.make(new_job(number)) for number in range(1, 31)]
    held = [stage.jobs.apply(move_of(job, Event.STOP, Role.REQUEST)) for job in jobs[:15]]
    made = [stage.jobs.create(new_job(n), Event.NEEDS_ALLOCATION) for n in range(31, 46)]
    calls = [asyncio.ensure_future(call) for call in (*held, *made)]
    await asyncio.wait(calls, timeout=0)  # they are handed over, and nothing is answered yet
    redis_server.kill9()
    redis_server.start()
    answers = await asyncio.gather(*calls)
    assert answers[:15] == [2] * 15
    for job in jobs[:15]:
        now = await stage.jobs.get(job.id)
        assert (now.status, now.version) == (Status.STOPPED, 2)
        assert len(await stage.jobs.history(job.id)) == 3
    assert len(await stage.jobs.queue()) == 30


async def test_a_call_whose_answer_was_lost_is_sent_again_and_takes_effect_once(
    stage: Stage, redis_server: RedisServer
) -> None:
    """Redis is stopped after it took the call and before it answers; then it is killed."""
    job = await stage.make(new_job(1))
    redis_server.pause()
    move = move_of(job, Event.STOP, Role.REQUEST)
    call = asyncio.ensure_future(stage.jobs.apply(move))
    await asyncio.wait([call], timeout=0.2)
    redis_server.resume()
    redis_server.kill9()
    redis_server.start()
    assert await call == 2
    assert len(await stage.jobs.history(job.id)) == 3


async def test_a_redis_that_stays_away_is_unavailable_and_not_waited_for_for_ever(
    redis_server: RedisServer,
) -> None:
    redis = Redis(redis_server.url, patience_s=0.3)
    await redis.open()
    redis_server.kill9()
    with pytest.raises(Unavailable):
        await Stage(redis).leases.acquire(ROLE, "one", LONG_MS)
    redis_server.start()
    assert (await Stage(redis).leases.acquire(ROLE, "one", LONG_MS)).held
    await redis.close()
