"""The simulator's ledger and the real one: the same moves, the same answers, the same room."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace_adapters.redis.connection import Redis
from headrace_local.simulate.ledger import Ledger, NoRoom
from headrace_model.cause import Cause
from headrace_model.errors import Conflict
from headrace_model.ids import NodeId
from headrace_model.job import Job
from headrace_model.move import move_of
from headrace_model.resources import Allocation, Resources, Share
from headrace_model.status import Event, Role
from tests.support.redis_server import RedisServer
from tests.support.script_scenes import N1, N2, NODE_SIZE, Stage, launch, new_job

UNKNOWN = NodeId("nowhere")


@dataclass(frozen=True, slots=True)
class Take:
    """A job starts with these shares."""

    shares: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class GiveBack:
    """The shares of a job that started before come back, on nodes where it has any or not."""

    which: int
    nodes: tuple[NodeId, ...]


_sizes = st.builds(
    Resources,
    st.sampled_from([0, 1, 1_000, 1_500, 3_999, 4_000, 4_001]),
    st.sampled_from([0, 1, 2**30, 3 * 2**30, 8 * 2**30, 8 * 2**30 + 1]),
)
_shares = st.lists(
    st.builds(Share, st.sampled_from([N1, N1, N2, N2, UNKNOWN]), _sizes),
    min_size=1,
    max_size=3,
    unique_by=lambda share: share.node,
)
_nodes = st.lists(st.sampled_from([N1, N2, UNKNOWN]), max_size=4).map(tuple)
_moves = st.lists(
    st.builds(Take, _shares.map(tuple)) | st.builds(GiveBack, st.integers(0, 5), _nodes),
    min_size=3,
    max_size=15,
)


class _Both:
    """Both ledgers, with the same two nodes."""

    def __init__(self, redis: Redis) -> None:
        self._stage = Stage(redis)
        self._ledger = Ledger([(N1, NODE_SIZE), (N2, NODE_SIZE)])
        self._started: list[Job] = []
        self._jobs = 0

    async def play(self, moves: list[Take | GiveBack]) -> None:
        await self._stage.ready()
        for move in moves:
            match move:
                case Take(shares):
                    await self._take(shares)
                case GiveBack(which, nodes) if which < len(self._started):
                    await self._give_back(which, nodes)
                case _:
                    pass
            real = {node.id: node.free for node in await self._stage.nodes.all()}
            assert real == self._ledger.free, move

    async def _take(self, shares: tuple[Share, ...]) -> None:
        self._jobs += 1
        job = await self._stage.make(new_job(self._jobs))
        try:
            self._ledger.take(job.id, shares)
        except NoRoom:
            with pytest.raises(Conflict) as refused:
                await self._stage.apply(launch(job, Allocation(shares)))
            assert refused.value.code == "NO_ROOM"
            return
        started = await self._stage.apply(launch(job, Allocation(shares)))
        lost = move_of(started, Event.ATTEMPT_LOST, Role.MONITOR, cause=Cause.NODE_LOST)
        self._started.append(await self._stage.apply(lost))

    async def _give_back(self, which: int, nodes: tuple[NodeId, ...]) -> None:
        job = self._started[which]
        back = move_of(job, Event.SHARE_RETURNED, Role.MONITOR)
        self._started[which] = await self._stage.apply(replace(back, returns=nodes))
        self._ledger.give_back(job.id, nodes)


@asynccontextmanager
async def _opened(server: RedisServer) -> AsyncIterator[Redis]:
    redis = Redis(server.url, patience_s=30.0)
    await redis.open()
    try:
        yield redis
    finally:
        await redis.close()


@settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(_moves)
def test_it_refuses_and_counts_as_the_script_does(
    redis_server: RedisServer, moves: list[Take | GiveBack]
) -> None:
    async def play() -> None:
        async with _opened(redis_server) as redis:
            await redis.command("FLUSHALL")
        async with _opened(redis_server) as redis:  # which has a new epoch
            await _Both(redis).play(moves)

    asyncio.run(play())
