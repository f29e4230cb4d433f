"""A file that is in the way of nobody until the disk is full.

With `appendfsync always` Redis exits when it can't write. The supervisor then gives it this
file's space, so that it starts again and running jobs can be finished and recorded.
"""

import os
import shutil
from pathlib import Path
from typing import Final

BALLAST_BYTES: Final = 32 * 2**20
FULL_BELOW_BYTES: Final = 16 * 2**20
# Making it must not itself bring the disk near its end.
_ROOM_BYTES: Final = 4 * BALLAST_BYTES
_NO_SPACE: Final = b"No space left"


class Ballast:
    """The ballast in Redis's folder. Blocking: call it in a thread."""

    def __init__(self, folder: Path, log: Path) -> None:
        self._folder = folder
        self._file = folder / "ballast"
        self._log = log

    def mark(self) -> int:
        """Where Redis's log ends now, to be handed to `release_if_full`."""
        try:
            return self._log.stat().st_size
        except FileNotFoundError:
            return 0

    def make(self) -> bool:
        """Lay the ballast where there is room; True when it lies there."""
        if self._file.exists():
            return True
        if shutil.disk_usage(self._folder).free < _ROOM_BYTES:
            return False
        part = self._file.with_suffix(".part")
        number = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.posix_fallocate(number, 0, BALLAST_BYTES)
            part.rename(self._file)
        except OSError:
            part.unlink(missing_ok=True)
            return False
        finally:
            os.close(number)
        return True

    def release_if_full(self, log_from: int) -> bool:
        """Give the space to Redis if it ended for want of it; True when there was some to give."""
        if not self._full(log_from) or not self._file.exists():
            return False
        self._file.unlink()
        return True

    def _full(self, log_from: int) -> bool:
        if shutil.disk_usage(self._folder).free < FULL_BELOW_BYTES:
            return True
        try:
            with self._log.open("rb") as log:
                log.seek(log_from)
                return _NO_SPACE in log.read()
        except FileNotFoundError:
            return False
