"""Answers about the queue: why a job waits, when it starts, what would come of a submit.

Any replica gives them, and none of them changes anything.
"""

import asyncio
import json
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from headrace_model.errors import Conflict
from headrace_model.ids import JobId
from headrace_model.job import CONTAINER, PARALLEL, Job
from headrace_model.priority import MOST_OF_USERS, rank_of
from headrace_model.status import Status
from headrace_scheduler.core.causes import Answer, Cause, ahead_of, answer
from headrace_scheduler.core.change import Anew
from headrace_scheduler.core.forecast import Start, duration_ms
from headrace_scheduler.core.snapshot import NEW, WaitingJob
from headrace_scheduler.core.why import Explanation, after_restore, in_maintenance
from headrace_scheduler.forecasts import Expected, Forecasts
from headrace_scheduler.queue import asking, waiting_job
from headrace_scheduler.reading import Reader, Seen
from headrace_wire.why import PlanRequest

if TYPE_CHECKING:
    from headrace_adapters.redis.jobs import JobStore
    from headrace_adapters.redis.maintenance import MaintenanceStore

_Closed: TypeAlias = tuple[str, Explanation]  # why nothing at all starts: a word, and for people


@dataclass(frozen=True, slots=True)
class Planned:
    """What would come of a submit: where it starts, when, when it ends, from what that is known,
    and the quotas that bound its owner."""

    told: Answer
    expected: Expected
    end: Start | None
    basis: str | None
    quotas: tuple[str, ...]


class Answers:
    """Says why jobs wait and when they start."""

    def __init__(
        self,
        jobs: "JobStore",
        maintenance: "MaintenanceStore",
        reader: Reader,
        forecasts: Forecasts,
    ) -> None:
        self._jobs = jobs
        self._maintenance = maintenance
        self._reader = reader
        self._forecasts = forecasts
        self._one_at_a_time = asyncio.Lock()  # an answer may be a second's work

    async def why(self, job_id: JobId) -> Answer:
        """Tell why a job in AWAITING_ALLOCATION waits, and what would let it start now.

        Raises `NotFound`, and `Conflict` where the job waits for no allocation.
        """
        job, waiting = await self._waiting(job_id)
        together = "parallel" in json.loads(job.spec) and job.ask.backend == CONTAINER
        closed = await self._closed()
        seen = await self._reader.read(without=job_id)
        return await self._of(waiting, job.priority, closed, seen, together=together)

    async def when(self, job_id: JobId, *, at_once: bool = False) -> Expected:
        """Tell when a job in AWAITING_ALLOCATION starts; raises as `why` does. `at_once`: only
        what is known already is told."""
        _, job = await self._waiting(job_id)
        if job.held:
            let_go = f"it is held by its owner (`headrace jobs release {job_id}`)"
            return Expected(None, let_go, await self._jobs.now_ms())
        if closed := await self._closed():
            return Expected(None, _said(closed), await self._jobs.now_ms())
        return await self._forecasts.expected(job, at_once=at_once)

    async def plan(self, asked: PlanRequest) -> Planned:
        """Tell what would come of a submit now: where it starts, when, and when it ends."""
        now_ms = await self._jobs.now_ms()
        estimate = await self._jobs.estimates.like(asked.likeness, asked.input_bytes)
        rank, owner = rank_of(now_ms, asked.priority), asked.owner
        job = asking(asked.ask, NEW, owner, rank, now_ms, estimate=estimate)
        closed = await self._closed()
        seen = await self._reader.read(without=job.id)
        quotas = seen.snapshot.quotas.counting(owner, asked.groups)
        seen = replace(seen, snapshot=replace(seen.snapshot, quotas=quotas))
        told = await self._of(job, asked.priority, closed, seen, together=asked.together)
        if closed:
            expected = Expected(None, _said(closed), now_ms)
        elif told.starts is None and told.never:
            expected = Expected(None, told.explanation.sentence, now_ms)
        elif told.starts is None:
            expected = await self._forecasts.expected(job)
        else:
            expected = Expected(Start(now_ms, now_ms, now_ms), "it fits now", now_ms)
        end = _end(job, expected.start) if expected.start else None
        mine = [each for each in quotas.bounds if owner in each.owners]
        texts = tuple(f"{each.whose}: {each.text}, in use {each.used_text}" for each in mine)
        return Planned(told, expected, end, _basis(expected, job), texts)

    async def in_use(self) -> dict[str, str]:
        """What is used of the quotas of running use, by whose they are, as quotas are written."""
        found: dict[str, list[str]] = {}
        for bound in (await self._reader.quotas()).bounds:
            found.setdefault(bound.who, []).append(str(bound.in_use))
        return {who: " ".join(used) for who, used in found.items()}

    async def _waiting(self, job_id: JobId) -> tuple[Job, WaitingJob]:
        """A job that waits, and as a plan looks at it; raises `NotFound`, `Conflict`."""
        job = await self._jobs.get(job_id)
        if job.status is not Status.AWAITING_ALLOCATION:
            raise Conflict(f"job {job_id} is in {job.status} and waits for no allocation")
        return job, waiting_job(job, (await self._jobs.estimates.of([job])).get(job_id))

    async def _closed(self) -> _Closed | None:
        """Why nothing at all starts now, if so."""
        if said := await self._maintenance.get():
            return "MAINTENANCE", in_maintenance(said)
        if backup := await self._jobs.restored_from():
            return "RESTORE", after_restore(backup)
        return None

    async def _of(
        self,
        job: WaitingJob,
        priority: int,
        closed: _Closed | None,
        seen: Seen,
        *,
        together: bool,
    ) -> Answer:
        position = ahead_of(job, seen.snapshot) + 1 if job.is_due(seen.now_ms) else None
        if closed:
            cause, said = closed
            return Answer(said, (Cause(cause, said.sentence),), position=position)
        spread = PARALLEL if together else None
        anew = Anew(priority, MOST_OF_USERS, partial(rank_of, seen.now_ms), spread)
        async with self._one_at_a_time:
            return await asyncio.to_thread(answer, seen.snapshot, job, anew, seen.now_ms)


def _said(closed: _Closed) -> str:
    """Why nothing starts, within a sentence."""
    return closed[1].sentence.rstrip(".")


def _basis(expected: Expected, job: WaitingJob) -> str | None:
    """From what the start and the end are known; None without a start."""
    if expected.start is None:
        return None
    own = "its run time is not known"
    if job.estimate:
        own = f"it runs as long as others did: {job.estimate.basis}"
    elif job.time_limit_ms:
        own = "it runs up to its time limit"
    return f"{expected.basis}; {own}"


def _end(job: WaitingJob, start: Start) -> Start | None:
    """When it ends, where its run time is known at all: of a task, where it has several."""
    if job.estimate is None and job.time_limit_ms is None:
        return None
    low, at, high = (
        duration_ms(job.estimate, job.time_limit_ms, 0, chance) for chance in (0.1, 0.5, 0.9)
    )
    return Start(start.at_ms + at, start.low_ms + low, start.high_ms + high)
