"""Removing folders that a worker of another user may still write into. Blocking."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import Final

_TRIES: Final = 3
_MAY_ALL: Final = 0o700


def remove_tree(root: Path) -> None:
    """Remove a folder whatever a worker made of its modes, or what it put in its place.

    Success when it is gone. No symlink is followed, not even one that takes a folder's place at
    this moment: each folder is opened as what stands in the one above. Neither depth nor length
    of paths is limited: what lies deeper is moved up into the root before it is emptied. Raises
    `OSError` where somebody goes on to write into it.
    """
    try:
        above = os.open(root.parent, os.O_PATH | os.O_DIRECTORY)
    except FileNotFoundError:
        return
    try:
        for _ in range(_TRIES):
            if _take(root.name, above):
                return
            with (
                suppress(NotADirectoryError, FileNotFoundError),
                _entered(root.name, above) as top,
            ):
                _empty(top)
    finally:
        os.close(above)
    raise OSError(errno.ENOTEMPTY, "it is written into while it is removed", str(root))


def _empty(top: int) -> None:
    """Remove all that is in a folder now, and in what is below it."""
    waiting = [name for name in os.listdir(top) if not _take(name, top)]
    while waiting:
        name = waiting.pop()
        # Where it is no folder any more, or not empty yet again, the next try takes it.
        with suppress(NotADirectoryError, FileNotFoundError), _entered(name, top) as folder:
            for inner in [each for each in os.listdir(folder) if not _take(each, folder)]:
                with suppress(NotADirectoryError, FileNotFoundError):
                    waiting.append(_move_up(inner, folder, top))
        _take(name, top)


def _take(name: str, folder: int) -> bool:
    """Remove a file, a link or an empty folder; tell whether it is gone."""
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return True
    except IsADirectoryError:
        try:
            os.rmdir(name, dir_fd=folder)
        except FileNotFoundError:
            return True
        except NotADirectoryError:
            return False
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                return False
            raise
    return True


def _move_up(name: str, folder: int, top: int) -> str:
    with _entered(name, folder):  # who moves a folder must be allowed to write into it
        moved = f".{token_hex(8)}"
        os.rename(name, moved, src_dir_fd=folder, dst_dir_fd=top)
    return moved


@contextmanager
def _entered(name: str, folder: int) -> Iterator[int]:
    """Open a folder for reading and writing; raises `NotADirectoryError` for a symlink too."""
    seen = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
    try:
        itself = f"/proc/self/fd/{seen}"
        if os.fstat(seen).st_mode & _MAY_ALL != _MAY_ALL:
            os.chmod(itself, _MAY_ALL)
        opened = os.open(itself, os.O_RDONLY | os.O_DIRECTORY)
    finally:
        os.close(seen)
    try:
        yield opened
    finally:
        os.close(opened)
