"""Nodes in a real Redis: who serves one, when it is lost, what it has left."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest

from headrace_adapters.redis.connection import NoRoom, Redis
from headrace_model.cause import Cause
from headrace_model.errors import Conflict, Fenced, Stale
from headrace_model.ids import NodeId
from headrace_model.move import move_of
from headrace_model.node import NodeState
from headrace_model.resources import NOTHING, Allocation, Resources, Share
from headrace_model.status import Event, Role
from headrace_model.work import Verb, Work
from tests.support.redis_server import RedisServer
from tests.support.script_scenes import N1, N2, NODE_SIZE, SMALL, Stage, launch, new_job

BACKENDS = frozenset({"process", "container"})


@pytest.fixture
async def stage(redis_server: RedisServer) -> AsyncIterator[Stage]:
    redis = Redis(redis_server.url)
    await redis.open()
    stage = Stage(redis)
    await stage.lead()
    yield stage
    await redis.close()


async def register(
    stage: Stage,
    incarnation: str,
    *,
    node: NodeId = N1,
    size: Resources = NODE_SIZE,
    lock: bool = True,
    seen: str | None = None,
    living: Sequence[str] = (),
) -> str | None:
    return await stage.nodes.register(
        node, incarnation, size, BACKENDS, has_state_lock=lock, seen_counter=seen, living=living
    )


async def free(stage: Stage, node: NodeId = N1) -> Resources | None:
    return {record.id: record.free for record in await stage.nodes.all()}[node]


async def lose(stage: Stage, node: NodeId = N1) -> bool:
    counter = {record.id: record.counter for record in await stage.nodes.all()}[node]
    return await stage.nodes.lose(node, counter, 1)


async def test_a_new_node_offers_all_that_it_has(stage: Stage) -> None:
    assert await register(stage, "run 1") is None
    (node,) = await stage.nodes.all()
    assert (node.id, node.capacity, node.free, node.held) == (N1, NODE_SIZE, NODE_SIZE, ())
    assert (node.state, node.backends) == (NodeState.UP, BACKENDS)


async def test_nodes_are_listed_in_order_of_their_names(stage: Stage) -> None:
    for node in ("c", "a", "b"):
        await register(stage, "run", node=NodeId(node))
    assert [node.id for node in await stage.nodes.all()] == ["a", "b", "c"]


async def test_only_the_run_that_registered_last_raises_the_counter(stage: Stage) -> None:
    await register(stage, "run 1")
    assert await stage.nodes.renew(N1, "run 1") is NodeState.UP
    await register(stage, "run 2")
    with pytest.raises(Fenced, match=N1):
        await stage.nodes.renew(N1, "run 1")
    assert await stage.nodes.renew(N1, "run 2") is NodeState.UP


async def test_without_the_lock_an_agent_first_sees_the_counter_stand_still(stage: Stage) -> None:
    await register(stage, "run 1")
    seen = await register(stage, "run 2", lock=False)
    assert seen is not None
    await stage.nodes.renew(N1, "run 1")
    with pytest.raises(Conflict, match="another agent serves"):
        await register(stage, "run 2", lock=False, seen=seen)
    seen = await register(stage, "run 2", lock=False)
    assert await register(stage, "run 2", lock=False, seen=seen) is None
    with pytest.raises(Fenced):
        await stage.nodes.renew(N1, "run 1")


async def test_a_lost_node_has_no_line_and_nothing_is_placed_on_it(stage: Stage) -> None:
    await register(stage, "run 1")
    assert await lose(stage)
    assert not await lose(stage), "it is lost already"
    assert await free(stage) is None
    job = await stage.make(new_job(1))
    with pytest.raises(NoRoom, match=N1):
        await stage.apply(launch(job, Allocation((Share(N1, SMALL),))))
    assert await stage.nodes.renew(N1, "run 1") is NodeState.LOST


async def test_a_node_whose_counter_moved_is_not_lost(stage: Stage) -> None:
    await register(stage, "run 1")
    (before,) = await stage.nodes.all()
    await stage.nodes.renew(N1, "run 1")
    assert not await stage.nodes.lose(N1, before.counter, 1)
    assert await free(stage) == NODE_SIZE


async def test_a_node_that_comes_back_offers_what_its_attempts_do_not_hold(stage: Stage) -> None:
    await register(stage, "run 1")
    await register(stage, "run 1", node=N2)
    job = await stage.launched(1)
    await lose(stage)
    await register(stage, "run 2")
    assert await free(stage) == NODE_SIZE - SMALL
    (node, _) = await stage.nodes.all()
    assert node.held == (f"{job.id}.1",)
    assert await stage.nodes.ledger_errors() == []


async def test_no_room_is_offered_beside_a_worker_whose_attempt_was_given_up(
    stage: Stage,
) -> None:
    await register(stage, "run 1")
    await register(stage, "run 1", node=N2)
    job = await stage.launched(1)
    await register(stage, "run 2", living=[f"{job.id}.1"])
    await lose(stage)
    stop = move_of(job, Event.ATTEMPT_LOST, Role.MONITOR, cause=Cause.NODE_LOST)
    work = tuple(Work(node, job.id, 1, Verb.STOP, job.spec) for node in (N1, N2))
    job = await stage.apply(replace(stop, lost=(N1,), work=work))
    with pytest.raises(Stale, match=f"{job.id}.1"):
        await register(stage, "run 3", living=[f"{job.id}.1"])
    with pytest.raises(Stale, match="never"):
        await register(stage, "run 3", living=["never.1"])
    assert await free(stage) is None
    await register(stage, "run 3")


async def test_a_node_that_has_come_back_is_not_given_up_unheard(stage: Stage) -> None:
    await register(stage, "run 1")
    await register(stage, "run 1", node=N2)
    job = await stage.launched(1)
    stop = replace(
        move_of(job, Event.ATTEMPT_LOST, Role.MONITOR, cause=Cause.NODE_LOST), lost=(N1,)
    )
    await lose(stage)
    await register(stage, "run 2")
    with pytest.raises(Stale, match=f"{N1} is not lost"):
        await stage.apply(stop)
    await lose(stage)
    await stage.apply(stop)


async def test_a_node_that_grew_offers_more(stage: Stage) -> None:
    await register(stage, "run 1", size=SMALL)
    await register(stage, "run 2", size=NODE_SIZE)
    assert await free(stage) == NODE_SIZE


async def test_a_damaged_ledger_is_named(stage: Stage) -> None:
    await register(stage, "run 1")
    await stage.redis.command("HSET", "hr:free", N1, "1 1")
    (wrong,) = await stage.nodes.ledger_errors()
    assert N1 in wrong
    await stage.redis.command("HSET", f"hr:held:{N1}", "x.1", "999999 1")
    assert any("over-booked" in each for each in await stage.nodes.ledger_errors())


async def test_an_exact_fit_is_a_fit(stage: Stage) -> None:
    await register(stage, "run 1")
    job = await stage.make(new_job(1))
    await stage.apply(launch(job, Allocation((Share(N1, NODE_SIZE),))))
    assert await free(stage) == NOTHING
    other = await stage.make(new_job(2))
    with pytest.raises(NoRoom):
        await stage.apply(launch(other, Allocation((Share(N1, Resources(0, 1)),))))
