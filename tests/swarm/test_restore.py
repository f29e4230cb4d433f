"""The restore drill on three nodes of a swarm: jobs, a backup, more jobs, Redis lost, restored."""

import asyncio
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from headrace_client.api import AsyncClient
from headrace_local import backup
from headrace_model.errors import NotFound
from headrace_model.status import Status
from headrace_wire.api import JobView
from tests.support.dev_swarm import Swarm
from tests.support.docker_engine import why_no_engine
from tests.support.swarm_stack import SwarmStack
from tests.support.wait import wait_until
from tests.swarm.conftest import MPI_IMAGE

pytestmark = pytest.mark.skipif(bool(why_no_engine()), reason=why_no_engine())

RANKS = """
import os, time
from mpi4py import MPI
os.write(1, b"rank %d\\n" % MPI.COMM_WORLD.rank)  # in one piece: others write there too
while not os.path.exists("go"):
    time.sleep(0.1)
MPI.COMM_WORLD.Barrier()
"""
_OUTPUTS = {"copy": {"category": "OUTPUT", "format": "GENERIC"}}
_WITHIN_S = 300.0


def job(*command: str, cpus: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "headrace": 1,
        "kind": "command",
        "name": "drill",
        "image": MPI_IMAGE,
        "command": list(command),
        "resources": {"cpus": cpus, "memory": f"{cpus * 128}MiB", "paradigm": "ROUND_ROBIN"},
        "limits": {"grace": "2s"},
        # Of all bad ends only that of a restore may happen here, which no retry has to name.
        "retry": {"limit": 0},
        **more,
    }


def waits(then: str = "true", **more: Any) -> dict[str, Any]:
    """A job of one worker that says so when it is up, and ends when it is let go."""
    return job("sh", "-c", f"echo up; until [ -e go ]; do sleep 0.1; done; {then}", **more)


def spread() -> dict[str, Any]:
    """An MPI job with a rank on each node."""
    return job("mpirun", "python", "-c", RANKS, cpus=3, parallel="mpi")


def let_go(stack: SwarmStack, id_: str, attempt: int = 1) -> None:
    """Have the workers of an attempt end, wherever they are."""
    for node in stack.swarm.nodes:
        folder = stack.state(node) / "attempts" / f"{id_}.{attempt}" / "work"
        if folder.is_dir():
            (folder / "go").touch()


def workers(stack: SwarmStack, id_: str) -> dict[str, str]:
    """The running containers of a job: names and ids."""
    form, mine = "{{.Names}} {{.ID}}", f"label=headrace.job={id_}"
    lines = [
        line
        for node in stack.swarm.nodes
        for line in stack.swarm.docker(node, "ps", "--format", form, "-f", mine).splitlines()
    ]
    return dict(line.split() for line in lines)


def services(stack: SwarmStack, *jobs: str) -> list[str]:
    """Name and id of each service of these jobs."""
    said = stack.swarm.docker(
        stack.swarm.nodes[0], "service", "ls", "--format", "{{.Name}} {{.ID}}"
    )
    return sorted(line for line in said.splitlines() if line.split("-")[1] in jobs)


async def log_of(client: AsyncClient, id_: str) -> str:
    return b"".join([part async for part in client.log(id_, stream="out")]).decode()


async def up(client: AsyncClient, id_: str, attempt: int = 1, workers: int = 1) -> None:
    """Wait until all workers of an attempt have said so."""

    async def all_are() -> bool:
        found = await client.job(id_)
        assert not found.status.closed, found
        if (found.status, found.attempt) != (Status.RUNNING, attempt):
            return False
        return (await log_of(client, id_)).count("\n") == workers

    await wait_until(all_are, f"{id_} to be up", within_s=_WITHIN_S)


async def completed(client: AsyncClient, id_: str) -> JobView:
    """A job that has ended well, once."""
    async with asyncio.timeout(_WITHIN_S):
        found = await client.ended(id_)
    assert found.status is Status.COMPLETED, found
    ends = [each for each in await client.history(id_) if each.to == str(Status.COMPLETED)]
    assert len(ends) == 1
    return found


def kill_all(stack: SwarmStack) -> None:
    """SIGKILL for all services and agents, whichever live; workers live on."""
    for name in ("cluster", *(f"agent-{node}" for node in stack.swarm.nodes)):
        stack.signal(name, signal.SIGKILL)
    stack.stack.kill9(*(name for name in stack.stack.names if name != "nest"))


async def start_all(stack: SwarmStack) -> None:
    await stack.stack.start()
    for name in ("cluster", *(f"agent-{node}" for node in stack.swarm.nodes)):
        stack.start(name)


async def lose_redis(stack: SwarmStack) -> None:
    """Kill Redis, whose disk is gone with it: it comes back empty."""
    stack.stack.kill9("redis")
    for entry in stack.stack.home.redis.iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    await stack.stack.restart("redis")


async def restore(stack: SwarmStack, file: Path) -> None:
    """What `main restore FILE` of control-stack.sh does: all ends, Redis is laid, all starts."""
    kill_all(stack)
    await asyncio.to_thread(backup.restore, stack.stack.home, file)
    await stack.stack.restart("redis")
    await backup.finish_restore(stack.stack.home)
    await start_all(stack)
    await stack.serves(*stack.swarm.nodes)


async def test_what_was_accepted_before_the_backup_completes_once_on_three_nodes(
    mpi_swarm: Swarm, state_dir: Path
) -> None:
    file = state_dir / "backup.tar"
    # On a slow machine agents need a while until they are back.
    options: dict[str, Any] = {"keep_alive": False, "cpus": 4, "node_lost_s": 30.0}
    async with SwarmStack(state_dir, mpi_swarm, MPI_IMAGE, **options) as stack:
        async with stack.stack.client() as client:
            ranks = (await client.submit(spread())).id
            plain = [
                waits(),
                waits(),
                waits(),
                waits("echo once > {output}/a.txt", outputs=_OUTPUTS),
            ]
            long, early, late, sealed = [each.id for each in await client.submit_many(plain)]
            queued = (await client.submit(waits(after=[ranks]))).id
            await up(client, ranks, workers=3)
            for each in (long, early, late, sealed):
                await up(client, each)
            await asyncio.to_thread(backup.make, stack.stack.home, file)

            for each in (early, sealed):
                let_go(stack, each)
                await completed(client, each)
            outputs = await client.outputs(sealed)
            unknown = (await client.submit(spread())).id
            await up(client, unknown, workers=3)
        living = {each: workers(stack, each) for each in (ranks, long, unknown)}
        made = services(stack, *living)
        assert len(made) == 7
        assert list(map(len, living.values())) == [3, 1, 3]

        await lose_redis(stack)
        for node in mpi_swarm.nodes:
            said = "is kept, not removed"
            name = f"agent-{node}"
            await wait_until(lambda: stack.said(name, said), name, within_s=_WITHIN_S)  # noqa: B023
        await wait_until(
            lambda: stack.said("cluster", "leads no longer"), "another lead", within_s=_WITHIN_S
        )
        let_go(stack, late)
        await wait_until(lambda: not workers(stack, late), "the end", within_s=_WITHIN_S)
        await restore(stack, file)

        async with stack.stack.client() as client:
            assert (await completed(client, sealed)).attempt == 1, "its output was in the store"
            assert await client.outputs(sealed) == outputs
            found = await completed(client, late)
            assert found.attempt == 1, "its end was kept"
            await up(client, early, attempt=2)  # nobody knew that it had completed
            let_go(stack, early, attempt=2)
            await completed(client, early)
            assert {each: workers(stack, each) for each in living} == living, "nobody was ended"
            assert services(stack, *living) == made, "nor has lost its service"
            let_go(stack, ranks)
            let_go(stack, long)
            for each in (ranks, long):
                assert (await completed(client, each)).attempt == 1
            assert sorted((await log_of(client, ranks)).split("\n")) == [
                "", "rank 0", "rank 1", "rank 2",
            ]  # fmt: skip
            await up(client, queued)
            let_go(stack, queued)
            assert (await completed(client, queued)).attempt == 1

            with pytest.raises(NotFound):
                await client.job(unknown)
            kept = {each.id: each.quarantined for each in await client.nodes()}
            assert kept == {"local": (), **dict.fromkeys(mpi_swarm.nodes, (f"{unknown}.1",))}
            offered = {each.id: each.capacity.cpus for each in await client.nodes()}
            assert [offered[each] for each in mpi_swarm.nodes] == [3, 3, 3], "the rest is theirs"
            assert workers(stack, unknown) == living[unknown]
            for node in mpi_swarm.nodes:
                await client.discard(node)
        await stack.nothing_left()
