"""Unfinished uploads: files in `<state>/spool` that survive a restart and can be resumed."""

import asyncio
import os
import shutil
import stat as modes
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakSet

from headrace_data.errors import WrongChecksum, WrongOffset
from headrace_data.room import Room
from headrace_model.dataset import check_item_path
from headrace_model.errors import Conflict, InvalidInput, TooLarge, Unavailable
from headrace_model.ids import DatasetId
from headrace_ports.arriving import Arriving
from headrace_service.threads import finish, to_end

_CHUNK = 1 << 20
_SILENCE_S = 120.0
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Upload:
    """One file on its way: for which dataset and path, and the SHA-256 of the whole file."""

    dataset: DatasetId
    path: str
    sha256: str

    def __post_init__(self) -> None:
        check_item_path(self.path)


@dataclass(frozen=True, slots=True)
class Piece:
    """The bytes of one request: `first` is their place in the file; `end` where they end, and
    `total` the size of the whole file, where these are known.
    """

    first: int = 0
    end: int | None = None
    total: int | None = None


class _Part:
    """A part file; its methods but `close` block, and no two of them may run at once."""

    def __init__(self, path: Path, room: Room) -> None:
        self._path = path
        self._room = room
        self._fd: int | None = None
        self.digest = sha256()
        self.size = 0

    def open(self, first: int, total: int | None = None) -> None:
        """Open it for going on at byte `first`: 0, or where the kept bytes end.

        A part that was given to the store before a kill may be an object by now: it is read,
        where nothing more is to come, or else left to the store, and never written again.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        kept, given = self._kept()
        if first not in (0, kept):
            raise _wrong_offset(first, kept)
        if given and not first == kept == total:
            self._path.unlink()
            given = False
            if first:
                raise _wrong_offset(first, 0)
        flags = os.O_RDONLY if given else os.O_RDWR | os.O_CREAT
        self._fd = os.open(self._path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        if not given:
            os.ftruncate(self._fd, first)
        while data := os.read(self._fd, _CHUNK):
            self.digest.update(data)
        self.size = first

    def _kept(self) -> tuple[int, bool]:
        """How many bytes are kept, and whether the store was given them: it takes a whole file
        by making it read-only, then by a second link.
        """
        try:
            found = self._path.lstat()
        except FileNotFoundError:
            return 0, False
        return found.st_size, found.st_nlink > 1 or not found.st_mode & modes.S_IWUSR

    def append(self, data: bytes) -> None:
        """Raise `Unavailable`, and write nothing, where the disk has too little room."""
        self._room.check(len(data))
        self.digest.update(data)
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._open, rest) :]
        self.size += len(data)

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    @property
    def _open(self) -> int:
        if self._fd is None:
            raise ValueError("the part is not open")
        return self._fd


@dataclass(slots=True)
class Spool:
    """Receives files piece by piece. Only one request at a time writes a part: a newer one takes
    the place of an older one, whose client may be long gone.
    """

    root: Path
    item_limit_bytes: int
    room: Room
    _writing: dict[Path, "asyncio.Task[Any]"] = field(default_factory=dict)
    _replaced: "WeakSet[asyncio.Task[Any]]" = field(default_factory=WeakSet)

    def check_size(self, upload: Upload, piece: Piece) -> None:
        """Raise `TooLarge` for a file that is announced as larger than any may be."""
        if piece.total is not None and piece.total > self.item_limit_bytes:
            raise self._too_large(upload)

    async def offset(self, upload: Upload) -> int:
        """How many bytes of a file are kept."""

        def size() -> int:
            with suppress(FileNotFoundError):
                return self._path(upload).stat().st_size
            return 0

        return await asyncio.to_thread(size)

    async def receive(
        self,
        upload: Upload,
        piece: Piece,
        body: AsyncIterator[bytes],
        keep: Callable[[Arriving | bytes], Awaitable[T]],
    ) -> T | None:
        """Take the bytes of one request; once the file is whole and right, `keep` it.

        `keep` gets the part file, as soon as the request comes that brings its end; or the bytes
        of a small file that came at once. Returns what it does, None for a file that is not whole
        yet. What came before a connection broke stays, and `keep` is cancelled.
        Raises `WrongOffset`, `WrongChecksum` (the part is thrown away), `TooLarge`,
        `InvalidInput`, `Conflict`, `Unavailable`.
        """
        self.check_size(upload, piece)
        path = self._path(upload)
        while (older := self._writing.get(path)) is not None:
            self._replaced.add(older)
            older.cancel()
            await asyncio.wait([older])
        task = asyncio.ensure_future(self._receive(path, upload, piece, body, keep))
        self._writing[path] = task
        # Not before it has ended: a cancelled one still keeps the bytes that it has.
        task.add_done_callback(lambda _: self._writing.pop(path))
        try:
            await asyncio.wait([task])
        finally:
            task.cancel()
        if task.cancelled() and task not in self._replaced:
            # The HTTP server ends what reads a body when it is stopped.
            raise Unavailable(
                f"the upload of {upload.path!r} was cut off: the data service is stopping",
                hint="what came is kept: ask for the Upload-Offset with HEAD and resume",
            )
        if task.cancelled():
            raise Conflict(
                f"another upload of {upload.path!r} took this one's place",
                hint="upload one file once at a time",
            )
        return task.result()

    async def drop(self, path: Path) -> None:
        """Remove a part; success if it is gone."""
        await asyncio.to_thread(path.unlink, missing_ok=True)

    async def sweep(self, open_datasets: set[DatasetId], keep_s: float) -> None:
        """Remove parts of datasets that are no longer OPEN, and those that nobody resumed."""
        await asyncio.to_thread(self._sweep, open_datasets, time.time() - keep_s)

    async def _receive(
        self,
        path: Path,
        upload: Upload,
        piece: Piece,
        body: AsyncIterator[bytes],
        keep: Callable[[Arriving | bytes], Awaitable[T]],
    ) -> T | None:
        part = _Part(path, self.room)
        file = Arriving(path, piece.total)
        keeping: asyncio.Future[T] | None = None
        try:
            if piece.first == 0 and piece.end == piece.total and (piece.total or _CHUNK) < _CHUNK:
                data = await self._small(part, piece, body)
                if sha256(data).hexdigest() == upload.sha256:
                    return await to_end(keep(data))
                body = _again(data, body)
            await self._check_room(upload, piece)
            await finish(part.open, piece.first, piece.total)
            file.reached(part.size)
            if piece.end == piece.total:
                keeping = asyncio.ensure_future(keep(file))
            await self._fill(part, upload, piece, body, file)
            if not await self._is_whole(part, path, upload, piece):
                return None
            file.finish(part.size)
            return await to_end(keeping or keep(file))
        except OSError as error:
            if isinstance(error, ConnectionError | TimeoutError):
                raise
            raise Unavailable(
                f"the upload can't be kept now: {error.strerror}",
                hint="the disk may be full; the part that came is kept: resume later",
            ) from error
        finally:
            if keeping is not None:
                keeping.cancel()
                await to_end(asyncio.gather(keeping, return_exceptions=True))
            part.close()

    async def _check_room(self, upload: Upload, piece: Piece) -> None:
        """Refuse what is announced as too large for the disk before a byte of it is laid there.

        Each append asks again: a size may be unknown, and others upload at the same time.
        """
        coming = (piece.total or 0) - await self.offset(upload)
        if piece.total is None or coming > 0:  # a part that is whole gives its room back
            await asyncio.to_thread(self.room.check, max(0, coming))

    async def _fill(
        self,
        part: _Part,
        upload: Upload,
        piece: Piece,
        body: AsyncIterator[bytes],
        file: Arriving,
    ) -> None:
        waiting = bytearray()
        try:
            while True:
                async with asyncio.timeout(_SILENCE_S):
                    data = await anext(body, b"")
                waiting += data
                size = part.size + len(waiting)
                if piece.end is not None and size > piece.end:
                    del waiting[piece.end - part.size :]
                    raise InvalidInput(
                        f"more bytes came for {upload.path!r} than Content-Range announced"
                    )
                if size > self.item_limit_bytes:
                    raise self._too_large(upload)
                if len(waiting) >= _CHUNK or (not data and waiting):
                    full, waiting = bytes(waiting), bytearray()
                    await finish(part.append, full)
                    file.reached(part.size)
                if not data:
                    return
        except TimeoutError:
            raise InvalidInput(
                f"no byte of {upload.path!r} came for {_SILENCE_S:g} s",
                hint="what came is kept: ask for the Upload-Offset with HEAD and resume",
            ) from None
        finally:
            # Also when the client is gone or this request was cancelled: so it can resume.
            if waiting:
                with suppress(Unavailable):  # it is sent again
                    await finish(part.append, bytes(waiting))

    async def _small(self, part: _Part, piece: Piece, body: AsyncIterator[bytes]) -> bytes:
        """Read a small body into memory, less of it where it breaks off or is silent.

        When this request is cancelled, what came is laid into the part.
        """
        data = bytearray()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(_SILENCE_S):
                    while len(data) <= (piece.total or 0) and (more := await anext(body, b"")):
                        data += more
        except BaseException:
            await finish(part.open, 0)
            with suppress(Unavailable):
                await finish(part.append, bytes(data))
            raise
        return bytes(data)

    async def _is_whole(self, part: _Part, path: Path, upload: Upload, piece: Piece) -> bool:
        if piece.total is not None and part.size < piece.total:
            if piece.end is not None and part.size < piece.end:
                raise InvalidInput(
                    f"{upload.path!r} was cut off at byte {part.size:,} of {piece.end:,}",
                    hint="what came is kept: ask for the Upload-Offset with HEAD and resume",
                )
            return False
        if (found := part.digest.hexdigest()) != upload.sha256:
            await self.drop(path)
            raise WrongChecksum(
                f"what came for {upload.path!r} has SHA-256 {found}, not {upload.sha256} as "
                "X-Content-SHA256 says; it was not kept",
                hint="the file changed while it was read, or was damaged on the way: upload it "
                "again from the start",
            )
        return True

    def _path(self, upload: Upload) -> Path:
        name = sha256(upload.path.encode()).hexdigest()[:32]
        return self.root / upload.dataset / f"{name}-{upload.sha256}"

    def _too_large(self, upload: Upload) -> TooLarge:
        return TooLarge(
            f"{upload.path!r} is larger than the limit of {self.item_limit_bytes:,} bytes",
            hint="split it, or have the operator raise HEADRACE_ITEM_LIMIT_BYTES",
        )

    def _sweep(self, open_datasets: set[DatasetId], before: float) -> None:
        if not self.root.is_dir():
            return
        for folder in self.root.iterdir():
            if folder.name not in open_datasets:
                shutil.rmtree(folder, ignore_errors=True)
                continue
            for part in folder.iterdir():
                with suppress(FileNotFoundError):
                    if part.stat().st_mtime < before and part not in self._writing:
                        part.unlink()


async def _again(came: bytes, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """A body whose beginning was read already."""
    if came:
        yield came
    async for data in body:
        yield data


def _wrong_offset(first: int, kept: int) -> WrongOffset:
    return WrongOffset(
        f"the upload goes on at byte {kept:,}, not at {first:,}",
        offset=kept,
        hint="send the bytes from the Upload-Offset on, or all of them without Content-Range",
    )
