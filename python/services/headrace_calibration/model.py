"""One run of the model: a process of its own, whose output stays in its folder."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from headrace_calibration.core.plan import Model
from headrace_calibration.folders import RunFolder
from headrace_kinds.placeholders import render

_LAST_LINES: Final = 15
_LAST_BYTES: Final = 4_000
# Who ends a worker by a signal ends its models too, perhaps first: that is no failure of theirs.
_FORGIVEN_S: Final = 2.0


@dataclass(slots=True)
class Running:
    """The processes that run now, so that all can be ended at once."""

    stopped: threading.Event = field(default_factory=threading.Event)
    _groups: set[int] = field(default_factory=set)
    # A signal may come while the main thread holds it.
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def start(self, command: list[str], env: Mapping[str, str], folder: RunFolder) -> "_Process":
        """Start one, in a process group of its own; raises `OSError`, `InterruptedError`."""
        with self._lock:
            if self.stopped.is_set():
                raise InterruptedError("the calibration is being stopped")
            with folder.said.open("wb") as said:
                process = subprocess.Popen(  # noqa: S603 - the command that the job asks for
                    command,
                    cwd=folder.work,
                    env=dict(env),
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=said,
                    start_new_session=True,
                )
            self._groups.add(process.pid)
        return process

    def forget(self, process: "_Process") -> None:
        """It ended; what it left running ends with it."""
        _end(process.pid)
        with self._lock:
            self._groups.discard(process.pid)

    def stop(self) -> None:
        """End all, and let none start any more."""
        self.stopped.set()
        with self._lock:
            for each in self._groups:
                _end(each)


_Process = subprocess.Popen[bytes]


def _end(group: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def run_model(model: Model, folder: RunFolder, env: Mapping[str, str], running: Running) -> str:
    """Run it to its end; returns why it failed, empty where it did not.

    Raises `InterruptedError` when it was ended because the calibration is.
    """
    paths = folder.paths()
    command = [render(each, paths) for each in model.command]
    own = {name: render(each, paths) for name, each in model.env.items()}
    began = time.monotonic()
    try:
        process = running.start(command, {**env, **own}, folder)
    except InterruptedError:
        raise
    except OSError as error:
        _forgive(running, 0.0)
        return f"{command[0]} can't be started: {error.strerror}"
    try:
        code = process.wait(model.limit_s)
    except subprocess.TimeoutExpired:
        _end(process.pid)
        process.wait()
        _forgive(running, 0.0)
        return f"it ran longer than {model.limit_s:g} s, the model's limits.time"
    finally:
        running.forget(process)
    # A shell tells the signal that ended its child as 128 and more; a model may catch it.
    _forgive(running, 0.0 if code == 0 else _FORGIVEN_S)
    if code == 0:
        return ""
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    last = last_lines(folder.said)
    return f"{how} after {time.monotonic() - began:.1f} s" + (f"\n{last}" if last else "")


def _forgive(running: Running, wait_s: float) -> None:
    """However a model ends while the calibration is stopped, or within a time: not its fault."""
    if running.stopped.wait(wait_s):
        raise InterruptedError("the calibration is being stopped")


def last_lines(file: Path) -> str:
    """The end of what a model wrote, for people."""
    with file.open("rb") as said:
        said.seek(max(0, said.seek(0, os.SEEK_END) - _LAST_BYTES))
        text = said.read().decode("utf-8", "replace")
    lines = [each.rstrip() for each in text.splitlines() if each.strip()]
    return "\n".join(lines[-_LAST_LINES:])
