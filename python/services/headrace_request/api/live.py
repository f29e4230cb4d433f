"""The WebSocket address: lets callers in, reads their messages, sends what they are to be told."""

import asyncio
from contextlib import suppress
from typing import Any, Final

from aiohttp import WSMsgType, web

from headrace_model.errors import HeadraceError, RateLimited, Unavailable
from headrace_request.api.jobs import ROOT
from headrace_request.core.live import (
    Auth,
    BadMessage,
    Close,
    FollowCluster,
    FollowJobs,
    FollowLog,
    FollowNodes,
    FollowProgress,
    FollowUsage,
    FollowWhen,
    Unfollow,
    read_message,
    write,
    write_error,
)
from headrace_request.service.doorman import Caller, Doorman
from headrace_request.service.live import Live, LiveHub
from headrace_request.settings import Settings
from headrace_service.logs import logger
from headrace_service.metrics import SOCKETS
from headrace_wire.live import VERSION

WS: Final = f"{ROOT}/ws"
_MESSAGE_BYTES = 64 * 1024
_HEARTBEAT_S = 20.0
_AUTH_S = 10.0
_SEND_S = 60.0
_MOST_FOLLOWED = 100
_MOST_MISTAKES = 20
_MOST_STRANGERS = 100  # sockets that have not shown whose they are


class LiveRoute:
    """Serves /api/v1/ws. The token comes with the request, or in the first message."""

    def __init__(self, hub: LiveHub, doorman: Doorman, settings: Settings) -> None:
        self._hub = hub
        self._doorman = doorman
        self._settings = settings
        self._open = 0  # with a caller; the others are strangers
        self._strangers = 0
        self._log = logger("request")

    def add_to(self, app: web.Application) -> None:
        """Add the route, and end all connections when the service stops."""
        app.router.add_get(WS, self.serve)

        async def going(_: web.Application) -> None:
            self._hub.close_all()

        app.on_shutdown.append(going)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection to its end."""
        shown, address = request.headers.get("Authorization"), request.remote or "local"
        # A wrong token is refused before anything is upgraded, as for any other address.
        caller = await self._doorman.caller_of(shown, address) if shown else None
        socket = web.WebSocketResponse(
            heartbeat=_HEARTBEAT_S, max_msg_size=_MESSAGE_BYTES, compress=False
        )
        await socket.prepare(request)
        entry = caller or await self._first_message(socket, address)
        if isinstance(entry, Close):
            await socket.close(code=entry, message=entry.name.lower().encode())
            return socket
        if self._open >= self._settings.sockets_limit:
            await socket.close(code=Close.TOO_MANY, message=b"too many connections")
            return socket
        self._open += 1
        SOCKETS.set(self._open)
        try:
            if self._hub.count(entry.user.name) >= self._settings.user_sockets_limit:
                await socket.close(code=Close.TOO_MANY, message=b"too many connections of yours")
            else:
                await self._serve(socket, Live(entry, self._settings.outbox_limit_bytes))
        finally:
            self._open -= 1
            SOCKETS.set(self._open)
        return socket

    async def _first_message(self, socket: web.WebSocketResponse, address: str) -> Caller | Close:
        """Read the token; gives why the connection is ended where there is no good one."""
        if self._strangers >= _MOST_STRANGERS:
            return Close.TOO_MANY
        self._strangers += 1
        try:
            async with asyncio.timeout(_AUTH_S):
                message = await socket.receive()
            asked = read_message(message.data) if message.type is WSMsgType.TEXT else None
            if isinstance(asked, Auth):
                return await self._doorman.caller_of(f"Bearer {asked.token}", address)
        except RateLimited:
            return Close.TOO_MANY
        except Unavailable:
            return Close.GOING
        except (TimeoutError, HeadraceError):
            pass
        finally:
            self._strangers -= 1
        return Close.UNAUTHORIZED

    async def _serve(self, socket: web.WebSocketResponse, live: Live) -> None:
        user = live.caller.user
        live.outbox.put_now(write("hello", None, v=VERSION, user=user.name, role=user.role))
        self._hub.add(live)
        tasks = [
            asyncio.ensure_future(self._read(socket, live)),
            asyncio.ensure_future(_send(socket, live)),
        ]
        try:
            ends: set[asyncio.Future[Any]] = {*tasks, live.closing}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._hub.remove(live)
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        for error in ended:
            if isinstance(error, Exception) and not isinstance(error, ConnectionError):
                self._log.error(f"a connection failed: {error!r}", action="live")
        code = live.closing.result() if live.closing.done() else Close.GOING
        self._log.info(f"a live connection ended: {code.name}", action="live_end", user=user.name)
        # A peer that takes nothing does not answer a close either: it is not waited for.
        with suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(2.0):
                await socket.close(code=code, message=code.name.lower().encode(), drain=False)

    async def _read(self, socket: web.WebSocketResponse, live: Live) -> None:
        mistakes = 0
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                live.close(Close.NONSENSE)
                return
            if wait_s := self._doorman.count(live.caller):
                await asyncio.sleep(wait_s)  # what comes meanwhile is not read
            id_ = None
            try:
                asked = read_message(message.data)
                id_ = getattr(asked, "id", None)
                self._do(live, asked)
            except BadMessage as error:
                mistakes += 1
                live.tell(write_error(error, error.id))
                if mistakes >= _MOST_MISTAKES:
                    live.close(Close.NONSENSE)
                    return
            except HeadraceError as error:
                live.tell(write_error(error, id_))

    def _do(self, live: Live, asked: object) -> None:
        match asked:
            case Unfollow(id_):
                live.drop(id_)
                return
            case (
                FollowJobs()
                | FollowLog()
                | FollowNodes()
                | FollowProgress()
                | FollowWhen()
                | FollowUsage()
                | FollowCluster()
            ):
                live.drop(asked.id)
                if len({*live.jobs, *live.tasks}) >= _MOST_FOLLOWED:
                    live.close(Close.TOO_MANY)
                    return
        match asked:
            case FollowJobs():
                self._hub.follow_jobs(live, asked)
            case FollowLog():
                self._hub.follow_log(live, asked)
            case FollowNodes():
                self._hub.follow_nodes(live, asked)
            case FollowProgress():
                self._hub.follow_progress(live, asked)
            case FollowWhen():
                self._hub.follow_when(live, asked)
            case FollowUsage():
                self._hub.follow_usage(live, asked)
            case FollowCluster():
                self._hub.follow_cluster(live, asked)
            case _:
                pass  # a token that is shown again changes nothing


async def _send(socket: web.WebSocketResponse, live: Live) -> None:
    while True:
        text = await live.outbox.take()
        try:
            async with asyncio.timeout(_SEND_S):
                await socket.send_str(text)
        except TimeoutError:
            live.close(Close.TOO_SLOW)
            return
