"""Every script of Redis: whole or not at all, whatever lies in its keys or arguments."""

import copy
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from importlib.resources import files
from typing import Any

import pytest
from redis.exceptions import RedisError

from headrace_adapters.redis.connection import Damaged
from headrace_model.cause import Cause
from headrace_model.errors import Conflict, Fenced, HeadraceError, Stale, TooLarge
from headrace_model.move import move_of
from headrace_model.resources import Allocation, Resources, Share
from headrace_model.status import Event, Role
from tests.support.redis_keys import COUNTED, Keys, Watch
from tests.support.redis_server import RedisServer
from tests.support.script_scenes import (
    N1,
    N2,
    NODE_SIZE,
    SCENES,
    TWO_NODES,
    Recorder,
    Scene,
    Stage,
    launch,
    new_job,
)

GARBAGE = (None, True, "garbage", "", -1.5, [], {"garbage": 1}, ["garbage"])
every_scene = pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES)


@pytest.fixture
def keys(redis_server: RedisServer) -> Iterator[Keys]:
    keys = Keys(redis_server.url)
    yield keys
    keys.close()


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[Recorder]:
    redis = Recorder(redis_server.url)
    await redis.open()
    yield redis
    await redis.close()


async def good_call(redis: Recorder, scene: Scene, keys: Keys) -> tuple[Any, dict[bytes, bytes]]:
    """Play the scene and call; returns the call's arguments, and all keys from before it."""
    stage = Stage(redis)
    await stage.ready()
    act = await scene.play(stage)
    before = keys.save()
    await act()
    name, args = redis.calls[-1]
    assert name == scene.script
    return args, before


def places(args: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value in the arguments."""
    if path:
        yield path
    if isinstance(args, dict):
        for name, value in args.items():
            yield from places(value, (*path, name))
    elif isinstance(args, list):
        for number, value in enumerate(args):
            yield from places(value, (*path, number))


def with_value(args: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy of the arguments with another value at one place; ... removes it."""
    changed = copy.deepcopy(args)
    inner = changed
    for step in path[:-1]:
        inner = inner[step]
    if value is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return changed


def test_every_script_has_a_scene() -> None:
    folder = files("headrace_adapters.redis") / "lua"
    scripts = {
        entry.name.removesuffix(".lua")
        for entry in folder.iterdir()
        if entry.name.endswith(".lua") and not entry.name.startswith("_")
    }
    assert scripts == {scene.script for scene in SCENES.values()}


@every_scene
async def test_a_repeated_call_gets_its_answer_and_changes_nothing_twice(
    redis: Recorder, keys: Keys, scene: Scene
) -> None:
    args, before = await good_call(redis, scene, keys)
    keys.put_back(before)
    first = await redis.script(scene.script, args)
    after = keys.all(COUNTED | scene.rises)
    again = await redis.script(scene.script, args)
    expected = list(scene.again) if scene.again is not None else first
    assert again == expected
    assert keys.all(COUNTED | scene.rises) == after


@every_scene
async def test_a_key_of_a_wrong_type_is_refused_before_anything_is_written(
    redis: Recorder, keys: Keys, scene: Scene
) -> None:
    args, before = await good_call(redis, scene, keys)
    keys.put_back(before)
    with Watch(keys) as watch:
        await redis.script(scene.script, args)
    assert len(watch.touched) >= 3, watch.touched
    for name in sorted(watch.touched):
        keys.put_back(before)
        keys.spoil(name)
        spoilt = keys.all()
        with pytest.raises(Damaged, match=name):
            await redis.script(scene.script, args)
        assert keys.all() == spoilt, f"with a wrong type in {name} something was written"


@every_scene
async def test_garbage_in_an_argument_never_leaves_half_a_write(
    redis: Recorder, keys: Keys, scene: Scene
) -> None:
    args, before = await good_call(redis, scene, keys)
    keys.put_back(before)
    untouched = keys.all()
    halves = []
    for path in places(args):
        for value in (..., *GARBAGE):
            try:
                await redis.script(scene.script, with_value(args, path, value))
            except (HeadraceError, RedisError) as error:
                if keys.all() != untouched:
                    halves.append(f"{path} = {value!r}: {str(error)[:120]}")
            keys.put_back(before)
    assert halves == []


@every_scene
async def test_a_restored_redis_refuses_every_script(
    redis: Recorder, keys: Keys, scene: Scene
) -> None:
    args, before = await good_call(redis, scene, keys)
    keys.put_back(before)
    keys.client.set("hr:epoch", "another")
    restored = keys.all()
    with pytest.raises(Fenced):
        await redis.script(scene.script, args)
    assert keys.all() == restored


@pytest.mark.parametrize(
    "scene", [s for name, s in SCENES.items() if name.startswith(("transition", "lose", "look"))]
)
async def test_a_late_leader_is_refused(redis: Recorder, keys: Keys, scene: Scene) -> None:
    args, before = await good_call(redis, scene, keys)
    if "term" not in args:
        assert args["role"] == "request", "only roles without a lease pass no term"
        return
    for term in (0, 2):
        keys.put_back(before)
        untouched = keys.all()
        with pytest.raises(Fenced, match="leads now"):
            await redis.script(scene.script, args | {"term": term})
        assert keys.all() == untouched


@pytest.mark.parametrize("name", ["renew_node", "report_fact", "finish_work"])
async def test_a_late_agent_is_refused(redis: Recorder, keys: Keys, name: str) -> None:
    args, before = await good_call(redis, SCENES[name], keys)
    keys.put_back(before)
    untouched = keys.all()
    with pytest.raises(Fenced, match="another agent"):
        await redis.script(name, args | {"incarnation": "an older run"})
    assert keys.all() == untouched


TRANSITIONS = [name for name in SCENES if name.startswith("transition")]


@pytest.mark.parametrize("name", TRANSITIONS)
@pytest.mark.parametrize("field", ["version", "attempt", "status"])
async def test_a_move_decided_from_another_state_is_stale(
    redis: Recorder, keys: Keys, name: str, field: str
) -> None:
    args, before = await good_call(redis, SCENES[name], keys)
    other = "CLOSED:STOPPED" if field == "status" else args[field] + 1
    keys.put_back(before)
    untouched = keys.all()
    with pytest.raises(Stale):
        await redis.script("transition", args | {field: other})
    assert keys.all() == untouched


async def test_a_share_named_twice_comes_back_once(redis: Recorder, keys: Keys) -> None:
    scene = SCENES["transition: returns shares, opens an attempt"]
    args, before = await good_call(redis, scene, keys)
    keys.put_back(before)
    await redis.script("transition", args | {"returns": ["node1", "node1", "node2", "node2"]})
    assert await Stage(redis).nodes.ledger_errors() == []


async def test_an_attempt_takes_one_share_of_a_node(redis: Recorder, keys: Keys) -> None:
    args, before = await good_call(redis, SCENES["transition: takes shares"], keys)
    keys.put_back(before)
    untouched = keys.all()
    share = args["takes"][0]
    with pytest.raises(RedisError, match="one share of node node1"):
        await redis.script("transition", args | {"takes": [share, share]})
    assert keys.all() == untouched


async def test_no_more_pieces_are_given_than_a_node_offers_and_all_come_back(
    redis: Recorder, keys: Keys
) -> None:
    """GPUs are what the node offers; of licences only an admin's file knows how many there are."""
    stage = Stage(redis)
    await stage.ready()
    running = [await stage.launched(1), await stage.launched(2)]
    third = await stage.make(new_job(3))
    with pytest.raises(Conflict) as refused:
        await stage.apply(launch(third, TWO_NODES))
    assert refused.value.code == "NO_ROOM"
    assert [node.free and dict(node.free.generic) for node in await stage.nodes.all()] == [
        {"licence_x": -6}
    ] * 2
    assert keys.client.hget("hr:free:node1", "room") == "2000 6442450944 licence_x=-6"
    assert await stage.nodes.ledger_errors() == []
    await stage.nodes.drain(N1, drained=True)
    await stage.nodes.drain(N1, drained=False)
    assert keys.client.hget("hr:free:node1", "room") == "2000 6442450944 licence_x=-6"
    for job in running:
        stop = move_of(job, Event.CANCEL, Role.MONITOR, cause=Cause.CANCELED)
        job = await stage.apply(replace(stop, work=(), forgets=(N1, N2)))
        back = replace(move_of(job, Event.END_CANCELED, Role.MONITOR), returns=(N1, N2))
        await stage.apply(back)
    assert [node.free for node in await stage.nodes.all()] == [NODE_SIZE] * 2


async def test_a_ledger_of_versions_before_is_read_and_written_on(
    redis: Recorder, keys: Keys
) -> None:
    """Two numbers a line, and nodes that told nothing of what they have by the piece."""
    stage = Stage(redis)
    await stage.ready()
    for node in (N1, N2):
        keys.client.hdel(f"hr:node:{node}", "generic")
        keys.client.hset(f"hr:free:{node}", "room", "4000 8589934592")
    plain = Resources(1_000, 2**30)
    job = await stage.make(new_job())
    await stage.apply(launch(job, Allocation((Share(N1, plain),))))
    assert keys.client.hget("hr:free:node1", "room") == "3000 7516192768"
    assert keys.client.hget("hr:held:node1", f"{job.id}.1") == "1000 1073741824"
    await stage.nodes.drain(N1, drained=True)
    await stage.nodes.drain(N1, drained=False)
    assert keys.client.hget("hr:free:node1", "room") == "3000 7516192768"
    assert await stage.nodes.ledger_errors() == []


async def test_items_above_the_most_are_refused_before_anything_is_written(
    redis: Recorder, keys: Keys
) -> None:
    args, before = await good_call(redis, SCENES["put_items"], keys)
    keys.put_back(before)
    untouched = keys.all()
    with pytest.raises(TooLarge, match="more than 1 items"):
        await redis.script("put_items", args | {"most": 1})
    assert keys.all() == untouched
    assert await redis.script("put_items", args) == [2]
    path, other = next(iter(args["items"].items()))
    replaced = {path: other.replace("1", "2")}
    # A limit that was lowered stops no change of what is there.
    assert await redis.script("put_items", args | {"items": replaced, "most": 1}) == [1]
    swap = {path: "", "new.txt": other}
    assert await redis.script("put_items", args | {"items": swap}) == [2]
    with pytest.raises(TooLarge):
        await redis.script("put_items", args | {"items": {"newer.txt": other}})


@pytest.mark.parametrize("value", ["garbage", "1.5", "9223372036854775807", "1e3"])
async def test_a_commit_count_that_cannot_rise_is_refused_before_anything_is_written(
    redis: Recorder, keys: Keys, value: str
) -> None:
    args, before = await good_call(redis, SCENES["transition: takes shares"], keys)
    keys.put_back(before)
    keys.client.set("hr:commits", value)
    spoilt = keys.all()
    with pytest.raises(Damaged, match="hr:commits"):
        await redis.script("transition", args)
    assert keys.all() == spoilt


@pytest.mark.parametrize("share", ["garbage", "", "1 2 3", "1.5 2", "1 2 gpus", "1 2 gpus=x"])
async def test_a_damaged_share_stops_a_registration_before_anything_is_written(
    redis: Recorder, keys: Keys, share: str
) -> None:
    args, before = await good_call(redis, SCENES["register_node"], keys)
    keys.put_back(before)
    keys.client.hset("hr:held:node1", "someone.1", share)
    spoilt = keys.all()
    with pytest.raises(Damaged, match="hr:held:node1"):
        await redis.script("register_node", args)
    assert keys.all() == spoilt
