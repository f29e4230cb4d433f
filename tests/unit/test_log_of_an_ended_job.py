"""The log of a job that ended is looked for until the node or the store has answered."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from headrace_model.ids import JobId, NodeId
from headrace_model.job import Ask, Job
from headrace_model.resources import Allocation, Paradigm, Resources, Share
from headrace_model.status import Desired, Status
from headrace_request.service import logs
from headrace_request.service.logs import Asker, LogFile, LogReader
from headrace_request.service.waiters import Waiters

JOB, NODE = JobId("01k3m5p7q9r1s3t5"), NodeId("one")
FILE = LogFile(JOB, 1, 0, "out")
ENDED = Job(
    id=JOB, owner="ann", name="run", kind="command", spec="", version=3, attempt=1,
    status=Status.COMPLETED, desired=Desired.RUN, retries=0, priority=50, rank=0.0,
    created_ms=1, entered_ms=77, ask=Ask(Resources(1, 1), Paradigm.SINGLE_NODE, "process"),
    needs=frozenset(), after=(), parents=(), origin=None, request_id="",
    allocation=Allocation((Share(NODE, Resources(1, 1)),)),
    cause=None, exit_code=0, detail="", fulfilments="", outputs="",
)  # fmt: skip


class Agent:
    """Stands in for the node's agent: `answer` makes its piece of a want, None is silence."""

    def __init__(self, answer: Callable[[int], dict[str, Any] | None]) -> None:
        self.asked = 0
        self._answer = answer
        self._said: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

    async def follow(self) -> AsyncIterator[tuple[str, str]]:
        yield "", ""
        while True:
            yield await self._said.get()

    def channel(self, reader: str) -> str:
        return reader

    async def ask(self, want: str) -> None:
        self.asked += 1
        if piece := self._answer(self.asked):
            self._said.put_nowait((json.loads(want)["reply"], json.dumps(piece)))


class Store:
    """Stands in for the store: it has the log from the `since`th look on."""

    def __init__(self, since: int | None) -> None:
        self.looks = 0
        self._since = since

    async def read(self, _job: JobId, _attempt: int, _name: str, at: int) -> AsyncIterator[bytes]:
        self.looks += 1
        if self._since is not None and self.looks >= self._since and b"hi\n"[at:]:
            yield b"hi\n"[at:]


async def _followed(agent: Agent, store: Store, status: Status = Status.COMPLETED) -> bytes:
    async def job() -> Job:
        return replace(ENDED, status=status)

    async def allocation(_job: JobId, _attempt: int) -> Allocation | None:
        return ENDED.allocation

    waiters = Waiters(None, missed=job)  # type: ignore[arg-type]
    reader = LogReader(agent, waiters, store.read, allocation, 9, 9)  # type: ignore[arg-type]
    listening = asyncio.create_task(reader.run())
    try:
        pieces = reader.attempt(Asker("ann", job), FILE, 0, follow=True)
        return b"".join([data async for data, _ in pieces])
    finally:
        listening.cancel()


def _silent(_asked: int) -> None:
    return None


def _gone(_asked: int) -> dict[str, Any]:
    return {"offset": 0, "end": 0, "data": "", "eof": True, "state": "gone"}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_ANSWER_S", 0.01)


async def test_while_its_agent_is_silent_until_the_store_has_it() -> None:
    assert await _followed(Agent(_silent), Store(since=2)) == b"hi\n"


async def test_while_its_agent_is_silent_until_that_is_back() -> None:
    def back(asked: int) -> dict[str, Any] | None:
        return {"offset": 0, "data": "hi\n", "eof": True} if asked > 1 else None

    assert await _followed(Agent(back), Store(since=None)) == b"hi\n"


async def test_but_no_longer_once_the_node_said_that_it_has_none() -> None:
    agent, store = Agent(_gone), Store(since=None)
    assert await _followed(agent, store) == b""
    assert (agent.asked, store.looks) == (1, 1)


async def test_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_SHIPPED_S", 0.0)
    agent = Agent(_silent)
    assert await _followed(agent, Store(since=None)) == b""
    assert agent.asked == 1


async def test_but_as_long_as_it_takes_while_its_outputs_are_collected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logs, "_SHIPPED_S", 0.0)
    found = await _followed(Agent(_silent), Store(since=2), Status.AWAITING_COLLECTION)
    assert found == b"hi\n"
