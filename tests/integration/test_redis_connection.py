"""A connection to Redis that was closed: who still asks is refused, and nobody connects anew."""

from contextlib import aclosing

import pytest

from headrace_adapters.redis.connection import Redis
from headrace_adapters.redis.events import Events
from headrace_model.errors import Unavailable
from tests.support.redis_keys import Keys
from tests.support.redis_server import RedisServer
from tests.support.wait import wait_until


def connections(server: RedisServer) -> int:
    """All connections but the one that asks."""
    keys = Keys(server.url)
    try:
        return len(keys.client.client_list()) - 1
    finally:
        keys.close()


async def test_what_is_asked_after_the_close_is_refused(redis_server: RedisServer) -> None:
    redis = Redis(redis_server.url)
    await redis.open()
    await redis.close()
    with pytest.raises(Unavailable, match="is stopping"):
        await redis.command("PING")
    with pytest.raises(Unavailable, match="is stopping"):
        await redis.commands([("PING",), ("PING",)])
    assert connections(redis_server) == 0


async def test_who_follows_events_over_the_close_does_not_come_back(
    redis_server: RedisServer,
) -> None:
    redis = Redis(redis_server.url)
    await redis.open()
    events = Events(redis)
    async with aclosing(events.follow()) as following:
        assert await anext(following) == {}
        reader = events._reader
        assert reader is not None
        await redis.close()
        await wait_until(reader.done, "the reader of events to end")
    assert connections(redis_server) == 0
