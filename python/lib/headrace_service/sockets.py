"""The sockets of a public address: how many, how slow they may be, and TLS.

aiohttp bounds none of it: a connection counts from its acceptance here, before any handshake.
"""

import asyncio
import errno
import json
import resource
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from headrace_model.errors import HeadraceError, InvalidInput, Unavailable
from headrace_service.http import problem
from headrace_service.logs import logger

_BACKLOG: Final = 1024
_OTHER_FILES: Final = 1536  # besides its public connections: each passed-on stream needs one too
_REFUSALS_AT_ONCE: Final = 100
_REFUSAL_S: Final = 1.0
_PAUSE_S: Final = 0.1
_HANDSHAKE: Final = 0x16  # the first byte of a TLS record that begins one, RFC 8446 5.1
_SPENT: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


@dataclass(frozen=True, slots=True)
class Sockets:
    """What a public address allows.

    `idle_s`: for a connection that asks nothing; `headers_s`: from the first byte of its first
    request to the end of the headers, and for a TLS handshake. `tls` None: plain HTTP.
    """

    connections_limit: int = 2000
    idle_s: float = 75.0
    headers_s: float = 20.0
    tls: ssl.SSLContext | None = None


def tls_of(cert_file: str, key_file: str) -> ssl.SSLContext | None:
    """The server's side of TLS 1.2 or newer; None where both are empty. Raises `InvalidInput`."""
    if not cert_file and not key_file:
        return None
    if not (cert_file and key_file):
        raise InvalidInput(
            f"there is a TLS {'certificate' if cert_file else 'key'} and no "
            f"{'key' if cert_file else 'certificate'}",
            hint="give both tls_cert_file and tls_key_file, or neither",
        )
    for path in (cert_file, key_file):
        try:
            Path(path).read_bytes()
        except OSError as error:
            raise InvalidInput(f"the TLS file {path} can't be read: {error.strerror}") from None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(cert_file, key_file, password=_no_password)
    except ssl.SSLError as error:
        raise InvalidInput(
            f"{cert_file} and {key_file} are no certificate (chain) and its key, as PEM: "
            f"{error.reason or error}",
            hint="the certificate comes first in its file, then those that lead to its CA",
        ) from None
    return context


def _no_password() -> str:
    raise InvalidInput("the TLS key is encrypted", hint="keep it unencrypted, with mode 0600")


class PublicSite(web.BaseSite):
    """Listens on a host and port for a runner, within the limits of `Sockets`."""

    __slots__ = ("_accepting", "_beginning", "_guests", "_host", "_limit", "_listening", "_open",
                 "_port", "_refused", "_sockets")  # fmt: skip

    def __init__(self, runner: web.BaseRunner, host: str, port: int, sockets: Sockets) -> None:
        super().__init__(runner)
        self._host, self._port, self._sockets = host, port, sockets
        self._limit = sockets.connections_limit
        self._listening: list[socket.socket] = []
        self._accepting: list[asyncio.Task[None]] = []
        self._beginning: set[asyncio.Task[None]] = set()
        self._guests: dict[object, _Guest] = {}
        self._open = 0
        self._refused = 0

    @property
    def name(self) -> str:
        """The address that it listens on."""
        return f"{'https' if self._sockets.tls else 'http'}://{self._host}:{self._port}"

    async def start(self) -> None:
        """Listen; raises OSError where the address can't be had."""
        await super().start()
        self._limit = min(self._limit, _room_for_files(self._limit))
        self._hear_of_requests()
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(
            self._host, self._port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for family, address in sorted({(each[0], each[4][:2]) for each in found}):
            listening = socket.create_server(address, family=family, backlog=_BACKLOG)
            listening.setblocking(False)
            self._listening.append(listening)
            self._accepting.append(loop.create_task(self._accept(listening)))

    async def stop(self) -> None:
        """Take no more connections; those that there are belong to the runner."""
        tasks = [*self._accepting, *self._beginning]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for listening in self._listening:
            listening.close()
        await super().stop()

    def _hear_of_requests(self) -> None:
        """Hear of each request whose headers are complete: aiohttp makes its object then."""
        server = _server_of(self._runner)
        make = server.request_factory

        def heard(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> Any:
            if guest := self._guests.get(protocol):
                guest.headers_are_there()
            return make(message, payload, protocol, writer, task)

        server.request_factory = heard

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(listening)
            except OSError as error:  # a peer that left before it was accepted, or:
                if error.errno in _SPENT:
                    logger("sockets").error(f"nobody can be let in: {error}", action="accept")
                    await asyncio.sleep(_PAUSE_S)
                continue
            full = self._open >= self._limit
            if full and self._refused >= _REFUSALS_AT_ONCE:
                connection.close()
                continue
            self._open += not full
            self._refused += full
            task = loop.create_task(self._begin(connection, full))
            self._beginning.add(task)
            task.add_done_callback(self._beginning.discard)

    async def _begin(self, connection: socket.socket, full: bool) -> None:
        """Hand a connection to the runner, or say why not. A peer that leaves is no error."""
        answer = _full(self._limit) if full else None
        tls = self._sockets.tls
        guest: _Guest | None = None
        try:
            if tls and not await self._speaks_tls(connection):
                tls, answer = None, _NO_TLS
            if answer is None:
                guest = self._new_guest()
                await self._connect(guest, connection, tls)
            else:
                await self._refuse(answer, connection, tls)
        except (OSError, TimeoutError):
            connection.close()
        finally:
            if full:
                self._refused -= 1
            elif guest is None:
                self._open -= 1
            elif not guest.begun:  # the handshake failed: aiohttp has not heard of it
                guest.leave()

    async def _refuse(
        self, answer: bytes, connection: socket.socket, tls: ssl.SSLContext | None
    ) -> None:
        refusal = _Refusal(answer)
        await self._connect(refusal, connection, tls)
        await refusal.over.wait()

    async def _connect(
        self, protocol: asyncio.Protocol, connection: socket.socket, tls: ssl.SSLContext | None
    ) -> None:
        loop, limit_s = asyncio.get_running_loop(), self._sockets.headers_s if tls else None
        await loop.connect_accepted_socket(
            lambda: protocol, connection, ssl=tls, ssl_handshake_timeout=limit_s
        )

    async def _speaks_tls(self, connection: socket.socket) -> bool:
        """Look at the first byte, and leave it there. Raises TimeoutError, OSError."""
        loop = asyncio.get_running_loop()
        readable: asyncio.Future[None] = loop.create_future()
        number = connection.fileno()
        loop.add_reader(number, _settle, readable)
        try:
            async with asyncio.timeout(self._sockets.headers_s):
                await readable
        except asyncio.CancelledError:  # the site stops, and no protocol has it yet
            loop.remove_reader(number)
            connection.close()
            raise
        finally:
            loop.remove_reader(number)
        first = connection.recv(1, socket.MSG_PEEK)
        if not first:
            raise ConnectionResetError("it has said nothing")
        return first[0] == _HANDSHAKE

    def _new_guest(self) -> "_Guest":
        inner = _server_of(self._runner)()

        def left() -> None:
            if self._guests.pop(inner, None):
                self._open -= 1

        guest = _Guest(inner, self._sockets.headers_s, left)
        self._guests[inner] = guest
        return guest


def _settle(waiting: "asyncio.Future[None]") -> None:
    if not waiting.done():
        waiting.set_result(None)


def _server_of(runner: web.BaseRunner) -> web.Server:
    if runner.server is None:
        raise AssertionError("a runner is set up before its sites start")
    return runner.server


class _Guest(asyncio.Protocol):
    """Passes everything on to aiohttp's protocol, and ends a connection whose headers trickle.

    Those of a later request have to be there within `idle_s`, which aiohttp counts from the last
    answer on, whatever comes meanwhile.
    """

    def __init__(
        self, inner: asyncio.Protocol, headers_s: float, leave: Callable[[], None]
    ) -> None:
        self._inner = inner
        self._headers_s = headers_s
        self._transport: asyncio.Transport | None = None
        self._late: asyncio.TimerHandle | None = None
        self.leave = leave

    @property
    def begun(self) -> bool:
        """Tell whether there is, or was, a connection that can be talked on."""
        return self._transport is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = _stream(transport)
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._late is None and self._transport is not None:
            loop = asyncio.get_running_loop()
            self._late = loop.call_later(self._headers_s, self._transport.abort)
        self._inner.data_received(data)

    def headers_are_there(self) -> None:
        if self._late:
            self._late.cancel()

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self.headers_are_there()
        self.leave()
        self._inner.connection_lost(exc)


def _stream(transport: asyncio.BaseTransport) -> asyncio.Transport:
    if not isinstance(transport, asyncio.Transport):
        raise AssertionError("the transport of a socket reads and writes")
    return transport


class _Refusal(asyncio.Protocol):
    """Says one answer and ends; what comes in is read and dropped, or the answer would be lost."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self.over = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        stream = _stream(transport)
        stream.write(self._answer)
        if stream.can_write_eof():  # not with TLS
            stream.write_eof()
        asyncio.get_running_loop().call_later(_REFUSAL_S, stream.close)

    def connection_lost(self, exc: Exception | None) -> None:
        self.over.set()


def _raw(error: HeadraceError, status: int, reason: str) -> bytes:
    """A whole answer, for connections that reach no application."""
    made = problem(error, "none", status)
    body = made.body if isinstance(made.body, bytes) else json.dumps({}).encode()
    head = [
        f"HTTP/1.1 {status} {reason}",
        "Content-Type: application/problem+json",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *(["Retry-After: 2"] if error.retryable else []),
    ]
    return "\r\n".join([*head, "", ""]).encode() + body


def _full(limit: int) -> bytes:
    error = Unavailable(f"{limit} connections are open already", hint="try again in a moment")
    return _raw(error, 503, "Service Unavailable")


_NO_TLS: Final = _raw(
    InvalidInput("this address speaks HTTPS, not HTTP", hint="write https:// in the URL"),
    400,
    "Bad Request",
)


def _room_for_files(connections: int) -> int:
    """Raise the limit on open files where it may be; returns how many connections it allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return connections
    return max(1, soft - _OTHER_FILES) if soft > _OTHER_FILES else max(1, soft // 2)
