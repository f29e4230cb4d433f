"""Webhooks by a real receiver, with all monitors killed (-9) between event, message and answer."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from headrace_client.api import AsyncClient
from headrace_model.webhook import HookEvent
from headrace_wire.webhooks import ID_HEADER, WebhookView, is_signed
from tests.support.stack import Stack
from tests.support.wait import wait_until

_WITHIN_S = 90.0
_MONITORS = ("monitor-1", "monitor-2")
_WAITS: dict[str, Any] = {
    "headrace": 1,
    "kind": "command",
    "command": ["true"],
    "start_not_before": "2099-01-01T00:00:00Z",
}


class Receiver:
    """What came, and how it is answered: `answers` in turn (0: never), then 204."""

    def __init__(self) -> None:
        self.url = ""
        self.answers: list[int] = []
        self.came: list[tuple[dict[str, str], bytes]] = []

    async def take(self, request: web.Request) -> web.Response:
        self.came.append((dict(request.headers), await request.read()))
        status = self.answers.pop(0) if self.answers else 204
        if not status:
            await asyncio.Event().wait()
        where = {"Location": f"{self.url}/elsewhere"} if status == 307 else {}
        return web.Response(status=status, headers=where)

    @property
    def ids(self) -> list[str]:
        return [headers[ID_HEADER] for headers, _ in self.came]


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    app = web.Application()
    app.router.add_post("/{rest:.*}", made.take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined] # asyncio's
    made.url = f"http://127.0.0.1:{port}"
    try:
        yield made
    finally:
        await runner.cleanup()


async def _settled(client: AsyncClient) -> WebhookView:
    async def nothing_waits() -> WebhookView | None:
        (hook,) = await client.people.webhooks()
        return None if hook.waiting else hook

    return await wait_until(nothing_waits, "nothing to be waiting", within_s=_WITHIN_S)


async def _closed(client: AsyncClient, name: str) -> str:
    """A job that is canceled by the request service alone: no monitor is needed for that."""
    job = (await client.submit({**_WAITS, "name": name})).id
    await client.desire(job, "cancel")
    return job


async def test_each_event_arrives_though_all_monitors_are_killed_before_and_while_it_is_sent(
    state_dir: Path,
) -> None:
    settings = {"webhook_networks": "127.0.0.0/8"}
    async with (
        receiver() as there,
        Stack(state_dir / "home", settings=settings) as stack,
        stack.client() as client,
    ):
        await _closed(client, "run-before")  # before there was a webhook: never told
        hook = await client.people.add_webhook(there.url, events=(HookEvent.ENDED,), name="run-")
        assert len(hook.secret) >= 32

        first = await _closed(client, "run-1")
        await wait_until(lambda: len(there.came) == 1, "the first message", within_s=_WITHIN_S)
        await _settled(client)

        # Nobody is there to see the event.
        await asyncio.to_thread(stack.kill9, *_MONITORS)
        second = await _closed(client, "run-2")
        await _closed(client, "other")
        there.answers = [0]  # and the one who sends it gets no answer before it is killed
        await asyncio.gather(*map(stack.restart, _MONITORS))
        await wait_until(lambda: len(there.came) == 2, "the second message", within_s=_WITHIN_S)
        await asyncio.to_thread(stack.kill9, *_MONITORS)
        await asyncio.gather(*map(stack.restart, _MONITORS))
        await wait_until(lambda: len(there.came) == 3, "it again", within_s=_WITHIN_S)

        # A refusal is tried again, and nobody is followed elsewhere.
        await _settled(client)
        there.answers = [307]
        third = await _closed(client, "run-3")
        await wait_until(lambda: len(there.came) == 5, "another try", within_s=_WITHIN_S)
        await _settled(client)

        told = [json.loads(body) for _, body in there.came]
        assert [each["job"]["id"] for each in told] == [first, second, second, third, third]
        assert there.ids[1] == there.ids[2]
        assert there.ids[3] == there.ids[4]
        assert len(set(there.ids)) == 3
        assert told[0]["event"] == "ended"
        assert told[0]["job"]["status"] == "CLOSED:CANCELED"
        for headers, body in there.came:
            assert is_signed(hook.secret, headers, body, time.time())
            assert not is_signed("another", headers, body, time.time())
        (seen,) = await client.people.webhooks()
        assert seen.secret == ""
        logs = "".join(
            path.read_text(errors="replace")
            for path in stack.home.root.rglob("*.log")
            if path.is_file()
        )
        assert hook.secret not in logs
        await client.people.remove_webhook(hook.id)
        assert await client.people.webhooks() == ()


async def test_nothing_is_sent_to_a_private_address_where_nobody_allowed_it(
    state_dir: Path,
) -> None:
    async with (
        receiver() as there,
        Stack(state_dir / "home") as stack,
        stack.client() as client,
    ):
        await client.people.add_webhook(there.url)
        await _closed(client, "run")

        async def told_why() -> WebhookView | None:
            (hook,) = await client.people.webhooks()
            return hook if hook.error else None

        hook = await wait_until(told_why, "the refusal", within_s=_WITHIN_S)
        assert "none that webhooks may reach" in hook.error
        assert there.came == []
