"""Archived jobs, read from their packs in the store by way of the data service."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final

from headrace_model.errors import NotFound, Unavailable
from headrace_model.ids import JobId
from headrace_model.resources import Allocation
from headrace_request.service.feed import Feed
from headrace_wire.packs import Record, read_pack

if TYPE_CHECKING:
    from headrace_adapters.sqlite.model import ReadModel

_PACKS: Final = 8  # kept in memory, those that were read last

ReadPack = Callable[[str], Awaitable[bytes]]


class Archive:
    """Finds archived jobs: the read model knows the pack, the pack holds the job."""

    def __init__(self, model: "ReadModel", feed: Feed, read: ReadPack) -> None:
        self._model = model
        self._feed = feed
        self._read = read
        self._packs: OrderedDict[str, Mapping[JobId, Record]] = OrderedDict()

    async def find(self, job: JobId) -> Record | None:
        """All that there is of an archived job; None where none is archived under this id.

        Raises `Unavailable` where that can't be told now.
        """
        await self._feed.reach_now()
        name = await self._model.pack_of(job)
        if name is None:
            if behind := await self._feed.behind():
                raise Unavailable(behind, hint="try again in a moment")
            return None
        if name not in self._packs:
            try:
                records = await asyncio.to_thread(read_pack, await self._read(name))
            except NotFound:
                return None  # it was old, and is being removed
            self._packs[name] = {each.id: each for each in records}
            while len(self._packs) > _PACKS:
                self._packs.popitem(last=False)
        self._packs.move_to_end(name)
        return self._packs[name].get(job)

    async def find_all(self, jobs: Iterable[JobId]) -> list[Record]:
        """All that there is of several jobs, of those that are archived."""
        found = [await self.find(job) for job in jobs]
        return [record for record in found if record is not None]

    async def allocation(self, job: JobId, attempt: int) -> Allocation | None:
        """What an attempt of an archived job held."""
        record = await self.find(job)
        return record.allocation(attempt) if record else None
