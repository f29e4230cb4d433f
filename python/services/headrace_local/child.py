"""One process that is started again whenever it ends, until it is told to stop."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TextIO

from headrace_adapters.backends.proc_tree import read_stat

_FIRST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 5.0
_STEADY_S: Final = 30.0


class Log:
    """The supervisor's own log: few lines, for people."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def __call__(self, sentence: str) -> None:
        with suppress(OSError):  # a full disk, or a closed terminal
            self._file.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {sentence}\n")
            self._file.flush()


class Child:
    """A process with its log file. It runs in its own session: Ctrl-C is not for it."""

    def __init__(
        self,
        name: str,
        command: Callable[[], Sequence[str]],
        environ: Mapping[str, str],
        output: Path,
        *,
        log: Log,
        grace_s: float,
        changed: Callable[[], None],
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        self._name = name
        self._command = command
        self._environ = environ
        self._output = output
        self._log = log
        self._grace_s = grace_s
        self._changed = changed
        self._ended = ended
        self._stop = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._restarts = 0
        self._last_end = ""

    @property
    def stopping(self) -> bool:
        """Tell whether it was told to stop."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Let `keep` end the process and return."""
        self._stop.set()

    def state(self) -> dict[str, object]:
        """What people may want to know: pid, start time, restarts, how it ended last."""
        stat = read_stat(self._process.pid) if self._process else None
        return {
            "pid": stat.pid if stat else None,
            "start_time": stat.start_time if stat else None,
            "restarts": self._restarts,
            "last_end": self._last_end,
        }

    async def keep(self) -> None:
        """Keep the process running; returns when it has ended after `stop`."""
        pause_s = _FIRST_PAUSE_S
        while not self.stopping:
            began = time.monotonic()
            await self._run_once()
            if self.stopping:
                break
            if time.monotonic() - began > _STEADY_S:
                pause_s = _FIRST_PAUSE_S
            self._log(f"{self._name} {self._last_end}; it starts again in {pause_s:g} s")
            await asyncio.to_thread(self._ended)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
            self._restarts += 1

    async def _run_once(self) -> None:
        """Start the process and return when it has ended, by itself or because of `stop`."""
        try:
            self._process = await self._start()
        except OSError as error:  # no memory, a full disk, a program that is being replaced
            self._last_end = f"can't be started: {error}"
            return
        self._changed()
        ended = asyncio.create_task(self._process.wait())
        stopped = asyncio.create_task(self._stop.wait())
        await asyncio.wait({ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not ended.done():
            await self._end(self._process, ended)
        status = ended.result()
        self._last_end = (
            f"was ended by {signal.Signals(-status).name}"
            if status < 0
            else f"ended with status {status}"
        )
        self._process = None
        self._changed()

    async def _start(self) -> asyncio.subprocess.Process:
        output = os.open(
            self._output, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600
        )
        try:
            return await asyncio.create_subprocess_exec(
                *self._command(),
                env=self._environ,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        finally:
            os.close(output)

    async def _end(self, process: asyncio.subprocess.Process, ended: "asyncio.Task[int]") -> None:
        process.terminate()
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)  # a paused process takes no other signal
        _, late = await asyncio.wait({ended}, timeout=self._grace_s)
        if late:
            self._log(f"{self._name} did not stop within {self._grace_s:g} s and is killed")
            process.kill()
            await asyncio.wait({ended})
