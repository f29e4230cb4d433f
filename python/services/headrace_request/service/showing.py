"""What a job uses, how far it is, and what the cluster was like, as it is shown."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from headrace_model.estimate import Estimate
from headrace_model.job import Job
from headrace_model.people import User
from headrace_model.progress import pace_of
from headrace_model.report import Used
from headrace_model.series import Resolution
from headrace_model.status import Status
from headrace_model.usage import Total, thinned, total_of, total_of_all
from headrace_request.service.jobs import JobDesk
from headrace_request.service.usage import RankUsage, Usage, UsageReader
from headrace_wire.history import run_ms_of
from headrace_wire.jobfile import load_jobtext
from headrace_wire.progress import progress_view, rank_view, tasks_view
from headrace_wire.series import series_view
from headrace_wire.usage import held_and_used, report_view, sample_view

if TYPE_CHECKING:
    from headrace_adapters.redis.estimates import EstimateStore
    from headrace_adapters.redis.series import SeriesStore

_SAMPLES: Final = 8_000


@dataclass(frozen=True, slots=True)
class Showing:
    """Asks the nodes of an attempt, or Redis for the cluster, and puts together what is told."""

    desk: JobDesk
    reader: UsageReader
    store: "SeriesStore"
    estimates: "EstimateStore"

    async def progress(self, user: str, job: Job, attempt: int) -> dict[str, Any]:
        """Show how far an attempt of a job is, or was."""
        if tasks := await self.desk.tasks(job):
            return tasks_view(job.id, attempt, tasks)
        now_ms = time.time_ns() // 1_000_000
        return progress_view(
            job.id,
            attempt,
            [
                rank_view(each.rank, each.node, each.marks[-1], pace_of(each.marks, now_ms))
                for each in await self.reader.progress(user, job, attempt)
            ],
        )

    async def usage(
        self, user: User, job: Job, attempt: int, rank: int | None = None, since_ms: int = 0
    ) -> dict[str, Any]:
        """Show what an attempt used of what it asked: sums of all, samples after a time."""
        found, way, estimates = await asyncio.gather(
            self.reader.read(user.name, job, attempt, rank),
            self.desk.history(job.id, user),
            self.estimates.of([job]),
        )
        totals = [total_of(each.samples) for each in found.ranks]
        total = total_of_all(totals)
        if len(found.ranks) == len(found.held.shares):
            total = _with_exit(total, job, attempt)
        estimate = estimates.get(job.id)
        used = _used(job, attempt, found, total, way.lines, estimate)
        completed = job.status is Status.COMPLETED and attempt == job.attempt
        most = max(4, _SAMPLES // max(1, len(found.ranks)))
        return {
            "job": job.id,
            "attempt": attempt,
            **held_and_used(found.shown, total),
            "workers": len(found.held.shares),
            **report_view(used, estimate, completed=completed),
            "ranks": [
                _rank_usage(each, total, since_ms, most)
                for each, total in zip(found.ranks, totals, strict=True)
            ],
        }

    async def series(self, resolution: Resolution, since_ms: int = 0) -> dict[str, Any]:
        """Show what the cluster was like after a time."""
        return series_view(resolution, await self.store.read(resolution, since_ms))


def _used(
    job: Job,
    attempt: int,
    found: Usage,
    total: Total,
    history: Sequence[str],
    estimate: Estimate | None,
) -> Used:
    """What an attempt used of what it asked; times by its history."""
    return Used(
        asked=found.held.total,
        time_limit_ms=job.ask.time_ms,
        run_ms=run_ms_of(history, attempt),
        cpu_ms=total.cpu_ms,
        peak_memory_bytes=total.peak_memory_bytes,
        learned_run_ms=estimate.p90_ms if estimate else None,
        learned_memory_bytes=estimate.memory_bytes if estimate else None,
        raised_from_bytes=_raised_from(job),
    )


def _raised_from(job: Job) -> int | None:
    """The memory that its file asks, where attempts asked more after an OOM."""
    asked = load_jobtext(job.spec).resources.amount.memory_bytes
    return asked if asked < job.ask.resources.memory_bytes else None


def _rank_usage(found: RankUsage, total: Total, since_ms: int, most: int) -> dict[str, Any]:
    newer = [sample for sample in found.samples if sample.at_ms > since_ms]
    return {
        "rank": found.rank,
        "node": found.share.node,
        **held_and_used(found.share.resources, total),
        "samples": [sample_view(sample) for sample in thinned(newer, most)],
    }


def _with_exit(total: Total, job: Job, attempt: int) -> Total:
    """What ended tells of the peak of memory, which no sample need have seen."""
    if attempt != job.attempt or not job.status.closed or job.peak_memory_bytes is None:
        return total
    peak = max(total.peak_memory_bytes or 0, job.peak_memory_bytes)
    return Total(total.cpu_ms, total.mean_millicpus, peak)
