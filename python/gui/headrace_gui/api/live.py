"""Passes the WebSocket of live updates through, as the user who is signed in."""

import asyncio
from contextlib import suppress
from typing import Final

from aiohttp import ClientError, ClientWebSocketResponse, WSMsgType, WSServerHandshakeError, web

from headrace_gui.api.session import SESSION_KEY, SessionRoutes
from headrace_gui.service.upstream import Upstream
from headrace_service.http import Handler
from headrace_wire.operations.parameters import ROOT

PATH: Final = f"{ROOT}/ws"
_MESSAGE_BYTES: Final = 64 * 1024
_HEARTBEAT_S: Final = 20.0
_CLOSE_S: Final = 2.0
_BEAT_S: Final = 10.0
_BEAT: Final = '{"type":"beat"}'
# As docs/websocket.md has them.
_UNAUTHORIZED: Final = 4001
_GOING: Final = 4010


def add_live(app: web.Application, routes: SessionRoutes, upstream: Upstream) -> None:
    """Add the route, and end its connections when the GUI stops."""
    open_: set[web.WebSocketResponse] = set()

    async def serve(request: web.Request) -> web.StreamResponse:
        await routes.authenticate(request, socket=True)
        page = web.WebSocketResponse(
            heartbeat=_HEARTBEAT_S, max_msg_size=_MESSAGE_BYTES, compress=False
        )
        await page.prepare(request)
        open_.add(page)
        code = _GOING
        try:
            server = await upstream.live(request[SESSION_KEY].bearer)
            async with server:
                code = await _relay(page, server)
        except WSServerHandshakeError as error:
            code = _UNAUTHORIZED if error.status == 401 else _GOING
        except (ClientError, OSError) as error:
            upstream.down(error)
        finally:
            open_.discard(page)
        with suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(_CLOSE_S):
                await page.close(code=code, drain=False)
        return page

    async def going(_: web.Application) -> None:
        for each in list(open_):
            with suppress(TimeoutError, ConnectionError):
                async with asyncio.timeout(_CLOSE_S):
                    await each.close(code=_GOING, drain=False)

    handler: Handler = serve
    app.router.add_get(PATH, handler)
    app.on_shutdown.append(going)


async def _relay(page: web.WebSocketResponse, server: ClientWebSocketResponse) -> int:
    """Pass texts both ways until one side ends; gives the code to end the page's side with.

    Who reads slowly is waited for: what it leaves waits in the server, which drops it in time.
    """
    ways = [
        asyncio.ensure_future(each)
        for each in (_pass(page, server), _pass(server, page), _beat(page))
    ]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in ways:
            each.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
    return server.close_code or _GOING


async def _beat(page: web.WebSocketResponse) -> None:
    """Say that the connection lives: a page hears nothing of the pings of the protocol."""
    while True:
        await asyncio.sleep(_BEAT_S)
        await page.send_str(_BEAT)


async def _pass(
    source: web.WebSocketResponse | ClientWebSocketResponse,
    target: web.WebSocketResponse | ClientWebSocketResponse,
) -> None:
    async for message in source:
        if message.type is not WSMsgType.TEXT:
            return
        await target.send_str(message.data)
