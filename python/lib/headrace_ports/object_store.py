"""The object store: a directory on one machine, or any S3.

What holds for every store; `tests/contract/test_object_store.py` holds each adapter to it:

* An object is there whole or not at all: after a crash at any point a key gives its old bytes,
  its new bytes, or nothing, never a part. What a returned `put_*` wrote survives a crash of the
  store, and a power cut as far as the store's disks do.
* Every method may be repeated: putting the same bytes again, and deleting what is gone, succeed.
  A cancelled call is over when it returns: nothing goes on writing behind it.
* Of several that put the same key at once, one wins whole.
* Keys are relative paths as `check_item_path` allows them (1,024 bytes, less what the store's own
  prefix takes; 255 between two '/'), and never end in `.part`.
* No key may be both an object and a folder of others (`a` beside `a/b`). Only a directory tells
  `Conflict`: some S3 servers take it, others answer 500, and keys.py never makes such keys.
* Raises `InvalidName` (a bad key), `NotFound`, `InvalidInput`, `Unavailable` (disk full, server
  away, keys refused, bucket gone; the same call may succeed later).
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from headrace_model.errors import Conflict
from headrace_ports.arriving import Arriving

Grant = dict[str, object]
"""What lets another program read or write one object, as JSON. One of:

* `{"path": "/…"}`: a file on this machine.
* `{"url": "http…"}`: a presigned GET or PUT, for that object and a short time.
* `{"upload": id, "part_bytes": n, "parts": ["http…", …], "complete": "http…"}`: presigned PUTs of
  `n` bytes each but for the last, and the presigned POST that makes an object of them.

URLs are secrets while they live: never stored, never logged.
"""


@dataclass(frozen=True, slots=True)
class Stat:
    """What a store knows of an object without reading it.

    Where the bytes of the key are replaced, `stamp` is another one: of a directory the size and
    the time of the last change, of an S3 server the ETag. It may be part of a key.
    """

    size_bytes: int
    stamp: str


@dataclass(frozen=True, slots=True)
class Listed:
    """An object in a page of a list; its age is how long it has its bytes, by the store's clock
    beside ours: what is said of it may be wrong by hours. `stamp` is that of `Stat`."""

    key: str
    size_bytes: int
    age_s: float
    stamp: str


def changed(key: str) -> Conflict:
    """The error about an object that is not what it was."""
    return Conflict(f"{key} was changed meanwhile", hint="begin again once nobody writes to it")


class ObjectStore(Protocol):
    """See the module. Safe across tasks and processes."""

    async def check(self) -> None:
        """Try the store; `InvalidInput` says what is wrong with its settings or credentials,
        `Unavailable` that it does not answer now."""

    async def close(self) -> None:
        """Let go of threads and connections."""

    async def put_file(
        self, key: str, source: Path, *, sha256: str | None = None, move: bool = False
    ) -> None:
        """Put a file's bytes; with `move`, `source` is given away.

        With `move` the source is gone after success, and may or may not be after a failure.
        With `sha256` (hex) other bytes are refused with `InvalidInput` and nothing is written.
        """

    async def put_arriving(self, key: str, file: Arriving) -> None:
        """Put a file that still arrives, and is given away.

        There is no object before the file is whole. Of a call that fails or is cancelled nothing
        is left in the store; the file stays.
        """

    async def put_bytes(self, key: str, data: bytes) -> None:
        """Put bytes from memory."""

    async def put_many(self, objects: Mapping[str, bytes]) -> None:
        """Put many small objects, each as `put_bytes` does; after an error any may be there."""

    async def copy_many(self, sources: Mapping[str, str]) -> None:
        """Give objects second keys: new key → that of an object, of 5 GiB at the most.

        The bytes stay in the store, and each object goes by itself when it is deleted. Raises
        `NotFound`; after an error any may be there.
        """

    async def get_bytes(self, key: str, limit_bytes: int) -> bytes:
        """Read a whole object; raises `TooLarge` above `limit_bytes`, `NotFound`."""

    async def get_many(self, limits: Mapping[str, int]) -> dict[str, bytes]:
        """Read many small objects, each as `get_bytes` does: key → at most how many bytes."""

    def stream(self, key: str, offset: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """Yield the bytes from `offset` on, at most `length`; nothing beyond the end.

        Never a mixture: of an object that is replaced meanwhile the rest comes as it was, or
        `Unavailable` is raised.
        """

    async def stat(self, key: str) -> Stat | None:
        """Look at an object; None if there is none."""

    async def digests(self, stamps: Mapping[str, str]) -> dict[str, str]:
        """Read objects, several at a time, and give the SHA-256 (hex) of each.

        Raises `Conflict` where one has not the stamp that is given for its key, also where it
        is replaced meanwhile; `NotFound`.
        """

    async def keys(self, prefix: str) -> list[str]:
        """The keys below the folder `prefix`, sorted; unfinished writes are not among them."""

    async def page(self, prefix: str, after: str = "", most: int = 1000) -> list[Listed]:
        """Some of the keys below the folder `prefix` ("": of all), those after `after`; none at
        the end.

        In an order of the store's own, in which what lies in one folder stands together. What is
        put or deleted meanwhile may be among them or not; all else is, page after page. `after`
        is the last key of the page before, or "": it need not be there any more.
        """

    async def delete(self, prefix: str) -> None:
        """Delete the object `prefix` and all below the folder `prefix`; success if none is there.

        A crash in between leaves some of them: repeat it.
        """

    async def fetch(self, key: str, to: Path) -> None:
        """Make a file at `to` (which must not exist) that has the object's bytes.

        It may share its bytes with the store (a hard link): it must not be written.
        """

    async def grant_get(self, key: str) -> Grant:
        """Let another program read an object.

        Raises `NotFound` where that costs no call over the network; else the read says it.
        """

    async def grant_put(self, key: str, size_bytes: int = 0, upload: str = "") -> Grant:
        """Let another program write an object of `size_bytes`.

        To a `path` it writes `<path>.<random>.part`, syncs it, renames it to the path and syncs
        the folder. `upload` is the id in an earlier grant whose URLs have expired: the new
        grant goes on with the same upload.
        """

    async def free_bytes(self) -> int | None:
        """The room that is left; None: the store can't tell."""

    async def sweep_parts(self, older_than_s: float = 86_400.0) -> int:
        """Remove what writers left unfinished for so long; returns how many."""
