"""HTTP to a Headrace server: problems become exceptions, and what may be repeated is repeated."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

from aiohttp import (
    ClientConnectionError,
    ClientConnectorCertificateError,
    ClientConnectorError,
    ClientConnectorSSLError,
    ClientError,
    ClientPayloadError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    TCPConnector,
)
from yarl import URL

from headrace_client.connection import Connection
from headrace_client.errors import Unreachable, error_of
from headrace_client.tls import trust, untrusted
from headrace_model.errors import HeadraceError, RateLimited, Unavailable

ROOT = "/api/v1"
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 2.0
_FIRST_CONTACT_S = 3.0
BUFFER_BYTES = 1 << 20
GONE = (ClientConnectionError, ClientPayloadError, ConnectionError, TimeoutError)


class Http:
    """One session with a server. `patience_s`: how long a server that went away is waited for.

    A server that never answered is given up sooner: it is probably not there at all. `met` is set
    by whoever had an answer of it.
    """

    def __init__(self, connection: Connection, *, patience_s: float = 60.0) -> None:
        self.connection = connection
        self._patience_s = patience_s
        self._session: ClientSession | None = None
        self.met = False
        self._limited: tuple[float, RateLimited] | None = None  # until when nothing is asked
        self._asked = 0  # which of the addresses

    async def __aenter__(self) -> Self:
        token = self.connection.token
        self._session = ClientSession(
            headers={"Authorization": f"Bearer {token}"} if token else {},
            connector=TCPConnector(ssl=await asyncio.to_thread(trust, self.connection)),
            timeout=ClientTimeout(total=None, sock_connect=self._connect_s, sock_read=300.0),
            read_bufsize=BUFFER_BYTES,
        )
        return self

    @property
    def address(self) -> str:
        """The address that is asked now, of those of the connection."""
        return self.connection.urls[self._asked]

    def ask_another(self) -> None:
        """Take the next address from now on: the one that was asked let nobody in."""
        self._asked = (self._asked + 1) % len(self.connection.urls)

    @property
    def _connect_s(self) -> float:
        """A machine without power refuses nothing: do not wait long where there is another."""
        return 3.0 if len(self.connection.urls) > 1 else 10.0

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session:
            await self._session.close()

    async def json(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        query: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        once: bool = False,
    ) -> Any:
        """Call and read a JSON answer (None when empty), again until the server answers.

        For calls that may be repeated: reads, verbs, and what carries an Idempotency-Key. With
        `once` a call that may have arrived is not repeated when its answer is lost.
        Raises the error that the server's problem means; `Unreachable`.
        """
        data = None if body is None else json.dumps(body).encode()
        sent = {"Content-Type": "application/json"} if data is not None else {}
        async for last in self.tries():
            try:
                async with self.open(
                    method, path, query=query, headers={**sent, **(headers or {})}, data=data
                ) as answer:
                    text = await answer.read()
                    return json.loads(text) if text else None
            except Unavailable:
                if last:
                    raise
            except GONE as error:
                if last or (once and not isinstance(error, ClientConnectorError)):
                    raise self.unreachable(error) from None
        raise AssertionError("tries() ends with a last one")

    async def tries(self) -> AsyncIterator[bool]:
        """Yield for each try, after growing pauses; True for the last one.

        Where the server said how long it wants no request (429) nothing is sent before, and that
        it said so is raised when it is longer than the patience.
        """
        loop = asyncio.get_running_loop()
        started, pause_s = loop.time(), _FIRST_PAUSE_S
        while True:
            patience_s = self._patience_s if self.met else min(self._patience_s, _FIRST_CONTACT_S)
            last = loop.time() - started >= patience_s
            yield last
            if last:
                return
            until, limited = self._limited or (0.0, None)
            if limited and until > started + self._patience_s:
                raise limited
            await asyncio.sleep(max(pause_s, until - loop.time()))
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    @asynccontextmanager
    async def open(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        data: Any = None,
        takes: tuple[int, ...] = (),
    ) -> AsyncIterator[ClientResponse]:
        """Call once and give the answer; one of 400 or above, unless in `takes`, is raised."""
        if self._session is None:
            raise AssertionError("use the client as `async with Client(…) as client`")
        url = URL(self.address + ROOT + path, encoded=True)
        if query:
            url = url.with_query(query)
        try:
            async with self._session.request(
                method, url, headers=headers, data=data, allow_redirects=False
            ) as answer:
                self.met = True
                if answer.status >= 300 and answer.status not in takes:
                    raise self.refused(answer.status, await _start_of(answer), answer.headers)
                yield answer
        except (ClientConnectorCertificateError, ClientConnectorSSLError) as refused:
            # No patience: a certificate does not get better by waiting.
            raise untrusted(self.connection, refused) from None
        except (ClientConnectorError, ConnectionTimeoutError):
            self.ask_another()
            raise

    def refused(self, status: int, body: bytes, headers: Mapping[str, str]) -> HeadraceError:
        """The error that an answer of 300 or above means; one of 429 is heeded by `tries`."""
        try:
            plain = json.loads(body)
        except ValueError:
            plain = None
        after = headers.get("Retry-After", "")
        error = error_of(status, plain, after_s=int(after) if after.isdecimal() else None)
        if isinstance(error, RateLimited):
            self._limited = (asyncio.get_running_loop().time() + error.after_s, error)
        return error

    def unreachable(self, error: Exception) -> Unreachable:
        """Say that no server answers."""
        cause = getattr(error, "os_error", error)
        why = getattr(cause, "strerror", None) or f"{cause}" or type(cause).__name__
        return Unreachable(
            f"no Headrace answers at {' or '.join(self.connection.urls)}: {why}",
            hint="`headrace doctor` tells what is wrong, or `headrace local up` starts it here",
        )


async def _start_of(answer: ClientResponse) -> bytes:
    try:
        return await answer.content.read(1 << 20)
    except ClientError:
        return b""
