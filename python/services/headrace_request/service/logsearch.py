"""Searching a job's logs: each file where it lies, rank after rank."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final

from headrace_model.errors import InvalidInput, NotFound, Unavailable
from headrace_model.ids import JobId
from headrace_model.job import Job
from headrace_model.resources import Share
from headrace_request.service.logs import (
    LogFile,
    LogReader,
    Reach,
    ReadAllocation,
    ReadStore,
    may_write,
)
from headrace_wire.logsearch import (
    MOST_FOUND,
    Line,
    LogFound,
    SearchEnd,
    Searcher,
    check_text,
)
from headrace_wire.tasklogs import IndexLine, all_lines, index_name, slot_name

_LONGEST_S: Final = 60.0

SearchStore = Callable[[JobId, int, str, str], AsyncIterator[list[Line]]]


class _Unread(Exception):
    """Neither the node nor the store tells a file."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is looked for, and where: `rank` None is all of them.

    Of an array there are several attempts: a task runs in one that comes later only if it must.
    """

    text: str
    streams: Sequence[str]
    attempts: Sequence[int]
    rank: int | None


@dataclass(frozen=True, slots=True)
class LogSearch:
    """Has agents, and the data service where a log was shipped, look for a text."""

    reader: LogReader
    store: SearchStore
    read: ReadStore
    allocation: ReadAllocation

    async def run(self, user: str, job: Job, asked: Asked) -> AsyncIterator[LogFound | SearchEnd]:
        """Yield what is found, by rank, stream and line, and last of all the end."""
        clock = asyncio.get_running_loop()
        until_s = clock.time() + _LONGEST_S
        number = 0
        unread: list[str] = []
        for file, share in await self._files(job, asked):
            look = self._tasks if job.is_array else self._file
            try:
                lines = look(user, job, file, share, asked.text, until_s)
                async with aclosing(lines):  # type: ignore[type-var] # an async generator
                    async for line in lines:
                        if number >= MOST_FOUND:
                            yield SearchEnd(number, _too_many(), tuple(unread))
                            return
                        number += 1
                        yield LogFound(file.rank, file.stream, line.line, line.text, line.task)
            except (_Unread, Unavailable):
                unread.append(file.name)
            if clock.time() >= until_s:
                yield SearchEnd(number, _too_long(file), tuple(unread))
                return
        yield SearchEnd(number, "", tuple(unread))

    async def _files(self, job: Job, asked: Asked) -> list[tuple[LogFile, Share]]:
        return [
            (LogFile(job.id, attempt, rank, stream), share)
            for attempt in asked.attempts
            for rank, share in await self._ranks(job, asked, attempt)
            for stream in asked.streams
        ]

    async def _ranks(self, job: Job, asked: Asked, attempt: int) -> list[tuple[int, Share]]:
        held = job.allocation if job.attempt == attempt else None
        held = held or await self.allocation(job.id, attempt)
        ranks = list(enumerate(held.shares if held else ()))
        if asked.rank is None:
            return ranks
        if held and asked.rank >= len(ranks):
            raise InvalidInput(f"job {job.id} has {len(ranks)} worker(s): ranks count from 0")
        return ranks[asked.rank : asked.rank + 1]

    async def _file(
        self, user: str, job: Job, file: LogFile, share: Share, text: str, until_s: float
    ) -> AsyncIterator[Line]:
        """Yield the lines of one file; raises `_Unread`."""
        if not may_write(job, file.attempt):  # shipped, as a rule
            try:
                async for lines in self.store(file.job, file.attempt, file.name, text):
                    for line in lines:
                        yield line
                return
            except NotFound:
                pass
        told, reach = 0, Reach.MORE
        looked = self.reader.look(user, file, share.node, text)
        async with aclosing(looked):  # type: ignore[type-var] # an async generator
            async for lines, _, reached in looked:
                reach = reached
                for line in lines:
                    told = line.line
                    yield line
                if asyncio.get_running_loop().time() >= until_s:
                    return
        if reach is Reach.END:
            return
        try:  # it may have been shipped just now
            async for lines in self.store(file.job, file.attempt, file.name, text):
                for line in lines:
                    if line.line > told:
                        yield line
        except NotFound:
            if reach is not Reach.GONE:
                raise _Unread from None

    async def _tasks(
        self, user: str, job: Job, file: LogFile, share: Share, text: str, until_s: float
    ) -> AsyncIterator[Line]:
        """Yield the lines of all tasks on a node that hold a text; raises `_Unread`."""
        clock = asyncio.get_running_loop()
        told: set[tuple[int | None, int]] = set()
        reach = Reach.MORE
        if may_write(job, file.attempt) or not await self._index(file):
            looked = self.reader.look(user, file, share.node, text, all_tasks=True)
            async with aclosing(looked):  # type: ignore[type-var] # an async generator
                async for lines, _, reached in looked:
                    reach = reached
                    for line in lines:
                        told.add((line.task, line.line))
                        yield line
                    if clock.time() >= until_s:
                        return
        if reach is Reach.END:
            return
        index = await self._index(file)  # it may have been shipped just now
        if not index and reach is not Reach.GONE:
            raise _Unread
        lines_of = sorted(all_lines(index, file.stream), key=lambda each: (each.slot, each.offset))
        for slot, runs in groupby(lines_of, key=lambda each: each.slot):
            name = slot_name(file.rank, slot, file.stream)
            parts = self.read(file.job, file.attempt, name, 0)
            async with aclosing(parts):  # type: ignore[type-var] # an async generator
                async for line in searched_runs(text, runs, parts):
                    if (line.task, line.line) not in told:
                        yield line
                    if clock.time() >= until_s:
                        return

    async def _index(self, file: LogFile) -> str:
        parts = self.read(file.job, file.attempt, index_name(file.rank), 0)
        return b"".join([part async for part in parts]).decode("ascii", "replace")


async def searched_runs(
    text: str, runs: Iterable[IndexLine], parts: AsyncIterator[bytes]
) -> AsyncIterator[Line]:
    """Yield what runs of tasks, in the order of their places in one file, hold of a text."""
    waiting = deque(runs)
    searcher, at = Searcher(check_text(text)), 0
    async for part in parts:
        while part and waiting:
            run = waiting[0]
            skipped = part[max(0, run.offset - at) :]
            mine = skipped[: max(0, run.offset + run.size_bytes - max(at, run.offset))]
            at += len(part) - len(skipped) + len(mine)
            part = skipped[len(mine) :]
            ended = at >= run.offset + run.size_bytes
            searcher.take(mine)
            for line in searcher.look(last=ended):
                yield replace(line, task=run.index)
            if ended:
                waiting.popleft()
                searcher = Searcher(check_text(text))


async def searched(
    text: str, rank: int, stream: str, task: int, parts: AsyncIterator[bytes]
) -> AsyncIterator[LogFound]:
    """Yield what a log that is read anyhow holds of a text: that of a task of an array."""
    searcher = Searcher(check_text(text))
    async for part in parts:
        searcher.take(part)
        for line in searcher.look(last=False):
            yield LogFound(rank, stream, line.line, line.text, task)
    for line in searcher.look(last=True):
        yield LogFound(rank, stream, line.line, line.text, task)


def _too_many() -> str:
    return f"there is more than {MOST_FOUND:,} lines: name a rank or stream, or a longer text"


def _too_long(file: LogFile) -> str:
    return (
        f"it was ended after {_LONGEST_S:g} s at rank {file.rank} ({file.stream}): "
        "name a rank or stream"
    )
