"""The logs of an array's tasks: two files for each while it runs, then one pack a node.

A pack is `<rank>.tasks`, what all ended tasks wrote one after another, and `<rank>.index`, a line
`<index> <lease> <stream> <offset> <bytes>` for each that wrote something. 100,000 tasks make two
objects in the store. Blocking: call it in a thread.
"""

import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from headrace_agent.core.tasks import TaskRun
from headrace_wire.tasklogs import IndexLine, find_line, write_line

STREAMS: Final = ("out", "err")
_CHUNK_BYTES: Final = 1 << 20
_NAME: Final = re.compile(r"([0-9]{1,9})\.([0-9]{1,9})\.(out|err)")


@dataclass(frozen=True, slots=True)
class TaskLogs:
    """The log folder of an attempt: the pack in it, and the files of running tasks in `tasks`."""

    folder: Path

    @property
    def loose(self) -> Path:
        """Where running tasks write."""
        return self.folder / "tasks"

    def begin(self, rank: int) -> None:
        """Make the files of this node's pack; success when they are there."""
        self.loose.mkdir(mode=0o700, parents=True, exist_ok=True)
        for ending in ("tasks", "index"):
            (self.folder / f"{rank}.{ending}").touch(mode=0o600)

    def path(self, run: TaskRun, stream: str) -> Path:
        """The file that a running task writes."""
        return self.loose / f"{run.name}.{stream}"

    def pack(self, runs: Sequence[TaskRun], limit_bytes: int) -> None:
        """Move what ended tasks wrote into the pack, cut where it would pass `limit_bytes`.

        After a crash in between a log may be in it twice: the later one counts.
        """
        for index_file in self._indices():
            with (
                index_file.with_suffix(".tasks").open("ab") as pack,
                index_file.open("a", encoding="ascii") as index,
            ):
                for run in runs:
                    for stream in STREAMS:
                        size = _append(self.path(run, stream), pack, limit_bytes)
                        if size:
                            at = pack.tell() - size
                            index.write(
                                write_line(IndexLine(run.index, run.lease, stream, at, size))
                            )
            return

    def pack_rest(self, limit_bytes: int) -> None:
        """The same with all that is left, of tasks that were stopped."""
        if self.loose.is_dir():
            names = [_NAME.fullmatch(name) for name in sorted(os.listdir(self.loose))]
            runs = {TaskRun(int(found[1]), int(found[2])) for found in names if found}
            self.pack(sorted(runs), limit_bytes)

    def find(self, index: int, stream: str) -> tuple[Path, int, int | None] | None:
        """Where a task's newest log is: file, offset and size (None while it may grow)."""
        leases = [
            int(found[2])
            for name in (os.listdir(self.loose) if self.loose.is_dir() else ())
            if (found := _NAME.fullmatch(name)) and int(found[1]) == index and found[3] == stream
        ]
        if leases:
            return self.path(TaskRun(index, max(leases)), stream), 0, None
        for index_file in self._indices():
            line = find_line(index_file.read_text(encoding="ascii"), index, stream)
            if line:
                return index_file.with_suffix(".tasks"), line.offset, line.size_bytes
        return None

    def _indices(self) -> Iterator[Path]:
        """The index of this node's pack, once there is one."""
        return (path for path in self.folder.glob("*.index") if path.stem.isdigit())


def _append(path: Path, pack: BinaryIO, limit_bytes: int) -> int:
    """Move a log to the end of the pack; gives how many bytes of it are kept.

    A worker may have put anything in its place: only a plain file is read.
    """
    kept = 0
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as log:
            known = os.fstat(log.fileno())
            if stat.S_ISREG(known.st_mode) and known.st_nlink == 1:
                room = min(known.st_size, limit_bytes - pack.tell())
                while kept < room and (data := log.read(min(_CHUNK_BYTES, room - kept))):
                    pack.write(data)
                    kept += len(data)
        path.unlink()
    except OSError:
        return kept
    return kept
