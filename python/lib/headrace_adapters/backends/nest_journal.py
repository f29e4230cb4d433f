"""The nest's journal: what was to be started, what was started, how it ended.

An append-only file of JSON lines, each written by one write(2) before what it tells takes
effect: the intent before the exec, the exit before it is reported. Nothing is fsynced on these
ways, on purpose: the journal has to survive the kill of the nest, for which the kernel's page
cache is enough. When the machine itself dies so does every worker; the boot id then tells that
each worker without an exit is lost, and an intent that never reached the disk belonged to a
process that is gone too. Only a rewritten journal is fsynced before it takes the old one's name.
"""

import contextlib
import json
import os
from collections.abc import Iterable
from typing import Any, Final

_COMPACT_BYTES: Final = 256 * 1024

Record = dict[str, Any]
"""One worker: key, boot, memory, exclusive; pid and start once started; exit once gone."""


def _line(entry: Record) -> bytes:
    return json.dumps(entry, separators=(",", ":")).encode("ascii") + b"\n"


def replay(data: bytes) -> dict[str, Record]:
    """Turn a journal's bytes into records by key, in the order of their intents.

    Lines that are torn, of NULs or otherwise unreadable are passed over: a writer killed in
    the middle of a line had not yet acted on it.
    """
    records: dict[str, Record] = {}
    for line in data.split(b"\n"):
        try:
            match json.loads(line):
                case {"intent": {"key": str(key)} as intent}:
                    records[key] = dict(intent)
                case {"started": str(key), "pid": int(pid), "start": int(start)}:
                    records[key] |= {"pid": pid, "start": start}
                case {"exit": {"key": str(key)} as ended}:
                    records[key] |= {"exit": dict(ended)}
                case {"forget": list(keys)}:
                    for key in keys:
                        records.pop(key, None)
        except (ValueError, KeyError, RecursionError):
            continue
    return records


def _snapshot(record: Record) -> bytes:
    intent = {name: record[name] for name in ("key", "boot", "memory", "exclusive")}
    if record.get("log") is not None:
        intent["log"] = record["log"]
    text = _line({"intent": intent})
    if record.get("pid") is not None:
        text += _line({"started": record["key"], "pid": record["pid"], "start": record["start"]})
    if record.get("exit") is not None:
        text += _line({"exit": record["exit"]})
    return text


class Journal:
    """The journal file of one nest; only the holder of the folder's lock may have one."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._file).st_size
        self._size_when_compacted = 0

    def read(self) -> dict[str, Record]:
        """Replay the whole file; half a line at its end is cut off."""
        data = b""
        while part := os.pread(self._file, 1 << 20, len(data)):
            data += part
        self._size = data.rfind(b"\n") + 1
        os.ftruncate(self._file, self._size)
        return replay(data[: self._size])

    def intend(self, record: Record) -> None:
        """Note that a worker is about to be started; raises OSError when the disk refuses."""
        self._write(_line({"intent": record}))

    def started(self, key: str, pid: int, start_time: int) -> None:
        """Note a worker's process; raises OSError."""
        self._write(_line({"started": key, "pid": pid, "start": start_time}))

    def exited(self, exit_record: Record) -> None:
        """Note how a worker ended; raises OSError."""
        self._write(_line({"exit": exit_record}))

    def forget(self, keys: list[str], left: Iterable[Record]) -> None:
        """Drop workers; `left` are all others, for when it is time to rewrite. Raises OSError.

        A rewrite comes when the file has doubled since the last, so its cost stays in
        proportion to what is written.
        """
        self._write(_line({"forget": keys}))
        if self._size > max(_COMPACT_BYTES, 2 * self._size_when_compacted):
            # On a full disk the longer journal serves as well; the next forget tries again.
            with contextlib.suppress(OSError):
                self._compact(left)

    def _write(self, line: bytes) -> None:
        # A write cut short by a full disk must not leave half a line before the next one.
        try:
            written = os.write(self._file, line)
            if written != len(line):
                raise OSError(f"only {written} of {len(line)} bytes fitted on the disk")
        except OSError:
            os.ftruncate(self._file, self._size)
            raise
        self._size += len(line)

    def _compact(self, left: Iterable[Record]) -> None:
        fresh = self._path + ".new"
        file = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            data = b"".join(_snapshot(record) for record in left)
            view = memoryview(data)
            while view:
                view = view[os.write(file, view) :]
            os.fsync(file)
            os.rename(fresh, self._path)
        finally:
            os.close(file)
        os.close(self._file)
        self._file = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        self._size = self._size_when_compacted = len(data)
