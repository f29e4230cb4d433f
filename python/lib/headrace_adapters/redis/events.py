"""The stream of events: hints that wake a service up. What is missed is found by its sweeps."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from redis.exceptions import RedisError

from headrace_adapters.redis.connection import Redis
from headrace_adapters.redis.line import Line

_BLOCK_MS = 5_000
_PAUSE_S = 0.1
_COUNT = 500
_WAITING = 10_000  # events that may wait for one who follows
_READ = ("XREAD", "BLOCK", _BLOCK_MS, "COUNT", _COUNT, "STREAMS", "hr:events")


class Events:
    """Follows `hr:events` from now on: one reader for all who follow by the same object."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._followers: set[asyncio.Queue[Mapping[str, str] | Exception]] = set()
        self._reader: asyncio.Task[None] | None = None

    async def follow(self) -> AsyncGenerator[Mapping[str, str], None]:
        """Yield events for ever; an empty mapping means: some may have been missed, sweep now.

        `at` is an event's id: it rises from event to event while this Redis lives. Raises
        `Denied`.
        """
        queue: asyncio.Queue[Mapping[str, str] | Exception] = asyncio.Queue()
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._read())  # it begins with an empty mapping
        else:
            queue.put_nowait({})
        self._followers.add(queue)
        try:
            while True:
                event = await queue.get()
                if isinstance(event, Exception):
                    raise event
                yield event
        finally:
            self._followers.discard(queue)
            if not self._followers and self._reader is not None:
                self._reader.cancel()

    async def _read(self) -> None:
        last, line = "", Line(self._redis.client)
        while not self._redis.closed:
            try:
                if not last:
                    tail = await self._redis.client.xrevrange("hr:events", count=1)
                    last = str(tail[0][0]) if tail else "0-0"
                    self._tell({})
                (reply,) = await line.exchange([(*_READ, last)])
                if isinstance(reply, RedisError):
                    raise reply
            except (RedisError, OSError) as error:
                if denied := self._redis.denied(error, "XREAD"):
                    self._tell(denied)
                    return
                last = ""
                await asyncio.sleep(_PAUSE_S)
                continue
            for entry, fields in _entries(reply):
                last = entry
                self._tell({**fields, "at": entry})

    def _tell(self, event: Mapping[str, str] | Exception) -> None:
        for queue in self._followers:
            if queue.qsize() >= _WAITING:  # one that is so late looks at everything anyhow
                while not queue.empty():
                    queue.get_nowait()
                queue.put_nowait({})
            else:
                queue.put_nowait(event)

    async def last(self) -> str:
        """The id of the newest event; "0-0" before the first."""
        tail = await self._redis.command("XREVRANGE", "hr:events", "+", "-", "COUNT", 1)
        return str(tail[0][0]) if tail else "0-0"

    async def since(self, after: str, count: int) -> list[Mapping[str, str]] | None:
        """The events after the one with id `after`, at most `count`.

        None where `after` is no longer kept, or none of this Redis's: it may have been restored.
        """
        found = await self._redis.command("XRANGE", "hr:events", after, "+", "COUNT", count + 1)
        if not found or str(found[0][0]) != after:
            return None
        return [{**fields, "at": str(entry)} for entry, fields in _fields(found[1:])]

    async def kept_after(self, after: str, count: int) -> list[Mapping[str, str]]:
        """The events after an id that are kept still, at most `count`: some may be missing."""
        found = await self._redis.command("XRANGE", "hr:events", f"({after}", "+", "COUNT", count)
        return [{**fields, "at": str(entry)} for entry, fields in _fields(found)]


def _fields(entries: Sequence[Any]) -> list[tuple[str, Mapping[str, str]]]:
    """Entries of XRANGE: redis-py gives the fields as a mapping or flat."""
    return [
        (
            entry,
            fields if isinstance(fields, dict) else dict(zip(*[iter(fields)] * 2, strict=True)),
        )
        for entry, fields in entries
    ]


def _entries(reply: object) -> list[tuple[str, Mapping[str, str]]]:
    """RESP2 answers [[stream, entries]], RESP3 {stream: [entries]}."""
    if not reply:
        return []
    if isinstance(reply, dict):
        return [entry for batches in reply.values() for batch in batches for entry in batch]
    return [entry for _, entries in reply for entry in entries]  # type: ignore[attr-defined] # the stubs say object
