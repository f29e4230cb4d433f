"""What becomes of attempts that fail on a swarm, and the story that their user reads."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from headrace_client.api import AsyncClient
from headrace_model.status import Status
from tests.support.dev_swarm import Swarm
from tests.support.docker_engine import why_no_engine
from tests.support.swarm_stack import SwarmStack
from tests.swarm.test_swarm_jobs import ended, job, submit

pytestmark = pytest.mark.skipif(bool(why_no_engine()), reason=why_no_engine())


@pytest.fixture
async def stack(swarm: tuple[Swarm, str], state_dir: Path) -> AsyncIterator[SwarmStack]:
    """All services and agents; nothing of its jobs is left when a test is over."""
    made = SwarmStack(state_dir, *swarm)
    async with made:
        yield made
        await made.nothing_left()


async def _story(client: AsyncClient, id_: str, title: str) -> str:
    """The history as its user reads it; printed, for who looks at the output of the test."""
    lines = [f"--- {title}"]
    for step in await client.history(id_):
        lines.append(f"{step.at[11:19]} try {step.attempt} {step.to} {step.cause} {step.detail}")
    text = "\n".join(lines)
    print(text)  # noqa: T201 - the story is what is shown
    return text


async def _log(client: AsyncClient, id_: str, attempt: int) -> str:
    parts = [part async for part in client.log(id_, stream="out", attempt=attempt)]
    return b"".join(parts).decode()


async def test_a_container_that_was_killed_for_memory_gets_twice_as_much(
    stack: SwarmStack,
) -> None:
    script = "echo begin; exec dd if=/dev/zero of=/dev/null bs=44M count=2"
    async with stack.stack.client() as client:
        id_ = await submit(client, job(stack, script))
        found = await ended(client, id_)
        story = await _story(client, id_, "OOM, and more memory")
        assert (found.status, found.attempt) == (Status.COMPLETED, 2)
        assert found.resources.memory == 64 * 2**20
        assert "used more memory than 32.0 MiB: ask for more; attempt 2 asks 64.0 MiB" in story
        assert await _log(client, id_, 2) == "begin\n"
