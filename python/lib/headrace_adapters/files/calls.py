"""Files as the directory store reads and writes them; all blocking. Errors in our words."""

import errno
import os
from collections.abc import Callable
from hashlib import sha256 as new_sha256

from headrace_model.errors import Conflict, HeadraceError, InvalidInput, NotFound, Unavailable
from headrace_ports.object_store import Stat

_CHUNK = 1 << 20


def write_all(fd: int, data: bytes) -> None:
    """Write all of it."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def digest_of(read: Callable[[int], bytes]) -> str:
    """The SHA-256 of what `read` gives until it gives nothing."""
    digest = new_sha256()
    while data := read(_CHUNK):
        digest.update(data)
    return digest.hexdigest()


def stat_of(found: os.stat_result) -> Stat:
    """What is known of an object without reading it."""
    return Stat(found.st_size, f"{found.st_size:x}-{found.st_mtime_ns:x}")


def check_digest(wanted: str | None, found: str) -> None:
    """Raise `InvalidInput` for other bytes than were said."""
    if wanted is not None and found != wanted:
        raise InvalidInput(f"the file has SHA-256 {found}, not {wanted} as was said")


def said(key: str, error: OSError) -> HeadraceError:
    """Say an error of the operating system in our words."""
    match error.errno:
        case errno.ENOENT:
            return NotFound(f"the store has no object {key}")
        case errno.ENOTDIR | errno.EISDIR | errno.ENOTEMPTY | errno.EEXIST:
            return Conflict(f"{key}: one key can't be an object and a folder of others")
        case errno.ELOOP:
            return Conflict(f"{key} lies behind a symbolic link, which the store doesn't follow")
        case errno.ENOSPC | errno.EDQUOT:
            return Unavailable(
                "the disk of the object store is full",
                hint="delete datasets, or let some expire; then try again",
            )
        case _:
            return Unavailable(f"the object store can't do this now: {error.strerror}")
