"""The public addresses of answers that several services know a part of."""

from aiohttp import web

from headrace_request.api.jobs import ROOT
from headrace_request.api.requests import job_of, user_of
from headrace_request.service.answers import AnswerDesk
from headrace_wire.schema import to_plain


def add_answers(app: web.Application, answers: AnswerDesk) -> None:
    """Add the routes."""

    async def why(request: web.Request) -> web.Response:
        """Tell why a job is where it is, and what to do."""
        return web.json_response(to_plain(await answers.why(job_of(request), user_of(request))))

    app.router.add_get(ROOT + "/jobs/{job:[^/:]+}/why", why)
