"""A consistent copy of a running Redis, and what makes a new epoch of a restored one.

The copy is what Redis sends a replica (SYNC): one RDB file of one moment, over the connection that
we have anyhow, whichever folder or container the server writes its own files to. Laid into an
empty folder as `appendonly.aof` it is what a server of 6.2 or newer begins with.
"""

import os
import socket
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO, Final

from redis.connection import parse_url

from headrace_adapters.redis.connection import Redis
from headrace_model.errors import InvalidInput, Unavailable

AOF: Final = "appendonly.aof"
_MAGIC: Final = b"REDIS"
_PATIENCE_S: Final = 120.0
_PIECE_BYTES: Final = 1 << 20


def copy(url: str, password: str, target: Path) -> int:
    """Write a copy of what Redis holds now to a new file (mode 0600); returns its size in bytes.

    Blocks. It is on the disk when this returns. Raises `Unavailable`, `InvalidInput`, OSError.
    """
    file = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with _connect(url, password) as connection, open(file, "wb") as out:
            connection.sendall(b"SYNC\r\n")
            with connection.makefile("rb") as answer:
                size = _receive(answer, out)
            out.flush()
            os.fsync(out.fileno())
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return size


def _connect(url: str, password: str) -> socket.socket:
    where = parse_url(url)  # type: ignore[no-untyped-call] # redis-py has no types here
    if path := where.get("path"):
        connection = socket.socket(socket.AF_UNIX)
        address = path
    elif url.startswith("redis://"):
        connection = socket.socket(socket.AF_INET)
        address = (where.get("host", "127.0.0.1"), where.get("port", 6379))
    else:
        raise InvalidInput("a copy of Redis is taken over unix:// or redis://")
    try:
        connection.settimeout(_PATIENCE_S)
        connection.connect(address)
        user = where.get("username") or "default"
        connection.sendall(f"AUTH {user} {password}\r\n".encode())
        with connection.makefile("rb", buffering=0) as answer:
            said = answer.readline()
        if not said.startswith(b"+OK"):
            raise Unavailable(f"Redis does not let {user} in: {said.decode().strip()}")
    except BaseException as error:
        connection.close()
        if isinstance(error, OSError):
            raise Unavailable(f"Redis does not answer: {error}") from error
        raise
    return connection


def _receive(answer: BinaryIO, out: BinaryIO) -> int:
    """Read `$<size>` and as many bytes; before it come newlines while Redis writes its copy."""
    try:
        head = answer.readline()
        while head == b"\n":
            head = answer.readline()
        if not head.startswith(b"$"):
            raise Unavailable(f"Redis gives no copy: {head.decode(errors='replace').strip()}")
        size = left = int(head[1:])
        while left:
            piece = answer.read(min(left, _PIECE_BYTES))
            if not piece:
                raise Unavailable("the connection to Redis broke in the middle of the copy")
            if left == size and not piece.startswith(_MAGIC):
                raise Unavailable("what Redis sent is no copy of it")
            out.write(piece)
            left -= len(piece)
    except OSError as error:
        raise Unavailable(f"the copy of Redis broke off: {error}") from error
    return size


async def begin_epoch(redis: Redis, backup: str) -> None:
    """Make a new epoch of a Redis that holds a backup, before any service runs on it.

    What was decided before counts no more, and nothing is placed on a node before its agent has
    compared its attempts with this Redis: registering brings its ledger line back. Nothing starts
    before the data service has compared it with the store (`hr:restored`). Wishes for services are
    gone: a worker that has run already would be made once more, and who misses one wishes anew.
    """
    await redis.command("SET", "hr:restored", backup)
    for of_nodes in ("free", "services", "refusals"):
        if keys := await redis.command("KEYS", f"hr:{of_nodes}:*"):
            await redis.command("DEL", *keys)
    await redis.command("SET", "hr:epoch", token_hex(8))
