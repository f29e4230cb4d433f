"""Who waits for a job to change: woken by events, without asking Redis again and again."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from headrace_model.ids import JobId

if TYPE_CHECKING:
    from headrace_adapters.redis.events import Events


Event = Mapping[str, str]


class Waiters:
    """Wakes waiters of a job when an event names it, and all when some may have been missed or
    somebody's rights changed.

    Others listen to all events of a kind; they too are told, by an empty one, of missed ones.
    """

    def __init__(self, events: "Events", *, missed: Callable[[], Awaitable[None]]) -> None:
        self._events = events
        self._missed = missed
        self._waiting: dict[JobId, set[asyncio.Event]] = {}
        self._listeners: list[tuple[frozenset[str], Callable[[Event], None]]] = []

    def listen(self, kinds: Iterable[str], told: Callable[[Event], None]) -> None:
        """Have `told` called for each event of some kinds."""
        self._listeners.append((frozenset(kinds), told))

    async def run(self) -> None:
        """Follow the events for ever; `missed` is awaited when some may have been missed."""
        async for event in self._events.follow():
            if not event:
                await self._missed()
            self._on(event)

    @contextmanager
    def watch(self, job: JobId) -> Iterator[asyncio.Event]:
        """Give an event that is set whenever the job may have changed; the waiter clears it."""
        changed = asyncio.Event()
        self._waiting.setdefault(job, set()).add(changed)
        try:
            yield changed
        finally:
            here = self._waiting[job]
            here.discard(changed)
            if not here:
                del self._waiting[job]

    def _on(self, event: Event) -> None:
        kind = event.get("kind")
        if not event or kind == "user":  # somebody may no longer see what they wait for
            for waiting in self._waiting.values():
                _set(waiting)
        elif kind in ("job", "share"):
            _set(self._waiting.get(JobId(event.get("job", "")), set()))
        for kinds, told in self._listeners:
            if not event or kind in kinds:
                told(event)


def _set(waiting: set[asyncio.Event]) -> None:
    for changed in waiting:
        changed.set()


async def woken(changed: asyncio.Event, within_s: float) -> bool:
    """Wait for a change and clear it; False when `within_s` passed without one."""
    try:
        async with asyncio.timeout(within_s):
            await changed.wait()
    except TimeoutError:
        return False
    changed.clear()
    return True
