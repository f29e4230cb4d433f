"""Small files, which travel in batches: many in one request, read and written in one turn of a
thread. Of thousands of small files, requests and turns of threads would take most of the time.
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from headrace_client.http import GONE, Http
from headrace_client.localfiles import LocalFile
from headrace_model.dataset import check_item_path
from headrace_model.errors import HeadraceError, Unavailable
from headrace_wire.batch import BATCH_BYTES, BATCH_FILES, BatchFile, decode_batch, encode_batch

SMALL_BYTES = 1 << 20
T = TypeVar("T")


@dataclass(slots=True)
class Taken:
    """The next small files, read; and those that turned out not to be small."""

    files: list[BatchFile] = field(default_factory=list)
    large: list[LocalFile] = field(default_factory=list)


def take(waiting: deque[LocalFile]) -> Taken:
    """Read files off the front until a batch is full. Blocking; several threads may share it."""
    taken, size = Taken(), 0
    while len(taken.files) < BATCH_FILES:
        try:
            file = waiting.popleft()
        except IndexError:
            break
        with file.path.open("rb") as source:
            data = source.read(SMALL_BYTES + 1)
        if len(data) > SMALL_BYTES:
            taken.large.append(file)
            continue
        if size + len(data) > BATCH_BYTES:
            waiting.appendleft(file)
            break
        size += len(data)
        taken.files.append(BatchFile(file.item, sha256(data).hexdigest(), data))
    return taken


def batches_of(items: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Cut items into batches."""
    batches: list[list[Mapping[str, Any]]] = []
    size = 0
    for item in items:
        size += int(item["size_bytes"])
        if not batches or size > BATCH_BYTES or len(batches[-1]) == BATCH_FILES:
            batches.append([])
            size = int(item["size_bytes"])
        batches[-1].append(item)
    return batches


async def send_batch(http: Http, address: str, files: Sequence[BatchFile]) -> None:
    """Upload a batch. All of it is sent again where the connection breaks: a repeat is success."""
    body = await asyncio.to_thread(encode_batch, files)
    headers = {"Content-Type": "application/octet-stream", "Content-Length": str(len(body))}

    async def send() -> None:
        async with http.open(
            "POST", f"{address}:upload", headers=headers, data=_whole(body)
        ) as answer:
            await answer.read()

    await _until_it_went(http, send)


async def fetch_batch(
    http: Http, address: str, items: Sequence[Mapping[str, Any]], folder: Path
) -> None:
    """Download the items of a batch that are not in `folder` yet.

    Each is written to `<path>.part` and gets its name when it is whole and its SHA-256 is right.
    """
    lacking = await asyncio.to_thread(_lacking, items, folder)
    if not lacking:
        return
    asked = json.dumps({"paths": [item["path"] for item in lacking]}).encode()

    async def fetch() -> bytes:
        headers = {"Content-Type": "application/json"}
        async with http.open("POST", f"{address}:download", headers=headers, data=asked) as answer:
            return await answer.read()

    body = await _until_it_went(http, fetch)
    await asyncio.to_thread(_write, lacking, folder, body)


async def _until_it_went(http: Http, work: Callable[[], Any]) -> Any:
    async for last in http.tries():
        try:
            return await work()
        except Unavailable:
            if last:
                raise
        except GONE as error:
            if last:
                raise http.unreachable(error) from None
    raise AssertionError("tries() ends with a last one")


async def _whole(body: bytes) -> AsyncIterator[bytes]:
    yield body


def _lacking(items: Sequence[Mapping[str, Any]], folder: Path) -> list[Mapping[str, Any]]:
    """Those that are not whole in the folder; the folders for them are made."""
    lacking, made = [], set[Path]()
    for item in items:
        # A server must not write outside of the folder either.
        target = folder / check_item_path(item["path"])
        if target.parent not in made:
            target.parent.mkdir(parents=True, exist_ok=True)
            made.add(target.parent)
        if not _is_whole(target, int(item["size_bytes"]), item["sha256"]):
            lacking.append(item)
    return lacking


def _is_whole(target: Path, size: int, digest: str) -> bool:
    try:
        if target.stat().st_size != size:
            return False
        return sha256(target.read_bytes()).hexdigest() == digest
    except (FileNotFoundError, IsADirectoryError):
        return False


def _write(items: Sequence[Mapping[str, Any]], folder: Path, body: bytes) -> None:
    files = decode_batch(body)
    if [each.path for each in files] != [item["path"] for item in items]:
        raise HeadraceError("other files came than were asked for", hint="download them again")
    for file, item in zip(files, items, strict=True):
        if sha256(file.data).hexdigest() != item["sha256"]:
            raise damaged(file.path)
        target = folder / file.path
        part = target.with_name(target.name + ".part")
        part.write_bytes(file.data)
        part.replace(target)


def damaged(path: str) -> HeadraceError:
    """Say that what was downloaded is not what the dataset has."""
    return HeadraceError(
        f"{path} arrived damaged: its SHA-256 is not the dataset's", hint="download it again"
    )
