"""Moves jobs that are long over from Redis into packs in the store, and packs that are old away.

A pack is whole in the store before a script removes its jobs from Redis, and names the pack in
`hr:packs`. A kill in between leaves a pack without a name there: the next leader finishes it.
"""

import asyncio
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from headrace_data.core.keys import ARCHIVE, logs_folder, pack_key, pack_name
from headrace_model.errors import Fenced, HeadraceError, InvalidInput, NotFound
from headrace_model.listing import Place
from headrace_ports.object_store import ObjectStore
from headrace_service.logs import logger
from headrace_wire.packs import Record, read_pack, write_pack

if TYPE_CHECKING:
    from headrace_adapters.redis.jobs import JobStore
    from headrace_adapters.redis.packs import PackStore

PACK_BYTES: Final = 256 * 2**20
_JOBS: Final = 500  # in one pack: what one script removes in some milliseconds
_TEXT_BYTES: Final = 8 * 2**20
_READ: Final = 100
_EVERY_MS: Final = 60_000
_PATIENCE_MS: Final = 24 * 3_600_000
_AGAIN_MS: Final = 3_600_000
_MOST_DAYS: Final = 36_500
_SHARE: Final = 10  # of the retention, where a tenth of it is less than these times


def retention(days: float, setting: str) -> int:
    """Days as milliseconds; raises `InvalidInput` for what is no such time."""
    if not 0 <= days <= _MOST_DAYS:
        raise InvalidInput(
            f"{setting}={days}: a number of days from 0 to {_MOST_DAYS:,}",
            hint="docs/settings.md tells what 0 means",
        )
    return math.ceil(days * 24 * 3_600_000)


@dataclass(slots=True)
class Archivist:
    """Works for the leading data service. Times in ms; 0 keeps jobs, or packs, for ever."""

    jobs: "JobStore"
    packs: "PackStore"
    store: ObjectStore
    retention_ms: int
    archive_retention_ms: int
    _settled: bool = False  # whether every pack in the store has its name in Redis
    _after: Place | None = None  # what is below was archived, or has to stay for now
    _again_ms: int = 0  # when what had to stay is looked at again

    async def run(self, term: int) -> None:
        """Archive for ever. Raises `Fenced`; what else fails is tried again."""
        self._settled, self._again_ms = False, 0
        shortest = [ms for ms in (self.retention_ms, self.archive_retention_ms) if ms]
        pause_s = min(_EVERY_MS, *(ms / _SHARE for ms in shortest), 1e9) / 1000
        while True:
            try:
                await self.sweep(term)
            except Fenced:
                raise
            except (HeadraceError, OSError) as error:
                self._settled, self._again_ms = False, 0
                logger("data").warning(
                    f"jobs could not be archived, it is tried again: {error}", action="archive"
                )
            await asyncio.sleep(max(pause_s, 0.1))

    async def sweep(self, term: int) -> None:
        """Finish what was cut off, archive what is due, remove old packs. May be repeated."""
        if not self._settled:
            await self._settle(term)
            self._settled = True
        now_ms = await self.jobs.now_ms()
        if self.retention_ms:
            await self._archive(now_ms, term)
        if self.archive_retention_ms:
            for name in await self.packs.names(now_ms - self.archive_retention_ms):
                await self._remove(name, term)

    async def _settle(self, term: int) -> None:
        """Finish packs that a killed leader, or a restored Redis, knows nothing of."""
        named = set(await self.packs.names())
        for key in await self.store.keys(ARCHIVE):
            name = key.partition("/")[2]
            if name in named:
                continue
            try:
                records = await self._read(name)
            except InvalidInput as error:
                logger("data").error(f"the pack {name} is left out: {error}", action="archive")
                continue
            await self._take_out(name, records, term)

    async def _archive(self, now_ms: int, term: int) -> None:
        """Fill packs with what is due; a pack that is not full waits until a job of it has."""
        before_ms = now_ms - self.retention_ms
        patience_ms = min(_PATIENCE_MS, self.retention_ms // _SHARE)
        if now_ms >= self._again_ms:
            self._after = None
            self._again_ms = now_ms + min(_AGAIN_MS, self.retention_ms // _SHARE)
        some = await self.packs.due(before_ms, self._after, _JOBS)
        if not some or (len(some) < _JOBS and some[0].entered_ms > before_ms - patience_ms):
            return
        records: list[Record] = []
        size = 0
        while some := await self.packs.due(before_ms, self._after, _READ):
            self._after = some[-1]
            for record in await self.packs.records([place.job for place in some]):
                records.append(record)
                size += sum(map(len, (*record.fields.values(), *record.history)))
            if len(records) >= _JOBS or size >= _TEXT_BYTES:
                await self._pack(records, now_ms, term)
                records, size = [], 0
        if records:
            await self._pack(records, now_ms, term)

    async def _pack(self, records: list[Record], now_ms: int, term: int) -> None:
        data = await asyncio.to_thread(write_pack, records)
        name = pack_name(now_ms, data)
        await self.store.put_bytes(pack_key(name), data)
        await self._take_out(name, records, term)

    async def _take_out(self, name: str, records: list[Record], term: int) -> None:
        removed = await self.packs.remove(name, records, term)
        logger("data").info(
            f"{removed} of {len(records)} jobs of the pack {name} left Redis", action="archive"
        )

    async def _remove(self, name: str, term: int) -> None:
        """Remove a pack with its jobs' logs; its name goes last, so that a kill is made good."""
        try:
            records = await self._read(name)
        except NotFound:
            records = []
        held = await self.packs.held([each.id for each in records])
        for record in records:
            if record.id not in held:
                await self.store.delete(logs_folder(record.id))
        await self.store.delete(pack_key(name))
        await self.packs.forget(name, term)
        logger("data").info(f"the pack {name} was old and is gone", action="expire")

    async def _read(self, name: str) -> list[Record]:
        data = await self.store.get_bytes(pack_key(name), PACK_BYTES)
        return list(await asyncio.to_thread(read_pack, data))
