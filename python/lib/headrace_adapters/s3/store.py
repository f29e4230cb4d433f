"""An object store on an S3 server: several parts of large files at a time, in bounded memory.

What holds for every store stands in `headrace_ports.object_store`. Here also:

* Files above `part_bytes` go in parts, `parallel` at a time over all puts and fetches together. So
  puts hold at most `parallel` * `part_bytes` (`part_bytes` grows for files of over 10,000 parts),
  fetches `parallel` MiB, whatever the number of files.
* What may succeed later (no connection, 5xx, SlowDown) is tried again, part by part, with growing
  pauses and jitter, for `patience_s`; then it is `Unavailable`.
* A put that fails or is cancelled aborts its upload; one that was killed is found by the sweep.
* A grant to write is one URL up to `grant_part_bytes`, above that one for each part. Nobody hashes
  what comes through a URL: the agent does, and completes only what is right.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256 as new_sha256
from pathlib import Path
from secrets import token_hex
from threading import Event
from typing import Final, TypeVar

from headrace_adapters.s3.calls import Calls, Misconfigured
from headrace_adapters.s3.direct import DirectObjects
from headrace_adapters.s3.large import LargeObjects, check_digest
from headrace_adapters.s3.location import Credentials, Location
from headrace_adapters.s3.parts import cut, part_bytes
from headrace_adapters.s3.server import Reader, Server, read_at, write_at
from headrace_adapters.threads import Threads, to_end
from headrace_model.dataset import check_item_path
from headrace_model.errors import InvalidInput, InvalidName, NotFound, TooLarge, Unavailable
from headrace_ports.arriving import Arriving
from headrace_ports.object_store import Grant, Listed, Stat, changed

T = TypeVar("T")
V = TypeVar("V")
_PART: Final = ".part"
_KEY_BYTES: Final = 1024
_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """What a store may take."""

    part_bytes: int = 16 * 2**20
    grant_part_bytes: int = 64 * 2**20
    parallel: int = 4
    calls: int = 8  # small calls at a time
    patience_s: float = 20.0
    grant_s: float = 900.0


class S3Store:
    """Objects below a prefix of a bucket. Safe across tasks and processes."""

    def __init__(
        self, location: Location, credentials: Credentials, limits: Limits | None = None
    ) -> None:
        self._limits = limits or Limits()
        self._location, self._credentials = location, credentials
        self._prefix = location.prefix and location.prefix + "/"
        connections = self._limits.parallel + self._limits.calls
        self._server = Server(location, credentials, connections)
        self._calls = Calls(location, self._limits.patience_s)
        self._again = self._calls.again
        self._small = Threads(self._limits.calls, "s3-call")
        self._bulk = Threads(self._limits.parallel, "s3-part")
        self._large = LargeObjects(
            self._server,
            self._calls,
            self._small,
            self._bulk,
            parallel=self._limits.parallel,
            size_bytes=self._limits.part_bytes,
        )

    def direct(self, address: str) -> DirectObjects:
        """The way of clients to objects of this store, which they reach at `address`."""
        return DirectObjects(
            self._server,
            self._calls,
            self._small,
            self._prefix,
            location=self._location,
            credentials=self._credentials,
            address=address,
            size_bytes=self._limits.part_bytes,
            grant_s=self._limits.grant_s,
        )

    async def check(self) -> None:
        """List the bucket; see the port."""
        try:
            await self._call(lambda: self._server.look(self._prefix), "")
        except Misconfigured as error:
            raise InvalidInput(error.message, hint=error.hint) from None

    async def close(self) -> None:
        """Let go of threads and connections, after the calls that run."""
        await self._bulk.close()
        await self._small.close()
        self._server.close()

    async def put_file(
        self, key: str, source: Path, *, sha256: str | None = None, move: bool = False
    ) -> None:
        """Put a file's bytes; `sha256` is checked on the way, in the same reading."""
        full = self._full(key)
        held: list[int] = []
        stop = Event()

        def begin() -> int:
            """Put a small file in this one turn of a thread; the size of a large one."""
            held.append(_open(source))
            size = os.fstat(held[0]).st_size
            if size > self._limits.part_bytes:
                return size
            data = read_at(held[0], 0, size)
            if sha256 is not None:
                check_digest(sha256, new_sha256(data).hexdigest())
            self._again(lambda: self._server.put(full, data), key, stop)
            return 0

        try:
            if size := await self._bulk.run(begin, stop):
                await self._large.put(full, held[0], size, sha256, key)
        finally:
            for fd in held:
                os.close(fd)
        if move:
            await asyncio.to_thread(source.unlink, missing_ok=True)

    async def put_arriving(self, key: str, file: Arriving) -> None:
        """Put the parts of a large file as they come; its object is made once it is whole."""
        if file.size_bytes is None or file.size_bytes <= self._limits.part_bytes:
            await file.whole()
            await self.put_file(key, file.path, move=True)
            return
        full = self._full(key)
        fd = await to_end(asyncio.to_thread(_open, file.path))
        try:
            await self._large.put(full, fd, file.size_bytes, None, key, file)
        finally:
            os.close(fd)
        await asyncio.to_thread(file.path.unlink, missing_ok=True)

    async def put_bytes(self, key: str, data: bytes) -> None:
        """Put bytes from memory, in one request."""
        full = self._full(key)
        await self._call(lambda: self._server.put(full, data), key)

    async def put_many(self, objects: Mapping[str, bytes]) -> None:
        """Put many small objects, several at a time; after an error any may be there."""
        await self._each(objects, self._put_now)

    async def copy_many(self, sources: Mapping[str, str]) -> None:
        """Have the server copy objects; after an error any may be there."""
        for source in sources.values():
            self._full(source)
        await self._each(sources, self._copy_now)

    async def get_bytes(self, key: str, limit_bytes: int) -> bytes:
        """Read a whole object; raises `TooLarge` above `limit_bytes`, `NotFound`."""
        data = bytearray()
        async for piece in self.stream(key):
            data += piece
            if len(data) > limit_bytes:
                raise TooLarge(f"the object {key} has more than {limit_bytes:,} bytes")
        return bytes(data)

    async def get_many(self, limits: Mapping[str, int]) -> dict[str, bytes]:
        """Read many small objects, several at a time: key → at most how many bytes."""
        return await self._each(limits, self._get_now)

    async def stream(
        self, key: str, offset: int = 0, length: int | None = None
    ) -> AsyncIterator[bytes]:
        """Yield the bytes from `offset` on; a broken connection is taken up where it broke."""
        reader = Reader(self._server, self._full(key), offset, length)
        try:
            while reader.left != 0 and (data := await self._call(reader.read, key)):
                yield data
        finally:
            reader.close()

    async def stat(self, key: str) -> Stat | None:
        """Look at an object; None if there is none."""
        full = self._full(key)
        with suppress(NotFound):
            size, etag = await self._call(lambda: self._server.stat(full), key)
            return Stat(size, _stamp(etag))
        return None

    async def keys(self, prefix: str) -> list[str]:
        """The keys below the folder `prefix`, sorted."""
        folder = self._full(prefix) + "/"
        found = await self._call(lambda: self._server.keys(folder), prefix)
        start = len(self._prefix)
        return sorted(name[start:] for name in found if not name.endswith("/"))

    async def page(self, prefix: str, after: str = "", most: int = 1000) -> list[Listed]:
        """Some of the keys below the folder `prefix`, those after `after`; none at the end."""
        folder = self._full(prefix) + "/" if prefix else self._prefix
        last = self._full(after) if after else ""
        found = await self._call(lambda: self._server.page(folder, last, most), prefix)
        start, now = len(self._prefix), datetime.now(UTC)
        return [
            Listed(each.key[start:], each.size, (now - each.at).total_seconds(), _stamp(each.etag))
            for each in found
        ]

    async def digests(self, stamps: Mapping[str, str]) -> dict[str, str]:
        """Read objects, several at a time; raises `Conflict` for one with another stamp."""
        return await self._each(stamps, self._digest_now)

    async def delete(self, prefix: str) -> None:
        """Delete the object `prefix` and all below the folder `prefix`."""
        full = self._full(prefix)
        await self._call(lambda: self._server.delete(full, full + "/"), prefix)

    async def fetch(self, key: str, to: Path) -> None:
        """Make a file at `to` (which must not exist) that has the object's bytes."""
        full = self._full(key)
        part = to.with_name(f"{to.name[:200]}.{token_hex(8)}{_PART}")
        reader = Reader(self._server, full, 0, self._limits.part_bytes)
        held: list[int] = []
        whole = ended = False
        stop = Event()

        def begin() -> None:
            """Fetch a small object in this one turn of a thread; of a large one the beginning."""
            nonlocal whole
            data = self._again(reader.read, key, stop)
            held.append(_create(part))
            write_at(held[0], 0, data)
            if reader.size > self._limits.part_bytes:
                os.ftruncate(held[0], reader.size)
                return
            self._large.read_on(reader, held[0], reader.size, key, stop)
            whole = True
            end()

        def end() -> None:
            """Give the file its name, where all went well; and leave nothing else."""
            nonlocal ended
            ended = True
            reader.close()
            for fd in held:
                os.close(fd)
            try:
                if whole:
                    os.link(part, to)  # which, unlike a rename, replaces nothing
            finally:
                part.unlink(missing_ok=True)

        try:
            try:
                await self._bulk.run(begin, stop)
                if not whole:
                    await self._large.get(full, held[0], reader, key)
                    whole = True
            finally:
                if not ended:
                    await to_end(asyncio.to_thread(end))
        except OSError as error:
            raise Unavailable(
                f"{to.name} can't be written: {error.strerror}",
                hint="is the disk full? Make room; then try again",
            ) from error

    async def grant_get(self, key: str) -> Grant:
        """A URL to read an object, whether it is there or not."""
        presign = self._server.presigner(self._full(key), self._limits.grant_s)
        return {"url": await self._small.run(lambda: presign("GET"), Event())}

    async def grant_put(self, key: str, size_bytes: int = 0, upload: str = "") -> Grant:
        """A URL to write an object, or above `grant_part_bytes` one for each part of it."""
        full = self._full(key)
        presign = self._server.presigner(full, self._limits.grant_s)
        if size_bytes <= self._limits.grant_part_bytes:
            return {"url": await self._small.run(lambda: presign("PUT"), Event())}
        known = upload or await self._call(lambda: self._server.begin(full), key)
        size = part_bytes(size_bytes, self._limits.grant_part_bytes)

        def sign() -> Grant:
            return {
                "upload": known,
                "part_bytes": size,
                "parts": [
                    presign("PUT", uploadId=known, partNumber=str(part.number))
                    for part in cut(size_bytes, size)
                ],
                "complete": presign("POST", uploadId=known),
            }

        return await self._small.run(sign, Event())

    async def free_bytes(self) -> int | None:
        """None: a server does not tell."""
        return None

    async def sweep_parts(self, older_than_s: float = 86_400.0) -> int:
        """Abort uploads that were begun so long ago and are not complete."""
        before = datetime.now(UTC) - timedelta(seconds=older_than_s)
        return await self._call(lambda: self._server.sweep(self._prefix, before), "")

    async def _call(self, call: Callable[[], T], key: str) -> T:
        return await self._calls.in_thread(self._small, call, key)

    async def _each(
        self, values: Mapping[str, V], work: Callable[[str, V, Event], T]
    ) -> dict[str, T]:
        """Do blocking work on each key and value: a share of them in one turn of each thread."""
        for key in values:
            self._full(key)
        stop, done = Event(), dict[str, T]()
        pairs = list(values.items())

        def share(first: int) -> None:
            for key, value in pairs[first :: self._limits.calls]:
                done[key] = work(key, value, stop)

        try:
            async with asyncio.TaskGroup() as group:
                for first in range(min(len(pairs), self._limits.calls)):
                    group.create_task(self._small.run(partial(share, first), stop))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return done

    def _put_now(self, key: str, data: bytes, stop: Event) -> None:
        self._again(lambda: self._server.put(self._full(key), data), key, stop)

    def _copy_now(self, key: str, source: str, stop: Event) -> None:
        self._again(lambda: self._server.copy(self._full(source), self._full(key)), key, stop)

    def _get_now(self, key: str, limit_bytes: int, stop: Event) -> bytes:
        # One byte more than is allowed tells that there are more.
        reader = Reader(self._server, self._full(key), 0, limit_bytes + 1)
        data = bytearray()
        try:
            while piece := self._again(reader.read, key, stop):
                data += piece
        finally:
            reader.close()
        if len(data) > limit_bytes:
            raise TooLarge(f"the object {key} has more than {limit_bytes:,} bytes")
        return bytes(data)

    def _digest_now(self, key: str, stamp: str, stop: Event) -> str:
        reader, digest = Reader(self._server, self._full(key), 0, None), new_sha256()
        try:
            while not stop.is_set() and (data := self._again(reader.read, key, stop)):
                digest.update(data)
            if reader.etag and _stamp(reader.etag) != stamp:
                raise changed(key)
        finally:
            reader.close()
        return digest.hexdigest()

    def _full(self, key: str) -> str:
        """The key in the bucket."""
        check_item_path(key)
        if key.endswith(_PART):
            raise InvalidName(f"{key[:80]!r} can't be a key: {_PART} marks unfinished writes")
        full = self._prefix + key
        if len(full.encode()) > _KEY_BYTES:
            raise InvalidName(
                f"{key[:80]!r} can't be a key: with the store's prefix it is over "
                f"{_KEY_BYTES:,} bytes"
            )
        return full


def _stamp(etag: str) -> str:
    """An ETag may hold anything."""
    return new_sha256(etag.strip('"').encode()).hexdigest()[:32]


def _open(source: Path) -> int:
    try:
        return os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise NotFound(f"{source.name} can't be read: {error.strerror}") from error


def _create(part: Path) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with suppress(FileNotFoundError):
        return os.open(part, flags, 0o644)
    part.parent.mkdir(parents=True, exist_ok=True)
    return os.open(part, flags, 0o644)
