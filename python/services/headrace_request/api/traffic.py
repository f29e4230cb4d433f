"""How many requests are answered at the same time."""

from aiohttp import web
from aiohttp.typedefs import Handler

from headrace_model.errors import Unavailable


def limit_requests(app: web.Application, limit: int, *, but: frozenset[str]) -> None:
    """Refuse requests above `limit` at a time with 503, before they cost anything.

    `but`: routes that count for themselves.
    """
    running = 0

    @web.middleware
    async def limited(request: web.Request, handler: Handler) -> web.StreamResponse:
        nonlocal running
        resource = request.match_info.route.resource
        if resource and resource.canonical in but:
            return await handler(request)
        if running >= limit:
            raise Unavailable(
                f"{limit} requests are being answered already", hint="try again in a moment"
            )
        running += 1
        try:
            return await handler(request)
        finally:
            running -= 1

    app.middlewares.append(limited)
