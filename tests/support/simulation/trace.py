"""What happened, line by line: printed, its end kept, its digest taken."""

import sys
from collections import deque
from hashlib import sha256
from pathlib import Path
from typing import Any, TextIO

from tests.support.simulation.loop import PROCESS, SimulatedLoop

_KEPT = 200
_LONGEST = 400


class Trace:
    """The lines of one simulation. `out`: where all of them go as they come; None: nowhere."""

    def __init__(self, loop: SimulatedLoop, out: TextIO | None = None) -> None:
        self._loop = loop
        self._out = out
        self._here = f"{Path.cwd()}/"  # another one each time
        self._digest = sha256()
        self.tail: deque[str] = deque(maxlen=_KEPT)
        self.lines = 0

    @property
    def digest(self) -> str:
        """Of all lines so far: two runs of a seed have the same."""
        return self._digest.hexdigest()

    def say(self, text: str) -> None:
        """Add a line of what happened now."""
        line = f"{self._loop.now_s:10.4f} {text}".replace(self._here, "")
        self.lines += 1
        self._digest.update(line.encode(errors="surrogateescape"))
        line = line if len(line) <= _LONGEST else line[:_LONGEST] + "…"
        self.tail.append(line)
        if self._out is not None:
            print(line, file=self._out, flush=True)

    def log(self, method: str, event: dict[str, Any]) -> None:
        """Add a line of a service's log."""
        process = PROCESS.get()
        said = event.pop("event", "")
        event.pop("service", None)
        rest = " ".join(f"{name}={value}" for name, value in event.items() if value is not None)
        self.say(f"{process.name if process else '-':8} {method}: {said} {rest}")


def to_stderr() -> TextIO:
    """Where a trace is followed."""
    return sys.stderr
