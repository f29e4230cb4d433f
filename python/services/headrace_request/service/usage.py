"""What the workers of an attempt used, and how far they are: from their nodes, else from the
store."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Final

from headrace_model.errors import InvalidInput
from headrace_model.ids import NodeId
from headrace_model.job import Job
from headrace_model.progress import Mark
from headrace_model.resources import NOTHING, Allocation, Resources, Share
from headrace_model.usage import Sample
from headrace_request.service.logs import (
    LogFile,
    LogReader,
    ReadAllocation,
    ReadStore,
    may_write,
)
from headrace_wire.progress import PROGRESS, read_marks
from headrace_wire.usage import LIMIT_BYTES, USAGE, read_samples

RANKS: Final = 32
_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True)
class RankUsage:
    """A worker's share of its node, and its samples in the order of time."""

    rank: int
    share: Share
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class RankProgress:
    """How far a worker was, in the order of time; at least one mark."""

    rank: int
    node: NodeId
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class Usage:
    """The ranks that were asked for, of all that the attempt has."""

    held: Allocation
    ranks: tuple[RankUsage, ...]

    @property
    def shown(self) -> Resources:
        """What those ranks hold."""
        return sum((each.share.resources for each in self.ranks), NOTHING)


@dataclass(frozen=True, slots=True)
class UsageReader:
    """Asks nodes for samples as for logs, whose files they lie beside."""

    reader: LogReader
    store: ReadStore
    allocation: ReadAllocation

    async def read(self, user: str, job: Job, attempt: int, rank: int | None) -> Usage:
        """Read the samples of one rank, or of the first `RANKS`.

        Raises `InvalidInput` for a rank that an attempt with nodes has not.
        """
        held = await self._held(job, attempt)
        if rank is not None and held.shares and rank >= len(held.shares):
            raise InvalidInput(
                f"job {job.id} has {len(held.shares)} worker(s): ranks count from 0"
            )
        wanted = range(RANKS) if rank is None else (rank,)
        texts = await self._texts(user, job, attempt, held, wanted, USAGE)
        return Usage(
            held,
            tuple(RankUsage(rank, share, read_samples(text)) for rank, share, text in texts),
        )

    async def progress(self, user: str, job: Job, attempt: int) -> tuple[RankProgress, ...]:
        """Read how far the first `RANKS` workers are; those that tell nothing are left out."""
        held = await self._held(job, attempt)
        texts = await self._texts(user, job, attempt, held, range(RANKS), PROGRESS)
        found = ((rank, share.node, read_marks(text)) for rank, share, text in texts)
        return tuple(RankProgress(rank, node, marks) for rank, node, marks in found if marks)

    async def _held(self, job: Job, attempt: int) -> Allocation:
        held = job.allocation if job.attempt == attempt else None
        return held or await self.allocation(job.id, attempt) or Allocation(())

    async def _texts(
        self, user: str, job: Job, attempt: int, held: Allocation, wanted: Iterable[int], what: str
    ) -> list[tuple[int, Share, str]]:
        """The small files of some ranks, `what` they are called."""
        few = asyncio.Semaphore(_AT_ONCE)

        async def one(number: int) -> tuple[int, Share, str]:
            file = LogFile(job.id, attempt, number, what)
            share = held.shares[number]
            async with few:
                text = await self._text(user, file, share, live=may_write(job, attempt))
            return number, share, text.decode("ascii", "replace")

        return await asyncio.gather(*(one(n) for n in wanted if n < len(held.shares)))

    async def _text(self, user: str, file: LogFile, share: Share, *, live: bool) -> bytes:
        """The file of a rank: of one that may still use something, from its node first."""
        if not live and (text := await self._shipped(file)):
            return text
        asked = self.reader.ask(user, file, share.node, 0, asyncio.Event(), follow=False)
        text = await _bounded(part.encode() async for part, _, _ in asked)
        # It may have been shipped just now; and a node that is silent may have shipped it before.
        return text or await self._shipped(file)

    async def _shipped(self, file: LogFile) -> bytes:
        return await _bounded(self.store(file.job, file.attempt, file.name, 0))


async def _bounded(parts: AsyncIterator[bytes]) -> bytes:
    """Join the parts, up to what such a file may hold: a worker may have written into it."""
    found = b""
    async for part in parts:
        found += part
        if len(found) >= LIMIT_BYTES:
            break
    return found[:LIMIT_BYTES]
