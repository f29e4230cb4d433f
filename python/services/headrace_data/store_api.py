"""The public address for admins who look at the store, or sweep it."""

from dataclasses import asdict

from aiohttp import web

from headrace_data.api import asking
from headrace_data.store_sweep import StoreSweep
from headrace_model.people import Act, check_may
from headrace_service.http import read_bounded
from headrace_wire.datasets import SweepRequest, read_body
from headrace_wire.schema import from_plain

_BODY_BYTES = 16 * 1024
_BODY_S = 30.0


class StoreApi:
    """Decodes requests, calls the sweep, encodes its answers."""

    def __init__(self, sweep: StoreSweep) -> None:
        self._sweep = sweep

    def add_routes(self, app: web.Application) -> None:
        """Add the address."""
        app.router.add_post("/api/v1/datasets:sweep", self._page)

    async def _page(self, request: web.Request) -> web.Response:
        check_may(asking(request), Act.SWEEP_STORE)
        body = read_body(await read_bounded(request, _BODY_BYTES, _BODY_S))
        asked = from_plain(SweepRequest, body)
        found = await self._sweep.sweep_page(asked.cursor, dry_run=asked.dry_run)
        return web.json_response(asdict(found))
