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
        self._whole = whole_lines(content)
        if self._whole < len(content):
            os.truncate(self._path, self._whole)
        if not self._whole:
            self._append(first_line(digest))

    def add(self, iteration: Iteration) -> None:
        """Add one, from any thread; it is on the disk when this returns.

        Raises `OSError` where the disk takes no more: then the record is as it was.
        """
        with self._lock:
            self._append(line_of(iteration))

    def _append(self, line: bytes) -> None:
        # Without a buffer: closing one writes once more what could not be written.
        with self._path.open("ab", buffering=0) as file:
            if file.seek(0, os.SEEK_END) > self._whole:  # of a line that could not be taken back
                file.truncate(self._whole)
            try:
                left = memoryview(line)
                while left:
                    left = left[file.write(left) :]
                os.fsync(file.fileno())
            except OSError:
                file.truncate(self._whole)
                raise
        self._whole += len(line)
