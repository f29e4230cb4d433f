"""The agent's side of following logs: wants come in, pieces of files go out."""

import asyncio
from collections.abc import AsyncIterator

from redis.exceptions import RedisError

from headrace_adapters.redis.connection import Redis
from headrace_adapters.redis.log_replies import WANT

_PAUSE_S = 0.1


class LogWants:
    """Hears what readers want. What is said while Redis is away is lost: they ask again."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def follow(self) -> AsyncIterator[str]:
        """Yield each want (JSON) for ever."""
        while True:
            pubsub = self._redis.client.pubsub()
            try:
                await pubsub.subscribe(WANT)
                while True:
                    message = await pubsub.get_message(timeout=None)
                    if message and message["type"] == "message":
                        yield str(message["data"])
            except (RedisError, OSError) as error:
                if denied := self._redis.denied(error, "SUBSCRIBE"):
                    raise denied from None
                await asyncio.sleep(_PAUSE_S)
            finally:
                await pubsub.aclose()  # type: ignore[no-untyped-call] # the stubs leave it untyped

    async def answer(self, channel: str, piece: str) -> bool:
        """Publish a piece; tells whether somebody heard it."""
        return bool(await self._redis.command("PUBLISH", channel, piece))
