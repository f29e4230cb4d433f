"""Large files between a client and the object store itself, where the server allows it.

The server hands out a URL for each part, or for an object; a URL is a secret, which no error and
no line of output names. Where the store can't be reached from here, or refuses, all further files
of the transfer go through the server: `Direct` says so by not having done the work.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiohttp import ClientConnectorError, ClientError, ClientSession, ClientTimeout, TCPConnector
from yarl import URL

from headrace_client.http import BUFFER_BYTES, Http
from headrace_client.localfiles import LocalFile, PartFile, read_piece
from headrace_client.tls import trust
from headrace_client.transferplan import all_of
from headrace_model.errors import Conflict, HeadraceError, Unavailable

DIRECT_BYTES = 8 << 20
"""Smaller files are not worth the questions."""
_PIECE_BYTES = 1 << 20
_PARTS_AT_ONCE = 4
_CONNECT_S, _SILENCE_S = 3.0, 60.0
_TRIES, _FIRST_PAUSE_S = 4, 0.2
Reached = Callable[[int], None]
"""Hears how many bytes of a file are there."""


class _Failed(Exception):
    """The store did not do what it should; a new URL may help."""


@dataclass(slots=True)
class _Patience:
    """Progress gives new patience."""

    tries: int = 0
    best: int = -1

    async def more(self, at: int) -> bool:
        """Whether to try once more, after a pause where nothing moved since the last time."""
        if at > self.best:
            self.best, self.tries = at, 0
            return True
        self.tries += 1
        if self.tries < _TRIES:
            await asyncio.sleep(_FIRST_PAUSE_S * 2**self.tries)
        return self.tries < _TRIES


class Direct:
    """The direct way of one transfer, for as long as it works. Use as `async with`."""

    def __init__(self, http: Http) -> None:
        self._http = http
        self._works = True
        self._parts = asyncio.Semaphore(_PARTS_AT_ONCE)
        self._session: ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session:
            await self._session.close()

    async def upload(
        self, address: str, file: LocalFile, digest: str, size: int, reached: Reached
    ) -> bool:
        """Upload a file to the dataset at `address`; False: it is to go through the server.

        Goes on where an earlier try, of whomever, broke off. Raises `Conflict` for a file that
        changes meanwhile, `HeadraceError` as the server says.
        """
        asked = {"path": file.item, "size_bytes": size, "sha256": digest}
        patience, before = _Patience(), await asyncio.to_thread(_stamp, file.path)
        while self._works and size > DIRECT_BYTES:
            answer = await self._ask(f"{address}:direct-upload", asked)
            if answer.get("item"):
                return True
            parts = answer.get("parts")
            if not parts or not await patience.more(answer["kept_bytes"]):
                break
            progress = _Progress(answer["kept_bytes"], reached)
            await self._try(all_of([self._put(file.path, part, progress) for part in parts]))
            if await asyncio.to_thread(_stamp, file.path) != before:
                raise Conflict(
                    f"{file.path} changed while it was uploaded",
                    hint="upload it again when nothing writes it",
                )
        self._works = self._works and size <= DIRECT_BYTES
        return False

    async def download(
        self, address: str, item: Mapping[str, Any], part: Path, reached: Reached
    ) -> str:
        """Read what `part` still lacks of an item; the SHA-256 of all, "" where it is to come
        through the server. A break leaves what came.
        """
        size = int(item["size_bytes"])
        if not self._works or size <= DIRECT_BYTES:
            return ""
        kept, patience = await asyncio.to_thread(PartFile, part), _Patience()
        try:
            if kept.size > size:
                await asyncio.to_thread(kept.clear)
            while self._works and kept.size < size and await patience.more(kept.size):
                answer = await self._ask(f"{address}:direct-download", {"path": item["path"]})
                if not answer.get("url"):
                    break
                await self._try(self._get(answer["url"], kept, size, reached))
            if kept.size == size:
                return kept.digest()
            self._works = False
            return ""
        finally:
            await asyncio.to_thread(kept.close)

    async def _ask(self, address: str, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """What the server says; nothing, where it refuses: the other way tells why."""
        try:
            answer: Mapping[str, Any] = await self._http.json("POST", address, body=asked)
            return answer
        except Unavailable:
            raise
        except HeadraceError:
            return {}

    async def _try(self, work: Any) -> None:
        """Do it; what fails, the next question shows. Who can't connect at all gives up."""
        try:
            await work
        except (ClientConnectorError, asyncio.CancelledError) as error:
            self._works = False
            if isinstance(error, asyncio.CancelledError):
                raise
        except (_Failed, ClientError, ConnectionError, TimeoutError):
            return

    async def _put(self, path: Path, part: Mapping[str, Any], progress: "_Progress") -> None:
        length = int(part["size_bytes"])
        async with self._parts:
            body = _read(path, int(part["offset"]), length, progress)
            headers = {"Content-Length": str(length)}
            async with (await self._open()).put(
                URL(part["url"], encoded=True), data=body, headers=headers, allow_redirects=False
            ) as answer:
                if answer.status != 200:
                    raise _Failed

    async def _get(self, url: str, kept: PartFile, size: int, reached: Reached) -> None:
        headers = {"Range": f"bytes={kept.size}-"} if kept.size else {}
        async with (await self._open()).get(
            URL(url, encoded=True), headers=headers, allow_redirects=False
        ) as answer:
            if answer.status != (206 if kept.size else 200):
                raise _Failed
            async for piece in answer.content.iter_chunked(_PIECE_BYTES):
                if kept.size + len(piece) > size:
                    raise _Failed
                await asyncio.to_thread(kept.append, piece)
                reached(kept.size)

    async def _open(self) -> ClientSession:
        """A session of its own: the store never hears the token."""
        if self._session is None:
            trusted = await asyncio.to_thread(trust, self._http.connection)
            timeout = ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=_SILENCE_S)
            if self._session is None:  # another file may have been quicker
                self._session = ClientSession(
                    connector=TCPConnector(ssl=trusted),
                    timeout=timeout,
                    read_bufsize=BUFFER_BYTES,
                    auto_decompress=False,
                )
        return self._session


@dataclass(slots=True)
class _Progress:
    """Adds up what the parts of one file have sent."""

    at: int
    reached: Reached

    def add(self, size: int) -> None:
        self.at += size
        self.reached(self.at)


async def _read(path: Path, offset: int, size: int, progress: _Progress) -> AsyncIterator[bytes]:
    at, end = offset, offset + size
    while at < end:
        piece = await asyncio.to_thread(read_piece, path, at, min(_PIECE_BYTES, end - at))
        if not piece:
            raise _Failed  # the file became shorter
        yield piece
        at += len(piece)
        progress.add(len(piece))


def _stamp(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ino
