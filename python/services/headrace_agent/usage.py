"""Samples of what this node's workers use, kept in small files beside their logs.

Nothing here may slow or fail an attempt: a sample that can't be taken or kept is a gap.
"""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from headrace_agent.beside import append_beside, open_beside, replace_beside
from headrace_agent.core.usage import Counted
from headrace_agent.folders import AttemptFolder
from headrace_model.errors import HeadraceError
from headrace_model.ids import JobId
from headrace_model.usage import Sample, thinned
from headrace_model.worker import WorkerKey, WorkerUsage
from headrace_ports.backend import Backend
from headrace_service.logs import logger
from headrace_service.threads import finish
from headrace_wire.usage import LIMIT, LIMIT_BYTES, USAGE, read_samples, usage_name, write_sample

PACE_S: Final = 5.0


class UsageRecorder:
    """Samples all attempts whose workers the backend knows, at a fixed pace."""

    def __init__(self, backend: Backend, attempts: Path, pace_s: float = PACE_S) -> None:
        self._backend = backend
        self._attempts = attempts
        self._pace_s = pace_s
        self._files: dict[WorkerKey, _SampleFile] = {}
        self._over: set[tuple[JobId, int]] = set()
        self._writing = asyncio.Lock()
        self._failing = False
        self._log = logger("agent")

    async def run(self) -> None:
        """Sample for ever."""
        while True:
            await asyncio.sleep(self._pace_s)
            if await finish(_holds_any, self._attempts):
                await self._look()

    async def last(self, job: JobId, attempt: int) -> None:
        """Sample an attempt that has ended once more, and write no more of it.

        One that ended before its first sample gets no file: most attempts are short, and are to
        be cleaned with no more work than they need.
        """
        if await finish(_was_begun, self._folder(job, attempt)):
            await self._look((job, attempt))
        self._over.add((job, attempt))

    async def _look(self, only: tuple[JobId, int] | None = None) -> None:
        try:
            used = await self._backend.usage()
            async with self._writing:
                await self._keep([u for u in used if only in (None, _attempt(u.key))])
        except (HeadraceError, OSError) as error:
            if not self._failing:
                self._log.warning(f"workers can't be sampled: {error}", action="usage")
            self._failing = True
            return
        self._failing = False
        if only is None:
            there = {each.key for each in used}
            self._files = {key: file for key, file in self._files.items() if key in there}
            self._over &= set(map(_attempt, there))

    async def _keep(self, used: Sequence[WorkerUsage]) -> None:
        """Write these samples; raises the last `OSError` once each was tried."""
        failed: OSError | None = None
        for each in used:
            if _attempt(each.key) in self._over:
                continue
            if each.key not in self._files:
                folder = self._folder(each.key.job, each.key.attempt)
                self._files[each.key] = _SampleFile(folder.logs / usage_name(each.key.rank))
            try:
                await finish(self._files[each.key].add, each.sample)
            except OSError as error:
                del self._files[each.key]  # how far it was written is seen by reading it
                # A folder that is not there: its attempt is just being made, or removed.
                failed = failed if isinstance(error, FileNotFoundError) else error
        if failed is not None:
            raise failed

    def _folder(self, job: JobId, attempt: int) -> AttemptFolder:
        return AttemptFolder(self._attempts / f"{job}.{attempt}")


class _SampleFile:
    """The file of one rank. Blocking; what an agent before this one wrote is gone on with."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._counted: Counted | None = None
        self._lines = 0

    def add(self, seen: Sample) -> None:
        """Write a sample behind the others, unless it is no newer than the last."""
        if self._counted is None:
            self._counted = self._take_up()
        counted = self._counted.next(seen)
        if counted is self._counted or counted.last is None:
            return
        if self._lines >= LIMIT:
            self._replace(thinned(read_samples(self._read()), LIMIT - 1))
        append_beside(self._path, write_sample(counted.last))
        self._counted = counted
        self._lines += 1

    def _take_up(self) -> Counted:
        text = self._read()
        samples = read_samples(text)
        self._lines = len(samples)
        if text != "".join(map(write_sample, samples)):  # its last line was torn
            self._replace(samples)
        return Counted(samples[-1] if samples else None)

    def _read(self) -> str:
        try:
            with open_beside(self._path) as file:
                return file.read(LIMIT_BYTES).decode("ascii", "replace")
        except FileNotFoundError:
            return ""

    def _replace(self, samples: Sequence[Sample]) -> None:
        replace_beside(self._path, "".join(map(write_sample, samples)))
        self._lines = len(samples)


def _attempt(key: WorkerKey) -> tuple[JobId, int]:
    return key.job, key.attempt


def _holds_any(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is not None
    except FileNotFoundError:
        return False


def _was_begun(folder: AttemptFolder) -> bool:
    return any(folder.logs.glob(f"*.{USAGE}"))
