"""The scheduler's own HTTP: why a job waits. Only the request service calls it."""

from aiohttp import web

from headrace_model.ids import parse_job_id
from headrace_scheduler.answers import Answers
from headrace_scheduler.core.causes import Answer
from headrace_wire.schema import to_plain
from headrace_wire.why import CauseView, ChangeView


def add_routes(app: web.Application, answers: Answers) -> None:
    """Add the scheduler's routes."""

    async def why(request: web.Request) -> web.Response:
        told = await answers.why(parse_job_id(request.match_info["job"]))
        return web.json_response(_plain(told))

    app.router.add_get("/internal/why/{job}", why)


def _plain(told: Answer) -> dict[str, object]:
    change = told.change
    return {
        "sentence": told.explanation.sentence,
        "hint": told.explanation.next_step,
        "position": told.position,
        "causes": [to_plain(CauseView(each.cause, each.sentence)) for each in told.causes],
        "change": change
        and to_plain(ChangeView(change.cause, change.sentence, change.set, change.nodes)),
    }
