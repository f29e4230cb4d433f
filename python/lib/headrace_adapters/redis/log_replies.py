"""The reader's side of following logs: wants go out, the agents' answers come in.

One subscription a service: each reader has a channel below the service's own prefix.
"""

from collections.abc import AsyncIterator
from contextlib import aclosing
from secrets import token_hex

from headrace_adapters.redis.channels import heard
from headrace_adapters.redis.connection import Redis

WANT = "hr:logs:want"


class LogReplies:
    """Asks agents for log files. What is said while Redis is away is lost: ask again."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._prefix = f"hr:logs:reply:{token_hex(8)}:"

    def channel(self, reader: str) -> str:
        """Where answers to a reader go."""
        return self._prefix + reader

    async def ask(self, want: str) -> int:
        """Publish a want (JSON); tells how many agents heard it."""
        return int(await self._redis.command("PUBLISH", WANT, want))

    async def follow(self) -> AsyncIterator[tuple[str, str]]:
        """Yield (reader, answer) for ever; ("", "") each time that listening has (re)begun."""
        async with aclosing(heard(self._redis, f"{self._prefix}*")) as messages:
            async for message in messages:
                if message["type"] == "psubscribe":
                    yield "", ""
                elif message["type"] == "pmessage":
                    yield str(message["channel"]).removeprefix(self._prefix), message["data"]
