"""A job goes on from what its attempt before had left, wherever it runs: real workers count."""

import shutil
import sys
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio

from headrace_client.api import AsyncClient
from headrace_model.status import Status
from tests.support.stack import Stack
from tests.support.status_watch import StatusWatch
from tests.support.wait import wait_until

_WITHIN_S = 120.0
# Counts on from its checkpoint until the gate is open; on USR1 it keeps how far it is.
_COUNTS = """
import os, signal, sys, time
folder, gate, mode = os.environ["HEADRACE_CHECKPOINT"], sys.argv[2], sys.argv[3]
assert sys.argv[1] == folder, sys.argv
path = folder + "/count"
count = int(open(path).read()) if os.path.exists(path) else 0
print("from", count, flush=True)
def keep(*_):
    with open(path + ".part", "w") as file:
        file.write(str(count))
    os.rename(path + ".part", path)
    print("kept", count, flush=True)
    if mode == "leave":
        sys.exit(0)
signal.signal(signal.SIGUSR1, keep)
while not os.path.exists(gate):
    count += 1
    if mode == "often" and count % 20 == 0:
        keep()
    if mode == "until400" and count >= 400:
        break
    time.sleep(0.01)
print("done", count, flush=True)
"""


def _job(gate: Path, mode: str, **keys: Any) -> dict[str, Any]:
    return {
        "headrace": 1,
        "kind": "command",
        "name": "counts",
        "command": [sys.executable, "-S", "-c", _COUNTS, "{checkpoint}", str(gate), mode],
        "resources": {"cpus": "100m", "memory": "64MiB"},
        "checkpoint": {"signal": "USR1"},
        **keys,
    }


@pytest_asyncio.fixture
async def stack(state_dir: Path) -> AsyncIterator[Stack]:
    async with Stack(state_dir / "home", settings={"checkpoint_every_s": "0.5"}) as made:
        yield made


def _forget_attempt(home: Path, run: str) -> None:
    for folder in home.rglob(run):
        if folder.parent.name == "attempts":
            shutil.rmtree(folder)


async def _log(client: AsyncClient, job: str, attempt: int) -> str:
    parts = [part async for part in client.log(job, attempt=attempt)]
    return b"".join(parts).decode()


async def _said(client: AsyncClient, job: str, attempt: int, word: str) -> list[int]:
    """The numbers that a worker said behind a word."""
    lines = (await _log(client, job, attempt)).splitlines()
    return [int(line.split()[1]) for line in lines if line.startswith(f"{word} ")]


async def _counting(client: AsyncClient, job: str, attempt: int) -> None:
    async def began() -> bool:
        return bool(await _said(client, job, attempt, "from"))

    await wait_until(began, "the worker to count", within_s=_WITHIN_S)


def _in_store(home: Path) -> list[Path]:
    return [path for path in home.rglob("*.tar") if "checkpoints" in path.parts]


async def test_a_stopped_job_goes_on_where_it_was_asked_to_leave(
    stack: Stack, state_dir: Path
) -> None:
    gate = state_dir / "gate"
    async with stack.client() as client:
        job = (await client.submit(_job(gate, "leave"))).id
        await _counting(client, job, 1)
        await client.desire(job, "stop")
        async with StatusWatch(stack) as watch:
            await watch.until(job, Status.STOPPED)
        (kept,) = await _said(client, job, 1, "kept")
        assert kept > 0
        assert _in_store(state_dir)
        await client.desire(job, "restart")
        await _counting(client, job, 2)
        assert await _said(client, job, 2, "from") == [kept]
        gate.touch()
        assert (await client.ended(job)).status is Status.COMPLETED

        async def gone() -> bool:
            return not _in_store(state_dir)

        await wait_until(gone, "the checkpoint of a final job to go", within_s=_WITHIN_S)


async def test_a_job_that_is_warned_of_its_time_limit_goes_on_in_the_next_attempt(
    stack: Stack, state_dir: Path
) -> None:
    keys = {
        "limits": {"time": "2s", "grace": "1s", "warn": {"signal": "USR1", "before": "1s"}},
        "retry": {"limit": 9, "on": ["TIME_LIMIT"]},
        "checkpoint": {},
    }
    async with stack.client() as client:
        job = (await client.submit(_job(state_dir / "never", "until400", **keys))).id
        view = await client.ended(job)
        assert view.status is Status.COMPLETED
        assert view.attempt > 1
        for attempt in range(1, view.attempt):
            kept = await _said(client, job, attempt, "kept")
            assert len(kept) == 1, "it is warned once"
            assert await _said(client, job, attempt + 1, "from") == kept
        assert await _said(client, job, view.attempt, "done") == [400]


async def test_after_the_loss_of_its_node_a_job_goes_on_from_what_was_shipped_last(
    stack: Stack, state_dir: Path
) -> None:
    gate = state_dir / "gate"
    async with stack.client() as client:
        job = (await client.submit(_job(gate, "often", retry={"limit": 1}))).id

        async def shipped() -> bool:
            return bool(_in_store(state_dir))

        await wait_until(shipped, "a checkpoint to be shipped", within_s=_WITHIN_S)
        async with StatusWatch(stack) as watch:
            stack.kill9("agent", "nest")
            await watch.until(job, Status.AWAITING_ALLOCATION)
        _forget_attempt(state_dir, f"{job}.1")  # the machine that comes is another one
        (archive,) = _in_store(state_dir)
        with tarfile.open(archive) as packed:
            file = packed.extractfile("count")
            assert file is not None
            kept = int(file.read())
        await stack.restart("agent")
        await _counting(client, job, 2)
        assert kept > 0
        assert (await _said(client, job, 2, "from")) == [kept]
        gate.touch()
        assert (await client.ended(job)).status is Status.COMPLETED
