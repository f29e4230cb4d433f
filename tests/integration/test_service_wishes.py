"""Wishes for services, read from a Redis that has lost them."""

import pytest

from headrace_adapters.redis.connection import Redis
from headrace_model.errors import Fenced
from tests.support.redis_server import RedisServer
from tests.support.script_scenes import N1, Stage, new_job, new_wish


async def test_a_redis_that_lost_all_is_not_one_that_wishes_for_nothing(
    redis_server: RedisServer,
) -> None:
    """A cluster agent that took it so would remove the services of all living workers."""
    stage = Stage(Redis(redis_server.url, patience_s=5.0))
    await stage.redis.open()
    await stage.ready()
    job = await stage.make(new_job(1))
    await stage.services.wish(N1, new_wish(job.id))
    assert len(await stage.services.wishes(N1)) == 1
    await stage.redis.command("FLUSHALL")
    with pytest.raises(Fenced):
        await stage.services.wishes(N1)
    with pytest.raises(Fenced):
        await stage.services.owed([N1], [f"{job.id}.1"])
    await stage.redis.open()
    assert await stage.services.wishes(N1) == []
    assert await stage.services.owed([N1], [f"{job.id}.1"]) == frozenset()
    await stage.redis.close()
