"""The scheduler's own HTTP: why a job waits. Only the request service calls it."""

from aiohttp import web

from headrace_model.ids import parse_job_id
from headrace_scheduler.service import Scheduler


def add_routes(app: web.Application, scheduler: Scheduler) -> None:
    """Add the scheduler's routes."""

    async def why(request: web.Request) -> web.Response:
        explained = await scheduler.why(parse_job_id(request.match_info["job"]))
        if explained is None:
            return web.json_response({"sentence": "it starts with the next plan", "hint": None})
        return web.json_response({"sentence": explained.sentence, "hint": explained.next_step})

    app.router.add_get("/internal/why/{job}", why)
