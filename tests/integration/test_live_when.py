"""`when` over the WebSocket: a job's place and start are told as they change, and its way on."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from headrace_adapters.redis.users import UserStore
from headrace_model.people import UserRole
from headrace_model.status import Event, Role
from headrace_request.service import answers, livesampled
from tests.integration.test_live import connected
from tests.support.people import token_of
from tests.support.redis_server import RedisServer
from tests.support.request_desk import NODE, Desk, running_desk

AT = {
    "at": "2026-01-01T10:00:00.000Z",
    "low": "2026-01-01T09:00:00.000Z",
    "high": "2026-01-01T12:00:00.000Z",
}


class Scheduler:
    """A stand-in for the scheduler: says when a job starts, as the test sets it."""

    def __init__(self) -> None:
        self.said: dict[str, Any] = {"start": AT, "position": 7, "basis": "made up"}
        self.asked = 0
        self.open = asyncio.Event()
        self.open.set()

    async def answer(self, _: web.Request) -> web.Response:
        self.asked += 1
        await self.open.wait()
        # When it was foreseen changes with every answer, and alone is no news.
        return web.json_response({**self.said, "made": f"2026-01-01T00:00:{self.asked:02}.000Z"})


@pytest.fixture
async def scheduler(state_dir: Path) -> AsyncIterator[Scheduler]:
    made = Scheduler()
    app = web.Application()
    app.router.add_get("/internal/when/{job}", made.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, str(state_dir / "scheduler.sock")).start()
    yield made
    await runner.cleanup()


@pytest.fixture
async def desk(
    state_dir: Path, redis_server: RedisServer, scheduler: Scheduler
) -> AsyncIterator[Desk]:
    url = f"unix:{state_dir}/scheduler.sock"
    async with running_desk(state_dir, redis_server.url, scheduler_url=url) as made:
        yield made


async def test_a_waiting_job_is_told_its_place_and_start_as_they_change_until_it_is_over(
    desk: Desk, scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(livesampled, "_SAMPLED_EVERY_S", 0.01)
    await desk.join_node()
    job = await desk.submit()
    async with connected(desk) as socket:
        await socket.say(op="follow", id="w", topic="when", job=job)
        first = await socket.hear()
        assert (first["type"], first["id"]) == ("when", "w")
        told = first["when"]
        assert (told["job"], told["position"]) == (job, 7)
        assert {key: told[key] for key in AT} == AT
        _, rest = await desk.call("GET", f"/jobs/{job}/when")
        assert {**rest, "made": ""} == {**told, "made": ""}
        _, shown = await desk.call("GET", f"/jobs/{job}")
        assert (shown["position"], shown["start"]) == (7, AT)

        asked = scheduler.asked
        while scheduler.asked < asked + 3:  # the same answer is no news
            await desk.call("GET", "/me")
        scheduler.said["position"] = 3
        assert (await socket.hear())["when"]["position"] == 3

        await desk.launch(job)
        runs = (await socket.until("when"))["when"]
        while "runs" not in runs["sentence"]:
            runs = (await socket.until("when"))["when"]
        assert "position" not in runs
        assert runs["low"] == runs["at"] == runs["high"] != AT["at"]

        await desk.step(job, Event.COMPLETED, Role.MONITOR, returns=(NODE,))
        assert (await socket.hear())["when"]["status"] == "CLOSED:COMPLETED"
        assert await socket.hear() == {"type": "end", "id": "w"}


async def test_a_job_that_moves_is_told_at_once_and_not_only_at_the_next_look(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(livesampled, "_SAMPLED_EVERY_S", 3_600.0)
    job = await desk.submit()
    async with connected(desk) as socket:
        await socket.say(op="follow", id="w", topic="when", job=job)
        assert (await socket.hear())["when"]["position"] == 7
        await desk.call("POST", f"/jobs/{job}:cancel")
        assert (await socket.hear())["when"]["status"] == "CLOSED:CANCELED"
        assert (await socket.hear())["type"] == "end"


async def test_a_job_is_shown_without_its_start_where_the_scheduler_is_slow(
    desk: Desk, scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "_GLANCE_S", 0.05)
    job = await desk.submit()
    scheduler.open.clear()
    status, shown = await desk.call("GET", f"/jobs/{job}")
    assert (status, shown["id"]) == (200, job)
    assert "position" not in shown
    scheduler.open.set()


async def test_when_of_a_job_that_one_may_not_see_is_an_error(desk: Desk) -> None:
    job = await desk.submit()
    other = await token_of(UserStore(desk.redis), "zoe", UserRole.USER)
    async with connected(desk, other) as socket:
        await socket.say(op="follow", id="w", topic="when", job=job)
        error = await socket.hear()
        assert (error["type"], error["id"], error["code"]) == ("error", "w", "NOT_FOUND")
