"""Passes calls of the public API on to the request service, as the user who is signed in."""

from typing import Final

from aiohttp import web

from headrace_gui.api.session import SESSION_KEY
from headrace_gui.service.paths import is_public
from headrace_gui.service.upstream import Upstream
from headrace_model.errors import NotFound
from headrace_service.http import REQUEST_ID, REQUEST_ID_KEY
from headrace_service.passing import pass_answer

# All that a call may carry: never a cookie, nor a header that only proxies set.
_ASKED: Final = (
    "Accept", "Content-Length", "Content-Range", "Content-Type", "Idempotency-Key", "If-Match",
    "If-None-Match", "If-Range", "Range", "X-Content-SHA256",
)  # fmt: skip
# Hop-by-hop (RFC 9110, 7.6.1), and what we say ourselves.
_NOT_TOLD: Final = frozenset(
    {
        "connection", "content-security-policy", "date", "keep-alive", "proxy-authenticate",
        "referrer-policy", "server", "set-cookie", "te", "trailer", "transfer-encoding",
        "upgrade", "www-authenticate", "x-content-type-options", REQUEST_ID.lower(),
    }
)  # fmt: skip
# What users uploaded is served from our origin: it must not run here.
_INERT: Final = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def add_proxy(app: web.Application, upstream: Upstream) -> None:
    """Add the route."""

    async def pass_on(request: web.Request) -> web.StreamResponse:
        """Hand a request on and its answer back, a piece at a time both ways."""
        if not is_public(request.method, request.path):
            raise NotFound(f"the API has no {request.method} at this address")
        headers = {name: request.headers[name] for name in _ASKED if name in request.headers}
        headers |= {REQUEST_ID: request[REQUEST_ID_KEY], **request[SESSION_KEY].bearer}
        body = request.content if request.body_exists else None
        answer = await upstream.call(request.method, request.raw_path, headers, body)
        own = dict(_INERT)
        own["Cache-Control"] = answer.headers.get("Cache-Control", "no-store")
        if "/items/" in request.path:
            own["Content-Disposition"] = "attachment"
        return await pass_answer(
            request, answer, "the request service", leave_out=_NOT_TOLD, headers=own
        )

    app.router.add_route("*", "/api/{rest:.+}", pass_on)
