"""The public addresses of one's own webhooks."""

import asyncio
import re
import socket
import time
from secrets import token_hex, token_urlsafe
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aiohttp import web

from headrace_model.errors import InvalidInput
from headrace_model.people import Act, Standing, check_may
from headrace_model.reach import may_reach
from headrace_model.webhook import Webhook
from headrace_request.api.jobs import ROOT
from headrace_request.api.requests import read_json, user_of
from headrace_wire.schema import from_plain
from headrace_wire.webhooks import NewWebhook, webhook_view

if TYPE_CHECKING:
    from headrace_adapters.redis.webhooks import WebhookStore

_BODY_BYTES = 16 * 1024
_LOOKUP_S = 3.0


def add_webhooks(app: web.Application, store: "WebhookStore") -> None:
    """Add the routes."""

    async def show(request: web.Request) -> web.Response:
        user = _owner(request)
        waiting = [
            each for each in (await store.waiting()).deliveries.values() if each.user == user
        ]
        hooks = sorted((await store.of([user]))[user], key=lambda hook: hook.created_ms)
        return web.json_response({"webhooks": [webhook_view(hook, waiting) for hook in hooks]})

    async def add(request: web.Request) -> web.Response:
        user = _owner(request)
        asked = from_plain(NewWebhook, await read_json(request, _BODY_BYTES))
        hook = Webhook(
            id=token_hex(6),
            url=asked.url,
            events=asked.events,
            secret=token_urlsafe(32),
            created_ms=time.time_ns() // 1_000_000,
            kind=asked.kind.replace("_", "-"),
            name=asked.name,
        )
        await store.keep(user, hook)
        headers = {"Cache-Control": "no-store"}
        view = webhook_view(hook, secret=True, warning=await doubt(hook.url))
        return web.json_response(view, status=201, headers=headers)

    async def remove(request: web.Request) -> web.Response:
        user, hook = _owner(request), request.match_info["webhook"]
        if not re.fullmatch("[0-9a-f]{12}", hook):
            raise InvalidInput(f"{hook[:20]!r} is no id of a webhook")
        await store.remove(user, hook)  # a repeat is success
        return web.Response(status=204)

    app.router.add_get(ROOT + "/webhooks", show)
    app.router.add_post(ROOT + "/webhooks", add)
    app.router.add_delete(ROOT + "/webhooks/{webhook}", remove)


async def doubt(url: str) -> str:
    """Why messages to an address may not arrive, as far as it is seen from here; else "".

    Only a name is looked up, and it is not told what it stands for: nobody is to learn names of
    our own network by this. The monitor looks again, each time it sends.
    """
    parts = urlsplit(url)
    if parts.scheme != "https":
        why = "messages go to public addresses by https:// alone"
    elif await _is_public(parts.hostname or "", parts.port):
        return ""
    else:
        why = "its host is known here as no public address"
    return f"{why}: none arrives unless the operator allows its network (webhook_networks)"


async def _is_public(host: str, port: int | None) -> bool:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_LOOKUP_S):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError, UnicodeError):
        return False
    return bool(found) and all(may_reach(str(each[4][0]), (), encrypted=True) for each in found)


def _owner(request: web.Request) -> str:
    user = user_of(request)
    check_may(user, Act.KEEP_ACCOUNT, Standing.OWNER)
    return user.name
