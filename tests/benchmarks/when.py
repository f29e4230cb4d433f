"""What `when` takes over the scheduler's own HTTP with 10,000 waiting jobs, while the forecast
that it is read from is kept up in the background; and how old that is.

100 nodes are filled by the leading scheduler itself; three in four jobs have a time limit.
"""

import asyncio
import random
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from aiohttp import ClientSession, UnixConnector, web

from headrace_adapters.redis.connection import Redis
from headrace_adapters.redis.jobs import JobStore
from headrace_adapters.redis.nodes import NodeStore
from headrace_model.ids import JobId, NodeId
from headrace_model.resources import Resources
from headrace_request.core.accept import Accepted
from headrace_scheduler.main import build
from headrace_scheduler.settings import Settings
from tests.benchmarks.bench import Bench
from tests.benchmarks.jobs import new_jobs
from tests.benchmarks.rows import Row, Series, series

NAME: Final = "when"
ABOUT: Final = "`jobs when` with 10,000 waiting jobs, while the forecast is kept up"
_JOBS: Final = 10_000
_NODES: Final = 100
_AT_ONCE: Final = 500
_ASKED: Final = 1_000
_BUDGET_MS: Final = 100.0


async def measure(bench: Bench) -> list[Row]:
    """The time of an answer, its p99, and the age of what it is read from."""
    server = bench.redis("redis")
    server.start()
    redis = Redis(server.url)
    try:
        await redis.open()
        await _add_nodes(NodeStore(redis))
        jobs = await _add_jobs(JobStore(redis))
        return await _ask(server.url, bench.folder, jobs)
    finally:
        await redis.close()
        server.stop()


async def _add_nodes(nodes: NodeStore) -> None:
    for number in range(_NODES):
        await nodes.register(
            NodeId(f"n{number:03}"),
            "i1",
            Resources(32_000, 128 << 30),
            frozenset({"process"}),
            has_state_lock=True,
        )


async def _add_jobs(store: JobStore) -> list[JobId]:
    chance = random.Random(1)  # noqa: S311 - the same jobs at each run
    made: list[JobId] = []
    while len(made) < _JOBS:
        some = [_mixed(each, chance) for each in new_jobs(_AT_ONCE)]
        await asyncio.gather(*(store.create(each.new, each.first) for each in some))
        made += [each.new.id for each in some]
    return made


def _mixed(job: Accepted, chance: random.Random) -> Accepted:
    amount = Resources(chance.choice([8, 16, 32]) * 1000, chance.choice([16, 32, 64]) << 30)
    limit_ms = chance.choice([None, 600_000, 3_600_000, 36_000_000])
    ask = replace(job.new.ask, resources=amount, time_ms=limit_ms)
    return replace(job, new=replace(job.new, ask=ask))


async def _ask(redis_url: str, folder: Path, jobs: list[JobId]) -> list[Row]:
    token = folder / "token"
    token.write_text("i" * 40)
    socket = folder / "s.sock"
    service = build(Settings(folder, redis_url, token, listen=f"unix:{socket}"))
    async with AsyncExitStack() as stack:
        for step in service.close:
            stack.push_async_callback(step)
        for step in service.open:
            await step()
        loops = [asyncio.create_task(loop()) for loop in service.loops]
        stack.push_async_callback(_end, loops)
        assert service.app is not None
        runner = web.AppRunner(service.app)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.UnixSite(runner, str(socket)).start()
        headers = {"Authorization": "Bearer " + "i" * 40}
        session = await stack.enter_async_context(
            ClientSession(connector=UnixConnector(str(socket)), headers=headers)
        )
        # The head of the queue starts; the rest goes on waiting.
        waiting = jobs[len(jobs) // 2 :]
        while (await _one(session, waiting[0]))[1] is None:  # noqa: ASYNC110 - it is asked of another
            await asyncio.sleep(1)
        asked = random.Random(2).choices(waiting, k=_ASKED)  # noqa: S311 - the same at each run
        found = [await _one(session, job) for job in asked]
    times = sorted(ms for ms, _ in found)
    p99 = times[len(times) * 99 // 100]
    ages = [age_s for _, age_s in found if age_s is not None]
    return [
        Row("`when`, 10,000 waiting", "ms", series(times), "-", None),
        Row("`when`, 10,000 waiting, p99", "ms", Series(len(times), p99, p99), "≤ 100",
            p99 <= _BUDGET_MS),
        Row("age of the forecast", "s", series(ages), "-", None),
    ]  # fmt: skip


async def _end(loops: "list[asyncio.Task[None]]") -> None:
    for loop in loops:
        loop.cancel()
    await asyncio.gather(*loops, return_exceptions=True)


async def _one(session: ClientSession, job: JobId) -> tuple[float, float | None]:
    """The milliseconds of an answer, and the age in seconds of what it tells."""
    began = time.perf_counter()
    async with session.get(f"http://scheduler/internal/when/{job}") as answer:
        said = await answer.json()
    took_ms = (time.perf_counter() - began) * 1000
    if said.get("start") is None:
        return took_ms, None
    age = datetime.now(UTC) - datetime.fromisoformat(said["made"])
    return took_ms, age.total_seconds()
