"""How far this node's workers are, read from what they write and kept beside their logs.

As with samples, nothing here may slow or fail an attempt: what can't be read or kept is a gap.
"""

import asyncio
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from headrace_agent.beside import append_beside, open_beside, replace_beside
from headrace_agent.folders import AttemptFolder
from headrace_kinds.progress import Reading, read_line
from headrace_kinds.registry import kind_named
from headrace_model.errors import HeadraceError
from headrace_model.ids import JobId
from headrace_model.progress import Mark, thinned
from headrace_service.threads import finish
from headrace_wire.jobfile import load_jobtext
from headrace_wire.progress import (
    LIMIT,
    LIMIT_BYTES,
    progress_name,
    read_marks,
    write_mark,
)

PACE_S: Final = 5.0
_TAIL_BYTES: Final = 64 * 1024  # of what was written since the last look
_SPEC_BYTES: Final = 64 * 2**20
_LOG: Final = re.compile(r"([0-9]{1,9})\.(out|err)")
_END: Final = re.compile(r"[\r\n]+")


class ProgressMiner:
    """Looks at the logs of all attempts on this node, at a fixed pace."""

    def __init__(self, attempts: Path, pace_s: float = PACE_S) -> None:
        self._attempts = attempts
        self._pace_s = pace_s
        self._known: dict[str, _Attempt] = {}
        self._looking = asyncio.Lock()

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await asyncio.sleep(self._pace_s)
            async with self._looking:
                await finish(self._look)

    async def last(self, job: JobId, attempt: int) -> None:
        """Look once more at an attempt that has ended, where it told something before."""
        name = f"{job}.{attempt}"
        async with self._looking:
            if known := self._known.get(name):
                await finish(known.look)

    def _look(self) -> None:
        try:
            names = {entry.name for entry in os.scandir(self._attempts) if entry.is_dir()}
        except FileNotFoundError:
            names = set()
        self._known = {name: each for name, each in self._known.items() if name in names}
        for name in sorted(names):
            if name not in self._known:
                folder = AttemptFolder(self._attempts / name)
                if (patterns := _patterns(folder)) is None:
                    continue  # it is just being made
                self._known[name] = _Attempt(folder.logs, patterns)
            self._known[name].look()


class _Attempt:
    """The logs of one attempt. Blocking."""

    def __init__(self, logs: Path, patterns: Sequence[re.Pattern[str]]) -> None:
        self._logs = logs
        self._patterns = patterns
        self._at: dict[str, int] = {}  # by file: how far it was read
        self._marks: dict[int, _MarkFile] = {}

    def look(self) -> None:
        if not self._patterns:
            return
        try:
            names = sorted(os.listdir(self._logs))
        except OSError:
            return
        told: dict[int, Reading] = {}
        for name in names:
            if found := _LOG.fullmatch(name):
                try:
                    reading = self._read(name)
                except OSError:
                    continue
                if reading:
                    told.setdefault(int(found[1]), reading)
        for rank, reading in told.items():
            try:
                self._mark_file(rank).add(reading)
            except OSError:
                self._marks.pop(rank, None)  # how far it was written is seen by reading it

    def _mark_file(self, rank: int) -> "_MarkFile":
        if rank not in self._marks:
            self._marks[rank] = _MarkFile(self._logs / progress_name(rank))
        return self._marks[rank]

    def _read(self, name: str) -> Reading | None:
        """The last line that tells something, of those that came since the last look."""
        with open_beside(self._logs / name) as file:
            size = os.fstat(file.fileno()).st_size
            begin = max(self._at.get(name, 0), size - _TAIL_BYTES)
            if size <= begin:
                self._at[name] = size
                return None
            file.seek(begin)
            data = file.read(size - begin)
        # A line that is not whole yet is looked at again, unless it is all there is.
        whole = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1 or len(data)
        self._at[name] = begin + whole
        for line in reversed(_END.split(data[:whole].decode(errors="replace"))):
            if line and (reading := read_line(self._patterns, line)):
                return reading
        return None


@dataclass(slots=True)
class _MarkFile:
    """The file of one rank; what an agent before this one wrote is gone on with."""

    path: Path
    marks: tuple[Mark, ...] | None = None

    def add(self, reading: Reading) -> None:
        """Write a mark where it tells something new."""
        if self.marks is None:
            self.marks = self._take_up()
        at_ms = time.time_ns() // 1_000_000
        mark = Mark(at_ms, reading.percent, reading.step, reading.of, reading.model_ms)
        if self.marks:
            last = self.marks[-1]
            if at_ms <= last.at_ms or _same(mark, last):
                return
        if len(self.marks) >= LIMIT:
            self._replace(thinned(self.marks, LIMIT // 2))
        append_beside(self.path, write_mark(mark))
        self.marks = (*self.marks, mark)

    def _take_up(self) -> tuple[Mark, ...]:
        try:
            with open_beside(self.path) as file:
                text = file.read(LIMIT_BYTES).decode("ascii", "replace")
        except FileNotFoundError:
            return ()
        marks = read_marks(text)
        if text != "".join(map(write_mark, marks)):  # its last line was torn
            self._replace(marks)
        return marks

    def _replace(self, marks: Sequence[Mark]) -> None:
        replace_beside(self.path, "".join(map(write_mark, marks)))
        self.marks = tuple(marks)


def _same(one: Mark, other: Mark) -> bool:
    mine, theirs = (round((each.percent or 0.0) * 1000) for each in (one, other))
    return (mine, one.step, one.of, one.model_ms) == (
        theirs, other.step, other.of, other.model_ms,
    )  # fmt: skip


def _patterns(folder: AttemptFolder) -> Sequence[re.Pattern[str]] | None:
    """What its kind and its job file look for; none of an array, whose tasks tell how far it is.

    None while there is no job file.
    """
    try:
        with open_beside(folder.root / "job.json") as file:
            spec = load_jobtext(file.read(_SPEC_BYTES))
        return () if spec.array.is_array else kind_named(spec.kind).progress(spec)
    except FileNotFoundError:
        return None
    except (HeadraceError, OSError):
        return ()
