"""Reading strangers' archives member by member: nothing is unpacked to disk, nothing is unbounded.

tar, alone or compressed by gzip, bzip2 or xz, and zip. The number of members, the bytes that come
out and how many times more they are than went in are bounded; compressed data is opened in small
pieces. Only regular files with plain relative names count.
"""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from headrace_formats.base import open_plain
from headrace_formats.delimited import Readable
from headrace_formats.errors import FormatError
from headrace_formats.report import Report

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MOST_MEMBERS: Final = 200_000
MOST_BYTES: Final = 16 << 30
_MOST_TIMES: Final = 500  # more than a column of zeros is compressed
_SMALL_BYTES: Final = 64 << 20  # up to here it may be any number of times
_BLOCK: Final = 512  # of a tar
_MOST_HEADER_BYTES: Final = 1 << 20
_XZ_MEMORY_BYTES: Final = 128 << 20
_PIECE_BYTES: Final = 1 << 16
_GZIP, _BZIP2, _XZ, _ZIP = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"PK\x03\x04"
_ZIP_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)
_DAMAGED: Final = (
    *(OSError, EOFError, zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile),
    *(NotImplementedError, RuntimeError),  # a zip that is encrypted, or in a way that is unknown
)


def is_archive(head: bytes) -> bool:
    """Tell whether a file begins as an archive or a compressed file does."""
    return head.startswith((_GZIP, _BZIP2, _XZ, _ZIP)) or _is_tar(head)


def members(path: Path, report: Report) -> Iterator[tuple[str, Readable]]:
    """Iterate over name and bytes of the regular files; each is read before the next one.

    A compressed file that is no tar is its own only member. Raises `FormatError` for damage and
    for what grows without measure; says which members are no plain files.
    """
    with open_plain(path) as file:
        head = file.read(_BLOCK)
        file.seek(0)
        try:
            if head.startswith(_ZIP):
                yield from _of_zip(file, report)
            else:
                yield from _of_stream(file, head, path, report)
        except _DAMAGED as error:
            raise _damage(error) from None


def _damage(error: Exception) -> FormatError:
    why = f"it can't be unpacked: {error}" if str(error) else "it ends early"
    return FormatError(why, hint="is it complete?")


def _of_stream(
    file: BinaryIO, head: bytes, path: Path, report: Report
) -> Iterator[tuple[str, Readable]]:
    size = path.stat().st_size
    if head.startswith(_GZIP):
        stream = _Counted(gzip.GzipFile(fileobj=file, mode="rb"), size)
    elif head.startswith(_BZIP2):
        stream = _Counted(bz2.BZ2File(file, "rb"), size)
    elif head.startswith(_XZ):
        stream = _Counted(io.BufferedReader(_Xz(file), _PIECE_BYTES), size)
    else:
        stream = _Counted(file, size)
    first = stream.read(_BLOCK)
    if _is_tar(first):
        yield from _of_tar(first, stream, report)
    else:
        stream.put_back(first)
        yield path.stem, stream


class _Xz(io.RawIOBase):
    """The xz streams of a file, opened in small pieces and each with bounded memory."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._inside = self._begun()
        self._ahead = b""

    def _begun(self) -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY_BYTES)

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Fill the buffer as far as one step goes; 0 at the end."""
        room = memoryview(buffer)
        while not self._inside.eof or self._is_next():
            more = b""
            if self._inside.needs_input:
                more = self._ahead or self._file.read(_PIECE_BYTES)
                self._ahead = b""
                if not more:
                    raise EOFError("it ends early")
            data = self._inside.decompress(more, len(room))
            if data:
                room[: len(data)] = data
                return len(data)
        return 0

    def _is_next(self) -> bool:
        """Begin the next stream, behind zeros or none; False at the end of the file."""
        ahead = self._inside.unused_data.lstrip(b"\0")
        while not ahead:
            more = self._file.read(_PIECE_BYTES)
            if not more:
                return False
            ahead = more.lstrip(b"\0")
        self._ahead, self._inside = ahead, self._begun()
        return True


class _Counted:
    """A source that bounds how much comes out of so many bytes."""

    def __init__(self, source: Readable, size: int) -> None:
        self._source = source
        self._most = min(MOST_BYTES, max(_SMALL_BYTES, size * _MOST_TIMES))
        self._count = 0
        self._back = b""

    def put_back(self, data: bytes) -> None:
        """Give what was read, to be read again."""
        self._back = data

    def read(self, size: int, /) -> bytes:
        """Read up to so many bytes, fewer only at the end."""
        data = self._back[:size]
        self._back = self._back[size:]
        while len(data) < size:
            more = self._from(self._source.read, min(size - len(data), _PIECE_BYTES))
            if not more:
                break
            data += more
        return data

    def _from(self, read: Callable[[int], bytes], size: int) -> bytes:
        try:
            data = read(size)
        except _DAMAGED as error:
            raise _damage(error) from None
        self._count += len(data)
        if self._count > self._most:
            raise FormatError(
                f"more than {self._most:,} bytes come out of it: is it made to harm?"
            )
        return data


class _Part:
    """The bytes of one member of a tar."""

    def __init__(self, stream: _Counted, size: int) -> None:
        self._stream = stream
        self._left = size
        self._padding = -size % _BLOCK

    def read(self, size: int, /) -> bytes:
        """Read up to so many bytes, none at the end of the member."""
        data = self._stream.read(min(size, self._left))
        if self._left and not data:
            raise FormatError("it ends early", hint="is it complete?")
        self._left -= len(data)
        return data

    def skip(self) -> None:
        """Read what is left of it."""
        left = self._left + self._padding
        self._left = self._padding = 0
        while left:
            data = self._stream.read(min(left, _PIECE_BYTES))
            if not data:
                raise EOFError("it ends early")
            left -= len(data)


def _is_tar(head: bytes) -> bool:
    return head[257:262] == b"ustar"


def _of_tar(first: bytes, stream: _Counted, report: Report) -> Iterator[tuple[str, Readable]]:
    """Walk through a tar: ustar, and the longer names of pax and GNU."""
    block, count = first, 0
    longer: dict[str, str] = {}
    while len(block) == _BLOCK and block.strip(b"\0"):
        found = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        size = found.size
        if size < 0:
            raise FormatError("a header of it is damaged: it tells a size below 0")
        if found.type in (tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XGLTYPE):
            if size > _MOST_HEADER_BYTES:
                raise FormatError(f"a header of {size:,} bytes is too large to read")
            data = stream.read(size)
            stream.read(-size % _BLOCK)
            if found.type == tarfile.XHDTYPE:
                longer |= _pax(data)
            elif found.type == tarfile.GNUTYPE_LONGNAME:
                longer["path"] = data.rstrip(b"\0").decode("utf-8", "replace")
        else:
            count += 1
            if count > MOST_MEMBERS:
                raise FormatError(f"it has more than {MOST_MEMBERS:,} members")
            name = longer.get("path", found.name)
            part = _Part(stream, int(longer.get("size", size)) if found.isreg() else 0)
            longer = {}
            if not found.isdir() and _is_plain(name, found.isreg(), report):
                yield name, part
            part.skip()
        block = stream.read(_BLOCK)
    if len(block) < _BLOCK:
        raise EOFError("it ends early")
    while stream.read(_PIECE_BYTES):  # to the end, where a compressed file is checked
        pass


def _pax(data: bytes) -> dict[str, str]:
    """The name and size of a pax header: records `length key=value`."""
    found = {}
    while data:
        length, _, rest = data.partition(b" ")
        if not length.isdigit() or not len(length) < int(length) <= len(data):
            raise FormatError("a header of it is damaged")
        key, _, value = rest[: int(length) - len(length) - 2].partition(b"=")
        if key in (b"path", b"size"):
            found[key.decode()] = value.decode("utf-8", "replace")
        data = data[int(length) :]
    if not found.get("size", "0").isdecimal():
        raise FormatError("a header of it is damaged")
    return found


def _of_zip(file: BinaryIO, report: Report) -> Iterator[tuple[str, Readable]]:
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        if len(entries) > MOST_MEMBERS:
            raise FormatError(f"it has more than {MOST_MEMBERS:,} members")
        left = MOST_BYTES
        for each in entries:
            kind = each.external_attr >> 28  # the type of a Unix file
            is_file = kind in (0, 8)
            if each.is_dir() or not _is_plain(each.filename, is_file, report):
                continue
            if each.compress_type not in _ZIP_METHODS:
                raise FormatError(f"member {each.filename}: it is compressed in an unusual way")
            left -= each.file_size
            if left < 0:
                raise FormatError(f"more than {MOST_BYTES:,} bytes come out of it")
            with archive.open(each) as opened:
                yield each.filename, _Counted(opened, each.compress_size)


def _is_plain(name: str, is_file: bool, report: Report) -> bool:
    """Say what is wrong with a member that is no regular file below the archive's folder."""
    parts = name.split("/")
    if not is_file:
        report.error(f"member {name}", "it is a link or device, not a regular file")
    elif name.startswith("/") or "\\" in name or ":" in parts[0] or ".." in parts:
        report.error(f"member {name}", "its name leads out of the archive")
    elif not name.isprintable() or not name:
        report.error(f"member {name}", "its name holds what can't be printed")
    else:
        return True
    return False
