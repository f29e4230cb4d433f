"""What people do with datasets: make, fill, seal, list, read; curation.py has the rest."""

import asyncio
import shutil
from bisect import bisect_left
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from secrets import randbits, token_hex
from typing import TYPE_CHECKING, Protocol

from headrace_data.access import Access
from headrace_data.catalogue import Catalogue
from headrace_data.core.describing import (
    GENERIC,
    check_described,
    merged_domain,
    merged_format,
)
from headrace_data.core.keys import is_direct, manifest_key, upload_key
from headrace_data.core.naming import check_new_name
from headrace_data.known_items import KnownItems
from headrace_data.spool import Piece, Spool, Upload
from headrace_data.staging import Manifests
from headrace_data.upkeep import Upkeep
from headrace_data.uploaded import check_uploaded
from headrace_model.dataset import Dataset, DatasetState, Item, Manifest
from headrace_model.domain import Domain
from headrace_model.errors import Conflict, InvalidInput, NotFound, Stale, TooLarge, Unavailable
from headrace_model.ids import DatasetId, job_id
from headrace_model.people import Act, User, check_may, check_thing
from headrace_ports.arriving import Arriving
from headrace_ports.imported import IMPORTED
from headrace_ports.object_store import ObjectStore
from headrace_wire.batch import TAKE_BYTES
from headrace_wire.datasets import NewDataset, SealRequest

if TYPE_CHECKING:
    from headrace_adapters.redis.datasets import DatasetStore
    from headrace_adapters.redis.jobs import JobStore
    from headrace_adapters.redis.quotas import QuotaStore

_DETECT_SIDE_BY_SIDE = 2
_FETCHED_SIDE_BY_SIDE = 16
_TRIES = 20  # of making a dataset, while others change what its name names


class Detected(Protocol):
    """What the files of a folder are (`headrace_formats.runner` makes it)."""

    @property
    def format(self) -> str: ...
    @property
    def domain(self) -> Domain: ...
    @property
    def notes(self) -> Sequence[str]: ...


Detect = Callable[[Path, str | None], Awaitable[Detected]]


@dataclass(frozen=True, slots=True)
class Bounds:
    """What uploads may take."""

    dataset_items: int
    free_bytes: int


@dataclass(slots=True)
class Library:
    """Every method asks the one matrix of rules (`headrace_model.people`).

    What a user may not see raises the very `NotFound` of a name that is not there; what they may
    see but not do raises `Forbidden`.
    """

    access: Access
    catalogue: Catalogue
    datasets: "DatasetStore"
    jobs: "JobStore"
    store: ObjectStore
    manifests: Manifests
    upkeep: Upkeep
    spool: Spool
    known: KnownItems
    detect: Detect
    scratch: Path  # for the folders that a seal reads
    bounds: Bounds
    quotas: "QuotaStore"
    _detecting: asyncio.Semaphore = field(
        default_factory=lambda: asyncio.Semaphore(_DETECT_SIDE_BY_SIDE)
    )

    async def open(self) -> None:
        """Remove the folders that a killed service was reading."""
        await asyncio.to_thread(shutil.rmtree, self.scratch, ignore_errors=True)

    async def create(self, asked: NewDataset, user: User, key: str) -> tuple[Dataset, bool]:
        """Make an OPEN dataset; a repeat with the same idempotency `key` finds it (False).

        Ids are fresh, so that one which was deleted never comes back: what is removed from the
        store for it, however late, is no other dataset's.

        A new version belongs to the owner of the name and is shared as the newest one is.
        Raises `Conflict` (name taken), `InvalidName`, `InvalidInput`.
        """
        check_may(user, Act.MAKE_DATASET)
        check_new_name(asked.name)
        now = await self.jobs.now_ms()
        after = asked.expires_after_ms
        dataset = Dataset(
            id=DatasetId(job_id(now, randbits(30))),
            name=asked.name,
            version=1,
            category=asked.category,
            format=asked.format or GENERIC,
            domain=asked.domain,
            owner=user.name,
            created_ms=now,
            expires_ms=None if after is None else now + after,
            description=asked.description,
        )
        once = sha256(f"{user.name}\0{key}".encode()).hexdigest() if key else ""
        new_version = asked.version == "new"
        id_, made = await self._create(dataset, user, new_version=new_version, once=once)
        await self.catalogue.refresh([id_])
        found = (await self.datasets.get(id_)).dataset
        if found.state is DatasetState.DELETED:
            raise NotFound(f"the dataset {found.title}, which this request made, is deleted")
        return found, made

    async def _create(
        self, asked: Dataset, user: User, *, new_version: bool, once: str
    ) -> tuple[DatasetId, bool]:
        for _ in range(_TRIES):
            dataset = asked
            newest = await self.access.newest(dataset.name)
            if newest is not None:
                # Names are common to all: that one is taken can't be hidden, whose it is can.
                unseen = NotFound(f"there is no dataset {dataset.name}")
                try:
                    check_thing(
                        user,
                        Act.CHANGE_DATASET if new_version else Act.SEE_DATASET,
                        Act.SEE_DATASET,
                        newest.owner,
                        newest.shared,
                        unseen,
                    )
                except NotFound:
                    raise Conflict(
                        f"the name {dataset.name} is taken", hint="take another name"
                    ) from None
                dataset = replace(dataset, owner=newest.owner, shared=newest.shared)
            try:
                return await self.datasets.create(
                    dataset,
                    new_version=new_version,
                    newest=newest.id if newest else "",
                    once=once,
                )
            except Stale:
                continue  # somebody was quicker: the name may be theirs now
        raise Conflict(f"others change what {asked.name} names", hint="try again")

    async def find(self, name: str, user: User) -> Dataset:
        """The dataset of a name, `name@N` or id; raises `NotFound`."""
        return (await self.access.allowed(name, user, Act.SEE_DATASET)).dataset

    async def size(self, dataset: Dataset) -> tuple[int, int]:
        """Bytes and number of the items, also while OPEN."""
        if dataset.sealed_ms is not None:
            return dataset.size_bytes, dataset.item_count
        items = await self.datasets.items(dataset.id)
        return sum(item.size_bytes for item in items), len(items)

    async def offset(self, name: str, user: User, path: str, digest: str) -> tuple[int, bool]:
        """How many bytes of a file are kept, and whether the item is there already."""
        dataset = await self.find(name, user)
        item = (await self.items_at(dataset, [path])).get(path)
        if item is not None and item.sha256 == digest:
            return item.size_bytes, True
        return await self.spool.offset(Upload(dataset.id, path, digest)), False

    async def put(
        self,
        name: str,
        user: User,
        file: tuple[str, str],
        piece: Piece,
        body: AsyncIterator[bytes],
    ) -> tuple[Item | None, bool]:
        """Take the bytes of an item, `file` being its path and SHA-256.

        Returns the item once it is whole, and whether it was there just so already. Where all is
        said to have come and has not, it is taken from a dataset that the user may read, if one
        has it. Errors as `Spool.receive`; `Conflict` where the dataset is not OPEN.
        """
        entry = await self.access.allowed(name, user, Act.CHANGE_DATASET)
        dataset = entry.dataset
        upload = Upload(dataset.id, *file)
        known = (await self.items_at(dataset, [upload.path])).get(upload.path)
        if known is not None and known.sha256 == upload.sha256:
            async for _ in body:  # a client that does not ask first sends them all the same
                pass
            return known, True
        check_open(dataset)
        self.spool.check_size(upload, piece)
        total, before = piece.total or 0, known.size_bytes if known else 0
        await self.check_room(dataset, total - piece.first, new=known is None)
        await self.check_quotas(dataset, total - before)

        if piece.first == piece.total and await self.spool.offset(upload) < piece.first:
            taken = await self.take_known(dataset, upload, piece.first, user)
            if taken is not None:
                return taken, False

        async def keep(file: Arriving | bytes) -> Item:
            key = upload_key(dataset, upload.sha256)
            if isinstance(file, bytes):
                size = len(file)
                await self.store.put_bytes(key, file)
            else:
                await self.store.put_arriving(key, file)
                size = await file.whole()
            item = Item(upload.path, size, upload.sha256, key)
            await self.register(dataset, [item])
            return item

        return await self.spool.receive(upload, piece, body, keep), False

    async def take_known(
        self, dataset: Dataset, upload: Upload, size: int, user: User
    ) -> Item | None:
        """Make an item of a content that stands in another dataset which the user may read, by a
        copy within the store; None: there is none, and the bytes have to come.
        """
        if size > TAKE_BYTES and await self.store.free_bytes() is None:
            return None  # a server would copy for too long
        key = upload_key(dataset, upload.sha256)
        for source, path in await self.known.find(upload.sha256):
            try:
                (found,) = await self.those_at(await self.find(source, user), [path])
                if (found.sha256, found.size_bytes) != (upload.sha256, size):
                    continue
                await self.store.copy_many({key: found.key})
            except (NotFound, Conflict):  # not theirs to see, or deleted meanwhile
                continue
            item = Item(upload.path, size, upload.sha256, key)
            await self.register(dataset, [item])
            return item
        return None

    async def remove_item(self, name: str, user: User, path: str) -> None:
        """Remove an item of an OPEN dataset; success if there is none."""
        entry = await self.access.allowed(name, user, Act.CHANGE_DATASET)
        check_open(entry.dataset)
        await self.datasets.remove_item(entry.dataset.id, path)

    async def items(
        self, name: str, user: User, limit: int, cursor: str
    ) -> tuple[tuple[Item, ...], str | None]:
        """A page of items in order of their paths, and the cursor of the next page."""
        dataset = await self.find(name, user)
        items = await self._items(dataset)
        start = bisect_left(items, cursor + "\0", key=lambda item: item.path) if cursor else 0
        page = items[start : start + limit]
        more = start + limit < len(items)
        return page, page[-1].path if more else None

    async def item(self, name: str, user: User, path: str) -> Item:
        """One item; raises `NotFound`."""
        dataset = await self.find(name, user)
        return (await self.those_at(dataset, [path]))[0]

    async def those_at(self, dataset: Dataset, paths: Sequence[str]) -> list[Item]:
        """The items of these paths; raises `NotFound` that names the first one missing."""
        found = await self.items_at(dataset, paths)
        for path in paths:
            if path not in found:
                raise NotFound(
                    f"dataset {dataset.title} has no item {path[:200]!r}",
                    hint=f"`headrace dataset items {dataset.name}` lists them",
                )
        return [found[path] for path in paths]

    async def items_at(self, dataset: Dataset, paths: Sequence[str]) -> dict[str, Item]:
        """The items of these paths, as far as they are there."""
        if dataset.state is not DatasetState.SEALED:
            return await self.datasets.items_at(dataset.id, paths)
        items = (await self.manifests.of(dataset)).items
        at = {path: bisect_left(items, path, key=lambda item: item.path) for path in paths}
        return {
            path: items[number]
            for path, number in at.items()
            if number < len(items) and items[number].path == path
        }

    async def seal(
        self, name: str, user: User, asked: SealRequest
    ) -> tuple[Dataset, tuple[str, ...]]:
        """Make a dataset immutable, described by what its files hold; a repeat is success.

        Returns it with the notes of the readers. Raises `DomainMismatch` (it stays OPEN), and
        `Conflict`: it is empty, changed while it was read, or is SEALED and described otherwise;
        `WrongChecksum`: a client put other bytes than it said; `Unavailable`: no room to read it.
        """
        entry = await self.access.allowed(name, user, Act.CHANGE_DATASET)
        dataset = entry.dataset
        if dataset.state is DatasetState.SEALED:
            check_described(dataset, asked.format, asked.domain)
            return dataset, ()
        check_open(dataset)
        items = await self.datasets.items(dataset.id)
        if not items:
            await self.access.allowed(dataset.id, user, Act.CHANGE_DATASET)  # unless it is gone
            raise Conflict(
                f"dataset {dataset.title} has no item", hint="upload a file, then seal it"
            )
        declared = asked.format or dataset.format
        found = await self._detect(dataset, items, None if declared == GENERIC else declared)
        described = replace(
            dataset,
            format=merged_format(declared, found.format),
            domain=merged_domain(
                dataset.domain if asked.domain is None else asked.domain, found.domain
            ),
        )
        manifest = Manifest.of(described, items)
        await self.store.put_bytes(
            manifest_key(described, manifest.sha256), manifest.canonical_bytes
        )
        sealed = manifest.sealed(await self.jobs.now_ms())
        try:
            await self.datasets.seal(entry, sealed)
        except Stale:
            raise Conflict(
                f"dataset {dataset.title} changed while it was read; it is still OPEN",
                hint="seal it when all uploads are done",
            ) from None
        await self.upkeep.mark(dataset.id)
        await self.catalogue.refresh([dataset.id])
        return (await self.datasets.get(dataset.id)).dataset, tuple(found.notes)

    async def _detect(
        self, dataset: Dataset, items: Sequence[Item], format_: str | None
    ) -> Detected:
        """Lay the items out as a folder and have it read."""
        folder = self.scratch / token_hex(8)
        async with self._detecting:
            # A directory links its files into the folder, which takes no room; a server copies.
            copies = await self.store.free_bytes() is None
            try:
                for first in range(0, len(items), _FETCHED_SIDE_BY_SIDE):
                    some = items[first : first + _FETCHED_SIDE_BY_SIDE]
                    if copies or any(each.key.startswith(IMPORTED) for each in some):
                        size = sum(each.size_bytes for each in some)
                        await asyncio.to_thread(self.spool.room.check, size)
                    async with asyncio.TaskGroup() as group:
                        for each in some:
                            group.create_task(self.store.fetch(each.key, folder / each.path))
                    for each in some:
                        if is_direct(each.key):
                            await self._check(dataset, each, folder / each.path)
                return await self.detect(folder, format_)
            except ExceptionGroup as errors:
                raise errors.exceptions[0] from None
            finally:
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def _check(self, dataset: Dataset, item: Item, file: Path) -> None:
        """Hash what its client put into the store; what is wrong is no item any more."""
        try:
            await check_uploaded(item, file)
        except InvalidInput:
            if (await self.items_at(dataset, [item.path])).get(item.path) == item:
                await self.datasets.remove_item(dataset.id, item.path)
            await self.store.delete(item.key)
            raise

    async def _items(self, dataset: Dataset) -> tuple[Item, ...]:
        if dataset.state is DatasetState.SEALED:
            return (await self.manifests.of(dataset)).items
        return await self.datasets.items(dataset.id)

    async def register(self, dataset: Dataset, items: Sequence[Item]) -> None:
        """Add items whose bytes are in the store, all or none.

        Raises `TooLarge`, `OverQuota` too: nobody knows what others add at the same time.
        """
        most = self.bounds.dataset_items
        quotas = await self.quotas.of(dataset.owner)
        try:
            await self.datasets.put_items(dataset.id, items, most, quotas)
        except TooLarge:
            raise _too_many(dataset, most) from None

    async def check_quotas(self, dataset: Dataset, grows_bytes: int) -> None:
        """Raise `OverQuota` where an owner's quotas have no room, before anything is taken in."""
        if grows_bytes > 0:
            await self.quotas.check(dataset.owner, grows_bytes)

    async def check_room(self, dataset: Dataset, coming_bytes: int, *, new: int) -> None:
        """Raise `TooLarge`, `Unavailable` where so many new items or bytes find no room."""
        most = self.bounds.dataset_items
        if new and await self.datasets.item_count(dataset.id) + new > most:
            raise _too_many(dataset, most)
        free = await self.store.free_bytes()
        if free is not None and free - coming_bytes < self.bounds.free_bytes:
            raise Unavailable(
                "the disk of the object store has too little room for this file",
                hint="delete datasets, or let some expire; then try again",
            )


def check_open(dataset: Dataset) -> None:
    """Raise `Conflict` for a dataset that takes no more items."""
    if dataset.is_partial:
        raise Conflict(
            f"dataset {dataset.title} is what a failed attempt had written, and stays so",
            hint="download it, and upload what you need as a dataset of your own",
        )
    if dataset.state is not DatasetState.OPEN:
        raise Conflict(
            f"dataset {dataset.title} is {dataset.state}: it can't change any more",
            hint="make a new version of it: `headrace dataset create NAME --new-version`, or POST "
            "/api/v1/datasets with `version: new`",
        )


def _too_many(dataset: Dataset, most: int) -> TooLarge:
    return TooLarge(
        f"dataset {dataset.title} would have more than {most:,} items, the limit",
        hint="pack small files together, or make several datasets",
    )
