"""Live updates of logs: what a job's workers write is told as it comes, attempt after attempt."""

import asyncio
from codecs import getincrementaldecoder
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headrace_model.errors import NotFound
from headrace_model.job import Job
from headrace_request.core.live import FollowLog, write
from headrace_request.service.jobs import JobDesk
from headrace_request.service.logs import Asker, LogFile, LogReader, check_one_log

if TYPE_CHECKING:
    from headrace_request.service.live import Live

_PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class LiveLogs:
    """Tells connections the logs that they follow."""

    desk: JobDesk
    reader: LogReader

    async def tell(self, live: "Live", asked: FollowLog) -> None:
        """Tell one to its end; raises what keeps it from being read, `TooSlow` too."""

        async def read_job() -> Job:
            return await self.desk.get(asked.job, live.caller.user)

        asker = Asker(live.caller.user.name, read_job)
        job = await read_job()
        check_one_log(job)
        attempt, offsets = asked.attempt or job.attempt, dict(asked.offsets)
        if attempt > job.attempt:
            raise NotFound(f"job {job.id} has {job.attempt} attempt(s), so no attempt {attempt}")
        while True:
            async with asyncio.TaskGroup() as group:
                for stream in asked.streams:
                    file = LogFile(asked.job, attempt, asked.rank, stream)
                    at = offsets[stream]
                    group.create_task(self._tell_file(live, asked.id, asker, file, at))
            if asked.attempt is None:
                job = await self.reader.after(asker, file)
            if asked.attempt is not None or job.attempt == attempt:
                await live.outbox.put(write("end", asked.id), _PATIENCE_S)
                return
            attempt, offsets = attempt + 1, dict.fromkeys(offsets, 0)

    async def _tell_file(
        self, live: "Live", id_: str, asker: Asker, file: LogFile, at: int
    ) -> None:
        parts: AsyncIterator[tuple[bytes, int]] = self.reader.attempt(asker, file, at, follow=True)
        # A part may end within a character, which then is told with the next.
        decoder = getincrementaldecoder("utf-8")(errors="replace")

        async def tell(text: str, to: int) -> None:
            more: dict[str, Any] = {"attempt": file.attempt, "stream": file.stream}
            piece = write("log", id_, **more, offset=at, end=to, text=text)
            await live.outbox.put(piece, _PATIENCE_S)

        async with aclosing(parts):  # type: ignore[type-var] # it is an async generator
            async for data, to in parts:
                text, rest = decoder.decode(data), len(decoder.getstate()[0])
                if text:
                    await tell(text, to - rest)
                at = to - rest
        if rest := len(decoder.getstate()[0]):
            await tell(decoder.decode(b"", final=True), at + rest)
