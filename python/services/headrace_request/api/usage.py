"""The public addresses of what a job's workers used, and of how far they are."""

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from aiohttp import web

from headrace_model.errors import NotFound
from headrace_model.estimate import Estimate
from headrace_model.ids import JobId
from headrace_model.job import Job
from headrace_model.report import Used
from headrace_model.status import Status
from headrace_model.times import parse_instant
from headrace_model.usage import Total, thinned, total_of, total_of_all
from headrace_request.api.jobs import ROOT
from headrace_request.api.requests import job_of, number, user_of
from headrace_request.service.jobs import JobDesk
from headrace_request.service.progress import ProgressDesk
from headrace_request.service.usage import RankUsage, Usage, UsageReader
from headrace_wire.usage import held_and_used, report_view, sample_view

_SAMPLES: Final = 8_000


ReadEstimates: TypeAlias = Callable[[Iterable[Job]], Awaitable[Mapping[JobId, Estimate]]]


def add_usage(
    app: web.Application,
    desk: JobDesk,
    reader: UsageReader,
    progress_desk: ProgressDesk,
    estimates: ReadEstimates,
) -> None:
    """Add the routes."""

    async def usage(request: web.Request) -> web.Response:
        job_id, user = job_of(request), user_of(request)
        query = request.query
        since_ms = parse_instant(query["since"]) if query.get("since") else 0
        rank = number(request, "rank", 0, 0, 10_000) if "rank" in query else None
        job = await desk.get(job_id, user)
        attempt = _attempt(request, job)
        found = await reader.read(user.name, job, attempt, rank)
        totals = [total_of(each.samples) for each in found.ranks]
        total = total_of_all(totals)
        if len(found.ranks) == len(found.held.shares):
            total = _with_exit(total, job, attempt)
        way = await desk.history(job_id, user)
        estimate = (await estimates([job])).get(job_id)
        used = _used(job, attempt, found, total, way.lines, estimate)
        most = max(4, _SAMPLES // max(1, len(found.ranks)))
        return web.json_response(
            {
                "job": job_id,
                "attempt": attempt,
                **held_and_used(found.shown, total),
                "workers": len(found.held.shares),
                **report_view(
                    used,
                    estimate,
                    completed=job.status is Status.COMPLETED and attempt == job.attempt,
                ),
                "ranks": [
                    _rank_view(each, total, since_ms, most)
                    for each, total in zip(found.ranks, totals, strict=True)
                ],
            }
        )

    async def progress(request: web.Request) -> web.Response:
        user = user_of(request)
        job = await desk.get(job_of(request), user)
        attempt = _attempt(request, job)
        return web.json_response(await progress_desk.show(user.name, job, attempt))

    app.router.add_get(ROOT + "/jobs/{job:[^/:]+}/usage", usage)
    app.router.add_get(ROOT + "/jobs/{job:[^/:]+}/progress", progress)


def _attempt(request: web.Request, job: Job) -> int:
    attempt = number(request, "attempt", job.attempt, 1)
    if attempt > job.attempt:
        raise NotFound(f"job {job.id} has {job.attempt} attempt(s), so no attempt {attempt}")
    return attempt


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
        run_ms=run_ms_of(attempt, history),
        cpu_ms=total.cpu_ms,
        peak_memory_bytes=total.peak_memory_bytes,
        learned_run_ms=estimate.p90_ms if estimate else None,
        learned_memory_bytes=estimate.memory_bytes if estimate else None,
    )


def run_ms_of(attempt: int, history: Sequence[str]) -> int | None:
    """How long an attempt was RUNNING; None where it has not run, or runs still."""
    began: int | None = None
    for entry in map(json.loads, history):
        if entry.get("attempt") != attempt:
            continue
        if entry["to"] == Status.RUNNING and entry["from"] != Status.RUNNING:
            began = int(entry["at"])
        elif entry["from"] == Status.RUNNING and entry["to"] != Status.RUNNING and began:
            return int(entry["at"]) - began
    return None


def _rank_view(found: RankUsage, total: Total, since_ms: int, most: int) -> dict[str, Any]:
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
