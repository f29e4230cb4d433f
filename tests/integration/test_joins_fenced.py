"""A leader of the cluster agents that slept while another took over changes no user of Redis."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from headrace_adapters.redis.acl import ADMIN, JOIN_CHANNEL
from headrace_adapters.redis.connection import Redis
from headrace_adapters.redis.joins import JoinStore
from headrace_adapters.redis.leases import LeaseStore
from headrace_adapters.redis.nodes import NodeStore
from headrace_adapters.redis.snapshot import begin_epoch
from headrace_cluster.joins import Joins
from headrace_model.errors import Fenced
from headrace_model.ids import NodeId
from headrace_model.node import JoinRequest
from headrace_model.service import Member
from headrace_model.status import Role
from headrace_wire.records import encode
from tests.integration.test_joining import server as server  # the fixture
from tests.integration.test_redis_acl import GuardedServer
from tests.support.cut_line import CutLine, cut_line
from tests.support.script_scenes import N1
from tests.support.wait import wait_until

NODE = NodeId("fresh")
DIGEST = "f" * 64


class Leaders:
    """Two replicas; what the first one says to Redis goes over a line that can hold it."""

    def __init__(self, server: GuardedServer, line: CutLine) -> None:
        self.line = line
        self.admin, self.redis = server.connect(ADMIN), server.connect("cluster")
        self._late_redis = Redis(
            f"redis://cluster@127.0.0.1:{line.port}", password_file=server.folder / "cluster"
        )
        self.late, self.store = JoinStore(self._late_redis), JoinStore(self.redis)
        self.late_term = self.term = 0

    async def open(self) -> None:
        for redis in (self.admin, self.redis, self._late_redis):
            await redis.open()
        self.late_term = await self.takes_over("late")

    async def close(self) -> None:
        for redis in (self.admin, self.redis, self._late_redis):
            await redis.close()

    async def takes_over(self, holder: str) -> int:
        """Lead as `holder`, once the lease of who led before has run out; returns the term."""
        leases = LeaseStore(self.redis)
        while not (lease := await leases.acquire(Role.CLUSTER, holder, 1)).held:
            pass
        return lease.term

    async def remove(self) -> None:
        await NodeStore(self.admin).forget(NODE)

    async def held(self, acting: "asyncio.Future[None]") -> None:
        """Wait until what the first leader does is held."""
        await wait_until(lambda: self.line.holds.is_set() or acting.done(), "what is held")
        if acting.done():
            await acting
            raise AssertionError("it has done all without saying what is held")

    @asynccontextmanager
    async def asleep(
        self, act: Callable[[], Awaitable[None]], before: bytes
    ) -> AsyncIterator[None]:
        """Have the first leader act, and sleep just before it says `before` till the block ends.

        Meanwhile the second one leads. The first one must hear that.
        """
        self.line.hold_at = before
        acting = asyncio.ensure_future(act())
        await self.held(acting)
        self.term = await self.takes_over("next")
        yield
        self.line.go.set()
        with pytest.raises(Fenced):
            await asyncio.wait_for(acting, 30)


@pytest.fixture
async def leaders(server: GuardedServer) -> AsyncIterator[Leaders]:
    async with cut_line(server.folder / "redis.sock") as line:
        leaders = Leaders(server, line)
        await leaders.open()
        yield leaders
        await leaders.close()


async def test_who_sleeps_while_it_lets_a_machine_in_undoes_no_removal(leaders: Leaders) -> None:
    async with leaders.asleep(
        lambda: leaders.late.admit(NODE, [DIGEST], leaders.late_term), b"SETUSER"
    ):
        await leaders.store.admit(NODE, [DIGEST], leaders.term)
        await leaders.remove()
        await leaders.store.revoke(NODE, leaders.term)
    assert await leaders.store.passwords(NODE) is None


async def test_who_sleeps_while_it_puts_a_machine_out_ends_no_later_user(leaders: Leaders) -> None:
    await leaders.store.admit(NODE, [DIGEST], leaders.late_term)
    await leaders.remove()
    async with leaders.asleep(lambda: leaders.late.revoke(NODE, leaders.late_term), b"DELUSER"):
        await leaders.store.revoke(NODE, leaders.term)
        await leaders.store.admit(NODE, [DIGEST], leaders.term)
    assert await leaders.store.passwords(NODE) == [DIGEST]


async def test_who_sleeps_when_it_has_put_a_machine_out_hides_no_later_removal(
    leaders: Leaders,
) -> None:
    await leaders.store.admit(NODE, [DIGEST], leaders.late_term)
    await leaders.remove()
    async with leaders.asleep(lambda: leaders.late.revoke(NODE, leaders.late_term), b"SREM"):
        await leaders.store.revoke(NODE, leaders.term)
        await leaders.store.admit(NODE, [DIGEST], leaders.term)
        await leaders.remove()
    assert await leaders.store.removed() == [NODE]


async def test_who_wakes_when_another_led_lets_nobody_in_and_out(leaders: Leaders) -> None:
    await leaders.takes_over("next")
    with pytest.raises(Fenced):
        await leaders.late.admit(NODE, [DIGEST], leaders.late_term)
    with pytest.raises(Fenced):
        await leaders.late.revoke(NODE, leaders.late_term)
    assert await leaders.store.nodes() == [N1]


async def test_who_led_before_redis_was_restored_lets_nobody_in(leaders: Leaders) -> None:
    await begin_epoch(leaders.admin, "a backup")
    with pytest.raises(Fenced):
        await leaders.late.admit(NODE, [DIGEST], leaders.late_term)


async def test_the_renewal_of_its_own_lease_keeps_nobody_from_letting_in(leaders: Leaders) -> None:
    leaders.line.hold_at = b"SETUSER"
    admitting = asyncio.ensure_future(leaders.late.admit(NODE, [DIGEST], leaders.late_term))
    await leaders.held(admitting)
    assert await leaders.takes_over("late") == leaders.late_term
    leaders.line.go.set()
    await asyncio.wait_for(admitting, 30)
    assert await leaders.store.passwords(NODE) == [DIGEST]


@pytest.mark.parametrize("asked", ["a machine asks", "a node is removed"])
async def test_who_finds_that_another_leads_lets_in_and_out_no_more(
    leaders: Leaders, asked: str
) -> None:
    async def members() -> tuple[Member, ...]:
        return (Member("id1", NODE, True),)

    async def hears() -> bool:
        channels = await leaders.admin.command("PUBSUB", "CHANNELS", JOIN_CHANNEL)
        return bool(channels)

    running = asyncio.ensure_future(Joins(leaders.late, members).run(leaders.late_term))
    await wait_until(hears, "it to listen")
    await leaders.takes_over("next")
    if asked == "a machine asks":
        request = encode(JoinRequest(NODE, "id1", DIGEST))
        await leaders.admin.command("PUBLISH", JOIN_CHANNEL, request)
    else:
        await leaders.remove()
    with pytest.raises(ExceptionGroup) as ended:
        await asyncio.wait_for(running, 30)
    assert ended.value.split(Fenced)[1] is None
    assert await leaders.store.nodes() == [N1]
