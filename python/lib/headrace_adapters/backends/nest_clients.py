"""The nest's clients: many at a time, none able to hold up the nest or the others.

Nothing blocks: what a client sends is collected until a line is whole, what it is sent waits
in memory until its socket takes it. One that leaves too much unread is dropped; it finds
everything again by `list` when it comes back.
"""

import contextlib
import selectors
import socket
from collections.abc import Callable
from typing import Final

from headrace_adapters.backends.nest_wire import LineBuffer, Message, decode, encode
from headrace_model.errors import HeadraceError

MAX_CLIENTS: Final = 128
MAX_UNREAD_BYTES: Final = 16 * 1024 * 1024
_RECEIVE_BYTES: Final = 256 * 1024

Answer = Callable[["Client", Message], Message]


class Client:
    """One connection."""

    __slots__ = ("lines", "socket", "subscribed", "unread")

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.lines = LineBuffer()
        self.unread = bytearray()
        self.subscribed = False


class Clients:
    """All connections of one listening socket; `answer` gives a request's reply."""

    def __init__(self, listener: socket.socket, answer: Answer) -> None:
        self._selector = selectors.DefaultSelector()
        self._listener = listener
        self._answer = answer
        self._clients: set[Client] = set()
        listener.setblocking(False)
        self._selector.register(listener, selectors.EVENT_READ)

    def watch(self, wakeup: socket.socket) -> None:
        """Let `serve` return, too, when something arrives here (and take it away)."""
        self._selector.register(wakeup, selectors.EVENT_READ, wakeup)

    def serve(self, timeout_s: float | None) -> None:
        """Wait for what comes, at most so long (None: for ever), and answer it."""
        for key, events in self._selector.select(timeout_s):
            if isinstance(key.data, Client):
                client = key.data
                if events & selectors.EVENT_READ and client in self._clients:
                    self._receive(client)
                if events & selectors.EVENT_WRITE and client in self._clients:
                    self._flush(client)
            elif key.data is None:
                self._accept()
            else:
                with contextlib.suppress(BlockingIOError):
                    key.data.recv(4096)

    def push(self, message: Message) -> None:
        """Send to all subscribers."""
        line = encode(message)
        for client in [client for client in self._clients if client.subscribed]:
            self._send(client, line)

    def close(self) -> None:
        """Drop all clients and listen no more."""
        for client in list(self._clients):
            self._flush(client)
            self._drop(client)
        self._selector.close()
        self._listener.close()

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:  # it went away again, or there are no file numbers left
            return
        if len(self._clients) >= MAX_CLIENTS:
            connection.close()
            return
        connection.setblocking(False)
        client = Client(connection)
        self._clients.add(client)
        self._selector.register(connection, selectors.EVENT_READ, client)

    def _receive(self, client: Client) -> None:
        try:
            data = client.socket.recv(_RECEIVE_BYTES)
            lines = client.lines.feed(data)
        except BlockingIOError:
            return
        except (OSError, HeadraceError):
            self._drop(client)
            return
        if not data:
            self._drop(client)
            return
        for line in lines:
            if client not in self._clients:
                return
            self._send(client, encode(self._reply(client, line)))

    def _reply(self, client: Client, line: bytes) -> Message:
        number = None
        try:
            request = decode(line)
            number = request.get("id")
            return {"id": number, **self._answer(client, request)}
        except HeadraceError as error:
            return {"id": number, "error": {"code": error.code, "message": str(error)}}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            message = f"a request to the nest lacks a field or has a wrong one: {error!r}"
            return {"id": number, "error": {"code": "INVALID_INPUT", "message": message}}

    def _send(self, client: Client, line: bytes) -> None:
        if len(client.unread) + len(line) > MAX_UNREAD_BYTES:
            self._drop(client)
            return
        waiting = bool(client.unread)
        client.unread += line
        if not waiting:
            self._flush(client)

    def _flush(self, client: Client) -> None:
        try:
            while client.unread:
                sent = client.socket.send(client.unread[:_RECEIVE_BYTES])
                del client.unread[:sent]
        except BlockingIOError:
            pass
        except OSError:
            self._drop(client)
            return
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if client.unread else 0)
        if self._selector.get_key(client.socket).events != events:
            self._selector.modify(client.socket, events, client)

    def _drop(self, client: Client) -> None:
        if client in self._clients:
            self._clients.discard(client)
            self._selector.unregister(client.socket)
            client.socket.close()
