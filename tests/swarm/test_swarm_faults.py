"""Nodes, services and Redis are killed under jobs on a swarm of three nodes; jobs are stopped at
each status. Nothing is lost, nothing counts twice, and nothing is left on any node."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import pytest

from headrace_client.api import AsyncClient
from headrace_client.localfiles import LocalFile
from headrace_model.node import NodeState
from headrace_model.status import Status
from headrace_wire.api import JobView
from tests.support.dev_swarm import Swarm
from tests.support.docker_engine import why_no_engine
from tests.support.swarm_stack import SwarmStack
from tests.support.wait import wait_until

pytestmark = pytest.mark.skipif(bool(why_no_engine()), reason=why_no_engine())

CONTENT = b"what the job copies\n" * 64
REQUIREMENT = {"category": "FORCING", "format": "GENERIC", "domain": {"DATA_ID": ["faults"]}}
DOWN_S = 60.0
_WITHIN_S = 300.0
_SEEDS = range(1, 1 + int(os.environ.get("HEADRACE_FAULT_SEEDS", "1")))
_JOB_S = 12.0  # about how long the job of a seed takes, from submit to its end


@asynccontextmanager
async def running_stack(
    swarm: tuple[Swarm, str], folder: Path, **options: Any
) -> AsyncIterator[SwarmStack]:
    async with SwarmStack(folder, *swarm, **options) as made:
        async with made.stack.client() as client:
            dataset = await client.datasets.create({"name": "faults", **REQUIREMENT})
            source = folder / "a.bin"
            source.write_bytes(CONTENT)
            await client.datasets.upload_item(dataset["id"], LocalFile(source, "a.bin"))
            await client.datasets.seal(dataset["id"])
        yield made
        await made.nothing_left()


@pytest.fixture
async def stack(swarm: tuple[Swarm, str], state_dir: Path) -> AsyncIterator[SwarmStack]:
    """All services and agents, which come back when they die, and the jobs' input."""
    async with running_stack(swarm, state_dir) as made:
        yield made


def job(stack: SwarmStack, after: str) -> dict[str, Any]:
    """A job that copies its input into its output, and does something after that."""
    return {
        "headrace": 1,
        "kind": "command",
        "name": "copies",
        "image": stack.image,
        "command": ["sh", "-c", f"cat {{faults}}/a.bin > {{output}}/a.bin; echo up; {after}"],
        "resources": {"cpus": 1, "memory": "32MiB"},
        "retry": {"limit": 2, "on": ["NODE_LOST"]},
        "limits": {"grace": "1s"},
        "inputs": {"faults": REQUIREMENT},
        "outputs": {"copy": {"category": "OUTPUT", "format": "GENERIC"}},
    }


async def at(client: AsyncClient, id_: str, status: Status) -> JobView:
    """The job once it is in `status`."""

    async def there() -> JobView | None:
        found = await client.job(id_)
        assert found.status is status or not found.status.closed, (found.status, found.detail)
        return found if found.status is status else None

    found = await wait_until(there, f"{id_} to be {status}", within_s=_WITHIN_S)
    assert found is not None
    return found


async def completed(client: AsyncClient, id_: str, *, attempt: int | None) -> None:
    """Wait for a job's end; it has one output, which holds what it copied, once.

    With `attempt` None any of its attempts may have made it.
    """
    try:
        async with asyncio.timeout(_WITHIN_S):
            found = await client.ended(id_)
    except TimeoutError:
        raise AssertionError(f"{id_} does not end: {await client.job(id_)}") from None
    assert (found.status, found.attempt) == (Status.COMPLETED, attempt or found.attempt), found
    outputs = await client.outputs(id_)
    assert list(outputs) == ["copy"]
    items = [item async for item in client.datasets.items(outputs["copy"])]
    assert [(item["path"], item["sha256"]) for item in items] == [
        ("a.bin", sha256(CONTENT).hexdigest())
    ]
    assert b"".join([part async for part in client.log(id_, stream="out")]) == b"up\n"


def hold(stack: SwarmStack, status: Status, *, on: bool = True) -> None:
    """Have jobs stay in `status` once they come there, or let them go on."""
    match status:
        case Status.AWAITING_DATA | Status.AWAITING_COLLECTION:
            (stack.stack.pause if on else stack.stack.resume)("data")
        case Status.SCHEDULED:
            stack.signal("cluster", signal.SIGSTOP if on else signal.SIGCONT)
        case _:
            pass


async def brought_to(stack: SwarmStack, client: AsyncClient, status: Status, after: str) -> str:
    """Submit a job and bring it to a status, in which it is held."""
    if status is Status.AWAITING_DATA:
        # Its data is checked by the service that then stops: it is held while it is still checked.
        for node in stack.swarm.nodes:
            await client.change_node(node, "drain")
        id_ = (await client.submit(job(stack, after))).id
        await at(client, id_, Status.AWAITING_ALLOCATION)
        hold(stack, status)
        for node in stack.swarm.nodes[1:]:
            await client.change_node(node, "undrain")
    else:
        if status is Status.SCHEDULED:
            hold(stack, status)
        id_ = (await client.submit(job(stack, after))).id
        if status is Status.AWAITING_COLLECTION:
            await at(client, id_, Status.RUNNING)
            hold(stack, status)
    await at(client, id_, status)
    return id_


@pytest.mark.parametrize(
    "status",
    [Status.AWAITING_DATA, Status.SCHEDULED, Status.RUNNING, Status.AWAITING_COLLECTION],
    ids=["staging", "starting", "running", "collecting"],
)
async def test_a_node_that_is_killed_is_replaced(stack: SwarmStack, status: Status) -> None:
    async with stack.stack.client() as client:
        # The manager stays: one that is gone stops all others too.
        await client.change_node(stack.swarm.nodes[0], "drain")
        id_ = await brought_to(stack, client, status, "sleep 5")
        (share,) = (await client.job(id_)).allocation
        stack.signal(f"agent-{share.node}", signal.SIGKILL)
        await asyncio.to_thread(stack.swarm.run, "kill-node", share.node)
        hold(stack, status, on=False)
        await stack.states({share.node: NodeState.LOST})
        await completed(client, id_, attempt=2)
        await brought_back(stack, share.node)


@pytest.mark.parametrize("seed", _SEEDS)
async def test_a_node_is_killed_at_any_moment(stack: SwarmStack, seed: int) -> None:
    chosen = Random(seed)  # noqa: S311 - reproducible, not secret
    async with stack.stack.client() as client:
        await client.change_node(stack.swarm.nodes[0], "drain")
        id_ = (await client.submit(job(stack, "sleep 4"))).id
        await asyncio.sleep(chosen.uniform(0, _JOB_S))
        nodes = [share.node for share in (await client.job(id_)).allocation]
        (victim,) = nodes or [chosen.choice(stack.swarm.nodes[1:])]
        stack.signal(f"agent-{victim}", signal.SIGKILL)
        await asyncio.to_thread(stack.swarm.run, "kill-node", victim)
        await stack.states({victim: NodeState.LOST})
        await completed(client, id_, attempt=None)
        await brought_back(stack, victim)


async def brought_back(stack: SwarmStack, node: str) -> None:
    """Start a node that was killed, and wait until it serves."""
    await asyncio.to_thread(stack.swarm.heal, node)
    stack.start(f"agent-{node}")
    await stack.serves(node)


@pytest.mark.parametrize("desire", ["stop", "cancel"])
async def test_a_job_is_stopped_at_each_status(stack: SwarmStack, desire: str) -> None:
    last = Status.STOPPED if desire == "stop" else Status.CANCELED
    async with stack.stack.client() as client:
        await client.change_node(stack.swarm.nodes[0], "drain")
        for status in (
            Status.AWAITING_DATA, Status.SCHEDULED, Status.RUNNING, Status.AWAITING_COLLECTION,
        ):  # fmt: skip
            id_ = await brought_to(stack, client, status, "sleep 10")
            await client.desire(id_, desire)
            hold(stack, status, on=False)
            async with asyncio.timeout(_WITHIN_S):
                found = await client.ended(id_)
            # What is in the store is sealed by whoever comes first; it may just have ended well.
            well = status is Status.AWAITING_COLLECTION and found.status is Status.COMPLETED
            assert found.status is last or well, (status, found)
        id_ = await brought_to(stack, client, Status.RUNNING, "trap '' TERM; sleep 600")
        await client.desire(id_, "stop")
        await at(client, id_, Status.STOPPING)
        await client.desire(id_, desire)
        assert (await client.ended(id_)).status is last


async def test_leaders_are_killed_one_after_another(stack: SwarmStack) -> None:
    async with stack.stack.client() as client:
        jobs = [(await client.submit(job(stack, "sleep 12"))).id for _ in range(3)]
        for each in jobs:
            await at(client, each, Status.RUNNING)
        for service in ("scheduler", "monitor"):
            leader = stack.stack.leader(service)
            assert leader is not None
            stack.stack.kill9(leader)
        stack.signal("cluster", signal.SIGKILL)
        stack.start("cluster")
        stack.stack.kill9("data")
        late = (await client.submit(job(stack, "true"))).id
        for each in (*jobs, late):
            await completed(client, each, attempt=1)


async def test_workers_outlive_all_services_and_redis_and_are_adopted(
    swarm: tuple[Swarm, str], state_dir: Path
) -> None:
    # On a slow machine agents need a while until they are back.
    options = {"keep_alive": False, "node_lost_s": 30.0}
    async with running_stack(swarm, state_dir, **options) as stack:
        async with stack.stack.client() as client:
            jobs = [(await client.submit(job(stack, "sleep 75"))).id for _ in range(3)]
            for each in jobs:
                await at(client, each, Status.RUNNING)
        agents = [f"agent-{node}" for node in stack.swarm.nodes]
        for name in ("cluster", *agents):
            stack.signal(name, signal.SIGKILL)
        stack.stack.kill9(*(name for name in stack.stack.names if name != "nest"))
        await asyncio.sleep(DOWN_S)
        for name in ("cluster", *agents):
            stack.start(name)
        await stack.stack.start()
        async with stack.stack.client() as client:
            for each in jobs:
                await completed(client, each, attempt=1)
