"""Workers in containers: what dies around them costs neither a line of their logs nor the job."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from headrace_client.api import AsyncClient
from headrace_model.status import Status
from tests.support.docker_engine import DockerEngine, why_no_engine
from tests.support.stack import Stack
from tests.support.wait import wait_until

_WITHIN_S = 90.0
_LINES = 60
_COUNT = f"i=0; while [ $i -lt {_LINES} ]; do echo line $i; i=$((i+1)); sleep 0.05; done"


@pytest.fixture
async def engine(state_dir: Path) -> AsyncIterator[DockerEngine]:
    """An engine of the test's own, which it may break."""
    if why := why_no_engine():
        pytest.skip(why)
    engine = DockerEngine(state_dir / "docker")
    engine.start()
    try:
        engine.add_small_image()
        yield engine
    finally:
        engine.kill9()


@asynccontextmanager
async def stack_on(engine: DockerEngine, home: Path) -> AsyncIterator[Stack]:
    settings = {
        "backend": "docker",
        "docker_url": engine.host,
        "worker_image": engine.add_small_image(),
    }
    # Long enough for an agent to come back on a busy machine.
    async with Stack(home, keep_alive=True, settings=settings) as stack:
        yield stack


def job(script: str, **more: Any) -> dict[str, Any]:
    return {
        "headrace": 1,
        "kind": "command",
        "name": "inside",
        "command": ["sh", "-c", script],
        "resources": {"cpus": "100m", "memory": "32MiB"},
        "limits": {"grace": "1s"},
        **more,
    }


async def log_of(client: AsyncClient, job: str) -> str:
    return b"".join([part async for part in client.log(job, stream="out")]).decode()


async def nothing_left(stack: Stack, engine: DockerEngine) -> None:
    async def clean() -> bool:
        return not await stack.leaks() and not engine.docker("ps", "-aq").stdout

    await wait_until(clean, "the containers to be removed", within_s=_WITHIN_S)


async def test_the_agents_death_loses_and_doubles_no_line(
    engine: DockerEngine, state_dir: Path
) -> None:
    async with stack_on(engine, state_dir / "home") as stack, stack.client() as client:
        running = (await client.submit(job(_COUNT))).id
        log = stack.home.attempts / f"{running}.1" / "logs" / "0.out"
        for line in (5, 20, 35):
            said = f"line {line}\n"
            await wait_until(
                lambda said=said: log.exists() and said in log.read_text(),  # type: ignore[misc]
                said,
                within_s=_WITHIN_S,
            )
            stack.kill9("agent")
        view = await client.ended(running)
        assert (view.status, view.attempt) == (Status.COMPLETED, 1)
        assert await log_of(client, running) == "".join(f"line {i}\n" for i in range(_LINES))
        await nothing_left(stack, engine)


async def test_an_engine_that_loses_its_power_costs_an_attempt_and_not_the_job(
    engine: DockerEngine, state_dir: Path
) -> None:
    script = 'echo up; [ "$HEADRACE_ATTEMPT" = 2 ] || sleep 600'
    async with stack_on(engine, state_dir / "home") as stack, stack.client() as client:
        running = (await client.submit(job(script, retry={"limit": 1, "on": ["ATTEMPT_LOST"]}))).id
        log = stack.home.attempts / f"{running}.1" / "logs" / "0.out"
        await wait_until(
            lambda: log.exists() and log.read_text() == "up\n", "its line", within_s=_WITHIN_S
        )
        engine.kill9()
        engine.start()
        view = await client.ended(running)
        assert (view.status, view.attempt) == (Status.COMPLETED, 2)
        await nothing_left(stack, engine)


async def test_a_stop_while_the_engine_is_away_is_done_when_it_is_back(
    engine: DockerEngine, state_dir: Path
) -> None:
    async with stack_on(engine, state_dir / "home") as stack, stack.client() as client:
        running = (await client.submit(job("sleep 600"))).id

        async def runs() -> bool:
            return (await client.job(running)).status is Status.RUNNING

        await wait_until(runs, "the job to run", within_s=_WITHIN_S)
        engine.kill9()
        await client.desire(running, "cancel")
        engine.start()
        assert (await client.ended(running)).status is Status.CANCELED
        await nothing_left(stack, engine)
