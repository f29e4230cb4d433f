"""What the leader keeps in order: markers, deletions, expiry, and a catalogue that was lost.

Each step may be cut off by a kill at any line: what is left is found again and finished.
"""

from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from headrace_data.catalogue import Catalogue
from headrace_data.core.keys import (
    MARKERS,
    TOMBSTONES,
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
    from headrace_adapters.redis.datasets import DatasetStore
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
    _owed: set[DatasetId] = field(default_factory=set)

    async def mark(self, dataset: DatasetId) -> None:
        """Write the SEALED marker as the catalogue has it; remove what the manifest lists not."""
        self._owed.add(dataset)
        try:
            entry = await self.datasets.get(dataset)
        except NotFound:
            self._owed.discard(dataset)
            return
        if entry.dataset.state is not DatasetState.SEALED:
            self._owed.discard(dataset)
            return
        await self.store.put_bytes(marker_key(dataset), entry.doc.encode())
        try:
            await self._tidy(entry.dataset)
        except (Conflict, NotFound) as error:  # a damaged manifest does not tell what may go
            logger("data").warning(
                f"what was not sealed stays: {error}", action="mark", dataset=dataset
            )
        self._owed.discard(dataset)
        await self.datasets.marked(dataset, entry.doc)  # last: until then all of it is repeated

    async def delete(self, dataset: DatasetId) -> None:
        """Delete a dataset, its tombstone first; raises `Linked`, `Stale`, `NotFound`."""
        entry = await self.datasets.get(dataset)
        if await self.datasets.tombstone(entry):
            logger("data").info(
                f"dataset {entry.dataset.title} was deleted", action="delete", dataset=dataset
            )
        await self.bury(dataset)

    async def bury(self, dataset: DatasetId) -> None:
        """Remove the files of a TOMBSTONED dataset.

        While they go, a tombstone in the store keeps a rebuild from bringing half of it back.
        """
        await self.store.put_bytes(tombstone_key(dataset), b"")
        await self.store.delete(marker_key(dataset))
        await self.store.delete(folder(dataset))
        await self.datasets.forget(dataset)
        await self.store.delete(tombstone_key(dataset))
        await self.catalogue.refresh([dataset])

    async def start(self) -> None:
        """What a new leader does once: restore, mark and bury what an earlier one left."""
        restored = bool(await self.jobs.restored_from())
        if restored:  # what is remembered may be of the Redis from before
            await self.catalogue.reload(missed=True)
        buried = {DatasetId(key.partition("/")[2]) for key in await self.store.keys(TOMBSTONES)}
        for dataset in buried:
            await self._quietly(self._bury_again(dataset), "bury", dataset)
        marked = {DatasetId(key.partition("/")[2]) for key in await self.store.keys(MARKERS)}
        sealed = {
            each.id: each for each in self.catalogue.all() if each.state is DatasetState.SEALED
        }
        for dataset in sorted(marked - sealed.keys()):
            await self._quietly(self._restore(dataset), "restore", dataset)
        for each in sealed.values():
            if each.id in marked:
                continue
            if restored and not await self._has_manifest(each):
                if marked:
                    await self._quietly(self._drop(each), "restore", each.id)
                else:  # rather the wrong store, or none yet, than one whose all was deleted
                    logger("data").warning(
                        f"the store holds nothing of dataset {each.title}, nor of any other",
                        action="restore",
                        dataset=each.id,
                    )
            else:
                await self._quietly(self.mark(each.id), "mark", each.id)

    async def sweep(self) -> None:
        """Repeat what was cut off, and delete what has expired and no job uses."""
        for dataset in self._owed | set(await self.datasets.unmarked()):
            await self._quietly(self.mark(dataset), "mark", dataset)
        for dataset in await self.datasets.tombstones():
            await self._quietly(self.bury(dataset), "bury", dataset)
        now = await self.jobs.now_ms()
        for each in self.catalogue.all():
            if each.expired(now):
                await self._quietly(self._expire(each.id, now), "expire", each.id)

    async def _expire(self, dataset: DatasetId, now_ms: int) -> None:
        entry = await self.datasets.get(dataset)
        # The catalogue in memory may be late: somebody may have prolonged it.
        if not entry.dataset.expired(now_ms) or await self.datasets.links(dataset):
            return
        if await self.datasets.tombstone(entry):
            logger("data").info(
                f"dataset {entry.dataset.title} has expired", action="expire", dataset=dataset
            )
        await self.bury(dataset)

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
        await self.delete(dataset.id)

    async def _restore(self, dataset: DatasetId) -> None:
        """Believe a marker only together with the manifest whose SHA-256 it names."""
        try:
            data = await self.store.get_bytes(marker_key(dataset), _MARKER_BYTES)
            # A share may have been taken back after the marker was written last.
            sealed = replace(read_entry(data.decode()), shared=())
            if sealed.id != dataset or sealed.state is not DatasetState.SEALED:
                raise InvalidInput("the marker is of another dataset")
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
                f"dataset {sealed.title} is back in the catalogue, from its marker",
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
