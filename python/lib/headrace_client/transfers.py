"""What a client moves: files to and from datasets, resumable, compared by SHA-256."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

from headrace_client.direct import Direct
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
from headrace_client.transferplan import (
    Action,
    Plan,
    Step,
    all_of,
    chosen,
    groups_of,
    plan_download,
    plan_upload,
    sizes_of,
)
from headrace_model.dataset import check_item_path
from headrace_model.errors import (
    Conflict,
    Forbidden,
    HeadraceError,
    NotFound,
    TooLarge,
    Unavailable,
)

_PIECE_BYTES = 1 << 20
_AT_ONCE = 8
_WORTH_BYTES = 1 << 20  # of smaller files the server does not know where else they are
_BATCHES_AT_ONCE = 4
View = Mapping[str, Any]
Moved = Callable[[str, int, int], None]
"""Hears how far each file is: its item path, the bytes that are there, its size in bytes. All
files are announced, with no bytes, before the first one moves."""


def say_nothing(item: str, at_bytes: int, size_bytes: int) -> None:
    """A `Moved` for nobody."""


class Transfers:
    """Moves the files of datasets; views are plain JSON objects (docs/rest.md)."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def get(self, name: str) -> View:
        """Read a dataset by name, name@version or id."""
        view: View = await self._http.json("GET", address_of(name))
        return view

    async def items(self, name: str) -> AsyncIterator[View]:
        """Yield the items of a dataset: {path, size_bytes, sha256}."""
        cursor = ""
        while True:
            query: dict[str, str | int] = {"limit": 10_000}
            if cursor:
                query["cursor"] = cursor
            page = await self._http.json("GET", f"{address_of(name)}/items", query=query)
            for item in page["items"]:
                yield item
            cursor = page["cursor"]
            if not cursor:
                return

    async def plan_upload(self, name: str, files: Sequence[LocalFile]) -> Plan:
        """Tell what `upload` would do; raises `Conflict` where the dataset takes no more files."""
        plan = await self._plan(name, files)
        if plan.all_there:
            return plan
        view = await self.get(name)
        if view["state"] != "OPEN":
            raise Conflict(
                f"dataset {view['title']} is {view['state']}: it can't change any more",
                hint="--new-version makes a further version of it",
            )
        return plan

    async def upload(
        self, name: str, files: Sequence[LocalFile], moved: Moved = say_nothing
    ) -> Plan:
        """Upload files, several at once; small ones go in batches. Gives what was done.

        What is an item of the same path and SHA-256 already is not sent, and what is one of the
        version before is taken from there; other items stay.
        """
        sizes = await asyncio.to_thread(sizes_of, files)
        for file, size in zip(files, sizes, strict=True):
            moved(file.item, 0, size)
        plan = await self._take(name, await self._plan(name, files))
        await self._send(name, plan, moved)
        return plan

    async def _plan(self, name: str, files: Sequence[LocalFile]) -> Plan:
        before = await self._before(name)
        return await plan_upload(files, await self._there(name), await self._there(before))

    async def _before(self, name: str) -> str:
        """The id of the newest SEALED version before an OPEN one; "" where none is to be seen."""
        try:
            view = await self.get(name)
            if view["version"] == 1 or view["state"] != "OPEN":
                return ""
            versions = await self._http.json("GET", f"{address_of(view['name'])}/versions")
        except (NotFound, Forbidden):
            return ""
        sealed = [each["id"] for each in versions["datasets"] if each["state"] == "SEALED"]
        return sealed[0] if sealed else ""

    async def _take(self, name: str, plan: Plan) -> Plan:
        """Take what the version before has; what it can't give is to be sent after all."""
        taken = plan.acting(Action.TAKE)
        if not taken:
            return plan
        before, gate = await self._before(name), asyncio.Semaphore(_BATCHES_AT_ONCE)

        async def take_some(steps: Sequence[Step]) -> list[Step]:
            body = {"dataset": before, "paths": [step.item for step in steps]}
            try:
                async with gate:
                    await self._http.json("POST", f"{address_of(name)}:take", body=body)
            except (NotFound, TooLarge):
                return list(steps)
            return []

        refused = await all_of([take_some(some) for some in groups_of(taken)])
        left = {step.item for some in refused for step in some}
        steps = [
            replace(step, action=Action.NEW) if step.item in left else step for step in plan.steps
        ]
        return Plan(tuple(steps))

    async def _there(self, name: str) -> dict[str, View]:
        if not name:
            return {}
        try:
            return {item["path"]: item async for item in self.items(name)}
        except (NotFound, Forbidden):  # who may only write sends all
            return {}

    async def _send(self, name: str, plan: Plan, moved: Moved) -> None:
        gate = asyncio.Semaphore(_AT_ONCE)
        files = [(LocalFile(step.path, step.item), step.size_bytes) for step in plan.moving]
        small = deque(file for file, size in files if size <= SMALL_BYTES)
        for step in plan.steps:
            if step.action in (Action.SKIP, Action.TAKE):
                moved(step.item, step.size_bytes, step.size_bytes)
        if plan.steps and plan.all_there:
            await self._confirm(name, plan.steps[0])

        direct = Direct(self._http)

        async def one(file: LocalFile) -> None:
            async with gate:
                await self.upload_item(name, file, moved, direct)

        async def batches() -> None:
            while small:
                async with gate:
                    taken = await asyncio.to_thread(take, small)
                    if taken.files:
                        await send_batch(self._http, address_of(name), taken.files)
                for each in taken.files:
                    moved(each.path, len(each.data), len(each.data))
                for grown in taken.large:
                    await one(grown)

        large = [one(file) for file, size in files if size > SMALL_BYTES]
        async with direct:
            await all_of([*(batches() for _ in range(_BATCHES_AT_ONCE)), *large])

    async def _confirm(self, name: str, step: Step) -> None:
        """Put an item that is there, without its bytes: who may not upload hears so."""
        headers = {"X-Content-SHA256": step.sha256, "Content-Length": "0"}
        headers["Content-Range"] = f"bytes */{step.size_bytes}"
        await self._http.json("PUT", item_address(name, step.item), headers=headers)

    async def upload_item(
        self,
        name: str,
        file: LocalFile,
        moved: Moved = say_nothing,
        direct: Direct | None = None,
    ) -> int:
        """Upload one file, from where an earlier try broke off; returns its size in bytes."""
        digest = await hash_of(file.path)
        size = (await asyncio.to_thread(file.path.stat)).st_size
        if direct is not None and await direct.upload(
            address_of(name), file, digest, size, lambda at: moved(file.item, min(at, size), size)
        ):
            moved(file.item, size, size)
            return size
        address = item_address(name, file.item)
        offset: int | None = None  # the server has to be asked
        complete, asked = False, size < _WORTH_BYTES
        async for last in self._http.tries():
            try:
                if offset is None:
                    offset, complete = await self._kept(address, digest)
                if offset == 0 and not (complete or asked):
                    asked, complete = True, await self._taken(address, digest, size)
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

    async def _taken(self, address: str, digest: str, size: int) -> bool:
        """Ask whether the server takes the file from another dataset that one may read."""
        headers = {"X-Content-SHA256": digest, "Content-Length": "0"}
        headers["Content-Range"] = f"bytes */{size}"
        async with self._http.open("PUT", address, headers=headers, takes=(409,)) as answer:
            if answer.status == 409 and "Upload-Offset" not in answer.headers:
                raise error_of(409, await answer.json())
            return answer.status != 409

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

    async def plan_download(
        self, name: str, folder: Path, wanted: Sequence[str] = (), exclude: Sequence[str] = ()
    ) -> Plan:
        """Tell what `download` would do."""
        return await plan_download(await self.chosen(name, wanted, exclude), folder)

    async def chosen(
        self, name: str, wanted: Sequence[str] = (), exclude: Sequence[str] = ()
    ) -> list[View]:
        """Items by paths, folders or patterns; raises `NotFound` for what fits none."""
        return chosen([item async for item in self.items(name)], wanted, exclude)

    async def download(
        self,
        name: str,
        folder: Path,
        moved: Moved = say_nothing,
        *,
        wanted: Sequence[str] = (),
        exclude: Sequence[str] = (),
    ) -> Plan:
        """Download items into a folder, all of them or the `wanted`; small ones come in batches.

        `wanted` and `exclude` are paths, folders or patterns. Gives what was done. A file of the
        same SHA-256 is not fetched, another one is replaced, and other files of the folder stay.
        Raises `NotFound`: nothing fits what is wanted.
        """
        items = await self.chosen(name, wanted, exclude)
        for item in items:
            moved(item["path"], 0, int(item["size_bytes"]))
        plan = await plan_download(items, folder)
        await self._receive(name, folder, plan, moved)
        return plan

    async def _receive(self, name: str, folder: Path, plan: Plan, moved: Moved) -> None:
        gate = asyncio.Semaphore(_AT_ONCE)

        direct = Direct(self._http)

        async def one(item: View) -> None:
            async with gate:
                await self.download_item(name, item, folder, moved, direct)

        async def batch(items: Sequence[View]) -> None:
            async with gate:
                await fetch_batch(self._http, address_of(name), items, folder)
            for item in items:
                moved(item["path"], item["size_bytes"], item["size_bytes"])

        small: list[View] = []
        large: list[View] = []
        for step in plan.steps:
            item = {"path": step.item, "size_bytes": step.size_bytes, "sha256": step.sha256}
            if step.action is Action.SKIP:
                moved(step.item, step.size_bytes, step.size_bytes)
            else:
                (small if step.size_bytes <= SMALL_BYTES else large).append(item)
        batches = [batch(each) for each in batches_of(small)]
        async with direct:
            await all_of([*batches, *(one(item) for item in large)])

    async def read(self, name: str, item: str) -> AsyncGenerator[bytes, None]:
        """Yield the bytes of one item, on over lines that break, and compare its SHA-256.

        Raises `HeadraceError` at the end where they are not the dataset's, and `NotFound`.
        """
        digest, at, size, expected = sha256(), 0, -1, ""
        async for last in self._http.tries():
            headers = {"Range": f"bytes={at}-", "If-Range": f'"{expected}"'} if at else {}
            try:
                if at == size:
                    break  # the line broke after the last byte
                async with self._http.open(
                    "GET", item_address(name, item), headers=headers
                ) as answer:
                    if at and answer.status != 206:
                        raise HeadraceError(f"{item} was replaced while it was read")
                    expected = answer.headers["X-Content-SHA256"]
                    size = at + int(answer.headers["Content-Length"])
                    async for piece in answer.content.iter_chunked(_PIECE_BYTES):
                        digest.update(piece)
                        at += len(piece)
                        yield piece
                break
            except Unavailable:
                if last:
                    raise
            except GONE as error:
                if last:
                    raise self._http.unreachable(error) from None
        if digest.hexdigest() != expected:
            raise damaged(item)

    async def download_item(
        self,
        name: str,
        item: View,
        folder: Path,
        moved: Moved = say_nothing,
        direct: Direct | None = None,
    ) -> int:
        """Download one item {path, size_bytes, sha256} into `folder`; returns its size in bytes.

        Its bytes lie in `<path>.part` until they are whole and their SHA-256 is right.
        """
        check_item_path(item["path"])  # a server must not write outside of the folder either
        target, size = folder / item["path"], int(item["size_bytes"])
        part = target.with_name(target.name + ".part")
        address = item_address(name, item["path"])
        if await _is_whole(target, size, item["sha256"]):
            moved(item["path"], size, size)
            return size
        await asyncio.to_thread(target.parent.mkdir, parents=True, exist_ok=True)
        found = ""
        if direct is not None:
            found = await direct.download(
                address_of(name), item, part, lambda at: moved(item["path"], at, size)
            )
        async for last in self._http.tries():
            if found:
                break
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


def address_of(name: str) -> str:
    """The path of a dataset below /api/v1."""
    return f"/datasets/{quote(name, safe='')}"


def item_address(name: str, path: str) -> str:
    """The path of an item below /api/v1."""
    return f"{address_of(name)}/items/{quote(path, safe='/')}"


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
