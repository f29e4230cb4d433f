"""Logs of a job with two workers: followed together and searched on their nodes.

The request service, the agents' side and Redis are real; the workers' files are written here.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headrace_adapters.redis.connection import Redis
from headrace_adapters.redis.log_wants import LogWants
from headrace_adapters.redis.nodes import NodeStore
from headrace_agent.logs import LogAnswers
from headrace_client.api import AsyncClient
from headrace_model.ids import JobId, NodeId
from headrace_model.move import move_of
from headrace_model.resources import Allocation, Resources, Share
from headrace_model.status import Event, Role
from headrace_wire.logsearch import MOST_FOUND, LogFound, SearchEnd
from tests.support.cut_line import cut_line
from tests.support.redis_server import RedisServer
from tests.support.request_desk import Desk, running_desk
from tests.support.wait import wait_until

NODES = (NodeId("n1"), NodeId("n2"))


@pytest.fixture
async def desk(state_dir: Path, redis_server: RedisServer) -> AsyncIterator[Desk]:
    async with running_desk(state_dir, redis_server.url) as made:
        yield made


@asynccontextmanager
async def agents(redis_url: str, folder: Path, *nodes: NodeId) -> AsyncIterator[None]:
    """What the agents of these nodes do with wants."""
    async with AsyncExitStack() as stack:
        for node in nodes:
            redis = await asyncio.to_thread(Redis, redis_url)
            await redis.open()
            stack.push_async_callback(redis.close)
            backend: Any = None  # it is asked for the tasks of arrays alone
            answers = LogAnswers(LogWants(redis), node, folder / node, backend)
            task = asyncio.ensure_future(answers.run())
            stack.push_async_callback(asyncio.gather, task, return_exceptions=True)
            stack.callback(task.cancel)
        yield


async def launched(desk: Desk) -> JobId:
    """A job whose two workers run."""
    size = Resources(4_000, 2**33)
    for node in NODES:
        kinds = frozenset({"process"})
        await NodeStore(desk.redis).register(node, f"i{node}", size, kinds, has_state_lock=True)
    job = await desk.submit()
    found = await desk.store.get(job)
    shares = Allocation(tuple(Share(node, Resources(100, 2**20)) for node in NODES))
    change = move_of(found, Event.LAUNCHED, Role.SCHEDULER)
    await desk.store.apply(replace(change, takes=shares))
    await desk.step(job, Event.STARTED, Role.MONITOR)
    return job


def log_of(folder: Path, job: JobId, rank: int, stream: str = "out") -> Path:
    path = folder / NODES[rank] / f"{job}.1" / "logs" / f"{rank}.{stream}"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


async def found(
    desk: Desk, line: Any, job: JobId, text: str, **asked: Any
) -> tuple[list[LogFound], SearchEnd]:
    token = desk.session.headers["Authorization"].removeprefix("Bearer ")
    async with AsyncClient(line.url, token, patience_s=30.0) as client:
        told = [each async for each in client.search_log(job, text, **asked)]
    assert isinstance(told[-1], SearchEnd)
    return [each for each in told[:-1] if isinstance(each, LogFound)], told[-1]


@pytest.mark.parametrize("held_bytes", [1, 1 << 20])  # 1: most answers are lost on the way
async def test_a_search_finds_the_lines_of_all_ranks_where_they_lie(
    desk: Desk,
    redis_server: RedisServer,
    tmp_path: Path,
    state_dir: Path,
    held_bytes: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("headrace_request.service.logs._INBOX_BYTES", held_bytes)
    job = await launched(desk)
    # More than one piece of an agent's search, and of its answers; the last line has no end.
    log_of(tmp_path, job, 0).write_text(
        "".join(f"step {n} {'a needle' if n % 1_000 == 7 else 'x' * 40}\n" for n in range(80_000))
    )
    log_of(tmp_path, job, 0, "err").write_text("nothing\n")
    log_of(tmp_path, job, 1).write_bytes(b"one\r\na n\xff\n\nneedle \xff\xc3\xa9")
    async with (
        agents(redis_server.url, tmp_path, *NODES),
        cut_line(state_dir / "request.sock") as line,
    ):
        lines, end = await found(desk, line, job, "needle")
        assert end == SearchEnd(81)
        assert [each.line for each in lines[:80]] == [1_000 * n + 8 for n in range(80)]
        assert {(each.rank, each.stream) for each in lines[:80]} == {(0, "out")}
        assert lines[79].text == "step 79007 a needle"
        assert lines[80] == LogFound(1, 1, "out", 4, "needle �é")
        lines, end = await found(desk, line, job, "needle", rank=1)
        assert (len(lines), end) == (1, SearchEnd(1))
        lines, end = await found(desk, line, job, "step ")
        assert len(lines) == MOST_FOUND == end.found
        assert "name a rank" in end.cut
        assert (await found(desk, line, job, "needle", stream="err"))[1] == SearchEnd(0)


async def test_what_a_silent_node_keeps_is_named_and_what_was_shipped_is_not_searched_twice(
    desk: Desk, redis_server: RedisServer, tmp_path: Path, state_dir: Path
) -> None:
    job = await launched(desk)
    log_of(tmp_path, job, 0).write_text("a needle\n")
    async with (
        agents(redis_server.url, tmp_path, NODES[0]),
        cut_line(state_dir / "request.sock") as line,
    ):
        lines, end = await found(desk, line, job, "needle")
    assert lines == [LogFound(1, 0, "out", 1, "a needle")]
    assert end.unread == ("1/1.out", "1/1.err")


@pytest.mark.parametrize(
    ("query", "why"),
    [("search=", "1 to 200 characters"), ("search=x&follow=true", "without follow and offset")],
)
async def test_a_search_that_makes_no_sense_is_refused(desk: Desk, query: str, why: str) -> None:
    job = await desk.submit()
    status, said = await desk.call("GET", f"/jobs/{job}/logs?{query}")
    assert status == 422
    assert why in said["detail"]


async def test_all_ranks_are_followed_with_each_line_once_whatever_breaks(
    desk: Desk, redis_server: RedisServer, tmp_path: Path, state_dir: Path
) -> None:
    job = await launched(desk)
    budgets = iter([9_000, 20_000, 40_000, 90_000])
    token = desk.session.headers["Authorization"].removeprefix("Bearer ")
    wrote = [
        "".join(f"rank {rank} line {n} {'é' * 20}\n" for n in range(2_000)) for rank in (0, 1)
    ]
    read = {(rank, stream): "" for rank in (0, 1) for stream in ("out", "err")}

    async def follow(url: str) -> None:
        async with AsyncClient(url, token, patience_s=30.0) as client:
            async for piece in client.follow(job, rank=None):
                read[piece.rank, piece.stream] += piece.text

    async with (
        agents(redis_server.url, tmp_path, *NODES),
        cut_line(state_dir / "request.sock", lambda: next(budgets, None)) as line,
    ):
        following = asyncio.ensure_future(follow(line.url))
        for begin in range(0, len(wrote[0]), 16_000):
            for rank in (0, 1):
                with log_of(tmp_path, job, rank).open("a", encoding="utf-8") as log:
                    log.write(wrote[rank][begin : begin + 16_000])
            await asyncio.sleep(0)
        for rank in (0, 1):
            log_of(tmp_path, job, rank, "err").write_text("")

        async def all_read() -> bool:
            return [read[rank, "out"] for rank in (0, 1)] == wrote

        await wait_until(all_read, "both logs to be read", within_s=90.0)
        await desk.step(job, Event.COMPLETED, Role.MONITOR, returns=NODES)
        async with asyncio.timeout(60.0):
            await following
    assert [read[rank, "out"] for rank in (0, 1)] == wrote
    assert next(budgets, None) is None  # the line did break
