"""The public addresses of answers that several services know a part of."""

from aiohttp import web

from headrace_request.api.jobs import ROOT
from headrace_request.api.requests import job_of, read_json, user_of
from headrace_request.service.answers import AnswerDesk
from headrace_wire.schema import to_plain


def add_answers(app: web.Application, answers: AnswerDesk, json_limit_bytes: int) -> None:
    """Add the routes."""

    async def why(request: web.Request) -> web.Response:
        """Tell why a job is where it is, and what to do."""
        return web.json_response(to_plain(await answers.why(job_of(request), user_of(request))))

    async def when(request: web.Request) -> web.Response:
        """Tell when a job starts."""
        return web.json_response(to_plain(await answers.when(job_of(request), user_of(request))))

    async def plan(request: web.Request) -> web.Response:
        """Tell what a submit would lead to, without submitting."""
        body = await read_json(request, json_limit_bytes)
        uploads = frozenset(filter(None, request.query.get("uploads", "").split(",")))
        return web.json_response(to_plain(await answers.plan(body, user_of(request), uploads)))

    one = ROOT + "/jobs/{job:[^/:]+}"
    app.router.add_get(f"{one}/why", why)
    app.router.add_get(f"{one}/when", when)
    app.router.add_post(f"{ROOT}/jobs:plan", plan)
