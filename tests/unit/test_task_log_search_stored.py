"""A search in the logs of an array's tasks that were shipped: what it finds, and its bounds."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

import headrace_wire.tasklogs
from headrace_model.errors import Unavailable
from headrace_model.ids import JobId
from headrace_model.job import Job
from headrace_model.resources import Allocation
from headrace_model.status import Status
from headrace_request.service import logs, logsearch
from headrace_request.service.logs import LogFile, LogReader
from headrace_request.service.logsearch import Asked, LogSearch, search_task
from headrace_request.service.waiters import Waiters
from headrace_wire.logsearch import Line, LogFound, SearchEnd, write_lines
from headrace_wire.tasklogs import IndexLine, index_name, slot_name, write_line
from tests.unit.test_log_of_an_ended_job import ENDED

ARRAY = replace(ENDED, ask=replace(ENDED.ask, tasks=9))
ASKED = Asked("ERROR", ("out",), (1,), None)


class Agent:
    """Stands in for the node's agent: it answers its first want, one piece after another."""

    def __init__(self, *pieces: dict[str, Any]) -> None:
        self._pieces = list(pieces)
        self._said: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

    async def follow(self) -> AsyncIterator[tuple[str, str]]:
        yield "", ""
        while True:
            yield await self._said.get()

    def channel(self, reader: str) -> str:
        return reader

    async def ask(self, want: str) -> None:
        asyncio.get_running_loop().call_soon(self._say, json.loads(want)["reply"])

    def _say(self, reply: str) -> None:
        if self._pieces:
            self._said.put_nowait((reply, json.dumps(self._pieces.pop(0))))
            asyncio.get_running_loop().call_later(0.05, self._say, reply)


class Store:
    """Stands in for the store. Where `endless`, a file is read again and again."""

    def __init__(self, files: Mapping[str, bytes], *, endless: bool = False) -> None:
        self._files = files
        self._endless = endless

    async def search(self, *_: object) -> AsyncIterator[list[Line]]:
        raise AssertionError("an array has no log of its own")
        yield []

    async def read(self, _job: JobId, _attempt: int, name: str, at: int) -> AsyncIterator[bytes]:
        data = self._files.get(name, b"")[at:]
        while data:
            for begin in range(0, len(data), 5_000):
                await asyncio.sleep(0)
                yield data[begin : begin + 5_000]
            if not self._endless or "index" in name:
                return


def index(*lines: IndexLine) -> dict[str, bytes]:
    return {index_name(0): "".join(map(write_line, lines)).encode()}


@asynccontextmanager
async def searching(agent: Agent, store: Store, limit: int = 9) -> AsyncIterator[LogSearch]:
    async def job() -> Any:
        return ARRAY

    async def allocation(_job: JobId, _attempt: int) -> Allocation | None:
        return ARRAY.allocation

    waiters = Waiters(None, missed=job)  # type: ignore[arg-type]
    reader = LogReader(agent, waiters, store.read, allocation, 9, limit)  # type: ignore[arg-type]
    listening = asyncio.create_task(reader.run())
    try:
        yield LogSearch(reader, store.search, store.read, allocation)
    finally:
        listening.cancel()


async def found(
    agent: Agent, store: Store, asked: Asked = ASKED, job: Job = ARRAY
) -> tuple[list[LogFound], SearchEnd]:
    async with searching(agent, store) as search, asyncio.timeout(20.0):
        *lines, end = [each async for each in search.run("ann", job, asked)]
    assert isinstance(end, SearchEnd)
    return [each for each in lines if isinstance(each, LogFound)], end


async def test_a_file_that_was_cut_is_looked_through_to_its_last_byte() -> None:
    wrote = b"begin\n" + b"an ERROR\n" * 900
    files = {
        **index(IndexLine(7, 1, "out", 0, 6, 10**9), IndexLine(8, 1, "out", 0, 10**9 + 6, 9)),
        slot_name(0, 0, "out"): wrote,
    }
    lines, end = await found(Agent(), Store(files))
    assert [(each.task, each.line) for each in lines] == [(7, n) for n in range(1, 901)]
    assert end == SearchEnd(900)


async def test_its_time_is_bounded_where_nothing_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logsearch, "_LONGEST_S", 0.05)
    files = {
        **index(IndexLine(7, 1, "out", 0, 0, 10**18)),
        slot_name(0, 0, "out"): b"fine\n" * 999,
    }
    lines, end = await found(Agent(), Store(files, endless=True))
    assert lines == []
    assert "it was ended after 0.05 s" in end.cut


async def test_one_in_the_store_counts_among_what_a_user_reads() -> None:
    files = {
        **index(IndexLine(7, 1, "out", 0, 0, 10**18)),
        slot_name(0, 0, "out"): b"ERROR\n" * 999,
    }
    async with searching(Agent(), Store(files, endless=True), limit=1) as search:
        async with aclosing(search.run("ann", ARRAY, ASKED)) as first:  # type: ignore[type-var]
            await anext(first)
            with pytest.raises(Unavailable, match="1 logs of yours are being read"):
                await anext(search.run("ann", ARRAY, ASKED))
            assert await anext(search.run("bob", ARRAY, ASKED))
        assert await anext(search.run("ann", ARRAY, ASKED)), "one that was left counts no more"


async def test_an_index_is_read_in_no_thread_that_others_wait_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read, in_threads = headrace_wire.tasklogs._read, set()

    def reading(text: str, stream: str) -> IndexLine | None:
        in_threads.add(threading.current_thread())
        return read(text, stream)

    monkeypatch.setattr(headrace_wire.tasklogs, "_read", reading)
    monkeypatch.setattr(logsearch, "_RUNS_AT_ONCE", 70, raising=False)
    runs = [IndexLine(n, 1, "out", n % 3, n // 3 * 6, 6) for n in range(900)]
    files = index(*runs, *runs[:50]) | {slot_name(0, n, "out"): b"ERROR\n" * 300 for n in range(3)}
    lines, end = await found(Agent(), Store(files))
    assert sorted(each.task or 0 for each in lines) == list(range(900))
    assert end == SearchEnd(900)
    assert in_threads
    assert threading.main_thread() not in in_threads


async def test_where_one_log_holds_more_lines_than_are_told_it_says_so() -> None:
    wrote = b"ERROR\n" * 1_001
    files = {**index(IndexLine(7, 1, "out", 0, 0, len(wrote))), slot_name(0, 0, "out"): wrote}
    lines, end = await found(Agent(), Store(files))
    assert len(lines) == end.found == 1_000
    assert "more than 1,000 lines" in end.cut


def piece(task: int, lines: list[Line], *, eof: bool = False) -> dict[str, Any]:
    """What a node says that goes on where it was, and has looked through a task's first run."""
    return {
        "offset": 0, "end": 0, "line": 1, "told": 0, "from": [0, 0], "run": [task, 1],
        "data": write_lines(lines), "eof": eof, "state": "running",
    }  # fmt: skip


async def test_a_node_that_takes_long_is_heard_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_CHECK_S", 0.0)
    said = [piece(task, [Line(1, "ERROR", task, 1)], eof=task == 3) for task in range(4)]
    lines, end = await found(Agent(*said), Store({}))
    assert [each.task for each in lines] == [0, 1, 2, 3]
    assert end == SearchEnd(4)


async def test_lines_of_each_run_of_a_task_are_told_where_some_came_from_the_node() -> None:
    gone = piece(7, []) | {"state": "gone"}
    files = {
        **index(IndexLine(7, 1, "out", 0, 0, 6), IndexLine(7, 2, "out", 0, 6, 12)),
        slot_name(0, 0, "out"): b"ERROR\nERROR\nERROR\n",
    }
    agent, job = Agent(piece(7, [Line(1, "ERROR", 7, 1)]), gone), replace(ARRAY, attempt=2)
    running = replace(job, status=Status.RUNNING)
    lines, end = await found(agent, Store(files), replace(ASKED, attempts=(2,)), running)
    assert [(each.attempt, each.task, each.line) for each in lines] == [
        (2, 7, 1), (2, 7, 1), (2, 7, 2)
    ]  # fmt: skip
    assert end == SearchEnd(3)


async def test_what_is_not_told_names_its_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_ANSWER_S", 0.01)
    _, end = await found(Agent(), Store({}), replace(ASKED, attempts=(1, 2)))
    assert end == SearchEnd(0, unread=("1/0.out", "2/0.out"))


async def test_of_one_task_the_newest_attempt_that_holds_something_is_searched() -> None:
    wrote = {1: b"an ERROR\n", 2: b"fine\nERROR", 3: b""}

    async def read(file: LogFile) -> AsyncIterator[bytes]:
        if wrote[file.attempt]:
            yield wrote[file.attempt]

    files = [[LogFile(ARRAY.id, attempt, 0, "out", 7) for attempt in (3, 2, 1)]]
    assert [each async for each in search_task("ERROR", files, read)] == [
        LogFound(2, 0, "out", 2, "ERROR", 7),
        SearchEnd(1),
    ]


async def test_the_time_of_a_search_in_one_task_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logsearch, "_LONGEST_S", 0.05)

    async def read(_: LogFile) -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0)
            yield b"fine\n"

    async with asyncio.timeout(20.0):
        (end,) = [
            each
            async for each in search_task("ERROR", [[LogFile(ARRAY.id, 1, 0, "out", 7)]], read)
        ]
    assert isinstance(end, SearchEnd)
    assert "it was ended after 0.05 s" in end.cut
