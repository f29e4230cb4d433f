"""Feeds the read model: from the events of Redis on, and whole where some of them were missed.

What is archived comes from packs in the store; while some can't be read, lists say so.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from headrace_model.errors import InvalidInput, NotFound, Unavailable
from headrace_model.ids import JobId
from headrace_model.listing import Archived
from headrace_model.status import Status
from headrace_service.logs import logger
from headrace_wire.packs import read_pack
from headrace_wire.records import read_listed

if TYPE_CHECKING:
    from headrace_adapters.redis.events import Events
    from headrace_adapters.redis.jobs import JobStore
    from headrace_adapters.redis.packs import PackStore
    from headrace_adapters.sqlite.model import ReadModel

_AT_ONCE: Final = 500
_GATHER_S: Final = 1.0  # a job that moves on meanwhile is put once; who asks does not wait
_SWEEP_S: Final = 5.0
_PATIENCE_S: Final = 10.0
_START: Final = "the list of jobs is still being read from Redis"

Event = Mapping[str, str]


class Feed:
    """Keeps the read model up with Redis. Events wake it; it reads them itself, from its place."""

    def __init__(
        self,
        model: "ReadModel",
        store: "JobStore",
        events: "Events",
        packs: "PackStore",
        read_pack: Callable[[str], Awaitable[bytes]],
        epoch: Callable[[], str],
    ) -> None:
        self._model = model
        self._store = store
        self._events = events
        self._packs = packs
        self._read_pack = read_pack
        self._epoch = epoch
        self._owed = asyncio.Event()  # packs are to be read
        self._damaged: set[str] = set()  # packs that can't be read; a service that starts tries
        self._putting = asyncio.Lock()  # what Redis said last is put last
        self._at = ""  # the last event that the model has; empty: it has to be read whole
        self._of = ""  # the epoch of the Redis that it was read from
        self._wake = asyncio.Event()
        self._urgent = asyncio.Event()
        self._moved = asyncio.Condition()
        self._log = logger("request")

    def hear(self, _: Event) -> None:
        """Take an event as a hint: there is something to read."""
        self._wake.set()

    async def run(self) -> None:
        """Follow for ever; a file that turns out to be damaged is replaced."""
        if not self._model.broken:
            self._at, self._of = await self._model.note("at"), await self._model.note("epoch")
        while True:
            if self._model.broken:
                self._log.warning("the list of jobs is damaged", action="rebuild")
                self._at = ""
                await self._model.replace()
            try:
                await self._catch_up()
            except Unavailable as error:
                if self._model.broken:
                    continue
                self._log.warning(f"the list of jobs stays behind: {error}", action="feed")
            with suppress(TimeoutError):
                async with asyncio.timeout(_SWEEP_S):
                    await self._wake.wait()
                    async with asyncio.timeout(_GATHER_S):
                        await self._urgent.wait()
            self._wake.clear()
            self._urgent.clear()

    async def reach_now(self) -> None:
        """Wait until the model knows all that Redis did before this call.

        Raises `Unavailable` where that takes too long.
        """
        newest = await self._events.last()
        try:
            async with asyncio.timeout(_PATIENCE_S), self._moved:
                while not self._has(newest):
                    self._wake.set()
                    self._urgent.set()
                    await self._moved.wait()
        except TimeoutError:
            late = "the list of jobs is behind what happens" if self._at else _START
            raise Unavailable(late, hint="try again in a moment") from None

    async def read_packs(self) -> None:
        """Read the packs that the model has not read, for ever."""
        while True:
            self._owed.clear()
            try:
                for name in sorted(await self._unread() - self._damaged):
                    await self._take_in(name)
            except Unavailable as error:
                self._log.warning(f"packs can't be read yet: {error}", action="pack")
            with suppress(TimeoutError):
                async with asyncio.timeout(_SWEEP_S):
                    await self._owed.wait()

    async def incomplete(self) -> str | None:
        """What lists lack, as a sentence; None where they are whole."""
        behind = await self.behind()
        damaged = sorted(self._damaged & await self._unread()) if self._damaged else []
        if damaged:
            more = f" and {len(damaged) - 3} more" if len(damaged) > 3 else ""
            lost = f"packs of archived jobs can't be read: {', '.join(damaged[:3])}{more}"
            return f"{behind}; {lost}" if behind else lost
        return behind

    async def behind(self) -> str | None:
        """What is still to be read, as a sentence; a pack that can't be read is none of it."""
        unread, packs = await self._model.unread()
        if unread and self._damaged:
            unread = len(await self._unread() - self._damaged)
        if not unread:
            return None
        return f"{unread:,} of {packs:,} packs of archived jobs are still to be read"

    async def _unread(self) -> set[str]:
        return {name for name, read in (await self._model.packs()).items() if not read}

    def _has(self, event: str) -> bool:
        return self._at != "" and _place(self._at) >= _place(event)

    async def _catch_up(self) -> None:
        if self._of != self._epoch():
            self._at = ""
        while True:
            found = await self._events.since(self._at, _AT_ONCE) if self._at else None
            if found is None:
                await self._read_whole()
                return
            if found:
                await self._apply(found)
            if len(found) < _AT_ONCE:
                return

    async def _apply(self, events: Sequence[Event]) -> None:
        ids = {JobId(each["job"]): None for each in events if each["kind"] in ("job", "share")}
        packs = {each["pack"]: each["state"] for each in events if each["kind"] == "pack"}
        at = events[-1]["at"]
        kept = sorted(name for name, state in packs.items() if state == "KEPT")
        if packs:
            await self._model.name_packs(kept, packs.keys() - set(kept))
        with suppress(Unavailable):  # `read_packs` comes again
            for name in kept:
                await self._take_in(name)
        async with self._putting:
            await self._model.put(await self._store.listed(ids), at=at)
        await self._reached(at)

    async def _take_in(self, name: str) -> None:
        """Read a pack into the model; raises `Unavailable`."""
        try:
            records = await asyncio.to_thread(read_pack, await self._read_pack(name))
            jobs = [
                Archived(read_listed(each.id, each.fields), each.listed_fields) for each in records
            ]
        except NotFound:
            return  # it was old, and is being removed
        except InvalidInput as error:
            self._log.error(f"the pack {name} is left out: {error}", action="pack")
            self._damaged.add(name)
            return
        async with self._putting:
            live = await self._model.live([each.id for each in records])
            await self._model.put_pack(name, jobs, await self._store.listed(sorted(live)))

    async def _read_whole(self) -> None:
        """Read every job that Redis has; what the model has besides is there no longer."""
        epoch, at = self._epoch(), await self._events.last()
        known = await self._model.live()
        count = 0
        for status in Status:
            ids = await self._store.in_status(status)
            for first in range(0, len(ids), _AT_ONCE):
                some = ids[first : first + _AT_ONCE]
                known.difference_update(some)
                async with self._putting:
                    jobs = await self._store.listed(some)
                    await self._model.put(jobs)
                count += len(jobs)
        # A job that moved meanwhile may have been in none of the statuses when that was read.
        still = {job.id for job in await self._store.listed(sorted(known))}
        packs = set(await self._packs.names())
        await self._model.name_packs(packs, set(await self._model.packs()) - packs)
        self._owed.set()
        await self._model.put((), gone=known - still, epoch=epoch, at=at)
        self._log.info(f"the list of jobs was read whole: {count:,} live", action="rebuild")
        self._of = epoch
        await self._reached(at)

    async def _reached(self, at: str) -> None:
        async with self._moved:
            self._at = at
            self._moved.notify_all()


def _place(event: str) -> tuple[int, int]:
    ms, _, number = event.partition("-")
    return int(ms), int(number)
