"""Datasets through the client: describe, upload and download, both resumable and checked."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import quote

from headrace_client.errors import WrongOffset, error_of
from headrace_client.http import GONE, Http
from headrace_client.localfiles import LocalFile, PartFile, hash_of, read_piece
from headrace_client.smallfiles import (
    SMALL_BYTES,
    batches_of,
    damaged,
    fetch_batch,
    send_batch,
    take,
)
from headrace_model.dataset import check_item_path
from headrace_model.errors import Conflict, Forbidden, NotFound, Unavailable
from headrace_model.people import Level
from headrace_wire.people import ShareRequest
from headrace_wire.schema import to_plain

_PIECE_BYTES = 1 << 20
_AT_ONCE = 8
_BATCHES_AT_ONCE = 4
View = Mapping[str, Any]
Moved = Callable[[str, int, int], None]
"""Hears how far each file is: its item path, the bytes that are there, its size in bytes. All
files are announced, with no bytes, before the first one moves."""


def say_nothing(item: str, at_bytes: int, size_bytes: int) -> None:
    """A `Moved` for nobody."""


class Datasets:
    """What a client does with datasets; views are plain JSON objects (docs/rest.md)."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def create(self, description: Mapping[str, Any], *, key: str | None = None) -> View:
        """Make an OPEN dataset of {name, category, format?, domain?, …}."""
        headers = {"Idempotency-Key": key or token_hex(16)}
        view: View = await self._http.json(
            "POST", "/datasets", body=dict(description), headers=headers
        )
        return view

    async def get(self, name: str) -> View:
        """Read a dataset by name, name@version or id."""
        view: View = await self._http.json("GET", _address(name))
        return view

    async def list(self, **query: str | int) -> View:
        """List datasets: {datasets, cursor}; newest first."""
        asked = {name: value for name, value in query.items() if value not in ("", None)}
        view: View = await self._http.json("GET", "/datasets", query=asked)
        return view

    async def items(self, name: str) -> AsyncIterator[View]:
        """Yield the items of a dataset: {path, size_bytes, sha256}."""
        cursor = ""
        while True:
            query: dict[str, str | int] = {"limit": 1000}
            if cursor:
                query["cursor"] = cursor
            page = await self._http.json("GET", f"{_address(name)}/items", query=query)
            for item in page["items"]:
                yield item
            cursor = page["cursor"]
            if not cursor:
                return

    async def seal(self, name: str, description: Mapping[str, Any] | None = None) -> View:
        """Seal a dataset; a repeat gives the same view."""
        view: View = await self._http.json(
            "POST", f"{_address(name)}:seal", body=dict(description or {})
        )
        return view

    async def delete(self, name: str) -> None:
        """Delete a dataset; raises `Conflict` while jobs use it."""
        await self._http.json("DELETE", _address(name))

    async def share(self, name: str, who: str, level: Level = Level.READ) -> View:
        """Share a dataset with `user:NAME`, `group:NAME` or `everyone`; a repeat is success."""
        return await self._sharing(name, "share", ShareRequest(who, level))

    async def unshare(self, name: str, who: str) -> View:
        """Take a share of a dataset back; success if there is none."""
        return await self._sharing(name, "unshare", ShareRequest(who))

    async def _sharing(self, name: str, verb: str, asked: ShareRequest) -> View:
        view: View = await self._http.json(
            "POST", f"{_address(name)}:{verb}", body=to_plain(asked)
        )
        return view

    async def match(self, requirement: Mapping[str, Any]) -> View:
        """Ask what would fulfil a requirement {category, format?, domain?}."""
        view: View = await self._http.json("POST", "/datasets:match", body=dict(requirement))
        return view

    async def upload(
        self, name: str, files: Sequence[LocalFile], moved: Moved = say_nothing
    ) -> int:
        """Upload files, several at once; returns the bytes of all. Small ones go in batches."""
        gate = asyncio.Semaphore(_AT_ONCE)
        sizes = await asyncio.to_thread(lambda: [file.path.stat().st_size for file in files])
        for file, size in zip(files, sizes, strict=True):
            moved(file.item, 0, size)
        pairs = list(zip(files, sizes, strict=True))
        small = deque(file for file, size in pairs if size <= SMALL_BYTES)

        async def one(file: LocalFile) -> int:
            async with gate:
                return await self.upload_item(name, file, moved)

        async def batches() -> int:
            size = 0
            while small:
                async with gate:
                    taken = await asyncio.to_thread(take, small)
                    if taken.files:
                        await send_batch(self._http, _address(name), taken.files)
                for each in taken.files:
                    moved(each.path, len(each.data), len(each.data))
                    size += len(each.data)
                for grown in taken.large:
                    size += await one(grown)
            return size

        large = [one(file) for file, size in pairs if size > SMALL_BYTES]
        return sum(await _all([*(batches() for _ in range(_BATCHES_AT_ONCE)), *large]))

    async def upload_item(self, name: str, file: LocalFile, moved: Moved = say_nothing) -> int:
        """Upload one file, from where an earlier try broke off; returns its size in bytes."""
        digest = await hash_of(file.path)
        size = (await asyncio.to_thread(file.path.stat)).st_size
        address = f"{_address(name)}/items/{quote(file.item, safe='/')}"
        offset: int | None = None  # the server has to be asked
        complete = False
        async for last in self._http.tries():
            try:
                if offset is None:
                    offset, complete = await self._kept(address, digest)
                if not complete:
                    rest = _read(file, offset, size, moved)
                    await self._put(address, file, digest, size, offset, rest)
                moved(file.item, size, size)
                return size
            except WrongOffset as error:
                offset = error.offset
                if last:
                    raise
            except Unavailable:
                offset = None
                if last:
                    raise
            except GONE as error:
                offset = None
                if last:
                    raise self._http.unreachable(error) from None
        raise AssertionError("tries() ends with a last one")

    async def _kept(self, address: str, digest: str) -> tuple[int, bool]:
        """How many bytes of the file the server has, and whether the file is an item by now."""
        headers = {"X-Content-SHA256": digest}
        try:
            async with self._http.open("HEAD", address, headers=headers) as answer:
                complete = answer.headers.get("Upload-Complete") == "?1"
                return int(answer.headers.get("Upload-Offset", "0")), complete
        except (NotFound, Forbidden):  # who may only write begins anew
            return 0, False

    async def _put(
        self,
        address: str,
        file: LocalFile,
        digest: str,
        size: int,
        offset: int,
        data: AsyncIterator[bytes],
    ) -> None:
        headers = {"X-Content-SHA256": digest, "Content-Length": str(size - offset)}
        headers["Content-Type"] = "application/octet-stream"
        if offset:
            # All may have come already, and not have become an item.
            sent = f"{offset}-{size - 1}" if offset < size else "*"
            headers["Content-Range"] = f"bytes {sent}/{size}"
        async with self._http.open(
            "PUT", address, headers=headers, data=data, takes=(409,)
        ) as answer:
            if answer.status != 409:
                return
            if "Upload-Offset" in answer.headers:
                raise WrongOffset(
                    f"{file.path} changed while it was uploaded, or somebody else uploads it",
                    offset=int(answer.headers["Upload-Offset"]),
                )
            raise error_of(409, await answer.json())

    async def download(self, name: str, folder: Path, moved: Moved = say_nothing) -> int:
        """Download all items into a folder; returns the bytes of all. What is whole is kept.

        Small ones come in batches.
        """
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(item: View) -> int:
            async with gate:
                return await self.download_item(name, item, folder, moved)

        async def batch(items: Sequence[View]) -> int:
            async with gate:
                await fetch_batch(self._http, _address(name), items, folder)
            sizes = [int(item["size_bytes"]) for item in items]
            for item, size in zip(items, sizes, strict=True):
                moved(item["path"], size, size)
            return sum(sizes)

        items = [item async for item in self.items(name)]
        small: list[View] = []
        large: list[View] = []
        for item in items:
            moved(item["path"], 0, size := int(item["size_bytes"]))
            (small if size <= SMALL_BYTES else large).append(item)
        batches = [batch(each) for each in batches_of(small)]
        return sum(await _all([*batches, *(one(item) for item in large)]))

    async def download_item(
        self, name: str, item: View, folder: Path, moved: Moved = say_nothing
    ) -> int:
        """Download one item {path, size_bytes, sha256} into `folder`; returns its size in bytes.

        Its bytes lie in `<path>.part` until they are whole and their SHA-256 is right.
        """
        check_item_path(item["path"])  # a server must not write outside of the folder either
        target, size = folder / item["path"], int(item["size_bytes"])
        part = target.with_name(target.name + ".part")
        address = f"{_address(name)}/items/{quote(item['path'], safe='/')}"
        if await _is_whole(target, size, item["sha256"]):
            moved(item["path"], size, size)
            return size
        await asyncio.to_thread(target.parent.mkdir, parents=True, exist_ok=True)
        found = ""
        async for last in self._http.tries():
            try:
                found = await self._fetch(address, part, size, partial(moved, item["path"]))
                break
            except Unavailable:
                if last:
                    raise
            except GONE as error:
                if last:
                    raise self._http.unreachable(error) from None
        if found != item["sha256"]:
            await asyncio.to_thread(part.unlink, missing_ok=True)
            raise damaged(item["path"])
        await asyncio.to_thread(part.replace, target)
        moved(item["path"], size, size)
        return size

    async def _fetch(
        self, address: str, part: Path, size: int, reached: Callable[[int, int], None]
    ) -> str:
        """Read what `part` still lacks; the SHA-256 of all. A break leaves what came."""
        kept = await asyncio.to_thread(PartFile, part)
        try:
            if kept.size > size:
                await asyncio.to_thread(kept.clear)
            if kept.size == size > 0:
                return kept.digest()
            headers = {"Range": f"bytes={kept.size}-"} if kept.size else {}
            async with self._http.open("GET", address, headers=headers) as answer:
                if kept.size and answer.status != 206:
                    await asyncio.to_thread(kept.clear)
                async for piece in answer.content.iter_chunked(_PIECE_BYTES):
                    await asyncio.to_thread(kept.append, piece)
                    reached(kept.size, size)
            return kept.digest()
        finally:
            await asyncio.to_thread(kept.close)

    async def upload_once(
        self,
        name: str,
        files: Sequence[LocalFile],
        description: Mapping[str, Any],
        moved: Moved = say_nothing,
    ) -> View:
        """Make, fill and seal the dataset `name`, or give it as it is when it is SEALED."""
        try:
            view = await self.get(name)
        except NotFound:
            try:
                view = await self.create({"name": name, **description})
            except Conflict:  # another client made it meanwhile
                view = await self.get(name)
        if view["state"] == "SEALED":
            return view
        await self.upload(name, files, moved)
        return await self.seal(name)


def _address(name: str) -> str:
    return f"/datasets/{quote(name, safe='')}"


async def _is_whole(path: Path, size: int, digest: str) -> bool:
    if await asyncio.to_thread(_size_of, path) != size:
        return False
    return await hash_of(path) == digest


def _size_of(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None


async def _read(sent: LocalFile, offset: int, size: int, moved: Moved) -> AsyncIterator[bytes]:
    at = offset
    while piece := await asyncio.to_thread(read_piece, sent.path, at, _PIECE_BYTES):
        yield piece
        at += len(piece)
        moved(sent.item, min(at, size), size)


async def _all(work: Sequence[Any]) -> list[int]:
    """Wait for all; the first error cancels the others and is raised as it is."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        return [await task for task in tasks]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
