"""What becomes of attempts on a swarm that loses what they need: memory, nodes, leaders, time.

Each test shows the story that a user reads meanwhile, in the words of the CLI.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest

from headrace_client.api import AsyncClient
from headrace_model.cause import Cause
from headrace_model.node import NodeState
from headrace_model.status import Status
from tests.support.dev_swarm import Swarm
from tests.support.docker_engine import why_no_engine
from tests.support.person import Person
from tests.support.swarm_stack import SwarmStack
from tests.support.wait import wait_until
from tests.swarm.test_swarm_faults import at, brought_back
from tests.swarm.test_swarm_jobs import ended, job, node_of, running, submit

pytestmark = pytest.mark.skipif(bool(why_no_engine()), reason=why_no_engine())

_WITHIN_S = 300.0
# Works until somebody opens the gate, a file in its folder; says how often it began.
_GATED = "echo up; until [ -e go ]; do sleep 0.2; done"
# Counts on from its checkpoint; only an attempt that finds one ends by itself.
_COUNTS = """
cd "$HEADRACE_CHECKPOINT"; count=0
if [ -e counted ]; then
  while read number; do count=$number; done < counted
  echo from $count
  exit 0
fi
echo from 0
while :; do
  count=$((count + 1)); echo $count >> counted; sleep 0.2
done
"""


class Story:
    """What a user asks and reads; shown in the output of the tests, also where they pass."""

    def __init__(
        self, stack: SwarmStack, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self._token = stack.stack.token
        self._person = Person("ann", folder, stack.stack.url)
        self._capsys = capsys

    def show(self, text: str) -> None:
        with self._capsys.disabled():
            print(text)  # noqa: T201 - the story is what is shown

    def now(self, what: str) -> None:
        """Say what happens meanwhile."""
        self.show(f"\n# {what}")

    async def read(self, *words: str) -> str:
        """What `headrace …` tells."""
        done = await asyncio.to_thread(self._person.cli, *words, token=self._token)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        self.show(f"$ headrace {' '.join(words)}\n{done.stdout.rstrip()}")
        return done.stdout


@pytest.fixture
async def stack(swarm: tuple[Swarm, str], state_dir: Path) -> AsyncIterator[SwarmStack]:
    """All services and agents; nothing of its jobs is left when a test is over."""
    made = SwarmStack(state_dir, *swarm, settings={"checkpoint_every_s": "0.5"})
    async with made:
        yield made
        await made.nothing_left()


@pytest.fixture
def story(stack: SwarmStack, state_dir: Path, capsys: pytest.CaptureFixture[str]) -> Story:
    folder = state_dir / "ann"
    folder.mkdir()
    return Story(stack, folder, capsys)


async def _log(client: AsyncClient, id_: str, attempt: int) -> str:
    parts = [part async for part in client.log(id_, stream="out", attempt=attempt)]
    return b"".join(parts).decode()


async def _open_gate(stack: SwarmStack, client: AsyncClient, id_: str) -> None:
    """Let a worker end that waits for it."""
    found = await client.job(id_)
    folder = stack.state(node_of(found)) / "attempts" / f"{id_}.{found.attempt}" / "work"
    (folder / "go").touch()


async def _term(stack: SwarmStack, service: str) -> int:
    """How often a replica took the lead."""
    async with stack.stack.redis() as redis:
        return int(await redis.command("HGET", f"hr:lease:{service}", "term"))


def _archives(home: Path) -> list[Path]:
    """The checkpoints that are in the object store."""
    return [
        Path(folder)
        for folder, _, names in os.walk(home)
        if "checkpoints" in Path(folder).parts and any(name.endswith(".tar") for name in names)
    ]


async def test_a_container_that_was_killed_for_memory_gets_twice_as_much(
    stack: SwarmStack, story: Story
) -> None:
    script = "echo begin; exec dd if=/dev/zero of=/dev/null bs=44M count=2"
    async with stack.stack.client() as client:
        story.now("a job asks 32 MiB and uses 44")
        id_ = await submit(client, job(stack, script))
        found = await ended(client, id_)
        told = await story.read("jobs", "history", id_)
        assert (found.status, found.attempt) == (Status.COMPLETED, 2)
        assert found.resources.memory == 64 * 2**20
        assert "used more memory than 32.0 MiB: ask for more; attempt 2 asks 64.0 MiB" in told
        assert await _log(client, id_, 2) == "begin\n"


async def test_a_job_whose_node_is_lost_goes_on_elsewhere_from_its_checkpoint(
    stack: SwarmStack, story: Story, state_dir: Path
) -> None:
    async with stack.stack.client() as client:
        # The manager stays: one that is gone stops all others too.
        await client.change_node(stack.swarm.nodes[0], "drain")
        id_ = await submit(client, job(stack, _COUNTS, checkpoint={}))
        lost = node_of(await running(client, id_))

        async def shipped() -> bool:
            return bool(_archives(state_dir))

        await wait_until(shipped, "a checkpoint in the store", within_s=_WITHIN_S)
        await story.read("jobs", "why", id_)
        story.now(f"the power of {lost} fails, for good")
        stack.signal(f"agent-{lost}", signal.SIGKILL)
        await asyncio.to_thread(stack.swarm.run, "kill-node", lost)
        try:
            await stack.states({lost: NodeState.LOST})
            await story.read("nodes", "list")
            found = await ended(client, id_)
        finally:
            await brought_back(stack, lost)  # the other tests want it
        info = await story.read("jobs", "info", id_)
        told = await story.read("jobs", "history", id_)
        said = await story.read("jobs", "logs", id_)

        assert (found.status, found.attempt) == (Status.COMPLETED, 2)
        assert lost not in info
        assert "NODE_LOST" in told
        assert f"node {lost} no longer answers" in told
        began, _, count = said.strip().partition(" ")
        assert (began, int(count) > 0) == ("from", True)
        await wait_until(
            lambda: not _archives(state_dir), "the checkpoint to go", within_s=_WITHIN_S
        )


async def test_a_drained_node_finishes_what_it_runs_and_takes_nothing_new(
    stack: SwarmStack, story: Story
) -> None:
    first, second, third = stack.swarm.nodes
    async with stack.stack.client() as client:
        for node in (first, second):
            await client.change_node(node, "drain")
        runs = await submit(client, job(stack, _GATED))
        assert node_of(await running(client, runs)) == third
        waits = await submit(client, job(stack, _GATED))
        await at(client, waits, Status.AWAITING_ALLOCATION)
        await story.read("jobs", "why", waits)
        story.now(f"an admin drains {third} too, and the job on it runs on")
        await story.read("nodes", "drain", third)
        told = await story.read("jobs", "why", waits)
        assert f"{first}, {second}, {third} are DRAINED" in told
        assert (await client.job(runs)).status is Status.RUNNING
        await story.read("jobs", "when", waits)
        story.now(f"it has ended: {third} is empty")
        await _open_gate(stack, client, runs)
        found = await ended(client, runs)
        assert (found.status, found.attempt) == (Status.COMPLETED, 1)
        told = await story.read("jobs", "why", waits)
        assert f"{first}, {second}, {third} are DRAINED" in told
        assert (await client.job(waits)).status is Status.AWAITING_ALLOCATION
        story.now(f"{second} takes jobs again")
        await story.read("nodes", "undrain", second)
        assert node_of(await running(client, waits)) == second
        await _open_gate(stack, client, waits)
        assert (await ended(client, waits)).status is Status.COMPLETED
        for id_ in (runs, waits):
            await story.read("jobs", "history", id_)


async def test_leaders_that_are_killed_lose_no_job_and_do_nothing_twice(
    stack: SwarmStack, story: Story
) -> None:
    async with stack.stack.client() as client:
        jobs = [await submit(client, job(stack, _GATED)) for _ in stack.swarm.nodes]
        for id_ in jobs:
            await running(client, id_)
        waits = await submit(client, job(stack, _GATED))
        await at(client, waits, Status.AWAITING_ALLOCATION)
        await story.read("jobs", "list")
        await story.read("jobs", "why", waits)
        for service in ("scheduler", "monitor"):
            leader = stack.stack.leader(service)
            assert leader is not None
            before = await _term(stack, service)
            story.now(f"kill -9 of {leader}, which leads")
            stack.stack.kill9(leader)

            async def led_anew(service: str = service, before: int = before) -> bool:
                return await _term(stack, service) > before

            await wait_until(led_anew, f"another {service} to lead", within_s=_WITHIN_S)
        await story.read("jobs", "why", waits)
        late = await submit(client, job(stack, _GATED))
        story.now("the work goes on")
        for id_ in (*jobs, waits, late):
            await running(client, id_)
            await _open_gate(stack, client, id_)
        for id_ in (*jobs, waits, late):
            found = await ended(client, id_)
            assert (found.status, found.attempt) == (Status.COMPLETED, 1), found
            assert await _log(client, id_, 1) == "up\n"
            steps = [step.to for step in await client.history(id_)]
            assert len(steps) == len(set(steps)), "each step is done once"
        await story.read("jobs", "list")
        await story.read("jobs", "history", waits)


async def test_a_job_is_warned_of_its_time_limit_and_waits_before_it_is_tried_again(
    stack: SwarmStack, story: Story
) -> None:
    """Its container gets the signal and leaves; the retry waits as long as it says."""
    script = "trap 'echo warned; exit 3' USR1; echo up; while :; do sleep 0.1; done"
    limits = {"time": "5m", "grace": "1s", "warn": {"signal": "USR1", "before": "298s"}}
    retry = {"limit": 1, "on": ["EXIT_CODE"]}
    async with stack.stack.client() as client:
        story.now("298 s before the end of its 5 minutes a job is to be warned")
        id_ = await submit(client, job(stack, script, limits=limits, retry=retry))
        found = await ended(client, id_)
        await story.read("jobs", "history", id_)
        assert (found.status, found.attempt) == (Status.FAILED, 2)
        assert (found.cause, found.exit_code) == (Cause.EXIT_CODE, 3)
        for attempt in (1, 2):
            assert await _log(client, id_, attempt) == "up\nwarned\n"
        steps = await client.history(id_)
        (left, _) = (step.at for step in steps if step.to == "MODEL_EXEC:STOPPING")
        (_, again) = (step.at for step in steps if step.to == "MODEL_EXEC:SCHEDULED")
        waited = datetime.fromisoformat(again) - datetime.fromisoformat(left)
        assert waited.total_seconds() >= 1, "the first back-off"
