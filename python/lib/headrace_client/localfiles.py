"""Files of this machine that are to be uploaded: which there are, their bytes and their SHA-256.

None stays open that nobody closes: who is cancelled while a thread opens one would leave it so.
"""

import asyncio
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from glob import glob
from hashlib import sha256
from io import BufferedWriter
from itertools import takewhile
from pathlib import Path
from threading import Lock

from headrace_client.globs import NOTHING, Excluded, has_magic
from headrace_model.dataset import check_item_path
from headrace_model.errors import InvalidInput

_HASH_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file to upload: where it is, and the item path that it gets."""

    path: Path
    item: str


def files_at(paths: Iterable[str | Path], exclude: Sequence[str] = ()) -> tuple[LocalFile, ...]:
    """The files of folders, single files and patterns; sorted by item path. Blocks.

    A folder's files keep their paths below it, a file its name. Of a pattern such as
    `forcing/**/*.nc` the files count, with their paths from its first wildcard on. What `exclude`
    names by item path is left out. Raises `InvalidInput`: a path or pattern is nothing, two files
    would be one item, or nothing is left.
    """
    excluded = Excluded(tuple(exclude))
    found: dict[str, LocalFile] = {}
    for path in paths:
        for each in _files_of(Path(path).expanduser(), excluded):
            other = found.setdefault(each.item, each)
            if other.path != each.path and not other.path.samefile(each.path):
                raise InvalidInput(
                    f"{other.path} and {each.path} would both be the item {each.item}",
                    hint="upload the folder above both, or quote a pattern: 'data/*/flow.csv'",
                )
    if not found:
        raise InvalidInput("nothing is left to upload: every file is excluded")
    return tuple(found[item] for item in sorted(found))


def files_below(source: Path, excluded: Excluded = NOTHING) -> tuple[LocalFile, ...]:
    """The files of a folder, recursively, or one file; sorted by item path.

    Raises `InvalidInput` for a path that is neither, an empty folder, or a file that is no
    regular one (links within the folder are followed, broken ones are errors).
    """
    if source.is_file():
        item = check_item_path(source.name)
        return () if item in excluded else (LocalFile(source, item),)
    if not source.is_dir():
        raise InvalidInput(f"{source} is neither a file nor a folder")
    found, empty = [], True
    for folder, _, names in os.walk(source, followlinks=False):
        for name in names:
            empty = False
            path = Path(folder) / name
            item = path.relative_to(source).as_posix()
            if item in excluded:
                continue
            if not path.is_file():
                raise InvalidInput(f"{path} is not a regular file")
            found.append(LocalFile(path, check_item_path(item)))
    if empty:
        raise InvalidInput(f"the folder {source} holds no file")
    return tuple(sorted(found, key=lambda each: each.item))


def _files_of(source: Path, excluded: Excluded) -> Sequence[LocalFile]:
    if not has_magic(str(source)) or source.exists():
        return files_below(source, excluded)
    plain = takewhile(lambda part: not has_magic(part), source.parts)
    base = Path(*plain)
    paths = [Path(each) for each in glob(str(source), recursive=True)]
    files = [each for each in paths if each.is_file()]
    if not files:
        raise InvalidInput(f"no file fits {source}")
    items = [(each, each.relative_to(base).as_posix()) for each in files]
    return [LocalFile(path, check_item_path(item)) for path, item in items if item not in excluded]


async def hash_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal; it can be cancelled at any time."""
    digest, at = sha256(), 0
    while piece := await asyncio.to_thread(read_piece, path, at, _HASH_BYTES):
        await asyncio.to_thread(digest.update, piece)
        at += len(piece)
    return digest.hexdigest()


def read_piece(path: Path, offset: int, size: int) -> bytes:
    """Read at most so many bytes; none at the end. Blocks."""
    with path.open("rb", buffering=0) as file:
        file.seek(offset)
        return file.read(size)


class PartFile:
    """What has come of a download, and its SHA-256. What reads or writes blocks.

    It is opened by what writes first, and `close` waits for that: nothing is written afterwards.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BufferedWriter | None = None
        self._lock = Lock()
        self._closed = False
        self._digest = sha256()
        self.size = 0
        with path.open("a+b") as file:
            file.seek(0)
            while data := file.read(_HASH_BYTES):
                self._digest.update(data)
                self.size += len(data)

    def clear(self) -> None:
        """Begin anew, before anything is added."""
        self._path.write_bytes(b"")
        self._digest, self.size = sha256(), 0

    def append(self, data: bytes) -> None:
        """Add what came next."""
        with self._lock:
            if self._closed:
                return
            if self._file is None:
                self._file = self._path.open("ab")
            self._file.write(data)
            self._digest.update(data)
            self.size += len(data)

    def digest(self) -> str:
        """The SHA-256 of all that came, in hexadecimal."""
        return self._digest.hexdigest()

    def close(self) -> None:
        """Write out what is left in memory."""
        with self._lock:
            self._closed = True
            if self._file is not None:
                self._file.close()


def content_hash(files: Sequence[tuple[str, str]]) -> str:
    """One SHA-256 for (item path, SHA-256) pairs, whatever order they come in."""
    lines: Iterator[str] = (f"{digest} {item}" for item, digest in sorted(files))
    return sha256("\n".join(lines).encode()).hexdigest()
