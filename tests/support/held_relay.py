"""A TCP relay on a free port of this machine that can hold what it passes on, and counts it."""

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

_CHUNK = 65_536


class HeldRelay:
    """Passes bytes on to `port`, both ways: `there` and `back` count them.

    What would make more than `most` there, or back, waits until `most` is None again.
    """

    def __init__(self, port: int) -> None:
        self._to = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._lock = threading.Condition()
        self._open: list[socket.socket] = []
        self._most: int | None = None
        self._waiting = 0
        self.there = self.back = 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def holds(self) -> bool:
        """Whether something waits."""
        with self._lock:
            return self._waiting > 0

    def count_anew(self, most: int | None) -> None:
        """Begin to count at 0, and let what waits go on."""
        with self._lock:
            self._most, self.there, self.back = most, 0, 0
            self._lock.notify_all()

    def close(self) -> None:
        """Let nobody in any more, and break all connections."""
        self.count_anew(None)
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for each in self._open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._to))
            self._open += [client, server]
            for source, target, way in ((client, server, "there"), (server, client, "back")):
                threading.Thread(
                    target=self._pass, args=(source, target, way), daemon=True
                ).start()

    def _pass(self, source: socket.socket, target: socket.socket, way: str) -> None:
        with suppress(OSError):
            while data := source.recv(_CHUNK):
                with self._lock:
                    self._waiting += 1
                    while self._most is not None and getattr(self, way) >= self._most:
                        self._lock.wait()
                    self._waiting -= 1
                    setattr(self, way, getattr(self, way) + len(data))
                target.sendall(data)
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
