"""Finding what a worker wrote, and putting it: regular files below the output root only.

All but `send_file` block.
"""

import hashlib
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from headrace_agent.grants import Grant, Renew
from headrace_agent.transfers import FileChanged, Transfers
from headrace_model.dataset import check_item_path
from headrace_model.errors import HeadraceError, InvalidName
from headrace_service.threads import finish

_CHUNK_BYTES = 1 << 20
_LOG = re.compile(r"[0-9]{1,9}\.([0-9]{1,9}\.)?(out|err)|[0-9]{1,9}\.(index|usage|progress)")


class BadOutput(HeadraceError):
    """The output folder holds what can't be kept."""

    code = "BAD_OUTPUT"


@dataclass(frozen=True, slots=True)
class FoundFile:
    """One file of an output, by its path in the output."""

    path: str
    size_bytes: int
    sha256: str


def find_files(root: Path, limit_items: int) -> tuple[FoundFile, ...]:
    """Hash every file below `root`, in order of path; a missing folder holds none.

    No symlink is followed, nothing but regular files with one link is read: a worker can't have
    us read a file of somebody else. Raises `BadOutput` that names the file and the reason.
    """
    found: list[FoundFile] = []
    try:
        base = _open_folder(root)
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise BadOutput(
            f"the output folder {root.name!r} can't be read: {error.strerror}"
        ) from None
    try:
        walk = os.fwalk(dir_fd=base, follow_symlinks=False, onerror=_refuse)
        for folder, names, files, folder_fd in walk:
            names.sort()
            inside = os.path.normpath(folder)
            prefix = "" if inside == "." else inside + "/"
            links = [name for name in names if _is_link(name, folder_fd)]
            for name in sorted((*files, *links)):
                if len(found) >= limit_items:
                    raise BadOutput(f"the output holds more than {limit_items:,} files")
                found.append(_read(prefix + name, name, folder_fd))
    finally:
        os.close(base)
    return tuple(sorted(found, key=lambda file: file.path))


def _open_folder(root: Path) -> int:
    """Open a folder, following no symlink for it or for the two folders that it is in.

    A worker may have replaced each: an output is `output`, `output/NAME`, or of a task
    `output/TASK/NAME`.
    """
    how = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    at = os.open(root.parents[1], how)
    for name in root.parts[-2:]:
        try:
            inner = os.open(name, how, dir_fd=at)
        finally:
            os.close(at)
        at = inner
    return at


def _refuse(error: OSError) -> None:
    """A folder that can't be read would be left out without a word."""
    raise BadOutput(f"{error.filename!r} in the output can't be read: {error.strerror}")


def _is_link(name: str, folder_fd: int) -> bool:
    return stat.S_ISLNK(os.stat(name, dir_fd=folder_fd, follow_symlinks=False).st_mode)


def _read(path: str, name: str, folder_fd: int) -> FoundFile:
    try:
        check_item_path(path)
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder_fd)
    except InvalidName as error:
        raise BadOutput(f"the output can't be kept: {error.message}") from None
    except OSError as error:
        raise BadOutput(
            f"{path!r} in the output can't be kept: it is a symbolic link or can't be read "
            f"({error.strerror}); write regular files",
        ) from None
    try:
        known = os.fstat(file)
        if not stat.S_ISREG(known.st_mode) or known.st_nlink != 1:
            raise BadOutput(f"{path!r} in the output is not a regular file with one link")
        digest = hashlib.sha256()
        size = 0
        while chunk := os.read(file, _CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
        return FoundFile(path, size, digest.hexdigest())
    finally:
        os.close(file)


def find_logs(folder: Path, limit_bytes: int) -> tuple[FoundFile, ...]:
    """The workers' log files that hold something, and their samples, cut to their limit first.

    The folder is the worker's to write into: whatever else lies there, or is no plain file, is
    left out.
    """
    try:
        base = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return ()
    found = []
    try:
        for name in sorted(os.listdir(base)):
            if not _LOG.fullmatch(name):
                continue
            try:
                _cut(name, base, limit_bytes)
                log = _read(name, name, base)
            except (BadOutput, OSError):
                continue
            if log.size_bytes:
                found.append(log)
    finally:
        os.close(base)
    return tuple(found)


def _cut(name: str, folder_fd: int, limit_bytes: int) -> None:
    file = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder_fd)
    try:
        known = os.fstat(file)
        if stat.S_ISREG(known.st_mode) and known.st_nlink == 1 and known.st_size > limit_bytes:
            os.ftruncate(file, limit_bytes)
    finally:
        os.close(file)


async def send_file(
    root: Path, found: FoundFile, grant: Grant, renew: Renew, transfers: Transfers
) -> None:
    """Put one found file where its grant says; repeating is success.

    What is kept is what was reported: raises `BadOutput` when the file changed meanwhile.
    """
    if grant.path is not None:
        await finish(put_file, root, found, grant.path, token_hex(4))
        return
    file = await finish(open_inside, root, found.path)
    try:
        await transfers.put(grant, renew, file, found.size_bytes, found.sha256)
    except FileChanged:
        raise BadOutput(f"{found.path!r} in the output changed while it was collected") from None
    finally:
        os.close(file)


def put_file(root: Path, found: FoundFile, grant: Path, nonce: str) -> None:
    """Copy one found file to the place that a directory store granted; repeating is success.

    The bytes are hashed again on the way, so what is kept is what was reported. Raises
    `BadOutput` when the file changed meanwhile.
    """
    try:
        if grant.stat().st_size == found.size_bytes and _digest(grant) == found.sha256:
            return
    except FileNotFoundError:
        grant.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = grant.with_name(f"{grant.name}.{nonce}.part")
    digest = hashlib.sha256()
    try:
        source = open_inside(root, found.path)
        with os.fdopen(source, "rb") as reader, part.open("xb") as writer:
            while chunk := reader.read(_CHUNK_BYTES):
                digest.update(chunk)
                writer.write(chunk)
            writer.flush()
            os.fsync(writer.fileno())
        if digest.hexdigest() != found.sha256:
            raise BadOutput(f"{found.path!r} in the output changed while it was collected")
        part.rename(grant)
    finally:
        part.unlink(missing_ok=True)
    folder = os.open(grant.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def open_inside(root: Path, path: str) -> int:
    """Open a file below `root` without following a symlink at any step."""
    at = _open_folder(root)
    *folders, name = path.split("/")
    try:
        for folder in folders:
            inner = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
            os.close(at)
            at = inner
        # Without O_NONBLOCK a FIFO that took the file's place would be waited for.
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=at)
    finally:
        os.close(at)
