"""A small file system of one's own, and leaving no byte of it free."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def small_file_system(folder: Path, mebibytes: int) -> Iterator[str]:
    """Mount one at a folder; yields why that can't be done here, or "" when it is there."""
    if os.geteuid() != 0:
        yield "only root can mount a small file system"
        return
    mount = ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m,mode=700", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        yield f"no file system can be mounted here: {done.stderr.strip()}"
        return
    try:
        yield ""
    finally:
        # Lazily: a process that has just been told to end may still have a file open there.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill_disk(folder: Path) -> Path:
    """Leave no byte free; returns the file that takes all the room."""
    rest = folder / "rest"
    with rest.open("wb", buffering=0) as file:
        size = 1 << 20
        while size:
            try:
                size = 0 if not file.write(bytes(size)) else size
            except OSError:
                size //= 2
    return rest
