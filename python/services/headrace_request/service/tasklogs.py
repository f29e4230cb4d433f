"""Logs of an array's tasks: from the node that has it, else from the files in the store."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace

from headrace_model.array import TaskState
from headrace_request.core.taskruns import IndexText
from headrace_request.service.logs import LogFile, LogReader, Reach, ReadAllocation, ReadStore
from headrace_wire.tasklogs import IndexLine, find_line, index_name, slot_name

_AGAIN_S = 1.0

ReadState = Callable[[], Awaitable[TaskState]]


@dataclass(frozen=True, slots=True)
class TaskLogs:
    """Reads the log of one task. No record says where a task ran: all nodes are asked."""

    reader: LogReader
    store: ReadStore
    allocation: ReadAllocation

    async def stream(
        self,
        user: str,
        file: LogFile,
        attempts: range,
        read_state: ReadState,
        *,
        follow: bool,
        offset: int,
    ) -> AsyncIterator[bytes]:
        """Yield the log from byte `offset`, of the newest of `attempts` that has one.

        `follow`: until the task has ended, or `read_state` raises: `user` may see it no more.
        """
        at = offset
        while True:
            ended = await read_state() in (TaskState.DONE, TaskState.FAILED)
            for attempt in reversed(attempts):
                before = at
                async for part in self._attempt(user, replace(file, attempt=attempt), at):
                    at += len(part)
                    yield part
                if at > before:
                    attempts = range(attempt, attempts.stop)
                    break
            if ended or not follow:
                return
            await asyncio.sleep(_AGAIN_S)

    async def _attempt(self, user: str, file: LogFile, at: int) -> AsyncIterator[bytes]:
        held = await self.allocation(file.job, file.attempt)
        for rank, share in enumerate(held.shares if held else ()):
            here, found, reach, read = replace(file, rank=rank), False, Reach.MORE, at
            change = asyncio.Event()
            pieces = self.reader.ask(user, here, share.node, at, change, follow=False)
            async for text, read_now, reached in pieces:
                read, reach = read_now, reached
                found = found or reach is not Reach.GONE
                if text:
                    yield text.encode()
            if reach is not Reach.END:  # shipped, maybe while it was read; or the node is silent
                async for part in self._shipped(here, read):
                    found = True
                    yield part
            if found:
                return

    async def _shipped(self, file: LogFile, at: int) -> AsyncIterator[bytes]:
        line = await self._newest(file)
        left = line.size_bytes - at if line else 0
        if line is None or left <= 0:
            return
        name = slot_name(file.rank, line.slot, file.stream)
        async for part in self.store(file.job, file.attempt, name, line.offset + at):
            yield part[:left]
            left -= len(part)
            if left <= 0:
                return

    async def _newest(self, file: LogFile) -> IndexLine | None:
        """The newest run of a task in the index that was shipped."""
        text, found = IndexText(), None
        async for part in self.store(file.job, file.attempt, index_name(file.rank), 0):
            whole = text.take(part)
            line = await asyncio.to_thread(find_line, whole, file.task or 0, file.stream)
            if line and (found is None or line.lease >= found.lease):
                found = line
        return found
