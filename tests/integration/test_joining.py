"""Joining, with a real Redis and its rules: what the join secret is good for, and what not."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path

import pytest
from redis.exceptions import NoPermissionError

from headrace_adapters.redis.acl import (
    ADMIN,
    AGENT,
    JOIN,
    JOIN_CHANNEL,
    SERVICES,
    join_user,
    user_of,
)
from headrace_adapters.redis.connection import Denied, Redis
from headrace_adapters.redis.joins import JoinStore, ask_to_join
from headrace_adapters.redis.leases import LeaseStore
from headrace_adapters.redis.nodes import NodeStore
from headrace_agent.joining import Joining, own_password
from headrace_cluster.joins import Joins
from headrace_local.redis_server import find_server, version_of
from headrace_model.ids import NodeId
from headrace_model.node import JoinRequest
from headrace_model.resources import Resources
from headrace_model.service import Member
from headrace_model.status import Role
from tests.integration.test_redis_acl import NEW, OLD, GuardedServer
from tests.support.wait import wait_until

NODE, OTHER = NodeId("fresh"), NodeId("other")
MEMBERS = (Member("id1", "fresh", True), Member("id2", "other", True))
SIZE = Resources(1_000, 2**30)


@pytest.fixture(params=[NEW, OLD], ids=["rules of today", "rules for 6.2"])
def server(state_dir: Path, request: pytest.FixtureRequest) -> Iterator[GuardedServer]:
    if request.param == NEW and (version_of(find_server()) or OLD) < NEW:
        pytest.skip("this Redis can't tell reading a key from writing it")
    guarded = GuardedServer(state_dir, request.param)
    try:
        guarded.start()
        yield guarded
    finally:
        guarded.stop()


class Bench:
    """A cluster agent's part in joining, and machines that join."""

    def __init__(self, server: GuardedServer) -> None:
        self.folder = server.folder
        self.admin, self.cluster = server.connect(ADMIN), server.connect("cluster")
        self.store = JoinStore(self.cluster)
        self.secret = self.folder / "join-secret"
        self.secret.write_text("the join secret\n")
        self.members: Sequence[Member] = MEMBERS
        self.joins = Joins(self.store, self._members)
        self.term = 0

    async def _members(self) -> Sequence[Member]:
        return self.members

    async def open(self) -> None:
        await self.admin.open()
        await self.cluster.open()
        self.term = (await LeaseStore(self.cluster).acquire(Role.CLUSTER, "me", 60_000)).term
        digest = sha256(b"the join secret").hexdigest()
        version = await self.store._version()
        await self.admin.command(*join_user([digest], version))

    def url(self, node: str) -> str:
        return f"unix://{user_of(AGENT, node)}@{self.folder}/redis.sock"

    def own(self, node: str) -> Path:
        return self.folder / f"own-{node}"

    @asynccontextmanager
    async def agent(self, node: str, patience_s: float = 30.0) -> AsyncIterator[Redis]:
        """A connection as a node's agent, by the password that it made for itself."""
        redis = Redis(self.url(node), password_file=self.own(node), patience_s=patience_s)
        try:
            yield redis
        finally:
            await redis.close()

    async def lets_in(self, node: str, patience_s: float = 30.0) -> bool:
        async with self.agent(node, patience_s) as redis:
            try:
                await redis.open()
            except Denied:
                return False
            return True

    def machine(self, node: str, member: str, patience_s: float = 30.0) -> Joining:
        is_new = own_password(self.own(node))

        async def id_in_swarm() -> str:
            return member

        ask = partial(ask_to_join, self.url(node), self.secret)
        return Joining(
            NodeId(node), self.own(node), id_in_swarm, partial(self.lets_in, node, patience_s),
            ask, is_new=is_new,
        )  # fmt: skip

    async def asked(self, node: str, member: str, digest: str) -> None:
        """Ask, and wait until the cluster agent has looked at it: it takes one after the other."""
        await ask_to_join(self.url(node), self.secret, JoinRequest(node, member, digest))
        await ask_to_join(self.url("marker"), self.secret, JoinRequest("marker", "m", "0" * 64))
        self.members = (*MEMBERS, Member("m", "marker", True))

        async def seen() -> bool:
            again = JoinRequest("marker", "m", "0" * 64)
            await ask_to_join(self.url("marker"), self.secret, again)
            return await self.store.passwords("marker") is not None

        await wait_until(seen, "the requests to be looked at")

    @asynccontextmanager
    async def leading(self) -> AsyncIterator[None]:
        running = asyncio.create_task(self.joins.run(self.term))

        async def hears() -> bool:
            found = await self.admin.command("PUBSUB", "NUMSUB", JOIN_CHANNEL)
            return int(found[0][1] if isinstance(found[0], tuple | list) else found[1]) > 0

        try:
            await wait_until(hears, "the cluster agent to listen")
            yield
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


@pytest.fixture
async def bench(server: GuardedServer) -> AsyncIterator[Bench]:
    bench = Bench(server)
    await bench.open()
    yield bench
    await bench.admin.close()
    await bench.cluster.close()


async def test_a_machine_makes_a_password_and_is_let_in_by_it_as_its_node_alone(
    bench: Bench,
) -> None:
    asks = asyncio.create_task(bench.machine("fresh", "id1").run())  # before anybody hears it
    async with bench.leading():
        await asyncio.wait_for(asks, 60)
    assert bench.own("fresh").stat().st_mode & 0o777 == 0o600
    async with bench.agent("fresh") as redis:
        await redis.open()
        await NodeStore(redis).register(NODE, "run", SIZE, frozenset(), has_state_lock=True)
        with pytest.raises(Denied):
            await NodeStore(redis).register(OTHER, "run", SIZE, frozenset(), has_state_lock=True)


async def test_the_join_secret_alone_reads_writes_and_hears_nothing(
    bench: Bench, server: GuardedServer
) -> None:
    server.folder.joinpath(JOIN).write_text("the join secret\n")
    redis = server.connect(JOIN)
    for command in (
        ("GET", "hr:epoch"), ("SET", "hr:epoch", "x"), ("HGETALL", "hr:node:fresh"),
        ("XADD", JOIN_CHANNEL, "*", "a", "b"), ("EVAL", "return 1", "0"),
        ("SCRIPT", "LOAD", "return 1"), ("ACL", "USERS"), ("INFO",), ("PING",),
        ("SUBSCRIBE", JOIN_CHANNEL), ("PSUBSCRIBE", "*"), ("PUBLISH", "hr:logs:want", "x"),
    ):  # fmt: skip
        with pytest.raises(NoPermissionError):
            await redis.client.execute_command(*command)
    assert await redis.client.publish(JOIN_CHANNEL, "x" * 10_000) == 0, "nobody hears it"
    await redis.close()


async def test_requests_fill_no_memory_and_those_without_sense_stop_nobody(bench: Bench) -> None:
    async with bench.leading():
        before = set(await bench.admin.command("KEYS", "*"))
        redis = Redis(f"unix://{JOIN}@{bench.folder}/redis.sock", password_file=bench.secret)
        without_sense = '{"v":1,"node":"*","member":"","sha256":""}'
        for text in ("", "{", b"\xff", "x" * 100_000, without_sense):
            await redis.client.publish(JOIN_CHANNEL, text)
        await redis.close()
        assert set(await bench.admin.command("KEYS", "*")) == before
        await asyncio.wait_for(bench.machine("fresh", "id1").run(), 60)


async def test_nobody_takes_a_node_that_has_credentials(bench: Bench) -> None:
    async with bench.leading():
        await asyncio.wait_for(bench.machine("fresh", "id1").run(), 60)
        known = await bench.store.passwords("fresh")
        await bench.asked("fresh", "id1", "f" * 64)
        assert await bench.store.passwords("fresh") == known
        assert await bench.lets_in("fresh")


async def test_nobody_joins_as_a_machine_that_the_swarm_does_not_know(bench: Bench) -> None:
    async with bench.leading():
        await bench.asked("stranger", "id1", "f" * 64)
        await bench.asked("fresh", "id2", "f" * 64)
    for node in ("stranger", "fresh"):
        assert await bench.store.passwords(node) is None


async def test_a_removed_node_is_refused_at_once_and_comes_back_only_by_joining(
    bench: Bench, server: GuardedServer
) -> None:
    request = server.connect("request")
    await request.open()
    nodes = NodeStore(request)
    async with bench.leading():
        await asyncio.wait_for(bench.machine("fresh", "id1").run(), 60)
        async with bench.agent("fresh") as redis:
            await redis.open()
            await NodeStore(redis).register(NODE, "run", SIZE, frozenset(), has_state_lock=True)
            await bench.admin.command("HSET", f"hr:node:{NODE}", "state", "LOST")
            assert await nodes.forget(NODE)

            async def refused() -> bool:
                try:
                    await redis.command("GET", "hr:epoch")
                except Denied:
                    return True
                return False

            await wait_until(refused, "the open connection to be refused")
        assert not await bench.lets_in("fresh")
        again = bench.machine("fresh", "id1")
        await asyncio.wait_for(again.run(), 60)
        assert await bench.lets_in("fresh")
        assert await bench.store.removed() == []
    await request.close()


async def test_credentials_outlive_redis_and_get_the_rights_of_a_new_version(
    bench: Bench, server: GuardedServer
) -> None:
    async with bench.leading():
        await asyncio.wait_for(bench.machine("fresh", "id1").run(), 60)
    await bench.admin.command("ACL", "SETUSER", user_of(AGENT, NODE), "-evalsha")
    await bench.admin.command("ACL", "SAVE")
    server.stop()
    server.start()
    async with bench.agent("fresh") as redis:
        await redis.open()
        with pytest.raises(Denied):
            await NodeStore(redis).register(NODE, "run", SIZE, frozenset(), has_state_lock=True)
        async with bench.leading():
            await NodeStore(redis).register(NODE, "run", SIZE, frozenset(), has_state_lock=True)


# All that `register_node.lua` and `renew_node.lua` of the version before send; their ledger was
# one hash for all nodes.
_BEFORE = (
    ("TYPE", "hr:epoch"), ("TYPE", "hr:commits"), ("GET", "hr:epoch"), ("GET", "hr:commits"),
    ("TYPE", "hr:events"), ("TYPE", f"hr:node:{NODE}"), ("TYPE", "hr:nodes"),
    ("TYPE", "hr:free"), ("TYPE", f"hr:held:{NODE}"), ("TYPE", f"hr:work:{NODE}"),
    ("HMGET", f"hr:node:{NODE}", "incarnation", "counter", "state", "drained", "full"),
    ("HGET", f"hr:work:{NODE}", "job.1"), ("HVALS", f"hr:held:{NODE}"),
    ("HDEL", f"hr:node:{NODE}", ""), ("HSET", f"hr:node:{NODE}", "incarnation", "run"),
    ("SADD", "hr:nodes", NODE), ("HSET", "hr:free", NODE, "1 1"), ("HDEL", "hr:free", NODE),
    ("XADD", "hr:events", "MINID", "~", "1", "*", "kind", "node"), ("INCR", "hr:commits"),
    ("HGET", f"hr:node:{NODE}", "incarnation"), ("HINCRBY", f"hr:node:{NODE}", "counter", "1"),
)  # fmt: skip


async def test_an_agent_of_the_version_before_serves_its_node_until_it_is_replaced(
    bench: Bench, server: GuardedServer
) -> None:
    async with bench.leading():
        await asyncio.wait_for(bench.machine("fresh", "id1").run(), 60)
    async with bench.agent("fresh") as redis:
        await redis.open()
        for command in _BEFORE:
            await redis.command(*command)
    for service in set(SERVICES) - {AGENT}:  # no scheduler of either version mixes two ledgers
        other = server.connect(service)
        with pytest.raises(Denied):
            await other.command("HGETALL", "hr:free")
        await other.close()


async def test_a_machine_that_joined_before_works_on_where_redis_is_away(
    bench: Bench, server: GuardedServer
) -> None:
    async with bench.leading():
        await asyncio.wait_for(bench.machine("fresh", "id1").run(), 60)
    server.stop()
    await asyncio.wait_for(bench.machine("fresh", "id1", 0.2).run(), 60)
    server.start()
