"""The agent's side of following logs: wants come in, pieces of files go out."""

from collections.abc import AsyncIterator
from contextlib import aclosing

from headrace_adapters.redis.channels import heard
from headrace_adapters.redis.connection import Redis
from headrace_adapters.redis.log_replies import WANT


class LogWants:
    """Hears what readers want. What is said while Redis is away is lost: they ask again."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def follow(self) -> AsyncIterator[str]:
        """Yield each want (JSON) for ever."""
        async with aclosing(heard(self._redis, WANT)) as messages:
            async for message in messages:
                if message["type"] == "message":
                    yield str(message["data"])

    async def answer(self, channel: str, piece: str) -> bool:
        """Publish a piece; tells whether somebody heard it."""
        return bool(await self._redis.command("PUBLISH", channel, piece))
