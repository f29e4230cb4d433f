"""Who hears of the ends of workers: what every backend keeps of them."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import TypeAlias

from headrace_model.ids import JobId
from headrace_model.worker import WorkerExit, WorkerKey

Attempt: TypeAlias = tuple[JobId, int]


class Ends:
    """The ends that are known and were not cleaned, told to everybody who listens."""

    def __init__(self) -> None:
        self._known: dict[WorkerKey, WorkerExit] = {}
        self._queues: set[asyncio.Queue[WorkerExit | None]] = set()
        self._news: dict[Attempt, set[asyncio.Event]] = {}

    @property
    def known(self) -> Mapping[WorkerKey, WorkerExit]:
        """What was learned and not forgotten."""
        return self._known

    def learn(self, found: WorkerExit) -> None:
        """Hear of an end; a repeat is passed over."""
        if found.key not in self._known:
            self._known[found.key] = found
            for queue in self._queues:
                queue.put_nowait(found)
        self.wake((found.key.job, found.key.attempt))

    def forget(self, keys: Iterable[WorkerKey]) -> None:
        """These are cleaned."""
        for key in keys:
            self._known.pop(key, None)
            self.wake((key.job, key.attempt))

    async def follow(self) -> AsyncIterator[WorkerExit]:
        """Ends as they happen, after all that are known; over with `close`."""
        queue: asyncio.Queue[WorkerExit | None] = asyncio.Queue()
        for known in self._known.values():
            queue.put_nowait(known)
        self._queues.add(queue)
        try:
            while (found := await queue.get()) is not None:
                yield found
        finally:
            self._queues.discard(queue)

    def close(self) -> None:
        """End all `follow`."""
        for queue in self._queues:
            queue.put_nowait(None)

    def wake(self, attempt: Attempt | None = None) -> None:
        """Wake who waits for news of an attempt, or (None) everybody."""
        if attempt is None:
            told = [event for events in self._news.values() for event in events]
        else:
            told = list(self._news.get(attempt, ()))
        for event in told:
            event.set()

    def news(self, attempt: Attempt) -> "News":
        """A context in which `attempt`'s news can be waited for."""
        return News(self._news, attempt)


class News:
    """The event that is set by each piece of news, while the context lasts."""

    def __init__(self, waiting: dict[Attempt, set[asyncio.Event]], attempt: Attempt) -> None:
        self._waiting = waiting
        self._attempt = attempt
        self._event = asyncio.Event()

    def __enter__(self) -> asyncio.Event:
        self._waiting.setdefault(self._attempt, set()).add(self._event)
        return self._event

    def __exit__(self, *_: object) -> None:
        events = self._waiting[self._attempt]
        events.discard(self._event)
        if not events:
            del self._waiting[self._attempt]
