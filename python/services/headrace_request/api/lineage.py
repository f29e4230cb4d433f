"""The public addresses of lineages: where data comes from, and what became of it."""

from dataclasses import asdict
from typing import Final

from aiohttp import web

from headrace_request.api.jobs import ROOT
from headrace_request.api.requests import job_of, number, user_of
from headrace_request.core.lineage import Bounds
from headrace_request.service.lineage import LineageDesk
from headrace_wire.lineage import DEPTH, MOST_DEPTH, MOST_NODES, NODES

_DATASET: Final = ROOT + "/datasets/{name:[^/:]+}/lineage"


def add_lineage(app: web.Application, desk: LineageDesk) -> None:
    """Add the routes; that of datasets stands before what passes datasets on."""

    async def of_job(request: web.Request) -> web.Response:
        view = await desk.of_job(job_of(request), user_of(request), _bounds(request))
        return web.json_response(asdict(view))

    async def of_dataset(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        view = await desk.of_dataset(name, user_of(request), _bounds(request))
        return web.json_response(asdict(view))

    app.router.add_get(ROOT + "/jobs/{job:[^/:]+}/lineage", of_job)
    app.router.add_get(_DATASET, of_dataset)


def _bounds(request: web.Request) -> Bounds:
    return Bounds(
        number(request, "depth", DEPTH, 1, MOST_DEPTH),
        number(request, "limit", NODES, 1, MOST_NODES),
    )
