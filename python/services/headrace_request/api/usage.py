"""The public addresses of what workers used, how far they are, and of the cluster's series."""

from aiohttp import web

from headrace_model.errors import InvalidInput, NotFound
from headrace_model.job import Job
from headrace_model.people import Act, check_may
from headrace_model.series import Resolution
from headrace_model.times import parse_instant
from headrace_request.api.jobs import ROOT
from headrace_request.api.requests import job_of, number, user_of
from headrace_request.service.jobs import JobDesk
from headrace_request.service.showing import Showing


def add_usage(app: web.Application, desk: JobDesk, showing: Showing) -> None:
    """Add the routes."""

    async def usage(request: web.Request) -> web.Response:
        job_id, user = job_of(request), user_of(request)
        since_ms = _since(request)
        rank = number(request, "rank", 0, 0, 10_000) if "rank" in request.query else None
        job = await desk.get(job_id, user)
        attempt = _attempt(request, job)
        return web.json_response(await showing.usage(user, job, attempt, rank, since_ms))

    async def progress(request: web.Request) -> web.Response:
        user = user_of(request)
        job = await desk.get(job_of(request), user)
        attempt = _attempt(request, job)
        return web.json_response(await showing.progress(user.name, job, attempt))

    async def series(request: web.Request) -> web.Response:
        check_may(user_of(request), Act.SEE_NODES)
        step = request.query.get("step", Resolution.SECONDS)
        try:
            resolution = Resolution(step)
        except ValueError:
            known = ", ".join(Resolution)
            raise InvalidInput(f"step={step[:20]!r} is none of {known}") from None
        return web.json_response(await showing.series(resolution, _since(request)))

    app.router.add_get(ROOT + "/jobs/{job:[^/:]+}/usage", usage)
    app.router.add_get(ROOT + "/jobs/{job:[^/:]+}/progress", progress)
    app.router.add_get(ROOT + "/cluster/series", series)


def _since(request: web.Request) -> int:
    since = request.query.get("since")
    return parse_instant(since) if since else 0


def _attempt(request: web.Request, job: Job) -> int:
    attempt = number(request, "attempt", job.attempt, 1)
    if attempt > job.attempt:
        raise NotFound(f"job {job.id} has {job.attempt} attempt(s), so no attempt {attempt}")
    return attempt
