"""The record on the disk: what it holds survives whatever ends the worker."""

import os
import threading
from pathlib import Path
from typing import Final

from headrace_calibration.core.course import Iteration
from headrace_calibration.core.record import first_line, line_of, read_record, whole_lines

FILE: Final = "iterations.jsonl"


class Record:
    """The file `iterations.jsonl` in a checkpoint. `found` has what it held, by number."""

    def __init__(self, checkpoint: Path, digest: str) -> None:
        self._path = checkpoint / FILE
        self._lock = threading.Lock()
        content = self._path.read_bytes() if self._path.exists() else b""
        self.found = read_record(content, digest)
        whole = whole_lines(content)
        if whole < len(content):
            os.truncate(self._path, whole)
        if not whole:
            self._append(first_line(digest))

    def add(self, iteration: Iteration) -> None:
        """Add one, from any thread; it is on the disk when this returns."""
        with self._lock:
            self._append(line_of(iteration))

    def _append(self, line: bytes) -> None:
        with self._path.open("ab") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
