"""What is kept in order: markers, deletions, expiry, and a catalogue that was lost.

Each step may be cut off by a kill at any line: what is left is found again and finished.
"""

from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from headrace_data.catalogue import Catalogue
from headrace_data.core.keys import (
    DELETED,
    MARKERS,
    TOMBSTONES,
    deleted_key,
    folder,
    manifest_key,
    marker_key,
    tombstone_key,
)
from headrace_data.staging import Manifests
from headrace_model.dataset import Dataset, DatasetState
from headrace_model.errors import Conflict, HeadraceError, InvalidInput, NotFound
from headrace_model.ids import DatasetId
from headrace_ports.object_store import ObjectStore
from headrace_service.logs import logger
from headrace_wire.datasets import read_entry

if TYPE_CHECKING:
    from headrace_adapters.redis.datasets import DatasetStore, Entry
    from headrace_adapters.redis.jobs import JobStore

_MARKER_BYTES = 64 * 2**20


@dataclass(slots=True)
class Upkeep:
    """Writes markers, finishes deletions, expires, rebuilds. Every method may be repeated."""

    catalogue: Catalogue
    datasets: "DatasetStore"
    jobs: "JobStore"
    store: ObjectStore
    manifests: Manifests
    undo_ms: int
    _owed: set[DatasetId] = field(default_factory=set)

    async def mark(self, dataset: DatasetId) -> None:
        """Have the store say what the catalogue says: that a dataset is SEALED, or DELETED.

        Where both markers are there, for a kill or a late writer, the deletion counts.
        """
        self._owed.add(dataset)
        doc = ""
        while not doc or not await self.datasets.marked(dataset, doc):
            try:
                entry = await self.datasets.get(dataset)
            except NotFound:
                break
            if entry.dataset.sealed_ms is None or entry.dataset.state is DatasetState.TOMBSTONED:
                break
            doc = entry.doc
            if entry.dataset.state is DatasetState.DELETED:
                await self.store.put_bytes(deleted_key(dataset), doc.encode())
                await self.store.delete(marker_key(dataset))
                continue
            await self.store.put_bytes(marker_key(dataset), doc.encode())
            await self.store.delete(deleted_key(dataset))
            try:
                await self._tidy(entry.dataset)
            except (Conflict, NotFound) as error:  # a damaged manifest does not tell what may go
                logger("data").warning(
                    f"what was not sealed stays: {error}", action="mark", dataset=dataset
                )
        self._owed.discard(dataset)

    async def delete(self, dataset: DatasetId, *, now: bool = False) -> Dataset | None:
        """Delete a dataset; return it if it can be brought back, which with `now` it can't.

        Raises `Linked`, `Stale`, `NotFound`.
        """
        entry = await self.datasets.get(dataset)
        if now or not self.undo_ms:
            await self._purge(entry, "was deleted")
            return None
        deleted = entry.dataset.deleted(await self.jobs.now_ms(), self.undo_ms)
        await self.datasets.delete(entry, deleted)
        logger("data").info(
            f"dataset {deleted.title} was deleted, its files stay",
            action="delete",
            dataset=dataset,
        )
        # It is deleted whatever the store does: the sweep repeats this.
        await self._quietly(self.mark(dataset), "mark", dataset)
        await self.catalogue.refresh([dataset])
        return (await self.datasets.get(dataset)).dataset

    async def _purge(self, entry: "Entry", why: str) -> None:
        if await self.datasets.tombstone(entry):
            dataset = entry.dataset
            logger("data").info(
                f"dataset {dataset.title} {why}", action="delete", dataset=dataset.id
            )
        await self.bury(entry.dataset.id)

    async def bury(self, dataset: DatasetId) -> None:
        """Remove the files of a TOMBSTONED dataset.

        While they go, a tombstone in the store keeps a rebuild from bringing half of it back.
        """
        await self.store.put_bytes(tombstone_key(dataset), b"")
        for prefix in (marker_key(dataset), deleted_key(dataset), folder(dataset)):
            await self.store.delete(prefix)
        await self.datasets.forget(dataset)
        await self.store.delete(tombstone_key(dataset))
        await self.catalogue.refresh([dataset])

    async def start(self) -> None:
        """What a new leader does once: restore, mark and bury what an earlier one left."""
        restored = bool(await self.jobs.restored_from())
        if restored:  # what is remembered may be of the Redis from before
            await self.catalogue.reload(missed=True)
        for dataset in await self._ids(TOMBSTONES):
            await self._quietly(self._bury_again(dataset), "bury", dataset)
        marked, deleted = await self._ids(MARKERS), await self._ids(DELETED)
        known = {each.id: each for each in self.catalogue.all() if each.sealed_ms is not None}
        for dataset in sorted((marked | deleted) - known.keys()):
            key = deleted_key(dataset) if dataset in deleted else marker_key(dataset)
            await self._quietly(self._restore(dataset, key), "restore", dataset)
            if dataset in marked & deleted:
                await self._quietly(self.mark(dataset), "mark", dataset)
        for each in known.values():
            said = None
            if each.id in deleted:  # a deletion counts more
                said = DatasetState.DELETED
            elif each.id in marked:
                said = DatasetState.SEALED
            if said is each.state and not (each.id in marked and each.id in deleted):
                continue
            if not restored or said is each.state:
                await self._quietly(self.mark(each.id), "mark", each.id)
            elif said is not None:
                await self._quietly(self._follow(each), "restore", each.id)
            elif await self._has_manifest(each):
                await self._quietly(self.mark(each.id), "mark", each.id)
            elif marked or deleted:
                await self._quietly(self._drop(each), "restore", each.id)
            else:  # rather the wrong store, or none yet, than one whose all was deleted
                logger("data").warning(
                    f"the store holds nothing of dataset {each.title}, nor of any other",
                    action="restore",
                    dataset=each.id,
                )
        await self.datasets.count()

    async def sweep(self) -> None:
        """Repeat what was cut off, and delete what has expired and no job uses."""
        for dataset in self._owed | set(await self.datasets.unmarked()):
            await self._quietly(self.mark(dataset), "mark", dataset)
        for dataset in await self.datasets.tombstones():
            await self._quietly(self.bury(dataset), "bury", dataset)
        now = await self.jobs.now_ms()
        for dataset in await self.datasets.deleted(until_ms=now):
            await self._quietly(self._expire(dataset, now), "purge", dataset)
        for each in self.catalogue.all():
            if each.expired(now):
                await self._quietly(self._expire(each.id, now), "expire", each.id)

    async def _expire(self, dataset: DatasetId, now_ms: int) -> None:
        """Delete for good what has expired, or was deleted and can't be brought back any more."""
        entry = await self.datasets.get(dataset)
        found = entry.dataset
        # The catalogue in memory may be late: somebody may have prolonged it.
        if found.state is DatasetState.DELETED:
            over = found.purge_ms is not None and found.purge_ms <= now_ms
        else:
            over = found.expired(now_ms) and not await self.datasets.links(dataset)
        if over:
            deleted = found.state is DatasetState.DELETED
            await self._purge(
                entry, "can't be brought back any more" if deleted else "has expired"
            )

    async def _ids(self, prefix: str) -> set[DatasetId]:
        return {DatasetId(key.partition("/")[2]) for key in await self.store.keys(prefix)}

    async def _bury_again(self, dataset: DatasetId) -> None:
        try:
            entry = await self.datasets.get(dataset)
        except NotFound:
            entry = None
        # A Redis that was restored from before the deletion knows the dataset still.
        if entry is not None:
            await self.datasets.tombstone(entry)
        await self.bury(dataset)

    async def _has_manifest(self, dataset: Dataset) -> bool:
        try:
            await self.manifests.of(dataset)
        except NotFound:
            return False
        except Conflict:  # a damaged one: nobody deleted it
            return True
        return True

    async def _drop(self, dataset: Dataset) -> None:
        """Delete what a restored Redis knows from before its deletion: its files are gone."""
        logger("data").warning(
            f"dataset {dataset.title} was deleted after the backup, and goes again",
            action="restore",
            dataset=dataset.id,
        )
        await self.delete(dataset.id, now=True)

    async def _follow(self, dataset: Dataset) -> None:
        """Delete, or bring back, what a restored Redis knows from before: the store is newer."""
        entry = await self.datasets.get(dataset.id)
        if dataset.state is DatasetState.SEALED:
            said = await self._read(deleted_key(dataset.id), dataset.id)
            again = replace(
                entry.dataset,
                state=said.state,
                deleted_ms=said.deleted_ms,
                purge_ms=said.purge_ms,
            )
            try:
                await self.datasets.delete(entry, again)
            except Conflict as error:  # a job uses it again
                logger("data").warning(
                    f"dataset {dataset.title} was deleted after the backup, and stays: {error}",
                    action="restore",
                    dataset=dataset.id,
                )
        else:
            said = await self._read(marker_key(dataset.id), dataset.id)
            newest = await self._named(said.name)
            await self.datasets.undelete(entry, replace(said, shared=()), newest)
        await self.mark(dataset.id)
        await self.catalogue.refresh([dataset.id])

    async def _named(self, name: str) -> str:
        try:
            return await self.datasets.named(name)
        except NotFound:
            return ""

    async def _read(self, key: str, dataset: DatasetId) -> Dataset:
        """Read a marker; raises `InvalidInput`, `NotFound`."""
        found = read_entry((await self.store.get_bytes(key, _MARKER_BYTES)).decode())
        state = DatasetState.DELETED if key == deleted_key(dataset) else DatasetState.SEALED
        if found.id != dataset or found.state is not state:
            raise InvalidInput("the marker is of another dataset")
        return found

    async def _restore(self, dataset: DatasetId, key: str) -> None:
        """Believe a marker only together with the manifest whose SHA-256 it names."""
        try:
            # A share may have been taken back after the marker was written last.
            sealed = replace(await self._read(key, dataset), shared=())
            await self.manifests.of(sealed)
        except (InvalidInput, Conflict, NotFound, UnicodeDecodeError) as error:
            logger("data").warning(
                f"a marker without its manifest is not believed: {error}",
                action="restore",
                dataset=dataset,
            )
            return
        if await self.datasets.restore(sealed):
            logger("data").info(
                f"dataset {sealed.title} is back in the catalogue, {sealed.state} as before",
                action="restore",
                dataset=dataset,
            )
        await self.catalogue.refresh([dataset])

    async def _tidy(self, dataset: Dataset) -> None:
        """Remove items that were replaced before the seal, and manifests that did not seal."""
        manifest = await self.manifests.of(dataset)
        keep = {item.key for item in manifest.items}
        keep.add(manifest_key(dataset, manifest.sha256))
        for key in await self.store.keys(folder(dataset.id)):
            if key not in keep:
                await self.store.delete(key)

    async def _quietly(self, work: Coroutine[None, None, None], action: str, on: str) -> None:
        """One dataset that can't be handled must not keep the others from it."""
        try:
            await work
        except (HeadraceError, OSError) as error:
            logger("data").warning(
                f"a dataset could not be handled, the sweep tries again: {error}",
                action=action,
                dataset=on,
            )
