"""How many requests are answered at the same time, of all and of one user."""

from collections import Counter

from aiohttp import web
from aiohttp.typedefs import Handler

from headrace_model.errors import RateLimited, Unavailable
from headrace_request.api.requests import CALLER_KEY

_AGAIN_S = 1


def limit_requests(
    app: web.Application, limit: int, user_limit: int, *, but: frozenset[str]
) -> None:
    """Refuse requests above `limit` at a time with 503, and of one user above `user_limit` with
    429, before they cost anything.

    `but`: routes that count for themselves.
    """
    busy = 0
    running: Counter[str] = Counter()  # by user; "": those who have not shown who they are

    @web.middleware
    async def limited(request: web.Request, handler: Handler) -> web.StreamResponse:
        nonlocal busy
        resource = request.match_info.route.resource
        if resource and resource.canonical in but:
            return await handler(request)
        caller = request.get(CALLER_KEY)
        user = caller.user.name if caller else ""
        if running[user] >= user_limit:
            raise RateLimited(
                f"{user_limit} requests of yours are being answered already",
                after_s=_AGAIN_S,
                hint="wait for some of them; follow many jobs over one WebSocket",
            )
        if busy >= limit:
            raise Unavailable(
                f"{limit} requests are being answered already", hint="try again in a moment"
            )
        busy += 1
        running[user] += 1
        try:
            return await handler(request)
        finally:
            busy -= 1
            running[user] -= 1
            if not running[user]:
                del running[user]

    app.middlewares.append(limited)
