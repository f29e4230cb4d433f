"""The HTTP side of every service: errors, request ids, limits, health and metrics in one place."""

import asyncio
import hmac
import json
import re
import time
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import Path
from secrets import token_hex
from typing import Final

import structlog
from aiohttp import ClientSession, ClientTimeout, TCPConnector, UnixConnector, hdrs, web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from headrace_model.errors import (
    Conflict,
    Forbidden,
    HeadraceError,
    InMaintenance,
    InvalidInput,
    NeverFits,
    NotFound,
    RateLimited,
    TooLarge,
    Unauthorized,
    Unavailable,
)
from headrace_service.logs import logger
from headrace_service.metrics import HTTP_REQUESTS, HTTP_SECONDS

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
REQUEST_ID: Final = "X-Request-ID"
USER: Final = "X-Headrace-User"
REQUEST_ID_KEY: Final = web.RequestKey("request_id", str)
_SAFE_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_VERSION: Final = version("headrace")
_LOCATION: Final = 8190
# Of a body on its way; a connection holds up to twice as much.
_BUFFER_BYTES: Final = 256 * 1024

# The most derived class wins: the first match in this order is taken.
_HTTP_STATUS: Final[tuple[tuple[type[HeadraceError], int], ...]] = (
    (Unauthorized, 401),
    (Forbidden, 403),
    (NotFound, 404),
    (Conflict, 409),
    (TooLarge, 413),
    (NeverFits, 422),
    (InvalidInput, 422),
    (RateLimited, 429),
    (InMaintenance, 503),
    (Unavailable, 503),
)


def problem(error: HeadraceError, request_id: str, status: int | None = None) -> web.Response:
    """Say an error as `application/problem+json` (RFC 9457) with our code and next step.

    `status`: another HTTP status than the error's own.
    """
    if status is None:
        status = next((code for kind, code in _HTTP_STATUS if isinstance(error, kind)), 500)
    body = {
        "type": "about:blank",
        "title": error.code.replace("_", " ").capitalize(),
        "status": status,
        "code": error.code,
        "detail": error.message,
        "retryable": error.retryable,
        "request_id": request_id,
    }
    if error.hint:
        body["hint"] = error.hint
    headers = {REQUEST_ID: request_id}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if error.retryable:
        headers["Retry-After"] = str(error.after_s if isinstance(error, RateLimited) else 2)
    return web.Response(
        status=status,
        body=json.dumps(body).encode(),
        content_type="application/problem+json",
        headers=headers,
    )


def make_app(
    service: str,
    *,
    ready: Callable[[], Awaitable[None]],
    authenticate: Callable[[web.Request], Awaitable[None]],
    body_limit_bytes: int,
    open_routes: frozenset[str] = frozenset(),
) -> web.Application:
    """Make a service's app: every route but health, metrics and `open_routes` is authenticated.

    `ready` raises when the service can't work; `authenticate` raises `Unauthorized`.
    """
    log = logger(service)

    @web.middleware
    async def around(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get(REQUEST_ID, "")
        request_id = given if _SAFE_ID.fullmatch(given) else token_hex(8)
        request[REQUEST_ID_KEY] = request_id
        resource = request.match_info.route.resource
        route = resource.canonical if resource else "unknown"
        started = time.perf_counter()
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                if route not in _OPEN_ROUTES and route not in open_routes:
                    await authenticate(request)
                if hdrs.CONTENT_ENCODING in request.headers:
                    # Never decompressed: a small body could become a huge one.
                    raise web.HTTPUnsupportedMediaType(reason="a compressed body is not taken")
                response = await handler(request)
            except HeadraceError as error:
                response = problem(error, request_id)
            except web.HTTPRequestEntityTooLarge:
                response = problem(
                    TooLarge(f"the body is over {body_limit_bytes:,} bytes"), request_id
                )
            except web.HTTPMethodNotAllowed as error:
                allowed = ", ".join(sorted(error.allowed_methods))
                refused = InvalidInput(f"this address answers {allowed}, not {error.method}")
                response = problem(refused, request_id, error.status)
                response.headers["Allow"] = allowed
            except web.HTTPException as error:
                response = problem(_of_aiohttp(error), request_id, error.status)
            except (ConnectionResetError, TimeoutError):
                raise
            except Exception as error:
                known = _said_in(error)
                if known is None:
                    log.error(
                        f"a request failed: {error!r}", action="http", route=route, exc_info=True
                    )
                    known = HeadraceError(
                        "something went wrong inside Headrace",
                        hint=f"the service's log tells more under request_id {request_id}",
                    )
                response = problem(known, request_id)
        if not response.prepared:
            response.headers[REQUEST_ID] = request_id
        HTTP_REQUESTS.labels(service, request.method, route, response.status).inc()
        HTTP_SECONDS.labels(service, route).observe(time.perf_counter() - started)
        return response

    async def live(_: web.Request) -> web.Response:
        return web.json_response({"status": "live", "service": service, "version": _VERSION})

    async def is_ready(_: web.Request) -> web.Response:
        await ready()
        return web.json_response({"status": "ready", "service": service, "version": _VERSION})

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application(
        middlewares=[around],
        client_max_size=body_limit_bytes,
        handler_args={
            "max_line_size": _LOCATION,
            "max_field_size": _LOCATION,
            "read_bufsize": _BUFFER_BYTES,
        },
    )
    app.router.add_get("/health/live", live)
    app.router.add_get("/health/ready", is_ready)
    app.router.add_get("/metrics", metrics)
    return app


_OPEN_ROUTES: Final = frozenset({"/health/live", "/health/ready", "/metrics"})


def _said_in(error: Exception) -> HeadraceError | None:
    """The error that a group of tasks failed with, where it is one of ours."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error if isinstance(error, HeadraceError) else None


def _of_aiohttp(error: web.HTTPException) -> HeadraceError:
    if error.status == 404:
        return NotFound("there is nothing at this address", hint="/docs shows every address")
    return InvalidInput(error.reason or "the request was refused")


async def read_bounded(request: web.Request, limit_bytes: int, within_s: float) -> bytes:
    """Read a whole body; raises `TooLarge` before more than `limit_bytes` are held, and answers
    408 where it takes longer than `within_s`: who sends slowly must not keep its place for ever.
    """
    if request.content_length is not None and request.content_length > limit_bytes:
        raise TooLarge(f"the body is over {limit_bytes:,} bytes")
    if request.content.is_eof():  # it came with the headers, as small ones do: no clock is needed
        body = request.content.read_nowait()
        if len(body) > limit_bytes:
            raise TooLarge(f"the body is over {limit_bytes:,} bytes")
        return body
    parts, size = [], 0
    try:
        async with asyncio.timeout(within_s):
            async for part in request.content.iter_any():
                size += len(part)
                if size > limit_bytes:
                    raise TooLarge(f"the body is over {limit_bytes:,} bytes")
                parts.append(part)
    except TimeoutError:
        raise web.HTTPRequestTimeout(
            reason=f"the body was not there within {within_s:g} s"
        ) from None
    return b"".join(parts)


class InternalToken:
    """The secret that services and agents show each other, kept in a file with mode 0600.

    Of several, one a line, the first is shown and all are taken, so that a new one can be brought
    to everybody while the old one still counts.
    """

    def __init__(self, path: Path) -> None:
        self._tokens = path.read_text().split()
        if not self._tokens or min(map(len, self._tokens)) < 32:
            raise InvalidInput(f"{path.name} holds no internal token of 32 characters or more")

    @property
    def headers(self) -> dict[str, str]:
        """What a call to another service carries."""
        return {"Authorization": f"Bearer {self._tokens[0]}"}

    async def check(self, request: web.Request) -> None:
        """Raise `Unauthorized` unless the request carries the token."""
        shown = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not any(hmac.compare_digest(shown.encode(), each.encode()) for each in self._tokens):
            raise Unauthorized("this is an internal address of Headrace")


def internal_session(url: str, token: InternalToken) -> tuple[ClientSession, str]:
    """A session to another service and the base URL for it; `url` is http://… or unix:/path."""
    connector: TCPConnector | UnixConnector
    if url.startswith("unix:"):
        connector, base = UnixConnector(url.removeprefix("unix:"), limit=0), "http://service"
    else:
        connector, base = TCPConnector(limit=0), url.rstrip("/")
    # No bound on connections: who waits for one would wait for others' slow transfers. What
    # bounds them is how many requests the caller has at a time.
    timeout = ClientTimeout(total=None, connect=10.0, sock_connect=5.0, sock_read=120.0)
    session = ClientSession(
        connector=connector, headers=token.headers, timeout=timeout, read_bufsize=_BUFFER_BYTES
    )
    return session, base
