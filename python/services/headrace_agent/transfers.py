"""Objects by presigned URLs: streamed in bounded memory, taken up where a connection broke.

A URL is a secret for as long as it is valid: no error and no log line of this module names one.
"""

import asyncio
import hashlib
import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, TCPConnector
from yarl import URL

from headrace_agent.grants import Grant, Renew
from headrace_model.errors import HeadraceError, InvalidInput, NotFound, Unavailable
from headrace_service.threads import finish

_CHUNK_BYTES: Final = 1 << 20
_CONNECT_S: Final = 5.0
_SILENCE_S: Final = 60.0
_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 5.0
_RENEWALS: Final = 3  # of one URL that never worked; a long transfer may renew as it goes
_EXPIRED: Final = frozenset({400, 401, 403})  # servers say it in several ways
_GONE: Final = 404


class FileChanged(HeadraceError):
    """A file is not what it was when it was hashed; nothing of it was kept."""

    code = "FILE_CHANGED"


class _Again(Exception):
    """A try failed that may be repeated; the text says why, without any URL."""


class _Expired(Exception):
    """The URL is not, or no longer, valid."""


class Transfers:
    """Any number at a time; each holds about 2 MiB. A server that does not answer is tried again
    until nothing has come through for `patience_s`, then it is `Unavailable`.
    """

    def __init__(self, patience_s: float = 20.0) -> None:
        self._patience_s = patience_s
        self._session: ClientSession | None = None

    async def close(self) -> None:
        """Close all connections."""
        if self._session:
            await self._session.close()

    async def get(self, grant: Grant, renew: Renew, target: Path, size: int) -> str:
        """Write an object of `size` bytes to a new file, synced; returns its SHA-256.

        Raises `NotFound`, `InvalidInput` (it has more bytes), `Unavailable`, `OSError`.
        """
        writer = _Writer(target)
        await finish(writer.open)
        try:

            async def read(grant: Grant) -> None:
                await self._read(grant, writer, size)

            await self._repeat(read, grant, renew, lambda: writer.size)
            await finish(writer.sync)
        finally:
            await finish(writer.close)
        return writer.digest.hexdigest()

    async def put(self, grant: Grant, renew: Renew, fd: int, size: int, sha256: str) -> None:
        """Write the open file `fd` to an object, hashed on the way.

        Bytes other than `sha256` says never become the object: `FileChanged`. Also raises
        `Unavailable`, `OSError`.
        """
        source = _Source(fd, size, sha256)
        if not grant.parts:

            async def whole(grant: Grant) -> None:
                await self._send("PUT", grant.url, source, 0, size)

            await self._repeat(whole, grant, renew, lambda: 0)
            return
        etags: list[str] = []
        for number in range(len(grant.parts)):
            first = number * grant.part_bytes
            length = min(grant.part_bytes, size - first)

            async def part(
                grant: Grant, number: int = number, first: int = first, length: int = length
            ) -> None:
                etags.append(await self._send("PUT", grant.parts[number], source, first, length))

            grant = await self._repeat(part, grant, renew, lambda: len(etags))
        await self._repeat(
            lambda grant: self._complete(grant, etags), grant, renew, lambda: len(etags)
        )

    async def _repeat(
        self,
        attempt: Callable[[Grant], Awaitable[None]],
        grant: Grant,
        renew: Renew,
        progress: Callable[[], int],
    ) -> Grant:
        """Try until it succeeds; the grant that did. Progress gives new patience."""
        seen, renewals = progress(), 0
        deadline, pause_s = time.monotonic() + self._patience_s, _FIRST_PAUSE_S
        while True:
            why = ""
            try:
                await attempt(grant)
                return grant
            except _Expired:
                renewals += 1
                if renewals > _RENEWALS:
                    raise Unavailable(
                        "the object store refuses each new URL",
                        hint="are the clocks of this machine and of the store's right?",
                    ) from None
            except _Again as error:
                why = str(error)
            except (ClientError, TimeoutError, ConnectionError) as error:
                why = f"does not answer ({type(error).__name__})"
            if progress() > seen:
                seen, renewals = progress(), 0
                deadline, pause_s = time.monotonic() + self._patience_s, _FIRST_PAUSE_S
            if not why:
                grant = await renew(grant)
                continue
            if time.monotonic() >= deadline:
                raise Unavailable(
                    f"the object store {why}", hint="is it up, and reachable from this node?"
                ) from None
            # Full jitter: nodes that failed together must not come back together.
            await asyncio.sleep(random.uniform(0, pause_s))  # noqa: S311 - no secret
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    async def _read(self, grant: Grant, writer: "_Writer", size: int) -> None:
        if writer.size == size > 0:
            return  # all bytes came, then the connection broke
        headers = {"Range": f"bytes={writer.size}-"} if writer.size else {}
        async with self._open().get(URL(grant.url, encoded=True), headers=headers) as reply:
            _check(reply)
            if writer.size and reply.status != 206:
                raise Unavailable("the object store does not go on in the middle of an object")
            waiting = bytearray()
            async for data in reply.content.iter_any():
                waiting += data
                if writer.size + len(waiting) > size:
                    raise InvalidInput(f"the store holds more than the {size:,} bytes it should")
                if len(waiting) >= _CHUNK_BYTES:
                    await finish(writer.append, bytes(waiting))
                    waiting.clear()
            await finish(writer.append, bytes(waiting))
        if writer.size < size:
            raise _Again("ended an object too early")

    async def _send(
        self, method: str, url: str, source: "_Source", first: int, length: int
    ) -> str:
        """Send bytes of a file; returns the ETag."""
        headers = {"Content-Length": str(length)}
        body: AsyncIterator[bytes] | bytes = source.read(first, length) if length else b""
        try:
            async with self._open().request(
                method, URL(url, encoded=True), data=body, headers=headers
            ) as reply:
                await reply.read()
                _check(reply)
                return reply.headers.get("ETag", "")
        except ClientError:
            # The client library wraps what the body raises.
            if source.changed:
                raise FileChanged("it changed while it was sent") from None
            raise

    async def _complete(self, grant: Grant, etags: list[str]) -> None:
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(etag)}</ETag></Part>"
            for number, etag in enumerate(etags, 1)
        )
        body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
        url = URL(grant.complete, encoded=True)
        headers = {"Content-Type": "application/xml"}
        async with self._open().post(url, data=body, headers=headers) as reply:
            said = await reply.read()
            if reply.status == _GONE:
                # Complete, but the answer was lost; or swept away. The next try begins anew.
                raise Unavailable("the object store does not know the upload any more")
            _check(reply)
            if b"<Error>" in said:  # Amazon may say so with status 200
                raise _Again("could not put the parts together")

    def _open(self) -> ClientSession:
        if self._session is None:
            timeout = ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=_SILENCE_S)
            self._session = ClientSession(
                connector=TCPConnector(limit=0),
                timeout=timeout,
                read_bufsize=_CHUNK_BYTES,
                auto_decompress=False,
            )
        return self._session


def _check(reply: ClientResponse) -> None:
    if reply.status in (200, 206):
        return
    if reply.status in _EXPIRED:
        raise _Expired
    if reply.status == _GONE:
        raise NotFound("the store does not hold it any more")
    raise _Again(f"answers with HTTP status {reply.status}")


class _Writer:
    """A new file and the hash of what is in it; the methods block."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1
        self.size = 0
        self.digest = hashlib.sha256()

    def open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._fd = os.open(self._path, flags, 0o600)

    def append(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            # At the offset: what a full disk cut off is written over.
            done = os.pwrite(self._fd, rest, self.size)
            self.digest.update(rest[:done])
            self.size += done
            rest = rest[done:]

    def sync(self) -> None:
        os.fsync(self._fd)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class _Source:
    """A file that is read in order, perhaps some of it again, and hashed once."""

    def __init__(self, fd: int, size: int, sha256: str) -> None:
        self._fd = fd
        self._size = size
        self._sha256 = sha256
        self._digest = hashlib.sha256()
        self._hashed = 0
        self.changed = False

    async def read(self, first: int, length: int) -> AsyncIterator[bytes]:
        """Yield the bytes; the file's last ones only when the whole file is right."""
        at, end = first, first + length
        while at < end:
            data = await finish(self._read, at, min(_CHUNK_BYTES, end - at))
            at += len(data)
            yield data

    def _read(self, at: int, length: int) -> bytes:
        data = os.pread(self._fd, length, at)
        if data and at + len(data) > self._hashed:
            self._digest.update(data[self._hashed - at :])
            self._hashed = at + len(data)
        whole = self._hashed == self._size
        if not data or (whole and self._digest.hexdigest() != self._sha256):
            self.changed = True
            raise FileChanged("it changed while it was sent")
        return data
