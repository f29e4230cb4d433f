"""Nodes in a real Redis: who serves one, when it is lost, what it has left."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest

from headrace_adapters.redis.connection import NoRoom, Redis
from headrace_model.cause import Cause
from headrace_model.errors import Conflict, Fenced, NotFound, Stale, TooLarge
from headrace_model.ids import DatasetId, NodeId
from headrace_model.move import move_of
from headrace_model.node import MOST_LABELS, NodeState
from headrace_model.resources import NOTHING, Allocation, Resources, Share
from headrace_model.status import Event, Role
from headrace_model.work import Verb, Work
from headrace_wire.records import encode_work
from tests.support.redis_server import RedisServer
from tests.support.script_scenes import (
    HELD,
    INVENTORY,
    N1,
    N2,
    NODE_SIZE,
    SMALL,
    TWO_NODES,
    Stage,
    launch,
    new_job,
)

BACKENDS = frozenset({"process", "container"})


OTHER = DatasetId("d2")


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


async def test_who_left_in_good_order_is_told_apart_until_an_agent_is_there(stage: Stage) -> None:
    async def left() -> bool:
        return (await stage.nodes.all())[0].left

    await register(stage, "run 1")
    assert not await left()
    await stage.nodes.renew(N1, "run 1", leaving=True)
    assert await left()
    await register(stage, "run 2")
    assert not await left()
    await stage.nodes.renew(N1, "run 2", leaving=True)
    await stage.nodes.renew(N1, "run 2")
    assert not await left(), "it goes on after all"


async def test_a_node_that_was_left_offers_nothing_until_an_agent_is_there(stage: Stage) -> None:
    await stage.ready()
    job, leaver = await stage.launched(), f"run of {N1}"
    room = await free(stage)
    await stage.nodes.renew(N1, leaver, leaving=True)
    assert (await state_of(stage), await free(stage)) == (NodeState.UP, None)
    other = await stage.make(new_job(7))
    with pytest.raises(NoRoom):
        await stage.apply(launch(other, Allocation((Share(N1, SMALL),))))
    await stage.nodes.drain(N1, drained=True)
    await stage.nodes.drain(N1, drained=False)
    assert await free(stage) is None, "an admin's wish brings no agent"
    await stage.nodes.renew(N1, leaver, full=True, leaving=True)
    await stage.nodes.renew(N1, leaver, leaving=True)
    assert await free(stage) is None, "room on its disk neither"
    await stage.nodes.renew(N1, leaver)
    assert await free(stage) == room, "it goes on after all"
    await stage.nodes.renew(N1, leaver, leaving=True)
    await register(stage, "run 2")
    assert (await state_of(stage), await free(stage)) == (NodeState.UP, room)
    assert job.allocation is not None
    assert await stage.nodes.ledger_errors() == []


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
    await stage.redis.command("HSET", f"hr:free:{N1}", "room", "1 1")
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


async def state_of(stage: Stage, node: NodeId = N1) -> NodeState:
    return {record.id: record.state for record in await stage.nodes.all()}[node]


async def test_a_drained_node_offers_nothing_until_it_is_undrained(stage: Stage) -> None:
    await stage.ready()
    job = await stage.launched()
    before = await free(stage)
    assert await stage.nodes.drain(N1, drained=True)
    assert not await stage.nodes.drain(N1, drained=True), "a repeat is success"
    assert (await state_of(stage), await free(stage)) == (NodeState.DRAINED, None)
    other = await stage.make(new_job(7))
    with pytest.raises(NoRoom):
        await stage.apply(launch(other, Allocation((Share(N1, SMALL),))))
    assert await stage.nodes.drain(N1, drained=False)
    assert (await state_of(stage), await free(stage)) == (NodeState.UP, before)
    assert job.allocation is not None
    assert await stage.nodes.ledger_errors() == []


async def test_the_wish_outlives_the_agent_and_the_loss_of_the_node(stage: Stage) -> None:
    await register(stage, "run 1")
    await stage.nodes.drain(N1, drained=True)
    await register(stage, "run 2")
    assert (await state_of(stage), await free(stage)) == (NodeState.DRAINED, None)
    assert await lose(stage), "a drained node can be lost too"
    await stage.nodes.drain(N1, drained=False)
    assert await state_of(stage) is NodeState.LOST, "its agent has to come back first"
    await register(stage, "run 3")
    assert (await state_of(stage), await free(stage)) == (NodeState.UP, NODE_SIZE)


async def test_only_a_lost_node_that_holds_nothing_is_forgotten(stage: Stage) -> None:
    with pytest.raises(NotFound):
        await stage.nodes.drain(NodeId("nowhere"), drained=True)
    assert not await stage.nodes.forget(NodeId("nowhere"))
    await stage.ready()
    await stage.launched()
    with pytest.raises(Conflict, match="is served by an agent"):
        await stage.nodes.forget(N1)
    await lose(stage)
    with pytest.raises(Conflict, match="still hold shares"):
        await stage.nodes.forget(N1)
    await register(stage, "run 1", node=NodeId("empty"))
    await lose(stage, NodeId("empty"))
    assert await stage.nodes.forget(NodeId("empty"))
    assert NodeId("empty") not in [record.id for record in await stage.nodes.all()]
    await register(stage, "run 2", node=NodeId("empty"))
    assert await state_of(stage, NodeId("empty")) is NodeState.UP


async def test_a_node_is_not_forgotten_while_an_attempt_that_had_a_share_there_ends(
    stage: Stage,
) -> None:
    await stage.ready()
    job = await stage.make(new_job(1))
    shares = Allocation((Share(N1, SMALL), Share(N2, SMALL)))
    job = await stage.apply(launch(job, shares))
    await lose(stage, N2)
    stops = tuple(Work(node, job.id, 1, Verb.STOP, job.spec) for node in (N1, N2))
    ended = replace(
        move_of(job, Event.ATTEMPT_LOST, Role.MONITOR), cause=Cause.NODE_LOST, work=stops
    )
    job = await stage.apply(ended)
    back = replace(
        move_of(job, Event.SHARE_RETURNED, Role.MONITOR), returns=frozenset({N2}), lost=(N2,)
    )
    job = await stage.apply(back)
    with pytest.raises(Conflict, match="still ending"):
        await stage.nodes.forget(N2)


async def test_what_a_gone_node_should_have_cleaned_is_forgotten_with_it(stage: Stage) -> None:
    await stage.ready()
    record = encode_work(Work(N1, new_job(9).id, 1, Verb.CLEAN))
    await stage.redis.command("HSET", f"hr:work:{N1}", f"{new_job(9).id}.1", record)
    await stage.redis.command("HSET", f"hr:facts:{N1}", f"{new_job(9).id}.1.exited", "{}")
    await lose(stage)
    assert await stage.nodes.forget(N1)
    assert await stage.redis.command("EXISTS", f"hr:work:{N1}", f"hr:facts:{N1}") == 0


async def test_a_node_that_goes_while_the_nodes_are_read_is_left_out(stage: Stage) -> None:
    await stage.ready()
    await stage.nodes.all()
    real, asked = stage.redis.commands, 0

    async def commands(all_: list[tuple[str, ...]]) -> list[object]:
        nonlocal asked
        asked += 1
        answers = await real(all_)
        if asked == 1:
            place = all_.index(("HGETALL", f"hr:node:{N1}"))
            answers = [*answers[:place], {}, *answers[place + 1 :]]
            await lose_and_forget()
        return list(answers)

    async def lose_and_forget() -> None:
        stage.redis.commands = real  # type: ignore[method-assign]
        await lose(stage)
        await stage.nodes.forget(N1)

    stage.redis.commands = commands  # type: ignore[method-assign, assignment]
    try:
        assert [record.id for record in await stage.nodes.all()] == [N2]
    finally:
        stage.redis.commands = real  # type: ignore[method-assign]


async def labels_of(stage: Stage, node: NodeId = N1) -> dict[str, str]:
    return {record.id: dict(record.labels) for record in await stage.nodes.all()}[node]


@pytest.mark.parametrize(
    "spoil",
    [("SADD", "hr:nodes", "ghost"), ("HDEL", f"hr:node:{N1}", "millicpus"),
     ("HSET", f"hr:node:{N1}", "labels", "{")],
)  # fmt: skip
async def test_a_node_without_sense_hides_no_other(stage: Stage, spoil: tuple[str, ...]) -> None:
    await stage.ready()
    await stage.redis.command(*spoil)
    async with asyncio.timeout(30.0):
        found = [record.id for record in await stage.nodes.all()]
    assert found == ([N1, N2] if spoil[0] == "SADD" else [N2])


async def test_labels_outlive_the_agent_and_the_loss_of_the_node_but_not_its_removal(
    stage: Stage,
) -> None:
    with pytest.raises(NotFound, match=N1):
        await stage.nodes.label(N1, {"rack": "r7"}, [])
    await register(stage, "run 1")
    assert await labels_of(stage) == {}
    assert await stage.nodes.label(N1, {"rack": "r7", "disk": "ssd"}, [])
    assert await stage.nodes.label(N1, {"rack": "r8"}, ["disk", "never.there"])
    assert not await stage.nodes.label(N1, {"rack": "r8"}, ["disk"]), "a repeat is success"
    await lose(stage)
    await register(stage, "run 2")
    assert await labels_of(stage) == {"rack": "r8"}
    await lose(stage)
    await stage.nodes.forget(N1)
    await register(stage, "run 3")
    assert await labels_of(stage) == {}


async def test_a_node_has_so_many_labels_and_no_more(stage: Stage) -> None:
    await register(stage, "run 1")
    many = {f"l{number}": "x" for number in range(MOST_LABELS)}
    await stage.nodes.label(N1, many, [])
    with pytest.raises(TooLarge, match=f"{MOST_LABELS} are allowed"):
        await stage.nodes.label(N1, {"one.more": "x"}, [])
    assert await stage.nodes.label(N1, {"one.more": "x"}, ["l0"])
    assert len(await labels_of(stage)) == MOST_LABELS


async def test_only_the_agent_that_serves_a_node_tells_what_it_has(stage: Stage) -> None:
    await register(stage, "run 1")
    await register(stage, "run 1", node=N2)
    assert await stage.nodes.inventories([N1, N2]) == {}
    await stage.nodes.describe(N1, "run 1", INVENTORY, {OTHER: 9})
    await stage.nodes.describe(N1, "run 1", INVENTORY, HELD)
    await stage.nodes.describe(N2, "run 1", INVENTORY, HELD | {OTHER: 7})
    assert await stage.nodes.inventories([N1, N2]) == {N1: INVENTORY, N2: INVENTORY}
    (one,) = HELD
    held = await stage.nodes.holders([N1, N2], [one, OTHER, DatasetId("d3")])
    assert held == {one: {N1: 5_000, N2: 5_000}, OTHER: {N2: 7}, DatasetId("d3"): {}}
    await register(stage, "run 2")
    with pytest.raises(Fenced):
        await stage.nodes.describe(N1, "run 1", INVENTORY, {})
    await lose(stage)
    await stage.nodes.forget(N1)
    assert await stage.nodes.inventories([N1, N2]) == {N2: INVENTORY}
    assert await stage.nodes.holders([N1], [one]) == {one: {}}


async def confirmed(stage: Stage, node: NodeId = N1) -> bool:
    return {record.id: record.confirmed for record in await stage.nodes.all()}[node]


async def test_a_loss_is_confirmed_only_while_the_node_is_lost_and_for_this_loss(
    stage: Stage,
) -> None:
    with pytest.raises(NotFound, match=N1):
        await stage.nodes.confirm_lost(N1)
    await register(stage, "run 1")
    with pytest.raises(Conflict, match="is not lost: it is UP"):
        await stage.nodes.confirm_lost(N1)
    await lose(stage)
    assert await stage.nodes.confirm_lost(N1)
    assert not await stage.nodes.confirm_lost(N1), "a repeat is success"
    assert await confirmed(stage)
    await register(stage, "run 2")
    assert not await confirmed(stage)
    await lose(stage)
    assert not await confirmed(stage), "it was another loss that was confirmed"


async def test_a_move_that_rests_on_a_confirmation_is_refused_once_the_node_was_back(
    stage: Stage,
) -> None:
    await register(stage, "run 1")
    await register(stage, "run 1", node=N2)
    job = await stage.launched(1)
    stop = replace(
        move_of(job, Event.ATTEMPT_LOST, Role.MONITOR, cause=Cause.NODE_LOST),
        lost=(N1,),
        confirmed=(N1,),
    )
    await lose(stage)
    with pytest.raises(Stale, match="not confirmed"):
        await stage.apply(stop)
    await stage.nodes.confirm_lost(N1)
    await register(stage, "run 2")
    await lose(stage)
    with pytest.raises(Stale, match="not confirmed"):
        await stage.apply(stop)
    await stage.nodes.confirm_lost(N1)
    await stage.apply(stop)


async def test_plans_see_of_each_node_what_its_record_says(stage: Stage) -> None:
    await stage.ready()
    await stage.nodes.label(N1, {"rack": "3"}, ())
    await stage.nodes.drain(N2, drained=True)

    async def compared() -> None:
        records = await stage.nodes.all()
        assert [
            (each.id, each.capacity, each.free, each.state, each.backends, each.labels)
            for each in await stage.nodes.offers()
        ] == [
            (each.id, each.capacity, each.free, each.state, each.backends, each.labels)
            for each in records
        ]

    await compared()
    await stage.nodes.drain(N2, drained=False)
    await stage.apply(launch(await stage.make(new_job(1)), TWO_NODES))
    await compared()
    await stage.redis.command("HSET", f"hr:node:{N1}", "millicpus", "many")
    assert [each.id for each in await stage.nodes.offers()] == [N2]
