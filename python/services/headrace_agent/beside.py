"""Small files that the agent keeps beside the logs of workers, who may write there too."""

import os
from pathlib import Path
from typing import IO


def open_beside(path: Path) -> IO[bytes]:
    """Open a file to read; neither a link nor a pipe that a worker of our own user laid there."""
    return open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")


def append_beside(path: Path, text: str) -> None:
    """Write ASCII behind what a file holds, under the same guard."""
    _write(path, text, os.O_APPEND)


def replace_beside(path: Path, text: str) -> None:
    """Have a file hold just this; it is there as a whole, or as before."""
    part = path.with_name(f"{path.name}.part")
    _write(part, text, os.O_TRUNC)
    part.rename(path)


def _write(path: Path, text: str, how: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | how
    with open(os.open(path, flags, 0o600), "w", encoding="ascii") as file:
        file.write(text)
