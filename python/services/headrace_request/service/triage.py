"""What a failed job failed of: by its end, its history and the end of its worker's log."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

from headrace_model.cause import Cause
from headrace_model.errors import HeadraceError
from headrace_model.ids import JobId
from headrace_model.job import Job
from headrace_model.resources import Allocation
from headrace_model.status import Event, Status
from headrace_model.triage import Triage, triage
from headrace_request.service.logs import LogFile, LogReader, ReadAllocation, ReadStore

_TAIL_BYTES: Final = 32 * 1024
_MOST_BYTES: Final = 64 * 1024 * 1024  # of a log that is read for its end
_PATIENCE_S: Final = 4.0
_ATTEMPTS: Final = 5  # of which the nodes are compared
_RANK: Final = re.compile(r"\bworker (\d{1,5})\b")


@dataclass(frozen=True, slots=True)
class Triager:
    """Reads what triage rests on. The log is a comfort: without it the rest is told."""

    reader: LogReader
    store: ReadStore
    allocation: ReadAllocation

    async def of(self, user: str, job: Job, history: Sequence[str]) -> Triage | None:
        """Judge a failed job; None for any other."""
        if job.status is not Status.FAILED or job.cause is None:
            return None
        if job.cause is Cause.PREREQUISITE or job.allocation is None:
            return None  # it has not run
        log, nodes = "", []
        try:
            async with asyncio.timeout(_PATIENCE_S):
                nodes = await self._nodes(job, history)
                if not job.is_array:
                    log = await self._log(user, job, job.allocation)
        except (HeadraceError, TimeoutError):
            pass
        return triage(
            job.cause, job.exit_code, job.detail, log, nodes, job=job.id, is_array=job.is_array
        )

    async def _nodes(self, job: Job, history: Sequence[str]) -> list[str]:
        """Where attempts of the job have ended as its last one did."""
        entries = [json.loads(line) for line in history]
        ends = [e for e in entries if e["event"] in (Event.RETRY, Event.END_FAILED)]
        alike = {
            int(e["attempt"])
            for e in ends
            if ends and (e.get("cause"), e.get("detail")) == (job.cause, ends[-1].get("detail"))
        }
        held = [await self.allocation(job.id, each) for each in sorted(alike)[-_ATTEMPTS:]]
        return [share.node for each in held if each for share in each.shares[:1]]

    async def _log(self, user: str, job: Job, held: Allocation) -> str:
        """The end of what the worker wrote that failed: its errors, else its output."""
        found = _RANK.search(job.detail)
        rank = int(found[1]) if found else 0
        if rank >= len(held.shares):
            rank = 0
        for stream in ("err", "out"):
            file = LogFile(JobId(job.id), job.attempt, rank, stream)
            text = await _end_of(self.store(file.job, file.attempt, file.name, 0))
            if not text:
                # It closed just now: its node may still have the log.
                node = held.shares[rank].node
                asked = self.reader.ask(user, file, node, 0, asyncio.Event(), follow=False)
                text = await _end_of(part.encode() async for part, _, _ in asked)
            if text.strip():
                return text.decode(errors="replace")
        return ""


async def _end_of(parts: AsyncIterator[bytes]) -> bytes:
    end, seen = b"", 0
    async for part in parts:
        end = (end + part)[-_TAIL_BYTES:]
        seen += len(part)
        if seen >= _MOST_BYTES:
            break
    return end
