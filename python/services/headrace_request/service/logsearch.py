"""Searching a job's logs: each file where it lies, rank after rank."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from headrace_model.errors import InvalidInput, NotFound, Unavailable
from headrace_model.ids import JobId
from headrace_model.job import Job
from headrace_model.resources import Share
from headrace_request.service.logs import LogFile, LogReader, Reach, ReadAllocation, may_write
from headrace_wire.logsearch import (
    MOST_FOUND,
    Line,
    LogFound,
    Place,
    SearchEnd,
    Searcher,
    check_text,
)

_LONGEST_S: Final = 60.0

SearchStore = Callable[[JobId, int, str, str], AsyncIterator[list[Line]]]


class _Unread(Exception):
    """Neither the node nor the store tells a file."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is looked for, and where: `rank` None is all of them."""

    text: str
    streams: Sequence[str]
    attempt: int
    rank: int | None


@dataclass(frozen=True, slots=True)
class LogSearch:
    """Has agents, and the data service where a log was shipped, look for a text."""

    reader: LogReader
    store: SearchStore
    allocation: ReadAllocation

    async def run(self, user: str, job: Job, asked: Asked) -> AsyncIterator[LogFound | SearchEnd]:
        """Yield what is found, by rank, stream and line, and last of all the end."""
        clock = asyncio.get_running_loop()
        until_s = clock.time() + _LONGEST_S
        number = 0
        unread: list[str] = []
        for rank, share in await self._ranks(job, asked):
            for stream in asked.streams:
                file = LogFile(job.id, asked.attempt, rank, stream)
                try:
                    lines = self._file(user, job, file, share, asked.text, until_s)
                    async with aclosing(lines):  # type: ignore[type-var] # an async generator
                        async for line in lines:
                            if number >= MOST_FOUND:
                                yield SearchEnd(number, _too_many(), tuple(unread))
                                return
                            number += 1
                            yield LogFound(rank, stream, line.line, line.text)
                except (_Unread, Unavailable):
                    unread.append(file.name)
                if clock.time() >= until_s:
                    yield SearchEnd(number, _too_long(rank, stream), tuple(unread))
                    return
        yield SearchEnd(number, "", tuple(unread))

    async def _ranks(self, job: Job, asked: Asked) -> list[tuple[int, Share]]:
        held = job.allocation if job.attempt == asked.attempt else None
        held = held or await self.allocation(job.id, asked.attempt)
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
        looked = self.reader.look(user, file, share.node, Place(), text)
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


async def searched(
    text: str, rank: int, stream: str, parts: AsyncIterator[bytes]
) -> AsyncIterator[LogFound]:
    """Yield what a log that is read anyhow holds of a text: that of a task of an array."""
    searcher = Searcher(check_text(text))
    async for part in parts:
        searcher.take(part)
        for line in searcher.look(last=False):
            yield LogFound(rank, stream, line.line, line.text)
    for line in searcher.look(last=True):
        yield LogFound(rank, stream, line.line, line.text)


def _too_many() -> str:
    return f"there is more than {MOST_FOUND:,} lines: name a rank or stream, or a longer text"


def _too_long(rank: int, stream: str) -> str:
    return f"it was ended after {_LONGEST_S:g} s at rank {rank} ({stream}): name a rank or stream"
