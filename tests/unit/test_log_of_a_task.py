"""The log of a task is read on the node, in the store, or first here and then there."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from headrace_model.array import TaskState
from headrace_model.ids import JobId
from headrace_model.job import Job
from headrace_model.resources import Allocation
from headrace_request.service import logs, tasklogs
from headrace_request.service.logs import LogReader
from headrace_request.service.tasklogs import TaskLogs
from headrace_request.service.waiters import Waiters
from headrace_wire.tasklogs import IndexLine, write_line
from tests.unit.test_log_of_an_ended_job import ENDED, FILE

TASK = replace(FILE, task=7)
TEXT = b"one\ntwo\n"
GONE = {"offset": 0, "end": 0, "data": "", "eof": True, "state": "gone"}


class Agent:
    """Stands in for the node's agent: it answers each want with the same pieces."""

    def __init__(self, *pieces: dict[str, Any]) -> None:
        self._pieces = pieces
        self._said: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

    async def follow(self) -> AsyncIterator[tuple[str, str]]:
        yield "", ""
        while True:
            yield await self._said.get()

    def channel(self, reader: str) -> str:
        return reader

    async def ask(self, want: str) -> None:
        for piece in self._pieces:
            self._said.put_nowait((json.loads(want)["reply"], json.dumps(piece)))


class Store:
    """Stands in for the store: it holds what the node has shipped, with another task's log."""

    def __init__(self, *, shipped: bool) -> None:
        line = IndexLine(7, 1, "out", 0, 3, len(TEXT))
        files = {"0.index": write_line(line).encode(), "0.0.out": b"six" + TEXT + b"eight"}
        self._files = files if shipped else {}
        self.looks = 0

    async def read(self, _job: JobId, _attempt: int, name: str, at: int) -> AsyncIterator[bytes]:
        self.looks += 1
        if data := self._files.get(name, b"")[at:]:
            yield data


async def _read(agent: Agent, store: Store) -> bytes:
    async def job() -> Job:
        return ENDED

    async def allocation(_job: JobId, _attempt: int) -> Allocation | None:
        return ENDED.allocation

    async def state() -> TaskState:
        return TaskState.DONE

    waiters = Waiters(None, missed=job)  # type: ignore[arg-type]
    reader = LogReader(agent, waiters, store.read, allocation, 9, 9)  # type: ignore[arg-type]
    listening = asyncio.create_task(reader.run())
    try:
        pieces = TaskLogs(reader, store.read, allocation).stream(
            "ann", TASK, range(1, 2), state, follow=False, offset=0
        )
        return b"".join([data async for data in pieces])
    finally:
        listening.cancel()


def _piece(at: int, data: bytes, *, eof: bool) -> dict[str, Any]:
    return {"offset": at, "end": at + len(data), "data": data.decode(), "eof": eof}


async def test_on_the_node_as_long_as_that_has_it() -> None:
    store = Store(shipped=False)
    agent = Agent(_piece(0, TEXT[:4], eof=False), _piece(4, TEXT[4:], eof=True))
    assert await _read(agent, store) == TEXT
    assert store.looks == 0


async def test_an_empty_one_on_the_node_is_looked_for_nowhere_else() -> None:
    store = Store(shipped=True)
    assert await _read(Agent(_piece(0, b"", eof=True)), store) == b""
    assert store.looks == 0


async def test_in_the_store_once_the_node_says_that_it_is_gone() -> None:
    assert await _read(Agent(GONE), Store(shipped=True)) == TEXT


async def test_in_the_store_where_the_node_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_ANSWER_S", 0.01)
    assert await _read(Agent(), Store(shipped=True)) == TEXT


async def test_its_rest_in_the_store_where_it_goes_while_it_is_read() -> None:
    agent = Agent(_piece(0, TEXT[:4], eof=False), GONE)
    assert await _read(agent, Store(shipped=True)) == TEXT, "no part twice, and none left out"


async def test_its_newest_run_however_the_index_comes_and_in_no_thread_that_others_wait_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    find, in_threads = tasklogs.find_line, set()

    def finding(text: str, index: int, stream: str) -> IndexLine | None:
        in_threads.add(threading.current_thread())
        return find(text, index, stream)

    class InPieces(Store):
        async def read(self, job: JobId, attempt: int, name: str, at: int) -> AsyncIterator[bytes]:
            async for part in super().read(job, attempt, name, at):
                for begin in range(0, len(part), 7):
                    yield part[begin : begin + 7]

    monkeypatch.setattr(tasklogs, "find_line", finding)
    store = InPieces(shipped=True)
    older = IndexLine(7, 0, "out", 0, 0, 3)
    store._files["0.index"] += write_line(older).encode() + b"7 9 out 0 0 3"  # the last is torn
    assert await _read(Agent(GONE), store) == TEXT
    assert in_threads
    assert threading.main_thread() not in in_threads
