"""Copying what a container prints into a file, each byte once.

The stream is read here and not by the SDK, which takes a connection that breaks for the end of
the log. Format: Docker Engine API 1.41, `ContainerAttach`, "Stream format": frames of a stream's
number, three zeros, the length (4 bytes, the highest first) and so many bytes.
"""

import asyncio
import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from threading import Event, Thread
from typing import Final

from headrace_adapters.backends.docker_errors import Gone
from headrace_model.errors import Unavailable

_LOCK_AGAIN_S: Final = 0.2
_CONNECT_S: Final = 30.0
_HEADER_BYTES: Final = 8
_PIECE_BYTES: Final = 1 << 20
_NOT_FOUND: Final = 404


class LogCopy:
    """A thread that copies one stream of a container, over its own connection."""

    def __init__(self, engine: Path, address: str) -> None:
        """`engine`: its socket; `address`: of the log, with what is asked of it."""
        self._connection = _UnixConnection(engine)
        self._address = address
        self._stopped = Event()

    async def run(self, path: Path, begin: int) -> int:
        """See `Engine.copy_log`. When cancelled: over when the thread has let go of the file."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[int | BaseException] = loop.create_future()

        def tell(result: int | BaseException) -> None:
            if not done.done():
                done.set_result(result)

        def inside() -> None:
            result: int | BaseException
            try:
                result = self._copy(path, begin)
            except BaseException as raised:
                result = raised
            with suppress(RuntimeError):  # the loop is closed: nobody listens any more
                loop.call_soon_threadsafe(tell, result)

        Thread(target=inside, name="container-log", daemon=True).start()
        try:
            result = await asyncio.shield(done)
        except asyncio.CancelledError:
            self.end()
            await asyncio.wait({done})
            raise
        if isinstance(result, BaseException):
            raise result
        return result

    def end(self) -> None:
        """Let the thread end soon."""
        self._stopped.set()
        self._connection.wake()

    def _copy(self, path: Path, begin: int) -> int:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            self._lock(file)
            known = max(0, os.fstat(file).st_size - begin)
            seen = 0
            for piece in self._pieces():
                fresh = piece[max(0, known - seen) :]
                seen += len(piece)
                while fresh:
                    fresh = fresh[os.write(file, fresh) :]
            return seen
        finally:
            os.close(file)

    def _lock(self, file: int) -> None:
        """Wait until no other program copies into the file; the kernel takes a dead one's lock."""
        while not self._stopped.is_set():
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except OSError as error:
                if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                    raise
            self._stopped.wait(_LOCK_AGAIN_S)

    def _pieces(self) -> Iterator[bytes]:
        """What was printed, to its end; raises `Unavailable` where the connection ends before."""
        with closing(self._connection):
            try:
                self._connection.request("GET", self._address)
                with self._connection.getresponse() as response:
                    if response.status == _NOT_FOUND:
                        raise Gone("there is no such container")
                    if response.status != 200:
                        raise Unavailable(
                            f"the engine answers {response.status} to a log's reader"
                        )
                    while not self._stopped.is_set() and (piece := _frame(response)):
                        yield piece
            except (HTTPException, _Broken) as error:
                raise Unavailable(f"a log can't be read: {error!r}") from error


class _Broken(Exception):
    """The connection is no more."""


class _UnixConnection(HTTPConnection):
    """HTTP over a unix socket. A container may print nothing for days: reading waits for ever."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        """Connect; called by `request`."""
        self.sock = socket.socket(socket.AF_UNIX)
        try:
            self.sock.settimeout(_CONNECT_S)
            self.sock.connect(str(self._path))
            self.sock.settimeout(None)
        except OSError as error:
            self.sock.close()
            raise _Broken(str(error)) from error

    def wake(self) -> None:
        """Let a thread that reads find the end, from another thread."""
        if self.sock is not None:
            with suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)


def _frame(response: HTTPResponse) -> bytes:
    """The next frame's bytes; none at the end of the log."""
    while header := _read(response, _HEADER_BYTES):
        if data := _read(response, int.from_bytes(header[4:], "big")):
            return data
    return b""


def _read(response: HTTPResponse, size: int) -> bytes:
    """So many bytes; none at the end. Raises `_Broken` in the middle."""
    try:
        data = response.read(size)
    except OSError as error:
        raise _Broken(str(error)) from error
    if data and len(data) < size:
        raise _Broken("a frame is cut short")
    return data
