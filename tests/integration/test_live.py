"""The WebSocket over a real Redis: every event once and in order, whatever breaks; fair to all."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import (
    ClientError,
    ClientSession,
    ClientWebSocketResponse,
    UnixConnector,
    WSMsgType,
    WSServerHandshakeError,
)

from headrace_adapters.redis.events import Events
from headrace_adapters.redis.nodes import NodeStore
from headrace_adapters.redis.users import UserStore
from headrace_model.errors import Unavailable
from headrace_model.ids import JobId, NodeId
from headrace_model.people import Scope, User, UserRole
from headrace_model.resources import Resources
from headrace_model.status import Event, Role
from headrace_request.core.live import Close
from headrace_request.service import live as service
from headrace_request.service import livelogs
from headrace_request.service.doorman import Caller
from tests.support.people import token_of
from tests.support.redis_server import RedisServer
from tests.support.request_desk import NODE, Desk, running_desk
from tests.support.wait import wait_until

URL = "http://request/api/v1/ws"


@pytest.fixture
async def desk(state_dir: Path, redis_server: RedisServer) -> AsyncIterator[Desk]:
    async with running_desk(state_dir, redis_server.url) as made:
        yield made


class Socket:
    """One connection of a test, and what came over it."""

    def __init__(self, wire: ClientWebSocketResponse) -> None:
        self.wire = wire

    async def say(self, **message: Any) -> None:
        await self.wire.send_str(json.dumps(message))

    async def hear(self) -> dict[str, Any]:
        async with asyncio.timeout(60.0):
            message = await self.wire.receive()
        assert message.type is WSMsgType.TEXT, (message.type, message.data, self.wire.close_code)
        heard: dict[str, Any] = json.loads(message.data)
        return heard

    async def until(self, kind: str) -> dict[str, Any]:
        while (heard := await self.hear())["type"] != kind:
            pass
        return heard

    async def closed(self) -> int | None:
        """Read to the end; gives the close code."""
        async with asyncio.timeout(60.0):
            async for _ in self.wire:
                pass
        return self.wire.close_code


@asynccontextmanager
async def connected(desk: Desk, token: str | None = None) -> AsyncIterator[Socket]:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with desk.session.ws_connect(URL, headers=headers) as wire:
        socket = Socket(wire)
        assert (await socket.hear())["type"] == "hello"
        yield socket


def transition(heard: dict[str, Any]) -> tuple[str, int, str]:
    return heard["job"]["id"], heard["event"]["version"], heard["event"]["to"]


async def moves(desk: Desk, *jobs: JobId) -> set[tuple[str, int, str]]:
    """What the histories tell, as `transition` writes it; acceptance is told as its first step."""
    found = set()
    for job in jobs:
        _, said = await desk.call("GET", f"/jobs/{job}/history")
        steps = {(job, each["version"], each["to"]) for each in said["history"]}
        found |= {step for step in steps if step[2] != "INIT:ACCEPTED"}
    return found


async def test_a_follower_hears_a_snapshot_and_then_each_transition_once(desk: Desk) -> None:
    old = await desk.submit(name="old")
    async with connected(desk) as socket:
        await socket.say(op="follow", id="a", topic="jobs")
        snapshot = await socket.hear()
        assert [job["id"] for job in snapshot["jobs"]] == [old]
        assert (snapshot["type"], snapshot["id"], snapshot["more"]) == ("snapshot", "a", False)
        new = await desk.submit(name="new")
        await desk.call("POST", f"/jobs/{old}:cancel")
        heard = [await socket.hear() for _ in range(2)]
        assert {transition(each) for each in heard} == {
            (new, 1, "MODEL_EXEC:AWAITING_ALLOCATION"),
            (old, 2, "CLOSED:CANCELED"),
        }
        assert "spec" not in heard[0]["job"]
        await socket.say(op="unfollow", id="a")
        await socket.say(op="follow", id="n", topic="nodes")
        await desk.submit()
        assert (await socket.hear())["type"] == "nodes"


async def test_who_comes_again_hears_what_was_missed_once_and_in_order(desk: Desk) -> None:
    async with connected(desk) as socket:
        await socket.say(op="follow", id="a", topic="jobs")
        last = (await socket.hear())["at"]
    jobs = [await desk.submit() for _ in range(30)]
    heard: list[dict[str, Any]] = []
    working = asyncio.ensure_future(_busy(desk, jobs))
    while not working.done() or {transition(each) for each in heard} != await moves(desk, *jobs):
        async with connected(desk) as socket:
            await socket.say(op="follow", id="a", topic="jobs", after=last)
            assert (await socket.hear())["type"] == "following"
            with suppress(TimeoutError):
                async with asyncio.timeout(0.05):  # cut wherever it is
                    while True:
                        message = await socket.wire.receive()
                        heard.append(json.loads(message.data))
                        last = heard[-1]["at"]
    told = [transition(each) for each in heard]
    assert len(told) == len(set(told))
    order = [tuple(map(int, each["at"].split("-"))) for each in heard]
    assert order == sorted(order)


class Follower:
    """Follows all jobs, and comes again where it was whenever the connection breaks."""

    def __init__(self, folder: Path, token: str) -> None:
        self._socket = str(folder / "request.sock")
        self._headers = {"Authorization": f"Bearer {token}"}
        self._last: str | None = None
        self.heard: list[dict[str, Any]] = []
        self.begun = asyncio.Event()

    async def run(self) -> None:
        while True:
            with suppress(ClientError, OSError):
                async with (
                    ClientSession(connector=UnixConnector(self._socket)) as session,
                    session.ws_connect(URL, headers=self._headers) as wire,
                ):
                    await self._follow(wire)
            await asyncio.sleep(0.02)

    async def _follow(self, wire: ClientWebSocketResponse) -> None:
        after = {"after": self._last} if self._last else {}
        await Socket(wire).say(op="follow", id="a", topic="jobs", **after)
        async for message in wire:
            told = json.loads(message.data)
            assert told["type"] in ("hello", "job", "following" if after else "snapshot"), told
            if told["type"] == "job":
                self.heard.append(told)
            self._last = told.get("at", self._last)
            if self._last:
                self.begun.set()

    async def heard_all(self, desk: Desk, jobs: list[JobId]) -> None:
        """Wait until all is heard that the histories tell, each once and in order."""
        expected = await moves(desk, *jobs)
        await wait_until(
            lambda: {transition(each) for each in self.heard} >= expected,
            "all to be heard",
            within_s=60.0,
        )
        told = [transition(each) for each in self.heard]
        assert sorted(told) == sorted(expected)
        order = [tuple(map(int, each["at"].split("-"))) for each in self.heard]
        assert order == sorted(order)


@asynccontextmanager
async def following(desk: Desk, token: str) -> AsyncIterator[Follower]:
    follower = Follower(desk.folder, token)
    running = asyncio.ensure_future(follower.run())
    try:
        async with asyncio.timeout(60.0):
            await asyncio.wait(
                {running, asyncio.ensure_future(follower.begun.wait())},
                return_when=asyncio.FIRST_COMPLETED,
            )
        yield follower
        assert not running.done(), running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_nothing_is_lost_or_told_twice_when_redis_is_killed(
    desk: Desk, redis_server: RedisServer
) -> None:
    token = await token_of(UserStore(desk.redis), "zoe")
    async with following(desk, token) as follower:
        jobs = [await desk.submit() for _ in range(10)]
        working = asyncio.ensure_future(_busy(desk, jobs))
        for heard in (15, 30):
            await wait_until(lambda heard=heard: len(follower.heard) >= heard, "some events")
            redis_server.kill9()
            redis_server.start()
        async with asyncio.timeout(60.0):
            await working
        await follower.heard_all(desk, jobs)


async def test_nothing_is_lost_or_told_twice_when_the_service_is_another(
    state_dir: Path, redis_server: RedisServer
) -> None:
    async with running_desk(state_dir, redis_server.url) as desk:
        token = await token_of(UserStore(desk.redis), "zoe")
        follower = Follower(state_dir, token)
        running = asyncio.ensure_future(follower.run())
        async with asyncio.timeout(60.0):
            await follower.begun.wait()
        jobs = [await desk.submit() for _ in range(5)]
        await _busy(desk, jobs[:2])
    async with running_desk(state_dir, redis_server.url) as desk:
        await _busy(desk, jobs[2:])
        await follower.heard_all(desk, jobs)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_what_happens_while_the_missed_is_told_comes_once_and_after_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_AT_ONCE", 1)
    async with connected(desk) as other, connected(desk) as socket:
        await other.say(op="follow", id="a", topic="jobs")
        after = (await other.until("snapshot"))["at"]
        jobs = [await desk.submit(), await desk.submit()]
        for _ in jobs:  # so that only the stream tells of them from here on
            await other.until("job")
        since = Events.since

        async def slow_since(self: Events, place: str, count: int) -> Any:
            found = await since(self, place, count)
            if found == [] and len(jobs) == 2:
                jobs.append(await desk.submit())
                # Once the other one has heard of it, this subscription holds it back.
                while (await other.until("job"))["job"]["id"] != jobs[2]:
                    pass
            return found

        monkeypatch.setattr(Events, "since", slow_since)
        await socket.say(op="follow", id="a", topic="jobs", after=after)
        assert (await socket.hear())["type"] == "following"
        assert [(await socket.hear())["job"]["id"] for _ in range(3)] == jobs
        jobs.append(await desk.submit())
        assert (await socket.hear())["job"]["id"] == jobs[3]


async def test_who_can_t_be_told_an_event_comes_again_for_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise Unavailable("Redis is away")

    async with connected(desk) as socket:
        await socket.say(op="follow", id="a", topic="jobs")
        await socket.until("snapshot")
        monkeypatch.setattr(service.LiveHub, "_read", away)
        await desk.submit()
        assert await socket.closed() == Close.GOING


async def test_a_service_that_can_t_keep_up_sends_its_clients_to_resume(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_MOST_PENDING", 0)
    async with connected(desk) as socket:
        await socket.say(op="follow", id="a", topic="jobs")
        await socket.until("snapshot")
        await desk.submit()
        assert await socket.closed() == Close.GOING


async def _busy(desk: Desk, jobs: list[JobId]) -> None:
    for job in jobs:
        for verb in ("hold", "release", "stop", "cancel"):
            await desk.call("POST", f"/jobs/{job}:{verb}")
            await asyncio.sleep(0)


async def test_what_is_no_longer_kept_is_answered_by_a_snapshot(desk: Desk) -> None:
    job = await desk.submit()
    async with connected(desk) as socket:
        for after in ("1-1", "9999999999999-0"):  # long trimmed; of another Redis
            await socket.say(op="follow", id="a", topic="jobs", after=after)
            assert await socket.hear() == {"type": "resync", "id": "a"}
            assert [each["id"] for each in (await socket.hear())["jobs"]] == [job]


async def test_filters_hold_for_snapshots_and_events(desk: Desk) -> None:
    first, second = await desk.submit(name="one"), await desk.submit(name="two")
    async with connected(desk) as socket:
        await socket.say(op="follow", id="named", topic="jobs", jobs=[first])
        await socket.say(op="follow", id="q", topic="jobs", q="two")
        await socket.say(op="follow", id="closed", topic="jobs", status=["CANCELED"])
        told = {}
        for _ in range(3):
            heard = await socket.hear()
            told[heard["id"]] = [job["id"] for job in heard["jobs"]]
        assert told == {"named": [first], "q": [second], "closed": []}
        await desk.submit(name="three")  # none of them asked for that
        for job in (first, second):
            await desk.call("POST", f"/jobs/{job}:cancel")
        events = [await socket.hear() for _ in range(4)]
        assert sorted((each["id"], each["job"]["id"]) for each in events) == sorted(
            [("named", first), ("closed", first), ("q", second), ("closed", second)]
        )


async def test_nobody_hears_of_jobs_that_they_may_not_see(desk: Desk) -> None:
    users = UserStore(desk.redis)
    zoe = await token_of(users, "zoe", UserRole.VIEWER, groups=("hydro",))
    hidden, shared = await desk.submit(), await desk.submit()
    await desk.call("POST", f"/jobs/{shared}:share", {"who": "group:hydro"})
    async with connected(desk, zoe) as socket:
        await socket.say(op="follow", id="a", topic="jobs")
        assert [job["id"] for job in (await socket.hear())["jobs"]] == [shared]
        await socket.say(op="follow", id="b", topic="jobs", jobs=[hidden])
        assert (await socket.hear())["jobs"] == []
        await socket.say(op="follow", id="c", topic="logs", job=hidden)
        assert (await socket.hear())["code"] == "NOT_FOUND"
        for job in (hidden, shared):
            await desk.call("POST", f"/jobs/{job}:cancel")
        assert (await socket.hear())["job"]["id"] == shared
        await desk.call("POST", f"/jobs/{await desk.submit()}:share", {"who": "everyone"})
    writes = await token_of(users, "yan", scopes=frozenset({Scope.JOBS}))
    async with connected(desk, writes) as socket:
        for topic in ("jobs", "nodes"):
            await socket.say(op="follow", id="a", topic=topic)
            assert (await socket.hear())["code"] == "FORBIDDEN"


async def test_who_comes_into_a_group_hears_of_what_is_shared_with_it(desk: Desk) -> None:
    zoe = await token_of(UserStore(desk.redis), "zoe", UserRole.USER)
    await desk.call("POST", "/groups", {"name": "hydro"})
    async with connected(desk, zoe) as socket:
        await socket.say(op="follow", id="a", topic="jobs")
        await socket.until("snapshot")
        await desk.call("PUT", "/groups/hydro/members/zoe")
        heard = asyncio.ensure_future(socket.hear())
        while not heard.done():
            job = await desk.submit()
            await desk.call("POST", f"/jobs/{job}:share", {"who": "group:hydro"})
            await desk.call("POST", f"/jobs/{job}:cancel")
        assert transition(await heard)[2] == "CLOSED:CANCELED"


async def test_a_browser_shows_its_token_in_the_first_message(desk: Desk) -> None:
    token = await token_of(UserStore(desk.redis), "zoe", UserRole.USER)
    async with desk.session.ws_connect(URL, headers={"Authorization": ""}) as wire:
        socket = Socket(wire)
        await socket.say(op="auth", token=token)
        assert (await socket.hear())["user"] == "zoe"
    for first in ({"op": "auth", "token": "hrt_wrong"}, {"op": "follow", "id": "a"}):
        async with desk.session.ws_connect(URL, headers={"Authorization": ""}) as wire:
            await Socket(wire).say(**first)
            assert await Socket(wire).closed() == Close.UNAUTHORIZED
    with pytest.raises(WSServerHandshakeError, match="401"):
        await desk.session.ws_connect(URL, headers={"Authorization": "Bearer hrt_wrong"})


async def test_guesses_of_tokens_are_slowed_down(desk: Desk) -> None:
    wrong = {"op": "auth", "token": "hrt_wrong"}
    for _ in range(500):
        async with desk.session.ws_connect(URL, headers={"Authorization": ""}) as wire:
            await Socket(wire).say(**wrong)
            code = await Socket(wire).closed()
        if code == Close.TOO_MANY:
            break
        assert code == Close.UNAUTHORIZED
    else:
        raise AssertionError("every guess was looked up")


async def test_a_connection_ends_with_the_right_to_it(desk: Desk) -> None:
    token = await token_of(UserStore(desk.redis), "zoe", UserRole.USER)
    async with connected(desk, token) as socket, connected(desk) as other:
        await desk.call("PATCH", "/users/zoe", {"disabled": True})
        assert await socket.closed() == Close.UNAUTHORIZED
        await other.say(op="follow", id="n", topic="nodes")
        assert (await other.hear())["type"] == "nodes"


@pytest.mark.parametrize(
    "text",
    [
        "", "x", "[]", "{}", "1", '{"op":"follow"}', '{"op":"follow","id":"a"}',
        '{"op":"follow","id":"a","topic":"jobs","jobs":["x"]}',
        '{"op":"follow","id":"a","topic":"jobs","after":"yesterday"}',
        '{"op":"follow","id":"a","topic":"jobs","color":"red"}',
        '{"op":"follow","id":"a","topic":"logs"}', '{"op":"follow","id":"","topic":"nodes"}',
        '{"op":"follow","id":"a","topic":"logs","job":"0000000000000000","rank":-1}',
        '{"op":"shutdown","id":"a"}', "[" * 5000, '{"op":"follow","id":{},"topic":"jobs"}',
    ],
)  # fmt: skip
async def test_a_message_without_sense_is_answered_with_an_error(desk: Desk, text: str) -> None:
    async with connected(desk) as socket:
        await socket.wire.send_str(text)
        heard = await socket.hear()
        assert (heard["type"], len(heard["detail"]) > 10) == ("error", True)
        await socket.say(op="follow", id="n", topic="nodes")
        assert (await socket.hear())["type"] == "nodes"


async def test_nonsense_without_end_and_messages_without_bounds_are_cut_off(desk: Desk) -> None:
    async with connected(desk) as socket:
        for _ in range(30):
            await socket.wire.send_str("?")
        assert await socket.closed() == Close.NONSENSE
    async with connected(desk) as socket:
        await socket.wire.send_str("x" * 100_000)
        assert await socket.closed() == 1009
    async with connected(desk) as socket:
        await socket.wire.send_bytes(b"x")
        assert await socket.closed() == Close.NONSENSE


async def test_subscriptions_and_sockets_of_one_user_are_counted(
    state_dir: Path, redis_server: RedisServer
) -> None:
    async with (
        running_desk(state_dir, redis_server.url, user_sockets_limit=2) as desk,
        connected(desk) as socket,
        connected(desk),
    ):
        async with desk.session.ws_connect(URL) as third:
            assert await Socket(third).closed() == Close.TOO_MANY
        zoe = await token_of(UserStore(desk.redis), "zoe", UserRole.USER)
        async with connected(desk, zoe):
            pass
        for number in range(101):
            await socket.say(op="follow", id=f"n{number}", topic="nodes")
        assert await socket.closed() == Close.TOO_MANY


async def test_strangers_who_say_nothing_take_no_place_of_those_with_a_token(
    state_dir: Path, redis_server: RedisServer
) -> None:
    async with (
        running_desk(state_dir, redis_server.url, sockets_limit=2) as desk,
        ClientSession(connector=UnixConnector(str(state_dir / "request.sock"), limit=0)) as many,
        AsyncExitStack() as silent,
    ):
        for _ in range(100):
            await silent.enter_async_context(many.ws_connect(URL))
        async with many.ws_connect(URL) as another:
            assert await Socket(another).closed() == Close.TOO_MANY
        async with connected(desk), connected(desk), desk.session.ws_connect(URL) as third:
            assert await Socket(third).closed() == Close.TOO_MANY


async def test_who_reads_nothing_is_dropped_and_blocks_nobody(
    state_dir: Path, redis_server: RedisServer
) -> None:
    async with (
        running_desk(state_dir, redis_server.url, outbox_limit_bytes=20_000) as desk,
        connected(desk) as deaf,
        connected(desk) as other,
    ):
        await other.say(op="follow", id="a", topic="jobs")
        await other.until("snapshot")
        for number in range(50):  # so that a few events fill what the sockets hold
            await deaf.say(op="follow", id=f"a{number}", topic="jobs")
            await deaf.until("snapshot")
        transport = deaf.wire._conn.transport  # no public way to stop reading
        assert transport is not None
        transport.pause_reading()
        for _ in range(20):
            await asyncio.gather(*(desk.submit() for _ in range(25)))
            for _ in range(25):
                await other.until("job")

        async def one_is_left() -> bool:
            return await desk.sockets() == 1

        await wait_until(one_is_left, "the reader that takes nothing to be dropped")
        transport.resume_reading()
        assert await deaf.closed() == Close.TOO_SLOW
        await desk.submit()
        assert (await other.until("job"))["type"] == "job"


async def _with_long_log(desk: Desk) -> JobId:
    """A job that is over, and wrote more than sockets hold."""
    job = await desk.submit()
    await desk.launch(job)
    await desk.step(job, Event.COMPLETED, Role.MONITOR, returns=(NODE,))
    (desk.folder / "shipped").mkdir()
    (desk.folder / "shipped" / "0.out").write_bytes(b"a line of a log\n" * 2**20)
    return job


async def test_what_fits_is_not_told_after_what_had_no_room() -> None:
    ann = User("ann", UserRole.USER)
    live = service.Live(Caller(ann, "hrt_x", "0" * 12, None), outbox_bytes=100)
    for text in ("x" * 90, "y" * 50, "z"):
        live.tell(text)
    assert live.closing.result() is Close.TOO_SLOW
    assert await live.outbox.take() == "x" * 90
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await live.outbox.take()


async def test_who_does_not_read_a_log_is_dropped(
    state_dir: Path, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(livelogs, "_PATIENCE_S", 0.5)
    async with (
        running_desk(state_dir, redis_server.url, outbox_limit_bytes=20_000) as desk,
        connected(desk) as socket,
    ):
        await desk.join_node()
        job = await _with_long_log(desk)
        await socket.say(op="follow", id="l", topic="logs", job=job)
        assert (await socket.hear())["type"] == "log"
        transport = socket.wire._conn.transport
        assert transport is not None
        transport.pause_reading()
        await wait_until(lambda: _no_sockets(desk), "the reader to be dropped", within_s=30.0)
        transport.resume_reading()
        assert await socket.closed() == Close.TOO_SLOW


async def _no_sockets(desk: Desk) -> bool:
    return await desk.sockets() == 0


async def test_who_follows_the_log_of_an_array_is_told_to_name_a_task(desk: Desk) -> None:
    job = await desk.submit(array={"count": 2})
    async with connected(desk) as socket:
        await socket.say(op="follow", id="l", topic="logs", job=job)
        error = await socket.hear()
    assert (error["type"], error["id"], error["code"]) == ("error", "l", "INVALID_INPUT")
    assert "task=0 by REST" in error["hint"]


async def test_a_log_ends_with_the_right_to_see_it(desk: Desk) -> None:
    zoe = await token_of(UserStore(desk.redis), "zoe", UserRole.USER)
    await desk.join_node()
    job = await desk.submit()
    await desk.launch(job)
    await desk.call("POST", f"/jobs/{job}:share", {"who": "user:zoe"})
    async with connected(desk, zoe) as socket:
        await socket.say(op="follow", id="l", topic="logs", job=job)
        await socket.say(op="follow", id="a", topic="jobs", jobs=[job])
        assert [each["id"] for each in (await socket.hear())["jobs"]] == [job]
        await desk.call("POST", f"/jobs/{job}:unshare", {"who": "user:zoe"})
        error = await socket.until("error")
        assert (error["id"], error["code"]) == ("l", "NOT_FOUND")
        await socket.say(op="follow", id="n", topic="nodes")
        assert (await socket.until("nodes"))["id"] == "n"


async def test_nodes_are_told_to_all_who_follow_them(desk: Desk) -> None:
    await desk.join_node()
    async with connected(desk) as first, connected(desk) as second:
        for socket in (first, second):
            await socket.say(op="follow", id="n", topic="nodes")
            assert len((await socket.hear())["nodes"]) == 1
        # Both rest now, the first of them for a shorter time.
        await desk.submit()
        await NodeStore(desk.redis).register(
            NodeId("n2"), "i2", Resources(1000, 2**30), frozenset(), has_state_lock=True
        )
        for socket in (first, second):
            assert len((await socket.hear())["nodes"]) == 2


async def test_nodes_are_told_at_once_and_when_they_change(desk: Desk) -> None:
    async with connected(desk) as socket:
        await socket.say(op="follow", id="n", topic="nodes")
        assert (await socket.hear())["nodes"] == []
        await desk.join_node()
        (node,) = (await socket.hear())["nodes"]
        assert (node["id"], node["state"]) == ("n1", "UP")


async def test_what_jobs_hold_of_a_node_is_told_when_they_begin(desk: Desk) -> None:
    await desk.join_node()
    job = await desk.submit()
    async with connected(desk) as socket:
        await socket.say(op="follow", id="n", topic="nodes")
        assert (await socket.hear())["nodes"][0]["jobs"] == []
        await desk.launch(job)
        async with asyncio.timeout(10.0):  # all nodes are looked at again after 15 s
            (node,) = (await socket.hear())["nodes"]
        assert [run.partition(".")[0] for run in node["jobs"]] == [job]


async def test_a_service_that_stops_sends_its_clients_elsewhere(
    state_dir: Path, redis_server: RedisServer
) -> None:
    async with ClientSession(connector=UnixConnector(str(state_dir / "request.sock"))) as session:
        async with running_desk(state_dir, redis_server.url) as desk:
            headers = {"Authorization": desk.session.headers["Authorization"]}
            wire = await session.ws_connect(URL, headers=headers)
            assert (await Socket(wire).hear())["type"] == "hello"
            closed = asyncio.ensure_future(Socket(wire).closed())
        assert await closed == Close.GOING
