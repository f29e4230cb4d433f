"""What the agent does with a record: again after a failure, and no more once it is given up."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from headrace_agent import service
from headrace_agent.service import Agent
from headrace_model.errors import Conflict
from headrace_model.ids import NodeId, job_id
from headrace_model.work import Verb, Work
from headrace_service.logs import logger
from headrace_wire.records import encode_work

JOB = job_id(1, 1)
RUN = f"{JOB}.1"
WITHIN_S = 30


class Attempt:
    """Does each verb as a task group whose child fails the first time, as an array's may."""

    def __init__(self) -> None:
        self.begun, self.fail, self.again = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.verbs: list[Verb] = []

    async def do(self, work: Work) -> None:
        self.verbs.append(work.verb)
        if len(self.verbs) > 1:
            self.again.set()
            return
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._child())
        except* Conflict as errors:
            raise errors.exceptions[0] from None

    async def _child(self) -> None:
        self.begun.set()
        try:
            await self.fail.wait()
        finally:
            raise Conflict("it has no part in that")


@pytest.fixture
def attempt() -> Attempt:
    return Attempt()


@pytest.fixture
def agent(attempt: Attempt, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What `_do` needs of an agent."""
    monkeypatch.setattr(service, "_AGAIN_S", 0.01)
    made: Any = Agent.__new__(Agent)
    made._log = logger("agent")
    made._quarantine = SimpleNamespace(runs=(), missing=lambda _: None)
    made._attempts, made._doing = {RUN: attempt}, {}
    return made


def record(verb: Verb) -> str:
    return encode_work(Work(NodeId("n1"), JOB, 1, verb, spec="{}"))


async def test_what_failed_is_done_again(agent: Any, attempt: Attempt) -> None:
    agent._begin(RUN, record(Verb.COLLECT))
    await attempt.begun.wait()
    attempt.fail.set()
    async with asyncio.timeout(WITHIN_S):
        await attempt.again.wait()
    assert attempt.verbs == [Verb.COLLECT] * 2


async def test_a_launch_whose_job_can_not_be_read_is_begun_all_the_same(
    agent: Any, attempt: Attempt
) -> None:
    agent._begin(RUN, record(Verb.LAUNCH))
    async with asyncio.timeout(WITHIN_S):
        await attempt.begun.wait()
        await agent._give_up([RUN])


async def test_what_fails_while_it_is_replaced_makes_room(agent: Any, attempt: Attempt) -> None:
    agent._begin(RUN, record(Verb.COLLECT))
    (_, first) = agent._doing[RUN]
    await attempt.begun.wait()
    agent._begin(RUN, record(Verb.STOP))
    async with asyncio.timeout(WITHIN_S):
        await attempt.again.wait()
    assert first.done()
    assert attempt.verbs == [Verb.COLLECT, Verb.STOP]


async def test_what_fails_while_the_agent_stops_holds_nobody_up(
    agent: Any, attempt: Attempt
) -> None:
    agent._begin(RUN, record(Verb.COLLECT))
    await attempt.begun.wait()
    async with asyncio.timeout(WITHIN_S):
        await agent._give_up([RUN])
    assert attempt.verbs == [Verb.COLLECT]
    assert agent._doing == {}
