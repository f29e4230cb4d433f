"""Datasets through the client: describe, upload and download, both resumable and checked."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import IO, Any
from urllib.parse import quote

from headrace_client.errors import WrongOffset, error_of
from headrace_client.http import GONE, Http
from headrace_client.smallfiles import SMALL_BYTES, is_new, read_small, write_small
from headrace_model.dataset import check_item_path
from headrace_model.errors import Conflict, HeadraceError, InvalidInput, NotFound, Unavailable
from headrace_model.people import Level
from headrace_wire.people import ShareRequest
from headrace_wire.schema import to_plain

_PIECE_BYTES = 1 << 20
_HASH_BYTES = 8 << 20
_AT_ONCE = 8
View = Mapping[str, Any]
Moved = Callable[[str, int, int], None]
"""Hears how far each file is: its item path, the bytes that are there, its size in bytes. All
files are announced, with no bytes, before the first one moves."""


def say_nothing(item: str, at_bytes: int, size_bytes: int) -> None:
    """A `Moved` for nobody."""


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file to upload: where it is, and the item path that it gets."""

    path: Path
    item: str


def files_below(source: Path) -> tuple[LocalFile, ...]:
    """The files of a folder, recursively, or one file; sorted by item path.

    Raises `InvalidInput` for a path that is neither, an empty folder, or a file that is no
    regular one (links within the folder are followed, broken ones are errors).
    """
    if source.is_file():
        return (LocalFile(source, check_item_path(source.name)),)
    if not source.is_dir():
        raise InvalidInput(f"{source} is neither a file nor a folder")
    found = []
    for folder, _, names in os.walk(source, followlinks=False):
        for name in names:
            path = Path(folder) / name
            if not path.is_file():
                raise InvalidInput(f"{path} is not a regular file")
            found.append(LocalFile(path, check_item_path(path.relative_to(source).as_posix())))
    if not found:
        raise InvalidInput(f"the folder {source} holds no file")
    return tuple(sorted(found, key=lambda each: each.item))


async def hash_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal; it can be cancelled at any time."""
    digest = sha256()
    file = await asyncio.to_thread(path.open, "rb")
    try:
        while piece := await asyncio.to_thread(file.read, _HASH_BYTES):
            await asyncio.to_thread(digest.update, piece)
    finally:
        await asyncio.to_thread(file.close)
    return digest.hexdigest()


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
        """Upload files, several at once; returns the bytes of all. What is there is not sent."""
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(file: LocalFile) -> int:
            async with gate:
                return await self.upload_item(name, file, moved)

        sizes = await asyncio.to_thread(lambda: [file.path.stat().st_size for file in files])
        for file, size in zip(files, sizes, strict=True):
            moved(file.item, 0, size)
        return sum(await _all([one(file) for file in files]))

    async def upload_item(self, name: str, file: LocalFile, moved: Moved = say_nothing) -> int:
        """Upload one file, from where an earlier try broke off; returns its size in bytes."""
        small = await asyncio.to_thread(read_small, file.path)
        data, digest = small or (None, await hash_of(file.path))
        size = (await asyncio.to_thread(file.path.stat)).st_size if data is None else len(data)
        address = f"{_address(name)}/items/{quote(file.item, safe='/')}"
        offset: int | None = 0  # None: the server has to be asked
        async for last in self._http.tries():
            try:
                if offset is None:
                    offset = await self._kept(address, digest, size)
                if not offset >= size > 0:
                    rest = _read(file, offset, size, moved) if data is None else data[offset:]
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

    async def _kept(self, address: str, digest: str, size: int) -> int:
        """How many bytes of the file the server has; all of them when it is complete."""
        headers = {"X-Content-SHA256": digest}
        try:
            async with self._http.open("HEAD", address, headers=headers) as answer:
                if answer.headers.get("Upload-Complete") == "?1":
                    return size
                return int(answer.headers.get("Upload-Offset", "0"))
        except NotFound:
            return 0

    async def _put(
        self,
        address: str,
        file: LocalFile,
        digest: str,
        size: int,
        offset: int,
        data: AsyncIterator[bytes] | bytes,
    ) -> None:
        headers = {"X-Content-SHA256": digest, "Content-Length": str(size - offset)}
        headers["Content-Type"] = "application/octet-stream"
        if offset:
            headers["Content-Range"] = f"bytes {offset}-{size - 1}/{size}"
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
        """Download all items into a folder; returns the bytes of all. What is whole is kept."""
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(item: View) -> int:
            async with gate:
                return await self.download_item(name, item, folder, moved)

        items = [item async for item in self.items(name)]
        for item in items:
            moved(item["path"], 0, int(item["size_bytes"]))
        return sum(await _all([one(item) for item in items]))

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
        small = size <= SMALL_BYTES and await asyncio.to_thread(is_new, target, part)
        if not small:
            if await _is_whole(target, size, item["sha256"]):
                moved(item["path"], size, size)
                return size
            await asyncio.to_thread(target.parent.mkdir, parents=True, exist_ok=True)
        data, found = b"", ""
        async for last in self._http.tries():
            try:
                if small:
                    async with self._http.open("GET", address) as answer:
                        data = await answer.read()
                    found = sha256(data).hexdigest()
                else:
                    await self._fetch(address, part, size, partial(moved, item["path"]))
                break
            except Unavailable:
                if last:
                    raise
            except GONE as error:
                if last:
                    raise self._http.unreachable(error) from None
        if (found or await hash_of(part)) != item["sha256"]:
            await asyncio.to_thread(part.unlink, missing_ok=True)
            raise HeadraceError(
                f"{item['path']} arrived damaged: its SHA-256 is not the dataset's",
                hint="download it again",
            )
        if small:
            await asyncio.to_thread(write_small, part, target, data)
        else:
            await asyncio.to_thread(part.replace, target)
        moved(item["path"], size, size)
        return size

    async def _fetch(
        self, address: str, part: Path, size: int, reached: Callable[[int, int], None]
    ) -> None:
        """Read what `part` still lacks; a break leaves what came."""
        file = await asyncio.to_thread(part.open, "ab")
        try:
            at = await asyncio.to_thread(file.seek, 0, os.SEEK_END)
            if at > size:
                at = await asyncio.to_thread(file.truncate, 0)
            if at == size:
                return
            headers = {"Range": f"bytes={at}-"} if at else {}
            async with self._http.open("GET", address, headers=headers) as answer:
                if at and answer.status != 206:
                    at = await asyncio.to_thread(file.truncate, 0)
                async for piece in answer.content.iter_chunked(_PIECE_BYTES):
                    at += await asyncio.to_thread(file.write, piece)
                    reached(at, size)
        finally:
            await asyncio.to_thread(file.close)

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
    file: IO[bytes] = await asyncio.to_thread(sent.path.open, "rb")
    try:
        at = await asyncio.to_thread(file.seek, offset)
        while piece := await asyncio.to_thread(file.read, _PIECE_BYTES):
            yield piece
            at += len(piece)
            moved(sent.item, min(at, size), size)
    finally:
        await asyncio.to_thread(file.close)


async def _all(work: Sequence[Any]) -> list[int]:
    """Wait for all; the first error cancels the others and is raised as it is."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        return [await task for task in tasks]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def content_hash(files: Sequence[tuple[str, str]]) -> str:
    """One SHA-256 for (item path, SHA-256) pairs, whatever order they come in."""
    lines: Iterator[str] = (f"{digest} {item}" for item, digest in sorted(files))
    return sha256("\n".join(lines).encode()).hexdigest()
