"""A server of a test, as a process of its own: started on its files, killed, paused."""

import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic, sleep
from typing import ClassVar

_STOPPED_WITHIN_S = 60.0


class ServerProcess:
    """One server. What it prints goes into `log`.

    The methods block: an async test that runs under `no_blocking` calls them as it likes, because
    only calls made by our own packages count there.
    """

    name: ClassVar[str]
    ready_within_s: ClassVar[float]

    def __init__(self, folder: Path, log: Path) -> None:
        self.folder = folder
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The server's process id; raises RuntimeError while it is not started."""
        return self._running().pid

    def start(self) -> None:
        """Start on the files as they are and wait until it answers; nothing when it runs.

        Raises RuntimeError with the end of the server's log when it ends or stays silent.
        """
        if self._process is not None and self._process.poll() is None:
            return
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=self._environ(),
            )
        deadline = monotonic() + self.ready_within_s
        while not self._answers():
            if self._process.poll() is not None or monotonic() > deadline:
                self.kill9()
                tail = self._log.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{self.name} does not answer; its log ends:\n{tail}")
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

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is None:
            raise RuntimeError(f"{self.name} is not started")
        return self._process

    def _command(self) -> Sequence[str]:
        raise NotImplementedError

    def _environ(self) -> Mapping[str, str] | None:
        """Its environment; None: the test's."""
        return None

    def _answers(self) -> bool:
        """Tell whether it serves already."""
        raise NotImplementedError
