"""Noticing that a process has started: it writes a line into a named pipe. Standard library only.

Used alike by Headrace's side and by every peer, so that what it costs is the same for all.
"""

import os
import queue
import threading
import time

REST_S = 0.1
"""How long every side rests after a job: each still has things to put away then, and hyperqueue
lets a task that follows within 20 ms of the last wait for its server's next turn."""


def command(pipe: str) -> list[str]:
    """A program that tells `pipe` of its start: one exec, then a builtin of the shell."""
    return ["/bin/sh", "-c", f"echo > '{pipe}'"]


class Arrivals:
    """Reads the pipe in a thread and notes when each line came (monotonic, ns)."""

    def __init__(self, pipe: str) -> None:
        if not os.path.exists(pipe):
            os.mkfifo(pipe)
        # For writing too: else reading would end with each writer.
        self._file = os.open(pipe, os.O_RDWR | os.O_CLOEXEC)
        self._seen: queue.Queue[int] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def next_ns(self) -> int:
        """Wait for the next start; raises queue.Empty after half a minute."""
        return self._seen.get(timeout=30.0)

    def nth_ns(self, n: int) -> int:
        """Wait for so many starts; gives when the last of them came."""
        last = 0
        for _ in range(n):
            last = self.next_ns()
        return last

    def _read(self) -> None:
        while lines := os.read(self._file, 64):
            for _ in range(lines.count(b"\n")):
                self._seen.put(time.monotonic_ns())
