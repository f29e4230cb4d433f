"""The scheduler's own HTTP: why a job waits, when it starts, what would come of a submit, and what
is used of quotas.

Only the request service calls it.
"""

from dataclasses import replace

from aiohttp import web

from headrace_model.ids import parse_job_id
from headrace_model.resources import Share
from headrace_model.times import instant_text
from headrace_scheduler.answers import Answers
from headrace_scheduler.core.causes import Answer
from headrace_scheduler.core.forecast import Start
from headrace_wire.api import RangeView, ShareView
from headrace_wire.schema import from_plain, to_plain
from headrace_wire.why import CauseView, ChangeView, PlacedView, PlanRequest


def add_routes(app: web.Application, answers: Answers) -> None:
    """Add the scheduler's routes."""

    async def why(request: web.Request) -> web.Response:
        told = await answers.why(parse_job_id(request.match_info["job"]))
        return web.json_response(to_plain(_placed(told)))

    async def when(request: web.Request) -> web.Response:
        at_once = "at_once" in request.query
        expected = await answers.when(parse_job_id(request.match_info["job"]), at_once=at_once)
        return web.json_response(
            {
                "start": to_plain(start) if (start := _range(expected.start)) else None,
                "position": expected.position,
                "basis": expected.basis,
                "made": instant_text(expected.made_ms) if expected.made_ms else None,
            }
        )

    async def plan(request: web.Request) -> web.Response:
        asked = from_plain(PlanRequest, await request.json())
        planned = await answers.plan(asked)
        placed = replace(
            _placed(planned.told),
            start=_range(planned.expected.start),
            end=_range(planned.end),
            basis=planned.basis,
            quotas=planned.quotas,
        )
        return web.json_response(to_plain(placed))

    async def in_use(request: web.Request) -> web.Response:
        return web.json_response({"in_use": await answers.in_use()})

    app.router.add_get("/internal/quotas", in_use)
    app.router.add_get("/internal/why/{job}", why)
    app.router.add_get("/internal/when/{job}", when)
    app.router.add_post("/internal/plan", plan)


def _placed(told: Answer) -> PlacedView:
    found = told.change
    change = found and ChangeView(found.cause, found.sentence, found.set, found.nodes)
    return PlacedView(
        sentence=told.explanation.sentence,
        hint=told.explanation.next_step,
        position=told.position,
        causes=tuple(CauseView(each.cause, each.sentence) for each in told.causes),
        change=change or None,
        nodes=tuple(_share(each) for each in told.starts.shares) if told.starts else (),
        never=told.never,
    )


def _share(share: Share) -> ShareView:
    held = share.resources
    return ShareView(share.node, held.millicpus / 1000, held.memory_bytes)


def _range(found: Start | None) -> RangeView | None:
    if found is None:
        return None
    return RangeView(
        instant_text(found.at_ms), instant_text(found.low_ms), instant_text(found.high_ms)
    )
