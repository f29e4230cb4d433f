"""Batches: many small files of a dataset in one request, and registered by one script."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from headrace_data.core.keys import copied_key, upload_key
from headrace_data.errors import WrongChecksum
from headrace_data.library import Library, check_open
from headrace_model.dataset import Dataset, Item
from headrace_model.errors import HeadraceError, TooLarge
from headrace_model.people import Act, User
from headrace_ports.imported import IMPORTED
from headrace_service.threads import to_end
from headrace_wire.batch import TAKE_BYTES, BatchFile, TakeRequest, check_batch_bytes


@dataclass(frozen=True, slots=True)
class Batches:
    """What `Library` does with one item, with many. Access is asked once for all of them."""

    library: Library

    async def put(
        self, name: str, user: User, files: Sequence[BatchFile]
    ) -> list[tuple[Item, bool]]:
        """Make items of all files, or of none; each with whether it was there just so already.

        Raises `WrongChecksum`; `Conflict` where the dataset is not OPEN; `TooLarge`,
        `Unavailable` where there is no room.
        """
        entry = await self.library.access.allowed(name, user, Act.CHANGE_DATASET)
        dataset = entry.dataset
        await asyncio.to_thread(_check_digests, files)
        known = await self.library.items_at(dataset, [each.path for each in files])
        there = {
            each.path
            for each in files
            if each.path in known and known[each.path].sha256 == each.sha256
        }
        fresh = [each for each in files if each.path not in there]
        items = {each.path: _item(dataset, each) for each in files}
        if fresh:
            check_open(dataset)
            await self.library.check_room(
                dataset,
                sum(len(each.data) for each in fresh),
                new=sum(each.path not in known for each in fresh),
            )
            await self._check_quotas(dataset, [items[each.path] for each in fresh], known)
            await to_end(self._keep(dataset, fresh, items))
        return [(items[each.path], each.path in there) for each in files]

    async def take(self, name: str, user: User, asked: TakeRequest) -> list[tuple[Item, bool]]:
        """Make items of another dataset, which the user may read, items of this one too.

        All or none; each with whether it was there just so already. The store copies: nothing is
        shared that the deletion of one could take from the other. Raises `Conflict`, `NotFound`,
        `TooLarge` (a server would copy for too long), `Unavailable`.
        """
        dataset = (await self.library.access.allowed(name, user, Act.CHANGE_DATASET)).dataset
        source = await self.library.find(asked.dataset, user)
        wanted = await self.library.those_at(source, asked.paths)
        known = await self.library.items_at(dataset, asked.paths)
        there = {
            each.path
            for each in wanted
            if each.path in known and known[each.path].sha256 == each.sha256
        }
        items = [
            each if each.key.startswith(IMPORTED) else replace(each, key=copied_key(dataset, each))
            for each in wanted
        ]
        fresh = [each for each in items if each.path not in there]
        if fresh:
            check_open(dataset)
            new = sum(each.path not in known for each in fresh)
            await self.library.check_room(dataset, 0, new=new)
            await self._check_quotas(dataset, fresh, known)
            size = sum(each.size_bytes for each in fresh if not each.key.startswith(IMPORTED))
            if size > TAKE_BYTES and await self.library.store.free_bytes() is None:
                raise TooLarge(
                    f"these items have {size:,} bytes together; {TAKE_BYTES:,} is the most",
                    hint="take fewer at a time, and upload an item that is larger",
                )
            keys = {each.key: old.key for each, old in zip(items, wanted, strict=True)
                    if each.path not in there and each.key != old.key}  # fmt: skip
            await to_end(self._copy(dataset, fresh, keys))
        return [(each, each.path in there) for each in items]

    async def get(self, name: str, user: User, paths: Sequence[str]) -> list[BatchFile]:
        """Read items; raises `NotFound` that names the first one missing, `TooLarge`."""
        dataset = await self.library.find(name, user)
        items = await self.library.those_at(dataset, paths)
        check_batch_bytes(sum(each.size_bytes for each in items))
        sizes = {each.key: each.size_bytes for each in items}
        found = await self.library.store.get_many(sizes)
        for each in items:
            if len(found[each.key]) != each.size_bytes:
                raise HeadraceError(
                    f"the object of item {each.path!r} in the store has not its size",
                    hint="it was damaged: upload the file again, into a new version",
                )
        return [BatchFile(each.path, each.sha256, found[each.key]) for each in items]

    async def _check_quotas(
        self, dataset: Dataset, fresh: Sequence[Item], known: Mapping[str, Item]
    ) -> None:
        before = sum(known[each.path].size_bytes for each in fresh if each.path in known)
        coming = sum(each.size_bytes for each in fresh)
        await self.library.check_quotas(dataset, coming - before)

    async def _keep(
        self, dataset: Dataset, fresh: Sequence[BatchFile], items: dict[str, Item]
    ) -> None:
        """Equal files have one object."""
        objects = {items[each.path].key: each.data for each in fresh}
        await self.library.store.put_many(objects)
        await self.library.register(dataset, [items[each.path] for each in fresh])

    async def _copy(
        self, dataset: Dataset, fresh: Sequence[Item], keys: Mapping[str, str]
    ) -> None:
        """Register once all objects are there."""
        await self.library.store.copy_many(keys)
        await self.library.register(dataset, fresh)


def _item(dataset: Dataset, file: BatchFile) -> Item:
    return Item(file.path, len(file.data), file.sha256, upload_key(dataset, file.sha256))


def _check_digests(files: Sequence[BatchFile]) -> None:
    for each in files:
        if (found := sha256(each.data).hexdigest()) != each.sha256:
            raise WrongChecksum(
                f"what came for {each.path!r} has SHA-256 {found}, not {each.sha256} as was said; "
                "nothing of this batch was kept",
                hint="the file changed while it was read, or was damaged on the way: upload it "
                "again",
            )
