"""Hearing what is published in Redis."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final

from redis.exceptions import RedisError

from headrace_adapters.redis.connection import Redis

_PAUSE_S: Final = 0.1


async def heard(redis: Redis, channel: str) -> AsyncGenerator[Mapping[str, Any], None]:
    """Yield each message of a channel for ever, as the library gives it; also Redis's own word,
    each time, that listening has (re)begun. A `channel` that ends in * is a pattern.

    What is said while Redis is away is lost, and so is what is no text. Raises `Denied`.
    """
    is_pattern = channel.endswith("*")
    while True:
        pubsub = redis.client.pubsub()
        try:
            await (pubsub.psubscribe if is_pattern else pubsub.subscribe)(channel)
            while True:
                if message := await pubsub.get_message(timeout=None):
                    yield message
        except UnicodeDecodeError:
            await asyncio.sleep(_PAUSE_S)
        except (RedisError, OSError) as error:
            if denied := redis.denied(error, "PSUBSCRIBE" if is_pattern else "SUBSCRIBE"):
                raise denied from None
            await asyncio.sleep(_PAUSE_S)
        finally:
            await pubsub.aclose()  # type: ignore[no-untyped-call] # the stubs leave it untyped
