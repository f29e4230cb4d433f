"""The stream of events: hints that wake a service up. What is missed is found by its sweeps."""

import asyncio
from collections.abc import AsyncIterator, Mapping

from redis.exceptions import RedisError

from headrace_adapters.redis.connection import Redis
from headrace_adapters.redis.line import Line

_BLOCK_MS = 5_000
_PAUSE_S = 0.1
_COUNT = 500
_READ = ("XREAD", "BLOCK", _BLOCK_MS, "COUNT", _COUNT, "STREAMS", "hr:events")


class Events:
    """Follows `hr:events` from now on; each service has its own reader."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def follow(self) -> AsyncIterator[Mapping[str, str]]:
        """Yield events for ever; an empty mapping means: some may have been missed, sweep now."""
        last, line = "", Line(self._redis.client)
        while True:
            try:
                if not last:
                    tail = await self._redis.client.xrevrange("hr:events", count=1)
                    last = str(tail[0][0]) if tail else "0-0"
                    yield {}
                (reply,) = await line.exchange([(*_READ, last)])
                if isinstance(reply, RedisError):
                    raise reply
            except (RedisError, OSError):
                last = ""
                await asyncio.sleep(_PAUSE_S)
                continue
            for entry, fields in _entries(reply):
                last = entry
                yield fields


def _entries(reply: object) -> list[tuple[str, Mapping[str, str]]]:
    """RESP2 answers [[stream, entries]], RESP3 {stream: [entries]}."""
    if not reply:
        return []
    if isinstance(reply, dict):
        return [entry for batches in reply.values() for batch in batches for entry in batch]
    return [entry for _, entries in reply for entry in entries]  # type: ignore[attr-defined] # the stubs say object
