"""WebSockets to the server: a few connections, each shared by many subscriptions.

What each subscription is told waits in an inbox of its own: who reads slowly falls behind alone,
and keeps nobody else waiting. docs/websocket.md describes what is said.
"""

import asyncio
import json
import ssl
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from headrace_client.errors import Behind, Broken, error_of
from headrace_client.http import ROOT, Http
from headrace_client.tls import trust, untrusted
from headrace_model.errors import HeadraceError, Unauthorized, Unavailable
from headrace_wire.live import VERSION

Message = Mapping[str, Any]

_INBOX_BYTES: Final = 4 << 20
_MESSAGE_BYTES: Final = 64 << 20
_MOST_FOLLOWED: Final = 90  # the server takes 100 a connection; what is let go leaves late
_CLOSE_S: Final = 2.0


class Inbox:
    """What one subscription was told and its reader has not taken; bounded."""

    def __init__(self) -> None:
        self._told: deque[tuple[Message, int]] = deque()
        self._bytes = 0
        self._end: HeadraceError | None = None
        self._filled = asyncio.Event()

    def put(self, message: Message, size: int) -> bool:
        """Add a message; False when the reader is too far behind for it."""
        if self._told and self._bytes + size > _INBOX_BYTES:
            return False
        self._told.append((message, size))
        self._bytes += size
        self._filled.set()
        return True

    def end(self, why: HeadraceError) -> None:
        """Let no more come: `why` is raised once what is here was taken."""
        self._end = self._end or why
        self._filled.set()

    async def take(self) -> Message:
        """The next message; raises what the subscription ended by."""
        while not self._told:
            if self._end:
                raise self._end
            self._filled.clear()
            await self._filled.wait()
        message, size = self._told.popleft()
        self._bytes -= size
        return message


class Socket:
    """One connection: reads what comes, and sorts it into the inboxes."""

    def __init__(self, wire: ClientConnection) -> None:
        self._wire = wire
        self._inboxes: dict[str, Inbox] = {}
        # A subscription that comes again has a new name: nothing that is late comes to it.
        self._numbers = count(1)
        self._reading = asyncio.ensure_future(self._read())

    @property
    def is_gone(self) -> bool:
        """Whether the connection has ended."""
        return self._reading.done()

    @property
    def has_room(self) -> bool:
        """Whether another subscription may begin here."""
        return not self.is_gone and len(self._inboxes) < _MOST_FOLLOWED

    @asynccontextmanager
    async def follow(self, asked: Message) -> AsyncIterator[Inbox]:
        """Begin a subscription, and end it with the context."""
        id_, inbox = str(next(self._numbers)), Inbox()
        self._inboxes[id_] = inbox
        try:
            await self._say({"op": "follow", "id": id_, **asked})
            yield inbox
        finally:
            if self._inboxes.pop(id_, None):
                await self._say({"op": "unfollow", "id": id_})

    async def close(self) -> None:
        """Hang up."""
        await self._wire.close()
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)

    async def _say(self, message: Message) -> None:
        with suppress(ConnectionClosed):  # the reader tells the inboxes
            await self._wire.send(json.dumps(message))

    async def _read(self) -> None:
        try:
            while True:
                text = await self._wire.recv(decode=True)
                await self._sort(json.loads(text), len(text))
        except ConnectionClosed as closed:
            why = _why(closed)
        except (ValueError, TypeError, AttributeError, LookupError):
            why = Broken("the server said something without sense")
            await self._wire.close()
        for inbox in self._inboxes.values():
            inbox.end(why)
        self._inboxes.clear()

    async def _sort(self, message: Message, size: int) -> None:
        id_ = str(message.get("id"))
        inbox = self._inboxes.get(id_)
        if inbox is None:
            return
        if message["type"] == "error":
            del self._inboxes[id_]
            inbox.end(error_of(500, message))
        elif not inbox.put(message, size):
            del self._inboxes[id_]
            inbox.end(Behind("what is told comes faster than it is read"))
            await self._say({"op": "unfollow", "id": id_})


class Sockets:
    """The connections of one client: made when they are needed, kept until it is closed."""

    def __init__(self, http: Http) -> None:
        self._http = http
        self._open: list[Socket] = []
        self._connecting: asyncio.Task[None] | None = None
        self._closed = False

    @asynccontextmanager
    async def follow(self, asked: Message) -> AsyncIterator[Inbox]:
        """Begin a subscription on a connection that has room for it.

        Raises `Unauthorized`, `Untrusted`, and `Unavailable` for what may go better later; so
        does the inbox, and what the server refuses the subscription for.
        """
        async with (await self._with_room()).follow(asked) as inbox:
            yield inbox

    async def close(self) -> None:
        """Hang up all connections, for good."""
        self._closed = True
        if self._connecting:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        await asyncio.gather(*(socket.close() for socket in self._open))
        self._open.clear()

    async def _with_room(self) -> Socket:
        while not self._closed:
            for socket in self._open:
                if socket.has_room:
                    return socket
            # Whoever comes meanwhile waits for the same try.
            # One that is over has not told it yet: to wait for it would not let it do so.
            if self._connecting is None or self._connecting.done():
                self._connecting = asyncio.ensure_future(self._connect())
                self._connecting.add_done_callback(self._connected)
            await asyncio.shield(self._connecting)
        raise HeadraceError("this client is closed", hint="make another one")

    def _connected(self, task: asyncio.Task[None]) -> None:
        if self._connecting is task:
            self._connecting = None
        if not task.cancelled():
            task.exception()  # whoever waits for it raises it; perhaps nobody does any more

    async def _connect(self) -> None:
        self._open = [socket for socket in self._open if not socket.is_gone]
        connection = self._http.connection
        url = "ws" + self._http.address.removeprefix("http") + ROOT + "/ws"
        shown = {"Authorization": f"Bearer {connection.token}"} if connection.token else {}
        tls = await asyncio.to_thread(trust, connection) if url.startswith("wss:") else None
        try:
            wire = await _Connect(
                url,
                additional_headers=shown,
                compression=None,
                max_size=_MESSAGE_BYTES,
                close_timeout=_CLOSE_S,
                proxy=None,
                ssl=tls,
            )
        except ssl.SSLError as error:
            raise untrusted(connection, error) from None
        except InvalidStatus as error:
            answer = error.response
            body = bytes(answer.body or b"")
            raise self._http.refused(answer.status_code, body, answer.headers) from None
        except (OSError, InvalidHandshake, EOFError) as error:
            self._http.ask_another()
            raise self._http.unreachable(error) from None
        self._http.met = True
        try:
            await _check_hello(wire)
        except BaseException:
            await wire.close()
            raise
        self._open.append(Socket(wire))


class _Connect(connect):
    """Follows no redirect: a token is shown to the server that it is meant for, to no other."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def _check_hello(wire: ClientConnection) -> None:
    try:
        hello = json.loads(await wire.recv(decode=True))
    except ConnectionClosed as closed:
        raise _why(closed) from None
    if (hello.get("type"), hello.get("v")) != ("hello", VERSION):
        raise HeadraceError(
            f"the server speaks version {hello.get('v')} of live updates, and we {VERSION}",
            hint="install the server's version of headrace",
        )


def _why(closed: ConnectionClosed) -> HeadraceError:
    """What the end of a connection means; the codes stand in docs/websocket.md."""
    code, reason = (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (0, "")
    match code:
        case 4001:
            return Unauthorized(
                "the server no longer takes your token: it is expired or revoked",
                hint="`headrace login`, or ask an admin",
            )
        case 4009:
            return Unavailable(
                f"the server has no room for this live connection: {reason}",
                hint="close clients that you no longer need, and try again",
            )
        case 4000 | 1009:
            return HeadraceError(
                f"the server does not understand this client: {reason or code}",
                hint="install the server's version of headrace",
            )
    return Broken("the live connection to the server broke")
