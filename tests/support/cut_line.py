"""A line between a client and a service's unix socket that a test cuts where it likes."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path


class CutLine:
    """Passes bytes on, both ways. `budget` gives how many bytes of answers a connection passes
    before it is cut in the middle of whatever it says; None: all. While `is_down` it lets nobody
    in. What is asked from the words `hold_at` on is held, as if the client were stopped before it
    could say them, until `go` is set; `holds` tells that it has come to that.
    """

    def __init__(self, socket: Path, budget: Callable[[], int | None] | None) -> None:
        self.port = 0
        self.is_down = False
        self.cuts = 0
        self.hold_at = b""
        self.holds, self.go = asyncio.Event(), asyncio.Event()
        self._socket = socket
        self._budget = budget
        self._open: set[asyncio.StreamWriter] = set()
        self._hands: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Break all connections."""
        for writer in self._open:
            writer.transport.abort()

    def hand(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._hands.add(task)
        task.add_done_callback(self._hands.discard)

    async def end(self) -> None:
        """Break all connections, and let nobody in any more."""
        self.is_down = True
        self.cut()
        await asyncio.gather(*self._hands, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left = self._budget() if self._budget else None
        if self.is_down:
            writer.transport.abort()
            return
        try:
            inner_reader, inner = await asyncio.open_unix_connection(str(self._socket))
        except OSError:  # the service is away
            writer.transport.abort()
            return
        self._open |= {writer, inner}
        asking = asyncio.ensure_future(self._ask(reader, inner))
        try:
            while data := await inner_reader.read(65_536):
                if left is not None and len(data) > left:
                    self.cuts += 1
                    writer.write(data[:left])
                    break
                left = None if left is None else left - len(data)
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            self._open -= {writer, inner}
            asking.cancel()
            for each in (writer, inner):
                each.close()
            await asyncio.gather(asking, inner.wait_closed(), return_exceptions=True)

    async def _ask(self, reader: asyncio.StreamReader, inner: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                if self.hold_at and self.hold_at in data:
                    self.holds.set()
                    await self.go.wait()
                inner.write(data)
                await inner.drain()


@contextlib.asynccontextmanager
async def cut_line(
    socket: Path,
    budget: Callable[[], int | None] | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[CutLine]:
    """A line that listens on a free port of this machine; with `tls` as a proxy does."""
    line = CutLine(socket, budget)
    server = await asyncio.start_server(line.hand, "127.0.0.1", 0, ssl=tls)
    line.port = server.sockets[0].getsockname()[1]
    try:
        yield line
    finally:
        server.close()
        await line.end()
