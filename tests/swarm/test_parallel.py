"""Jobs whose ranks run on the three nodes of a real swarm, by Open MPI; HBV's among them."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from headrace_client.api import AsyncClient
from headrace_model.cause import Cause
from headrace_model.status import Status
from headrace_wire.api import JobView
from tests.support import delaware
from tests.support.dev_swarm import PROJECT, Swarm
from tests.support.docker_engine import why_no_engine
from tests.support.person import Person
from tests.support.preloaded import run
from tests.support.swarm_stack import SwarmStack
from tests.support.wait import wait_until
from tests.swarm.conftest import BMI_IMAGE, MPI_IMAGE, load

pytestmark = pytest.mark.skipif(bool(why_no_engine()), reason=why_no_engine())

EXAMPLE = PROJECT / "examples" / "mpi" / "summarize.yaml"
ENDLESS = """
import os, time
from mpi4py import MPI
os.write(1, b"rank %d\\n" % MPI.COMM_WORLD.rank)  # in one piece: others write there too
time.sleep(600)
"""
UNITS, UNTIL = 60, "1979-07-01"
_CLI = "from headrace_client.cli import main; main()"
_WITHIN_S = 300.0


@pytest.fixture
async def stack(mpi_swarm: Swarm, state_dir: Path) -> AsyncIterator[SwarmStack]:
    """All services and agents; nothing of its jobs is left when a test is over."""
    async with SwarmStack(state_dir, mpi_swarm, MPI_IMAGE) as made:
        yield made
        await made.nothing_left()


def job(*command: str, **more: Any) -> dict[str, Any]:
    """A job with a rank on each node."""
    return {
        "headrace": 1,
        "kind": "command",
        "name": "ranks",
        "image": MPI_IMAGE,
        "parallel": "mpi",
        "command": ["mpirun", *command],
        "resources": {"cpus": 3, "memory": "384MiB", "paradigm": "ROUND_ROBIN"},
        "limits": {"grace": "5s"},
        **more,
    }


async def cli(stack: SwarmStack, *words: str) -> str:
    """What `headrace …` says, which must go well."""
    environ = {**os.environ, "HEADRACE_URL": stack.stack.url, "HEADRACE_TOKEN": stack.stack.token}
    command = [sys.executable, "-c", _CLI, *words]
    done = await asyncio.to_thread(run, command, timeout=300, env=environ)
    assert done.returncode == 0, done.stderr
    return done.stdout


async def ended(client: AsyncClient, id_: str) -> JobView:
    async with asyncio.timeout(_WITHIN_S):
        return await client.ended(id_)


async def log_of(client: AsyncClient, id_: str) -> str:
    return b"".join([part async for part in client.log(id_, stream="out")]).decode()


async def printed(client: AsyncClient, id_: str, attempt: int = 1) -> None:
    """Wait until each rank of an attempt has printed."""

    async def all_have() -> bool:
        found = await client.job(id_)
        assert not found.status.closed, found
        if found.attempt != attempt or found.status is not Status.RUNNING:
            return False
        said = await log_of(client, id_)
        return all(f"rank {rank}" in said for rank in range(3))

    await wait_until(all_have, f"each rank of {id_} to print", within_s=_WITHIN_S)


async def events(client: AsyncClient, id_: str) -> list[str]:
    return [str(each.event) for each in await client.history(id_)]


def container(swarm: Swarm, id_: str, rank: int) -> tuple[str, str]:
    """Where a worker runs, and its container."""
    for node in swarm.nodes:
        name = f"name=^/?hr-{id_}-1-{rank}\\."
        if found := swarm.docker(node, "ps", "-q", "--filter", name).strip():
            return node, found
    return "", ""


def results(folder: Path, name: str) -> list[Path]:
    return sorted(folder.rglob(name))


async def test_ranks_on_three_nodes_share_the_files_of_a_dataset(
    stack: SwarmStack, tmp_path: Path
) -> None:
    said = await cli(
        stack, "exec", "from_file", "--follow", str(EXAMPLE), "--set", f"image={MPI_IMAGE}"
    )
    assert "12 items by 3 ranks on 3 nodes" in said
    (found,) = json.loads(await cli(stack, "jobs", "list", "-o", "json"))
    await cli(stack, "jobs", "outputs", found["id"], "--download", str(tmp_path / "got"))
    (file,) = results(tmp_path / "got", "result.json")
    result = json.loads(file.read_text())
    assert [(each["rank"], len(each["items"])) for each in result["ranks"]] == [
        (0, 4), (1, 4), (2, 4),
    ]  # fmt: skip
    assert sorted(each["node"] for each in result["ranks"]) == stack.swarm.nodes
    assert len(result["days"]) == 12
    async with stack.stack.client() as client:
        assert (await events(client, found["id"])).count("LEADER_EXITED") == 1


async def test_what_each_node_wrote_is_collected(stack: SwarmStack, tmp_path: Path) -> None:
    async with stack.stack.client() as client:
        plain = job(
            "sh", "-c", "echo $HEADRACE_NODE > {output}/$OMPI_COMM_WORLD_RANK",
            outputs={"parts": {"format": "GENERIC"}},
        )  # fmt: skip
        id_ = (await client.submit(plain)).id
        assert (await ended(client, id_)).status is Status.COMPLETED
        await cli(stack, "jobs", "outputs", id_, "--download", str(tmp_path / "got"))
        parts = {
            file.name: file.read_text().strip() for file in results(tmp_path / "got", "[0-9]")
        }
        assert list(parts) == ["0", "1", "2"]
        assert sorted(parts.values()) == stack.swarm.nodes


async def test_a_path_that_two_nodes_wrote_is_refused_with_a_next_step(stack: SwarmStack) -> None:
    async with stack.stack.client() as client:
        plain = job(
            "sh", "-c", "echo mine > {output}/same",
            outputs={"same": {"format": "GENERIC"}}, retry={"limit": 0},
        )  # fmt: skip
        found = await ended(client, (await client.submit(plain)).id)
        assert found.cause is Cause.COLLECTION
        assert "both wrote 'same'; have each rank write a file name of its own" in found.detail


async def test_a_command_that_fails_is_its_own_fault(stack: SwarmStack) -> None:
    async with stack.stack.client() as client:
        plain = job("sh", "-c", "exit $((OMPI_COMM_WORLD_RANK + 3))")
        found = await ended(client, (await client.submit(plain)).id)
        assert (found.cause, found.attempt) == (Cause.EXIT_CODE, 1)
        assert found.exit_code in (3, 4, 5)


async def test_a_worker_that_is_killed_loses_the_attempt_and_another_follows(
    stack: SwarmStack,
) -> None:
    async with stack.stack.client() as client:
        id_ = (await client.submit(job("python", "-c", ENDLESS))).id
        await printed(client, id_)
        node, worker = await asyncio.to_thread(container, stack.swarm, id_, 1)
        await asyncio.to_thread(stack.swarm.docker, node, "kill", "--signal=KILL", worker)
        await printed(client, id_, attempt=2)
        happened = await events(client, id_)
        assert happened.count("ATTEMPT_LOST") == 1
        assert "FAILED" not in happened
        await client.desire(id_, "cancel")
        assert (await ended(client, id_)).status is Status.CANCELED


async def test_a_cancel_ends_the_ranks_on_all_nodes(stack: SwarmStack) -> None:
    async with stack.stack.client() as client:
        id_ = (await client.submit(job("python", "-c", ENDLESS))).id
        await printed(client, id_)
        there = [container(stack.swarm, id_, rank)[0] for rank in range(3)]
        assert sorted(there) == stack.swarm.nodes
        await client.desire(id_, "cancel")
        assert (await ended(client, id_)).status is Status.CANCELED
        assert [container(stack.swarm, id_, rank)[0] for rank in range(3)] == ["", "", ""]


async def test_hbv_over_a_part_of_the_delaware_writes_the_same_bytes_in_any_number_of_ranks(
    mpi_swarm: Swarm, run_root: Path, state_dir: Path, tmp_path: Path
) -> None:
    await asyncio.to_thread(load, mpi_swarm, run_root, "worker-bmi")
    data = await asyncio.to_thread(delaware.fetch, tmp_path)
    catchments = delaware.units(data, UNITS)
    items: dict[int, dict[str, str]] = {}
    nodes: dict[int, list[str]] = {}
    async with SwarmStack(state_dir, mpi_swarm, BMI_IMAGE, cpus=2) as stack:
        person = Person("admin", tmp_path, stack.stack.url)
        said = partial(person.said, token=stack.stack.token)
        await asyncio.to_thread(delaware.put, said, data, UNITS)
        async with stack.stack.client() as client, asyncio.timeout(_WITHIN_S):
            for ranks in (1, 2, 4):
                wanted = delaware.job(BMI_IMAGE, ranks, catchments, UNTIL)
                _, output, nodes[ranks] = await delaware.run(client, wanted)
                listed = await asyncio.to_thread(said, "dataset", "items", output)
                items[ranks] = {each["path"]: each["sha256"] for each in listed}
        await stack.nothing_left()
    assert sorted(items[1]) == sorted(f"{each}.csv" for each in catchments)
    assert items[2] == items[1]
    assert items[4] == items[1]
    assert len({*nodes[2]}) == 2
    assert {*nodes[4]} == {*mpi_swarm.nodes}
