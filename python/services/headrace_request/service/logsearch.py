"""Searching a job's logs: each file where it lies, rank after rank."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final, TypeVar

from headrace_model.errors import InvalidInput, NotFound, Unavailable
from headrace_model.ids import JobId
from headrace_model.job import Job
from headrace_model.resources import Share
from headrace_request.core.taskruns import NextRuns, Order, RunSearch, order_of
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
from headrace_wire.tasklogs import IndexLine, index_name, slot_name

_LONGEST_S: Final = 60.0
_RUNS_AT_ONCE: Final = 50_000  # of an index in memory: some 20 MB at the most

T = TypeVar("T")

SearchStore = Callable[[JobId, int, str, str], AsyncIterator[list[Line]]]


class _Unread(Exception):
    """Neither the node nor the store tells a file."""


class _Late(Exception):
    """A search has taken its time."""


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
        """Yield what is found, by rank, stream and line, and last of all the end.

        It counts as one log that the user reads; raises `Unavailable` when those are too many.
        """
        until_s = asyncio.get_running_loop().time() + _LONGEST_S
        look = self._tasks if job.is_array else self._file
        number = 0
        unread: list[str] = []
        with self.reader.counted(user):
            for file, share in await self._files(job, asked):
                lines = until(until_s, look(job, file, share, asked.text))
                try:
                    async with aclosing(lines):  # type: ignore[type-var] # an async generator
                        async for line in lines:
                            if number >= MOST_FOUND:
                                yield SearchEnd(number, _too_many(), tuple(unread))
                                return
                            number += 1
                            yield _found(file, line)
                except (_Unread, Unavailable):
                    unread.append(f"{file.attempt}/{file.name}")
                except _Late:
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

    async def _file(self, job: Job, file: LogFile, share: Share, text: str) -> AsyncIterator[Line]:
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
        looked = self.reader.look(file, share.node, text)
        async with aclosing(looked):  # type: ignore[type-var] # an async generator
            async for lines, _, reached in looked:
                reach = reached
                for line in lines:
                    told = line.line
                    yield line
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
        self, job: Job, file: LogFile, share: Share, text: str
    ) -> AsyncIterator[Line]:
        """Yield the lines of all tasks on a node that hold a text; raises `_Unread`."""
        told: set[tuple[int | None, int | None, int]] = set()
        reach = Reach.MORE
        if may_write(job, file.attempt) or not await self._is_shipped(file):
            looked = self.reader.look(file, share.node, text, all_tasks=True)
            async with aclosing(looked):  # type: ignore[type-var] # an async generator
                async for lines, _, reached in looked:
                    reach = reached
                    for line in lines:
                        told.add((line.task, line.lease, line.line))
                        yield line
        if reach is Reach.END:
            return
        if not await self._is_shipped(file):  # it may have been shipped just now
            if reach is not Reach.GONE:
                raise _Unread
            return
        behind: Order | None = None
        while runs := await self._runs(file, behind):
            behind = order_of(runs[-1])
            for slot, here in groupby(runs, key=lambda each: each.slot):
                async for line in self._in_slot(file, slot, list(here), text):
                    if (line.task, line.lease, line.line) not in told:
                        yield line

    async def _is_shipped(self, file: LogFile) -> bool:
        parts = self.read(file.job, file.attempt, index_name(file.rank), 0)
        async with aclosing(parts):  # type: ignore[type-var] # an async generator
            return await anext(parts, None) is not None

    async def _runs(self, file: LogFile, behind: Order | None) -> list[IndexLine]:
        """Read some runs of a node's index: it is read anew for those behind them."""
        runs = NextRuns(file.stream, behind, _RUNS_AT_ONCE)
        parts = self.read(file.job, file.attempt, index_name(file.rank), 0)
        async with aclosing(parts):  # type: ignore[type-var] # an async generator
            async for part in parts:
                await asyncio.to_thread(runs.take, part)
        return await asyncio.to_thread(runs.runs)

    async def _in_slot(
        self, file: LogFile, slot: int, runs: Sequence[IndexLine], text: str
    ) -> AsyncIterator[Line]:
        """Yield what runs of one slot hold."""
        search = RunSearch(check_text(text), runs)
        name = slot_name(file.rank, slot, file.stream)
        parts = self.read(file.job, file.attempt, name, runs[0].offset)
        async with aclosing(parts):  # type: ignore[type-var] # an async generator
            async for part in parts:
                for found in await asyncio.to_thread(search.take, part):
                    yield found
                if search.over:
                    return
        for found in await asyncio.to_thread(search.end):
            yield found


async def until(until_s: float, each: AsyncIterator[T]) -> AsyncIterator[T]:
    """Yield what comes until `until_s` of the loop's clock; raises `_Late`."""
    async with aclosing(each):  # type: ignore[type-var] # an async generator
        while True:
            try:
                async with asyncio.timeout_at(until_s) as limit:
                    one = await anext(each)
            except StopAsyncIteration:
                return
            except TimeoutError:
                if limit.expired():
                    raise _Late from None
                raise
            yield one


async def search_task(
    text: str,
    files: Sequence[Sequence[LogFile]],
    read: Callable[[LogFile], AsyncIterator[bytes]],
) -> AsyncIterator[LogFound | SearchEnd]:
    """Yield what a task's logs hold of a text, and last of all the end.

    Of each of `files` the first that holds anything: a stream's log in its newest attempt.
    """
    until_s = asyncio.get_running_loop().time() + _LONGEST_S
    number = 0
    for stream in files:
        for file in stream:
            there = False
            found = until(until_s, _searched(text, read(file)))
            try:
                async with aclosing(found):  # type: ignore[type-var] # an async generator
                    async for lines in found:
                        there = True
                        for line in lines:
                            if number >= MOST_FOUND:
                                yield SearchEnd(number, _too_many())
                                return
                            number += 1
                            yield _found(file, replace(line, task=file.task))
            except _Late:
                yield SearchEnd(number, _too_long(file))
                return
            if there:
                break
    yield SearchEnd(number)


async def _searched(text: str, parts: AsyncIterator[bytes]) -> AsyncIterator[list[Line]]:
    """Yield what each part of a log holds of a text; nothing where no part comes."""
    searcher, there = Searcher(check_text(text)), False
    async with aclosing(parts):  # type: ignore[type-var] # an async generator
        async for part in parts:
            there = there or bool(part)
            searcher.take(part)
            yield await asyncio.to_thread(searcher.look, last=False)
    if there:
        yield await asyncio.to_thread(searcher.look, last=True)


def _found(file: LogFile, line: Line) -> LogFound:
    return LogFound(file.attempt, file.rank, file.stream, line.line, line.text, line.task)


def _too_many() -> str:
    return f"there is more than {MOST_FOUND:,} lines: name a rank or stream, or a longer text"


def _too_long(file: LogFile) -> str:
    return (
        f"it was ended after {_LONGEST_S:g} s at rank {file.rank} ({file.stream}): "
        "name a rank or stream"
    )
