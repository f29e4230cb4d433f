"""Inputs beside the workers: a cache keyed by SHA-256, and read-only views of it.

A worker of the process backend runs as the same user as the agent, so read-only modes keep it
from writing by mistake, not by intent; an entry whose size or time changed is fetched again.
"""

import asyncio
import hashlib
import heapq
import os
import shutil
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from headrace_agent.grants import Grant
from headrace_agent.transfers import Transfers
from headrace_model.dataset import check_item_path
from headrace_model.errors import HeadraceError, InvalidInput, NotFound
from headrace_model.ids import DatasetId
from headrace_model.node import Cached
from headrace_service.locks import Locks
from headrace_service.threads import finish

_CHUNK_BYTES = 1 << 20
_READ_ONLY = 0o444
_SIDE_BY_SIDE = 8
_LINKED_AT_ONCE = 500
MOST_HELD = 200


class CorruptItem(HeadraceError):
    """What came from the store is not what its manifest says."""

    code = "CORRUPT_ITEM"


@dataclass(frozen=True, slots=True)
class StagedItem:
    """One file to put beside a worker: where to find it, and what it must be."""

    path: str
    size_bytes: int
    sha256: str
    grant: Grant
    dataset: str = ""  # whose item it is


RenewItem = Callable[[StagedItem, Grant], Awaitable[Grant]]
"""Asks for the grant of an item again, the one given being no longer valid."""


class Cache:
    """`<state>/cache/sha256/`: one file a content, removed least recently used first.

    Beside it `datasets/<id>` names the contents of a dataset that was staged.
    """

    def __init__(self, root: Path, limit_bytes: int, transfers: Transfers) -> None:
        self._root = root
        self._datasets = root.with_name("datasets")
        self._limit_bytes = limit_bytes
        self._transfers = transfers
        self._fetching = Locks[str]()

    async def stage(self, items: Sequence[StagedItem], folder: Path, renew: RenewItem) -> None:
        """Make `folder` a read-only view of the items; repeating it is success.

        Raises `CorruptItem`, `NotFound` and `InvalidInput`; a store that is away raises
        `Unavailable` or `OSError`.
        """
        for item in items:
            check_item_path(item.path)
        missing: list[StagedItem] = []
        for first in range(0, len(items), _LINKED_AT_ONCE):
            some = items[first : first + _LINKED_AT_ONCE]
            missing += await finish(self._link_held, some, folder)
        room = asyncio.Semaphore(_SIDE_BY_SIDE)

        async def one(item: StagedItem) -> None:
            try:
                async with self._fetching.hold(item.sha256):
                    cached = await self._fetch(item, renew)
                await finish(_link, cached, folder / item.path)
            finally:
                room.release()

        try:
            async with asyncio.TaskGroup() as group:
                for item in missing:
                    await room.acquire()
                    group.create_task(one(item))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        await finish(_make_read_only, folder)
        await finish(self._note, items)

    def _link_held(self, items: Sequence[StagedItem], folder: Path) -> list[StagedItem]:
        """Link what is there already, many in one go; returns what has to be fetched."""
        missing = []
        for item in items:
            cached = self._path(item)
            if _is_cached(cached, item):
                with suppress(FileNotFoundError):  # removed meanwhile: it is fetched again
                    _link(cached, folder / item.path)
                    continue
            missing.append(item)
        return missing

    def _path(self, item: StagedItem) -> Path:
        return self._root / item.sha256[:2] / item.sha256

    async def trim(self) -> int:
        """Remove what was used least recently and nobody uses, down to the limit.

        Returns the bytes removed. A file that an attempt views has more than one link.
        """
        return await finish(self._trim)

    async def held(self) -> tuple[Cached, dict[DatasetId, int]]:
        """Say what is there, and how many bytes datasets have that are there whole.

        Of these no more than `MOST_HELD`, those with most bytes.
        """
        return await finish(self._held)

    def _held(self) -> tuple[Cached, dict[DatasetId, int]]:
        sizes = {}
        for path in self._root.glob("??/*"):
            with suppress(FileNotFoundError):
                if path.suffix != ".part":
                    sizes[path.name] = path.stat().st_size
        whole = {}
        for note in self._datasets.glob("*"):
            digests = set(note.read_text().split())
            if sizes.keys() >= digests:
                whole[DatasetId(note.name)] = sum(sizes[each] for each in digests)
            else:
                note.unlink(missing_ok=True)
        most = heapq.nlargest(MOST_HELD, whole.items(), key=lambda each: (each[1], each[0]))
        return Cached(sum(sizes.values()), len(sizes), len(whole)), dict(most)

    def _note(self, items: Sequence[StagedItem]) -> None:
        """Note which contents the items' datasets have. A half note is one of a smaller dataset
        until it is staged again: people are told of it, and plans go by it where else all is
        equal."""
        contents: dict[str, list[str]] = {}
        for item in items:
            if item.dataset:
                contents.setdefault(item.dataset, []).append(item.sha256)
        for dataset, digests in contents.items():
            self._datasets.mkdir(mode=0o700, parents=True, exist_ok=True)
            note = safe_folder(self._datasets, dataset)
            if not note.exists():
                note.write_text("\n".join(digests))

    async def _fetch(self, item: StagedItem, renew: RenewItem) -> Path:
        cached = self._path(item)
        if await finish(_is_cached, cached, item):
            return cached
        part = cached.parent / f"{item.sha256}.{token_hex(4)}.part"
        try:
            if item.grant.path is not None:
                found = await finish(_copy, item.grant.path, part)
            else:
                found = await self._transfers.get(
                    item.grant, lambda old: renew(item, old), part, item.size_bytes
                )
            if found != item.sha256:
                raise CorruptItem(
                    f"{item.path} has SHA-256 {found[:12]}…, not {item.sha256[:12]}… as it must",
                    hint="the stored file is damaged, or was changed since it was imported: "
                    "upload or import the data again as a new version",
                )
            await finish(_keep, part, cached)
        except NotFound:
            raise NotFound(
                f"{item.path} is no longer in the store",
                hint="was its dataset deleted? Upload the data again as a new version",
            ) from None
        finally:
            await finish(part.unlink, missing_ok=True)
        return cached

    def _trim(self) -> int:
        entries = []
        for path in self._root.glob("??/*"):
            try:
                entries.append((path.stat(), path))
            except FileNotFoundError:
                continue
        total = sum(known.st_size for known, _ in entries)
        removed = 0
        for known, path in sorted(entries, key=lambda entry: entry[0].st_atime_ns):
            if total - removed <= self._limit_bytes:
                break
            if known.st_nlink == 1 and path.suffix != ".part":
                path.unlink(missing_ok=True)
                removed += known.st_size
        return removed


def _is_cached(cached: Path, item: StagedItem) -> bool:
    """Tell whether an item is there and whole; its folder is made either way."""
    try:
        known = cached.stat()
    except FileNotFoundError:
        cached.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return False
    if known.st_size != item.size_bytes or known.st_mtime_ns != 0:
        return False
    os.utime(cached, ns=(time.time_ns(), 0))  # the access time tells when it was used last
    return True


def _keep(part: Path, cached: Path) -> None:
    # A time of zero marks a complete file: whoever writes into it changes the time.
    os.utime(part, ns=(time.time_ns(), 0))
    part.chmod(_READ_ONLY)
    part.rename(cached)


def _copy(source: Path, target: Path) -> str:
    """Copy and hash; the copy is on disk when it returns."""
    digest = hashlib.sha256()
    with source.open("rb") as reader, target.open("xb") as writer:
        while chunk := reader.read(_CHUNK_BYTES):
            digest.update(chunk)
            writer.write(chunk)
        writer.flush()
        os.fsync(writer.fileno())
    return digest.hexdigest()


def _link(cached: Path, target: Path) -> None:
    """Let `target` be the cached file: by hard link, or by copy on another file system."""
    for _ in range(2):
        try:
            os.link(cached, target)
            return
        except FileExistsError:
            return
        except FileNotFoundError:
            target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        except OSError:
            break
    target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.{token_hex(4)}.part")
    shutil.copyfile(cached, part)
    part.chmod(_READ_ONLY)
    part.rename(target)


def _make_read_only(folder: Path) -> None:
    for root, _, _ in os.walk(folder, topdown=False):
        os.chmod(root, 0o555)  # noqa: S103 (read-only; the attempt's folder lets nobody else in)


def safe_folder(base: Path, requirement: str) -> Path:
    """The folder of a requirement; raises `InvalidInput` for a name that leaves `base`."""
    if "/" in requirement or requirement in ("", ".", ".."):
        raise InvalidInput(f"{requirement!r} can't be the name of a requirement")
    return base / requirement
