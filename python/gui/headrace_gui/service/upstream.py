"""The request service, the only one that the GUI talks to."""

import ipaddress
import json
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from aiohttp import (
    AddrInfoType,
    ClientError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    StreamReader,
    TCPConnector,
)
from aiohttp.client_ws import ClientWebSocketResponse
from yarl import URL

from headrace_client.connection import Connection
from headrace_client.errors import error_of
from headrace_client.tls import trust
from headrace_model.errors import HeadraceError, NotFound, Unavailable
from headrace_service.logs import logger
from headrace_wire.operations.parameters import ROOT

_BUFFER_BYTES: Final = 256 * 1024
_CONNECT_S: Final = 5.0
_ANSWER_S: Final = 30.0
_READ_S: Final = 60.0  # without a byte: a call that waits on purpose does so for 30 s at most
_CHANGE_S: Final = 300.0  # the same once its body is sent: some end their work first
_GONE_AFTER_S: Final = 120  # a machine that says nothing, or a body that nobody reads on
_ASK_AFTER_S: Final = 30
_MESSAGE_BYTES: Final = 16 * 2**20  # a snapshot of many jobs is one message
_HEARTBEAT_S: Final = 20.0


class Upstream:
    """One session with the request service. Opened once the event loop runs."""

    def __init__(self, url: str, ca_file: str = "", tls_name: str = "") -> None:
        self._tls_name = tls_name or None
        self._url = url.rstrip("/")
        self._trust = trust(Connection(self._url, "", ca_file or None))
        if isinstance(self._trust, ssl.SSLContext) and _is_loopback(self._url):
            # On this very machine the certificate itself is known, whatever name it is for.
            self._trust.check_hostname = False
        self._session: ClientSession | None = None
        self._log = logger("gui")

    async def open(self) -> None:
        """Make the session; no connection is made yet."""
        # No bound on connections, since browsers bound theirs, nor on a whole call: logs are
        # followed for days.
        self._session = ClientSession(
            connector=TCPConnector(limit=0, ssl=self._trust, socket_factory=_socket),
            timeout=ClientTimeout(total=None, sock_connect=_CONNECT_S),
            read_bufsize=_BUFFER_BYTES,
        )

    async def close(self) -> None:
        """Close the session."""
        if self._session:
            await self._session.close()

    @property
    def session(self) -> ClientSession:
        """The session, once it is open."""
        assert self._session is not None, "open() comes first"  # noqa: S101 - a fault of ours
        return self._session

    def down(self, error: Exception) -> Unavailable:
        """Say that the service does not answer."""
        self._log.warning(f"the request service does not answer: {error!r}", action="upstream")
        return Unavailable(
            "Headrace does not answer just now",
            hint="it is started again by itself; what you typed is still here, try again soon",
        )

    async def ready(self) -> None:
        """Raise `Unavailable` where the request service is not ready."""
        async with self._open("GET", "/health/ready", {}):
            pass

    async def json(
        self, method: str, path: str, headers: Mapping[str, str], body: object = None
    ) -> Any:
        """Call the API and read its JSON answer, None where it is empty.

        Raises the error that its problem means; `Unavailable`.
        """
        async with self._open(method, ROOT + path, headers, json=body) as answer:
            return await answer.json() if answer.status != 204 else None

    @asynccontextmanager
    async def _open(
        self, method: str, path: str, headers: Mapping[str, str], **more: Any
    ) -> AsyncIterator[ClientResponse]:
        try:
            async with self.session.request(
                method,
                self._url + path,
                headers=headers,
                timeout=ClientTimeout(total=_ANSWER_S, sock_connect=_CONNECT_S),
                server_hostname=self._tls_name,
                **more,
            ) as answer:
                if answer.status >= 400:
                    raise await _problem(answer)
                yield answer
        except (ClientError, OSError) as error:
            raise self.down(error) from None

    async def call(
        self, method: str, raw_path: str, headers: Mapping[str, str], body: StreamReader | None
    ) -> ClientResponse:
        """Call a path (with its query) that is encoded already; its answer is read by the caller.

        Nothing is added, followed or unpacked. Raises `Unavailable`; `NotFound` for what is no
        path (a whole address): put behind ours it would name another host.
        """
        if not raw_path.startswith("/") or raw_path.startswith("//"):
            raise NotFound("the API has no such address")
        url = URL(self._url + raw_path, encoded=True)
        silence_s: float | None = _READ_S if method in ("GET", "HEAD") else _CHANGE_S
        if "follow" in url.query:
            silence_s = None
        try:
            return await self.session.request(
                method,
                url,
                headers=headers,
                data=body,
                allow_redirects=False,
                skip_auto_headers=("Content-Type", "User-Agent", "Accept", "Accept-Encoding"),
                auto_decompress=False,
                timeout=ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=silence_s),
                server_hostname=self._tls_name,
            )
        except (ClientError, OSError) as error:
            raise self.down(error) from None

    async def live(self, headers: Mapping[str, str]) -> ClientWebSocketResponse:
        """Open the WebSocket of live updates. Raises `ClientError`, `OSError`."""
        return await self.session.ws_connect(
            f"{self._url}{ROOT}/ws",
            headers=headers,
            server_hostname=self._tls_name,
            heartbeat=_HEARTBEAT_S,
            max_msg_size=_MESSAGE_BYTES,
        )


def _socket(address: AddrInfoType) -> socket.socket:
    """A socket that sees when its other end is gone, however long nothing is said."""
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _ASK_AFTER_S)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _ASK_AFTER_S)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000 * _GONE_AFTER_S)
    return made


async def _problem(answer: ClientResponse) -> HeadraceError:
    try:
        plain = json.loads(await answer.read())
    except ValueError:
        plain = None
    after = answer.headers.get("Retry-After", "")
    return error_of(answer.status, plain, after_s=int(after) if after.isdecimal() else None)


def _is_loopback(url: str) -> bool:
    host = URL(url).host or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
