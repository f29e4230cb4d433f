"""The logs of an array's tasks on this node: which part of which file is whose.

The nest has the tasks of a slot write one after another into two files and says where each began
and ended; here that becomes lines of an index beside them. Blocking: call it in a thread.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from headrace_model.worker import WorkerExit, WorkerState
from headrace_wire.tasklogs import (
    IndexLine,
    all_lines,
    find_line,
    index_name,
    slot_name,
    write_line,
)

STREAMS: Final = ("out", "err")


@dataclass(frozen=True, slots=True)
class Place:
    """A part of a file; `size_bytes` is None while it grows."""

    path: Path
    offset: int
    size_bytes: int | None


def read(log: Place, offset: int, limit: int) -> bytes | None:
    """Read a part of a log from its byte `offset` on; None where there is no such file."""
    most = limit if log.size_bytes is None else max(0, min(limit, log.size_bytes - offset))
    try:
        with log.path.open("rb") as file:
            file.seek(log.offset + offset)
            return file.read(most)
    except FileNotFoundError:
        return None


@dataclass(frozen=True, slots=True)
class TaskLogs:
    """The log folder of an attempt."""

    folder: Path

    def note(self, ended: Iterable[WorkerExit]) -> None:
        """Write into the index where these tasks have printed something; a repeat is harmless."""
        lines: dict[int, list[str]] = {}
        for each in ended:
            for line in _lines(each):
                lines.setdefault(each.key.rank, []).append(write_line(line))
        for rank, texts in lines.items():
            with (self.folder / index_name(rank)).open("a", encoding="ascii") as index:
                index.write("".join(texts))

    def find(self, index: int, stream: str, there: Iterable[WorkerState]) -> Place | None:
        """Where the newest log of a task is; `there` is what the nest still knows."""
        runs = [each for each in there if each.key.is_task and each.key.index == index]
        if runs:
            newest = max(runs, key=lambda each: each.key.lease)
            if newest.log is None:
                return None
            begin, end = newest.log.span(stream)
            path = self.folder / slot_name(newest.key.rank, newest.log.slot, stream)
            return Place(path, begin, None if end is None else max(0, end - begin))
        for file in self.folder.glob("*.index"):
            line = find_line(file.read_text(encoding="ascii", errors="replace"), index, stream)
            if line and file.stem.isdigit():
                path = self.folder / slot_name(int(file.stem), line.slot, stream)
                return Place(path, line.offset, line.size_bytes)
        return None

    def runs(
        self, stream: str, there: Iterable[WorkerState]
    ) -> list[tuple[tuple[int, int], Place]]:
        """Where the log of each run (task, number of its lease) is, in their order."""
        found: dict[tuple[int, int], Place] = {}
        for file in self.folder.glob("*.index"):
            if not file.stem.isdigit():
                continue
            for line in all_lines(file.read_text(encoding="ascii", errors="replace"), stream):
                path = self.folder / slot_name(int(file.stem), line.slot, stream)
                found[line.index, line.lease] = Place(path, line.offset, line.size_bytes)
        for each in there:
            if each.key.is_task and each.log is not None:
                begin, end = each.log.span(stream)
                path = self.folder / slot_name(each.key.rank, each.log.slot, stream)
                size = None if end is None else max(0, end - begin)
                found[each.key.index, each.key.lease] = Place(path, begin, size)
        return sorted(found.items(), key=lambda each: each[0])


def _lines(ended: WorkerExit) -> Iterable[IndexLine]:
    for stream in STREAMS:
        begin, end = ended.log.span(stream) if ended.log else (0, 0)
        if end is not None and end > begin and ended.log:
            yield IndexLine(
                ended.key.index, ended.key.lease, stream, ended.log.slot, begin, end - begin
            )
