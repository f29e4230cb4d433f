"""A running request service with a real Redis; the data service beside it is a stand-in."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, UnixConnector, web

from headrace_adapters.redis.connection import Redis
from headrace_adapters.redis.jobs import JobStore
from headrace_adapters.redis.nodes import NodeStore
from headrace_adapters.redis.users import UserStore
from headrace_model.ids import JobId, NodeId
from headrace_model.job import Job
from headrace_model.move import Move, move_of
from headrace_model.resources import Allocation, Resources, Share
from headrace_model.status import Event, Role
from headrace_request.main import build
from headrace_request.settings import Settings
from tests.support.people import token_of

NODE = NodeId("n1")
JOB: dict[str, Any] = {"headrace": 1, "kind": "command", "command": ["true"]}


class Desk:
    """A running request service, and what stands around it."""

    def __init__(self, session: ClientSession, redis: Redis, folder: Path) -> None:
        self.session = session
        self.redis = redis
        self.store = JobStore(redis)
        self.folder = folder

    async def call(
        self, method: str, path: str, body: object = None, **headers: str
    ) -> tuple[int, Any]:
        async with self.session.request(
            method, f"http://request/api/v1{path}", json=body, headers=headers
        ) as answer:
            text = await answer.read()
            return answer.status, json.loads(text) if text else None

    async def submit(self, **keys: Any) -> JobId:
        status, said = await self.call("POST", "/jobs", {**JOB, **keys})
        assert status == 201, said
        return JobId(said["id"])

    async def join_node(self, cpus: int = 4) -> None:
        """Let a node join that runs processes."""
        await NodeStore(self.redis).register(
            NODE,
            "i1",
            Resources(cpus * 1000, 8 * 2**30),
            frozenset({"process"}),
            has_state_lock=True,
        )

    async def sockets(self) -> int:
        """How many WebSockets the service says are open."""
        async with self.session.get("http://request/metrics") as answer:
            text = await answer.text()
        assert answer.status == 200, text
        (line,) = [each for each in text.splitlines() if each.startswith("headrace_sockets ")]
        return int(float(line.split()[1]))

    async def launch(self, job: JobId) -> Job:
        """What scheduler and monitor do until a job runs on the node."""
        found = await self.store.get(job)
        share = Allocation((Share(NODE, found.ask.resources),))
        await self.store.apply(
            replace(move_of(found, Event.LAUNCHED, Role.SCHEDULER), takes=share)
        )
        return await self.step(job, Event.STARTED, Role.MONITOR)

    async def step(self, job: JobId, event: Event, writer: Role, **changes: Any) -> Job:
        found = await self.store.get(job)
        change: Move = replace(move_of(found, event, writer), **changes)
        await self.store.apply(change)
        return await self.store.get(job)


def _data_service(folder: Path) -> web.Application:
    """A stand-in for the data service: keeps bytes, tells what it was shown."""
    kept: dict[str, bytes] = {}

    async def put(request: web.Request) -> web.Response:
        kept[request.path] = await request.read()
        return web.json_response(
            {"user": request.headers["X-Headrace-User"], "auth": request.headers["Authorization"]},
            status=201,
        )

    async def get(request: web.Request) -> web.StreamResponse:
        if request.path not in kept:
            raise web.HTTPNotFound
        part = request.http_range
        data = kept[request.path][part]
        headers = {"Content-Range": f"bytes {part.start}-"} if part.start else {}
        return web.Response(body=data, status=206 if part.start else 200, headers=headers)

    async def log(request: web.Request) -> web.Response:
        path = folder / "shipped" / request.match_info["name"]
        if not path.exists():
            raise web.HTTPNotFound
        return web.Response(body=path.read_bytes()[int(request.query["offset"]) :])

    async def pack(request: web.Request) -> web.Response:
        path = folder / "packs" / request.match_info["name"]
        if not path.exists():
            raise web.HTTPServiceUnavailable
        return web.Response(body=path.read_bytes())

    app = web.Application(client_max_size=1 << 30)
    app.router.add_get("/internal/packs/{name}", pack)
    app.router.add_put("/api/v1/datasets/{rest:.+}", put)
    app.router.add_get("/api/v1/datasets/{rest:.+}", get)
    app.router.add_get("/internal/logs/{job}/{attempt}/{name}", log)
    return app


def _settings(state_dir: Path, redis_url: str, **keys: Any) -> Settings:
    token_file = state_dir / "internal"
    token_file.write_text("i" * 40)
    return Settings(
        state_dir=state_dir,
        redis_url=redis_url,
        internal_token_file=token_file,
        listen=f"unix:{state_dir}/request.sock",
        data_url=f"unix:{state_dir}/data.sock",
        **{"disk_percent": 100, "token_cache_s": 0.0, **keys},
    )


@contextlib.asynccontextmanager
async def _served(app: web.Application, socket: Path) -> AsyncIterator[None]:
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.2)
    await runner.setup()
    await web.UnixSite(runner, str(socket)).start()
    try:
        yield
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def running_desk(state_dir: Path, redis_url: str, **keys: Any) -> AsyncIterator[Desk]:
    service = await asyncio.to_thread(build, _settings(state_dir, redis_url, **keys))
    assert service.app is not None
    for step in service.open:
        await step()
    loops = [asyncio.ensure_future(loop()) for loop in service.loops]
    redis = await asyncio.to_thread(Redis, redis_url)
    await redis.open()
    token = await token_of(UserStore(redis), "ann")
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        _served(_data_service(state_dir), state_dir / "data.sock"),
        _served(service.app, state_dir / "request.sock"),
        ClientSession(
            connector=UnixConnector(str(state_dir / "request.sock")), headers=headers
        ) as session,
    ):
        try:
            yield Desk(session, redis, state_dir)
        finally:
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
    for step in service.close:
        await step()
    await redis.close()


@contextlib.asynccontextmanager
async def agent_with(redis_url: str, files: dict[str, bytes]) -> AsyncIterator[None]:
    """A stand-in for an agent: answers each want with what a file holds now."""
    redis = await asyncio.to_thread(Redis, redis_url)
    pubsub = redis.client.pubsub()
    await pubsub.subscribe("hr:logs:want")

    async def serve() -> None:
        async for message in pubsub.listen():
            if message["type"] != "message":
                continue
            want = json.loads(message["data"])
            data = files.get(want["name"])
            piece = {"offset": want["offset"], "data": "", "eof": True, "state": "running"}
            if data is None:
                piece["state"] = "gone"
            else:
                piece["data"] = data[want["offset"] :].decode()
            await redis.client.publish(want["reply"], json.dumps(piece))

    serving = asyncio.ensure_future(serve())
    try:
        yield
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        await pubsub.aclose()
        await redis.close()
