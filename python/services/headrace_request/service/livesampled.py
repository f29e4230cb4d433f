"""Live updates of what is sampled: progress, expected starts, usage, the cluster; asked for at the
pace at which it is made, while somebody follows."""

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from headrace_model.people import Act, check_may
from headrace_model.series import Resolution
from headrace_model.times import parse_instant
from headrace_request.core.live import (
    FollowCluster,
    FollowProgress,
    FollowUsage,
    FollowWhen,
    write,
)
from headrace_request.service.answers import AnswerDesk
from headrace_request.service.jobs import JobDesk
from headrace_request.service.showing import Showing
from headrace_wire.schema import to_plain

if TYPE_CHECKING:
    from headrace_request.service.live import Live

_PATIENCE_S = 60.0
_SAMPLED_EVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class LiveSampled:
    """Tells connections what they follow; each raises what keeps it from being told."""

    desk: JobDesk
    showing: Showing
    answers: AnswerDesk

    async def progress(self, live: "Live", asked: FollowProgress) -> None:
        """Tell how far a job is when that has changed."""
        told = None
        while True:
            user = live.caller.user
            job = await self.desk.get(asked.job, user)
            view = await self.showing.progress(user.name, job, job.attempt)
            if view != told:
                message = write("progress", asked.id, progress=view)
                await live.outbox.put(message, _PATIENCE_S)
                told = view
            if job.status.closed:
                await live.outbox.put(write("end", asked.id), _PATIENCE_S)
                return
            await asyncio.sleep(_SAMPLED_EVERY_S)

    async def when(self, live: "Live", asked: FollowWhen) -> None:
        """Tell when a job starts where that has changed: at once where it moved."""
        told = None
        while True:
            job = await self.desk.get(asked.job, live.caller.user)
            view = await self.answers.start_of(job, live.caller.user)
            if told is None or replace(view, made=told.made) != told:
                await live.outbox.put(write("when", asked.id, when=to_plain(view)), _PATIENCE_S)
                told = view
            if job.status.closed:
                await live.outbox.put(write("end", asked.id), _PATIENCE_S)
                return
            await self.desk.changed(asked.job, live.caller.user, job.version, _SAMPLED_EVERY_S)

    async def usage(self, live: "Live", asked: FollowUsage) -> None:
        """Tell the samples of the current attempt that were not told before."""
        attempt, since_ms = 0, asked.since_ms
        while True:
            user = live.caller.user
            job = await self.desk.get(asked.job, user)
            if job.attempt != attempt and attempt:
                since_ms = 0
            attempt = job.attempt
            view = await self.showing.usage(user, job, attempt, None, since_ms)
            newest = max((s["at"] for rank in view["ranks"] for s in rank["samples"]), default="")
            if newest:
                await live.outbox.put(write("usage", asked.id, usage=view), _PATIENCE_S)
                since_ms = parse_instant(newest)
            if job.status.closed:
                await live.outbox.put(write("end", asked.id), _PATIENCE_S)
                return
            await asyncio.sleep(_SAMPLED_EVERY_S)

    async def cluster(self, live: "Live", asked: FollowCluster) -> None:
        """Tell the points of the last hour, and each new one."""
        since_ms, step = asked.since_ms, Resolution.SECONDS
        while True:
            check_may(live.caller.user, Act.SEE_NODES)
            view = await self.showing.series(step, since_ms)
            if view["points"]:
                await live.outbox.put(write("cluster", asked.id, series=view), _PATIENCE_S)
                since_ms = parse_instant(view["points"][-1]["at"])
            await asyncio.sleep(step.step_ms / 1000)
