"""The address of the maintenance switch."""

from dataclasses import asdict
from typing import Final

from aiohttp import web

from headrace_request.api.requests import read_json, user_of
from headrace_request.service.maintenance import MaintenanceDesk
from headrace_wire.maintenance import MaintenanceChange
from headrace_wire.operations.parameters import ROOT
from headrace_wire.schema import from_plain

_BODY_BYTES: Final = 16 * 1024


def add_maintenance(app: web.Application, desk: MaintenanceDesk) -> None:
    """Add the routes."""

    async def show(request: web.Request) -> web.Response:
        return web.json_response(asdict(await desk.show(user_of(request))))

    async def turn(request: web.Request) -> web.Response:
        asked = from_plain(MaintenanceChange, await read_json(request, _BODY_BYTES))
        view = await desk.turn(user_of(request), on=asked.on, why=asked.why)
        return web.json_response(asdict(view))

    app.router.add_get(f"{ROOT}/maintenance", show)
    app.router.add_put(f"{ROOT}/maintenance", turn)
