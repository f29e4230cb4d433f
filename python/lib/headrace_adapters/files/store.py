"""An object store in a directory: what S3 is elsewhere, on one machine's disk.

What holds for every store stands in `headrace_ports.object_store`. Here also: symbolic links
inside the store are not followed (an object behind one is refused), and `Conflict` tells that one
key can't be an object and a folder of others.
"""

import asyncio
import errno
import os
import shutil
import stat as modes
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256 as new_sha256
from pathlib import Path
from secrets import token_hex
from threading import Event
from typing import TypeVar

from headrace_adapters.files.calls import check_digest, digest_of, said, stat_of, write_all
from headrace_adapters.threads import to_end
from headrace_model.dataset import check_item_path
from headrace_model.errors import (
    InvalidInput,
    InvalidName,
    NotFound,
    TooLarge,
)
from headrace_ports.arriving import Arriving
from headrace_ports.object_store import Grant, Listed, Stat, changed

T = TypeVar("T")
V = TypeVar("V")
_PART = ".part"  # what a writer has not finished yet; agents use the same ending
_CHUNK = 1 << 20
_READERS = 4
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# No object is ever opened for writing, so it may as well say that.
_MODE = 0o444


class DirectoryStore:
    """Objects as files below `root`, which is made if it is missing. Safe across processes."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()

    async def check(self) -> None:
        """Make the folder; raises `InvalidInput` where that can't be done."""
        try:
            await asyncio.to_thread(self._root.mkdir, parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidInput(
                f"the folder of the object store {self._root} can't be made: {error.strerror}"
            ) from error

    async def close(self) -> None:
        """Nothing is held open."""

    async def put_file(
        self, key: str, source: Path, *, sha256: str | None = None, move: bool = False
    ) -> None:
        """Put a file's bytes; a hard link where `move` says that `source` is given away.

        With `move` the source is gone after success, and may or may not be after a failure.
        With `sha256` (hex) other bytes are refused with `InvalidInput` and nothing is written.
        """
        await self._do(key, lambda at: self._put_file(at, source, sha256, move))

    async def put_arriving(self, key: str, file: Arriving) -> None:
        """Put a file once it is whole: by a hard link, which costs no time."""
        await file.whole()
        await self.put_file(key, file.path, move=True)

    async def put_bytes(self, key: str, data: bytes) -> None:
        """Put bytes from memory."""
        await self._do(key, lambda at: self._put(at, lambda fd: write_all(fd, data)))

    async def put_many(self, objects: Mapping[str, bytes]) -> None:
        """Put many small objects in one turn of a thread; after an error any may be there."""
        await self._each(objects, lambda at, data: self._put(at, lambda fd: write_all(fd, data)))

    async def copy_many(self, sources: Mapping[str, str]) -> None:
        """Give objects second keys, by hard links, which take no time and no room."""
        for source in sources.values():
            check_item_path(source)
        await self._each(sources, self._copy)

    async def get_bytes(self, key: str, limit_bytes: int) -> bytes:
        """Read a whole object; raises `TooLarge` above `limit_bytes`, `NotFound`."""
        return await self._do(key, lambda at: self._get(at, limit_bytes))

    async def get_many(self, limits: Mapping[str, int]) -> dict[str, bytes]:
        """Read many small objects in one turn of a thread: key → at most how many bytes."""
        return await self._each(limits, self._get)

    async def stream(
        self, key: str, offset: int = 0, length: int | None = None
    ) -> AsyncIterator[bytes]:
        """Yield the bytes from `offset` on, at most `length`; nothing beyond the end.

        An object that is replaced or deleted meanwhile is read to its end as it was.
        """
        fd = await self._do(key, self._open)
        try:
            left = length
            while left is None or left > 0:
                size = _CHUNK if left is None else min(_CHUNK, left)
                data = await asyncio.to_thread(os.pread, fd, size, offset)
                if not data:
                    return
                offset += len(data)
                left = None if left is None else left - len(data)
                yield data
        finally:
            os.close(fd)

    async def stat(self, key: str) -> Stat | None:
        """Look at an object; None if there is none."""
        with suppress(NotFound):
            return await self._do(key, self._stat)
        return None

    async def digests(self, stamps: Mapping[str, str]) -> dict[str, str]:
        """Read objects in a few threads; raises `Conflict` for one with another stamp."""
        stop, pairs = Event(), list(stamps.items())
        reading = asyncio.gather(
            *(
                self._each(
                    dict(pairs[first::_READERS]), lambda at, stamp: self._digest(at, stamp, stop)
                )
                for first in range(min(_READERS, len(pairs)))
            ),
            return_exceptions=True,
        )
        try:
            done = await asyncio.shield(reading)
        except asyncio.CancelledError:
            stop.set()
            await to_end(reading)
            raise
        digests: dict[str, str] = {}
        for each in done:
            if isinstance(each, BaseException):
                raise each
            digests |= each
        return digests

    async def keys(self, prefix: str) -> list[str]:
        """The keys below the folder `prefix`, sorted; unfinished writes are not among them."""
        return await self._do(prefix, self._keys)

    async def page(self, prefix: str, after: str = "", most: int = 1000) -> list[Listed]:
        """Some of the keys below the folder `prefix`, those after `after`; none at the end."""
        below = tuple(after.removeprefix(f"{prefix}/").split("/")) if after else ()
        if not prefix:
            return await to_end(asyncio.to_thread(self._page, (), below, most))
        return await self._do(prefix, lambda at: self._page(at, below, most))

    async def delete(self, prefix: str) -> None:
        """Delete the object `prefix` and all below the folder `prefix`; success if none is there.

        A crash in between leaves some of them: repeat it.
        """
        await self._do(prefix, self._delete)

    async def fetch(self, key: str, to: Path) -> None:
        """Make a file at `to` (which must not exist) that has the object's bytes.

        It may share its bytes with the store (a hard link): it must not be written.
        """
        await self._do(key, lambda at: self._fetch(at, to))

    async def grant_get(self, key: str) -> Grant:
        """Let another program on this machine read an object; raises `NotFound`."""
        await self._do(key, self._stat)
        return {"path": str(self._root / key)}

    async def grant_put(self, key: str, size_bytes: int = 0, upload: str = "") -> Grant:
        """Let another program on this machine write an object; `size_bytes` doesn't matter."""

        def folder(at: tuple[str, ...]) -> None:
            with self._folder(at[:-1], make=True):
                pass

        await self._do(key, folder)
        return {"path": str(self._root / key)}

    async def free_bytes(self) -> int:
        """The room that is left on the store's disk."""

        def free() -> int:
            self._root.mkdir(parents=True, exist_ok=True)
            return shutil.disk_usage(self._root).free

        return await asyncio.to_thread(free)

    async def sweep_parts(self, older_than_s: float = 86_400.0) -> int:
        """Remove what writers left unfinished for so long; returns how many files."""
        return await asyncio.to_thread(self._sweep_parts, time.time() - older_than_s)

    async def _do(self, key: str, work: Callable[[tuple[str, ...]], T]) -> T:
        """Check a key and do blocking work on its parts in a thread."""
        done = await self._each({key: None}, lambda at, _: work(at))
        return done[key]

    async def _each(
        self, values: Mapping[str, V], work: Callable[[tuple[str, ...], V], T]
    ) -> dict[str, T]:
        """Check keys and do blocking work on the parts and value of each, in one thread."""
        for key in values:
            check_item_path(key)
            if key.endswith(_PART):
                raise InvalidName(f"{key[:80]!r} can't be a key: {_PART} marks unfinished writes")

        def all_() -> dict[str, T]:
            done = {}
            for key, value in values.items():
                try:
                    done[key] = work(tuple(key.split("/")), value)
                except OSError as error:
                    raise said(key, error) from error
            return done

        return await to_end(asyncio.to_thread(all_))

    @contextmanager
    def _folder(self, parts: tuple[str, ...], *, make: bool = False) -> Iterator[int]:
        """Open a folder of the store, part by part, so that no symbolic link is followed."""
        if make:
            self._root.mkdir(parents=True, exist_ok=True)
        fd = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for part in parts:
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(part, 0o755, dir_fd=fd)
                        os.fsync(fd)
                below = os.open(part, _FOLDER, dir_fd=fd)
                os.close(fd)
                fd = below
            yield fd
        finally:
            os.close(fd)

    def _put(self, at: tuple[str, ...], fill: Callable[[int], None]) -> None:
        with self._folder(at[:-1], make=True) as folder:
            part = f"{token_hex(8)}{_PART}"
            try:
                fd = os.open(
                    part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE, dir_fd=folder
                )
                try:
                    fill(fd)
                    os.fsync(fd)
                finally:
                    os.close(fd)
                os.rename(part, at[-1], src_dir_fd=folder, dst_dir_fd=folder)
                os.fsync(folder)
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(part, dir_fd=folder)

    def _put_file(self, at: tuple[str, ...], source: Path, sha256: str | None, move: bool) -> None:
        if not (move and self._link(at, source, sha256)):
            with open(source, "rb") as read:

                def copy(fd: int) -> None:
                    digest = new_sha256()
                    while data := read.read(_CHUNK):
                        digest.update(data)
                        write_all(fd, data)
                    check_digest(sha256, digest.hexdigest())

                self._put(at, copy)
        if move:
            source.unlink(missing_ok=True)

    def _link(self, at: tuple[str, ...], source: Path, sha256: str | None) -> bool:
        """Put by a hard link; False where the source lies on another disk."""
        fd = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if sha256 is not None:
                with open(fd, "rb", closefd=False) as read:
                    check_digest(sha256, digest_of(read.read))
            os.fchmod(fd, _MODE)
            os.fsync(fd)
        finally:
            os.close(fd)
        with self._folder(at[:-1], make=True) as folder:
            part = f"{token_hex(8)}{_PART}"
            try:
                os.link(source, part, dst_dir_fd=folder, follow_symlinks=False)
                os.rename(part, at[-1], src_dir_fd=folder, dst_dir_fd=folder)
                os.fsync(folder)
            except OSError as error:
                if error.errno in (errno.EXDEV, errno.EPERM, errno.EMLINK):
                    return False
                raise
            finally:
                # A rename between two links of one file does nothing: the part is still there.
                with suppress(FileNotFoundError):
                    os.unlink(part, dir_fd=folder)
        return True

    def _copy(self, at: tuple[str, ...], source: str) -> None:
        self._stat(tuple(source.split("/")))  # by a way that follows no symbolic link
        path = self._root / source
        if not self._link(at, path, None):
            self._put_file(at, path, None, move=False)

    def _open(self, at: tuple[str, ...]) -> int:
        with self._folder(at[:-1]) as folder:
            fd = os.open(
                at[-1],
                os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC,
                dir_fd=folder,
            )
        if not modes.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise NotFound(f"the store has no object {'/'.join(at)}")
        return fd

    def _stat(self, at: tuple[str, ...]) -> Stat:
        fd = self._open(at)
        try:
            return stat_of(os.fstat(fd))
        finally:
            os.close(fd)

    def _digest(self, at: tuple[str, ...], stamp: str, stop: Event) -> str:
        fd = self._open(at)
        with open(fd, "rb") as read:
            digest = digest_of(lambda size: b"" if stop.is_set() else read.read(size))
            if stat_of(os.fstat(fd)).stamp != stamp:
                raise changed("/".join(at))
        return digest

    def _get(self, at: tuple[str, ...], limit_bytes: int) -> bytes:
        fd = self._open(at)
        with open(fd, "rb") as read:
            data = read.read(limit_bytes + 1)
        if len(data) > limit_bytes:
            raise TooLarge(f"the object {'/'.join(at)} has more than {limit_bytes:,} bytes")
        return data

    def _fetch(self, at: tuple[str, ...], to: Path) -> None:
        fd = self._open(at)
        try:
            to.parent.mkdir(parents=True, exist_ok=True)
            try:
                with self._folder(at[:-1]) as folder:
                    os.link(at[-1], to, src_dir_fd=folder, follow_symlinks=False)
            except OSError as error:
                if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK):
                    raise
                with open(fd, "rb", closefd=False) as read, open(to, "xb") as write:
                    shutil.copyfileobj(read, write, _CHUNK)
        finally:
            os.close(fd)

    def _keys(self, at: tuple[str, ...]) -> list[str]:
        found: list[str] = []
        try:
            with self._folder(at) as folder:
                for path, _, files, _ in os.fwalk(".", dir_fd=folder, follow_symlinks=False):
                    below = "/".join((*at, *Path(path).parts))
                    found += [f"{below}/{name}" for name in files if not name.endswith(_PART)]
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(found)

    def _page(self, at: tuple[str, ...], after: tuple[str, ...], most: int) -> list[Listed]:
        found: list[Listed] = []
        now = time.time()

        def walk(folder: int, at: tuple[str, ...], after: tuple[str, ...]) -> None:
            first = after[0] if after else ""
            for name in sorted(each for each in os.listdir(folder) if each >= first):
                if len(found) >= most:
                    return
                # What goes meanwhile, or is no folder, is passed over.
                with suppress(FileNotFoundError, NotADirectoryError):
                    known = os.stat(name, dir_fd=folder, follow_symlinks=False)
                    if modes.S_ISDIR(known.st_mode):
                        below = os.open(name, _FOLDER, dir_fd=folder)
                        try:
                            walk(below, (*at, name), after[1:] if name == first else ())
                        finally:
                            os.close(below)
                    elif modes.S_ISREG(known.st_mode) and not (
                        name.endswith(_PART) or name == first
                    ):
                        key, age_s = "/".join((*at, name)), now - known.st_mtime
                        found.append(Listed(key, known.st_size, age_s, stat_of(known).stamp))

        with suppress(FileNotFoundError, NotADirectoryError), self._folder(at) as folder:
            walk(folder, at, after)
        return found

    def _delete(self, at: tuple[str, ...]) -> None:
        try:
            with self._folder(at[:-1]) as folder:
                try:
                    os.unlink(at[-1], dir_fd=folder)
                except (IsADirectoryError, PermissionError):
                    shutil.rmtree(at[-1], dir_fd=folder)
                os.fsync(folder)
        except (FileNotFoundError, NotADirectoryError):
            return

    def _sweep_parts(self, before: float) -> int:
        removed = 0
        self._root.mkdir(parents=True, exist_ok=True)
        for _, _, files, folder in os.fwalk(self._root, follow_symlinks=False):
            for name in files:
                if not name.endswith(_PART):
                    continue
                with suppress(FileNotFoundError):
                    if os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime < before:
                        os.unlink(name, dir_fd=folder)
                        removed += 1
        return removed
