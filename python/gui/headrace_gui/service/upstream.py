"""The request service, the only one that the GUI talks to."""

import ipaddress
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from aiohttp import (
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
from headrace_model.errors import HeadraceError, Unavailable
from headrace_service.logs import logger
from headrace_wire.operations.parameters import ROOT

_BUFFER_BYTES: Final = 256 * 1024
_CONNECT_S: Final = 5.0
_ANSWER_S: Final = 30.0
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
        # No bound on time or connections: logs are followed for days, and browsers bound theirs.
        self._session = ClientSession(
            connector=TCPConnector(limit=0, ssl=self._trust),
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

        Nothing is added, followed or unpacked. Raises `Unavailable`.
        """
        try:
            return await self.session.request(
                method,
                URL(self._url + raw_path, encoded=True),
                headers=headers,
                data=body,
                allow_redirects=False,
                skip_auto_headers=("Content-Type", "User-Agent", "Accept", "Accept-Encoding"),
                auto_decompress=False,
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
