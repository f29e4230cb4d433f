"""Files that are small enough for memory: each is read or written in one turn of a thread.

Blocking. Of thousands of small files, turns of threads would take most of the time.
"""

from hashlib import sha256
from pathlib import Path

SMALL_BYTES = 1 << 20


def read_small(path: Path) -> tuple[bytes, str] | None:
    """The bytes of a file and their SHA-256; None: it is no small file."""
    with path.open("rb") as file:
        data = file.read(SMALL_BYTES + 1)
    return (data, sha256(data).hexdigest()) if len(data) <= SMALL_BYTES else None


def is_new(target: Path, part: Path) -> bool:
    """Tell that nothing of a file is here yet; its folder is made."""
    target.parent.mkdir(parents=True, exist_ok=True)
    return not target.exists() and not part.exists()


def write_small(part: Path, target: Path, data: bytes) -> None:
    """Make the file `target` by way of `part`."""
    part.write_bytes(data)
    part.replace(target)
