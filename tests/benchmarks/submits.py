"""Durable submits: the request service by HTTP, beside rq's enqueue; nothing works on the jobs.

Each side has a Redis of its own of the same kind. The request service is a process of its own;
the load comes from this one, over sixteen connections or one of them. rq's load comes from its
own process: one thread, or sixteen. No two jobs are alike.
"""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count, islice
from pathlib import Path
from secrets import token_hex
from typing import Any

from headrace_adapters.redis.connection import Redis
from headrace_adapters.redis.nodes import NodeStore
from headrace_adapters.redis.users import UserStore
from headrace_client.api import AsyncClient
from headrace_local.health import any_free_port
from headrace_model.errors import HeadraceError
from headrace_model.ids import NodeId
from headrace_model.resources import Resources
from headrace_request.settings import Settings
from headrace_service.settings import to_environ
from tests.benchmarks.bench import Bench, NotHere
from tests.benchmarks.http_load import Caller
from tests.benchmarks.jobs import PLAIN
from tests.benchmarks.peers import Missing, PeerProcess
from tests.benchmarks.rows import Row, Series, series
from tests.support.people import token_of

NAME = "submits"
ABOUT = "durable HTTP submits, 16 and 1 in flight, beside rq enqueue"
_IN_FLIGHT = 16
_ROUND_MANY, _ROUND_ONE = 2000, 40  # many: so that the read model takes its part within a round
_END_S = 10.0
_NO_LIMIT = 1_000_000


async def measure(bench: Bench) -> list[Row]:
    """Two rows, both in submits a second."""
    ours: dict[str, list[float]] = {"sixteen": [], "one": []}
    theirs: dict[str, list[float]] = {"sixteen": [], "one": []}
    note = ""
    async with AsyncExitStack() as stack:
        client, callers = await stack.enter_async_context(_service(bench))
        rq = None
        server = bench.redis("rq-redis")
        server.start()
        stack.callback(server.stop)
        try:
            words = str(bench.folder / "rq-redis" / "redis.sock")
            rq = await stack.enter_async_context(
                PeerProcess(bench.peers, "rq", bench.folder, words)
            )
        except Missing as error:
            note = str(error)
        jobs = _jobs()
        await _many(callers, jobs, _ROUND_MANY)  # warm
        until = time.monotonic() + bench.seconds
        while time.monotonic() < until or not ours["one"]:
            ours["sixteen"].append(await _many(callers, jobs, _ROUND_MANY))
            await client.jobs(limit=1)  # the read model catches up, at nobody else's cost
            ours["one"] += await _one(callers[0], jobs, _ROUND_ONE)
            await client.jobs(limit=1)
            if rq:
                theirs["sixteen"] += await rq.samples("sixteen", _ROUND_MANY)
                theirs["one"] += [1000 / ms for ms in await rq.samples("one", _ROUND_ONE)]
    return [
        _row("HTTP submits, 16 in flight", ours["sixteen"], theirs["sixteen"], 1.0, note),
        _row("HTTP submits, 1 in flight", ours["one"], theirs["one"], 0.3, note),
    ]


def _jobs() -> Iterator[dict[str, Any]]:
    return ({**PLAIN, "name": f"bench-{n}", "command": ["echo", f"{n}"]} for n in count())


async def _many(callers: Sequence[Caller], jobs: Iterator[dict[str, Any]], n: int) -> float:
    left = islice(jobs, n)

    async def submits(caller: Caller) -> None:
        for job in left:
            await _submit(caller, job)

    began = time.perf_counter()
    await asyncio.gather(*map(submits, callers))
    return n / (time.perf_counter() - began)


async def _one(caller: Caller, jobs: Iterator[dict[str, Any]], n: int) -> list[float]:
    rates = []
    for job in islice(jobs, n):
        began = time.perf_counter()
        await _submit(caller, job)
        rates.append(1 / (time.perf_counter() - began))
    return rates


async def _submit(caller: Caller, job: dict[str, Any]) -> None:
    await caller.post("/api/v1/jobs", job, token_hex(16))


@asynccontextmanager
async def _service(bench: Bench) -> AsyncIterator[tuple[AsyncClient, list[Caller]]]:
    """The request service alone, as a process, with one node in its Redis and nobody on it."""
    server = bench.redis("redis")
    server.start()
    redis = Redis(server.url)
    try:
        await redis.open()
        users = UserStore(redis)
        token = await token_of(users, "bench")
        await NodeStore(redis).register(
            NodeId("bench"), token_hex(8), Resources(64_000, 64 * 2**30), frozenset({"process"}),
            has_state_lock=True,
        )  # fmt: skip
        port = any_free_port()
        process = _start(bench.folder, server.url, port)
        try:
            async with AsyncClient(f"http://127.0.0.1:{port}", token, patience_s=20.0) as client:
                await _until_ready(client, process)
                async with AsyncExitStack() as stack:
                    connections = [Caller(port, token) for _ in range(_IN_FLIGHT)]
                    yield client, [await stack.enter_async_context(one) for one in connections]
        finally:
            process.terminate()
            process.wait(_END_S)
    finally:
        await redis.close()
        server.stop()


def _start(folder: Path, redis_url: str, port: int) -> "subprocess.Popen[bytes]":
    secret = folder / "internal.token"
    secret.write_text(token_hex(32))
    settings = Settings(
        state_dir=folder,
        redis_url=redis_url,
        internal_token_file=secret,
        listen=f"127.0.0.1:{port}",
        scheduler_url=f"unix:{folder}/none.sock",
        data_url=f"unix:{folder}/none.sock",
        user_requests_per_s=_NO_LIMIT,  # one user sends all of it; each request is still counted
        user_requests_at_once=_NO_LIMIT,
    )
    with (folder / "request.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "headrace_request.main"],
            env={**os.environ, **to_environ(settings)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


async def _until_ready(client: AsyncClient, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + _END_S
    while True:
        try:
            await client.nodes()
        except HeadraceError as error:
            if process.poll() is not None or time.monotonic() > until:
                raise NotHere(f"the request service does not answer: {error}") from None
        else:
            return


def _row(name: str, ours: list[float], theirs: list[float], least: float, note: str) -> Row:
    found = series(ours)
    peer: Series | None = series(theirs) if theirs else None
    return Row(
        name=name,
        unit="1/s",
        ours=found,
        budget=f"≥ {least:g}x",
        met=found.p50 >= least * peer.p50 if peer else None,
        peer_name="rq enqueue",
        peer=peer,
        note=note,
    )
