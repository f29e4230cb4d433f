"""Jobs on a swarm of three nodes, with the services and agents as processes."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from headrace_client.api import AsyncClient
from headrace_model.cause import Cause
from headrace_model.node import NodeState
from headrace_model.status import Status
from headrace_wire.api import JobView
from tests.support.dev_swarm import Swarm
from tests.support.docker_engine import why_no_engine
from tests.support.swarm_stack import SwarmStack
from tests.support.wait import wait_until

pytestmark = pytest.mark.skipif(bool(why_no_engine()), reason=why_no_engine())

_WITHIN_S = 300.0


@pytest.fixture
async def stack(swarm: tuple[Swarm, str], state_dir: Path) -> AsyncIterator[SwarmStack]:
    """All services and agents; nothing of its jobs is left when a test is over."""
    made = SwarmStack(state_dir, *swarm)
    async with made:
        yield made
        await made.nothing_left()


def job(stack: SwarmStack, script: str, **more: Any) -> dict[str, Any]:
    return {
        "headrace": 1,
        "kind": "command",
        "name": "inside",
        "image": stack.image,
        "command": ["sh", "-c", script],
        "resources": {"cpus": 1, "memory": "32MiB"},
        "limits": {"grace": "1s"},
        **more,
    }


async def log_of(client: AsyncClient, id_: str) -> str:
    return b"".join([part async for part in client.log(id_, stream="out")]).decode()


async def ended(client: AsyncClient, id_: str) -> JobView:
    """A job that is over."""
    async with asyncio.timeout(_WITHIN_S):
        return await client.ended(id_)


async def running(client: AsyncClient, id_: str) -> JobView:
    """A job whose worker runs and has said so."""

    async def runs() -> JobView | None:
        found = await client.job(id_)
        assert not found.status.closed, found
        said = found.status is Status.RUNNING and await log_of(client, id_)
        return found if said else None

    found = await wait_until(runs, f"{id_} to run", within_s=_WITHIN_S)
    assert found is not None
    return found


def node_of(found: JobView) -> str:
    (share,) = found.allocation
    return share.node


def containers(stack: SwarmStack, node: str) -> str:
    """The names of those that run on a node."""
    return stack.swarm.docker(node, "ps", "--format", "{{.Names}}")


@asynccontextmanager
async def cut_off(stack: SwarmStack, node: str) -> AsyncIterator[None]:
    """Cut a node off until it is lost; its agent, and so its watchdog, sleep meanwhile."""
    await asyncio.to_thread(stack.swarm.run, "partition", node)
    stack.signal(f"agent-{node}", signal.SIGSTOP)
    try:
        await stack.states({node: NodeState.LOST})
        yield
    finally:
        stack.signal(f"agent-{node}", signal.SIGCONT)
        await asyncio.to_thread(stack.swarm.run, "heal", node)


async def submit(client: AsyncClient, plain: dict[str, Any]) -> str:
    return (await client.submit(plain)).id


async def test_a_job_runs_on_each_node(stack: SwarmStack) -> None:
    async with stack.stack.client() as client:
        jobs = [await submit(client, job(stack, "echo up; sleep 8; id -u")) for _ in range(3)]
        # Side by side: one that starts late must not keep us from those that end soon.
        seen = await asyncio.gather(*(running(client, each) for each in jobs))
        nodes = [node_of(each) for each in seen]
        assert sorted(nodes) == stack.swarm.nodes
        for each in jobs:
            assert (await ended(client, each)).status is Status.COMPLETED
            assert await log_of(client, each) == "up\n10001\n"


async def test_bad_ends_are_told_apart_and_in_sentences(stack: SwarmStack) -> None:
    async with stack.stack.client() as client:
        fails = await submit(client, job(stack, "exit 1"))
        grows = await submit(
            client, job(stack, "exec dd if=/dev/zero of=/dev/null bs=400M count=9")
        )
        missing = job(stack, "true", image="127.0.0.1:1/no/such:1", retry={"limit": 0})
        misses = await submit(client, missing)
        found = await ended(client, fails)
        assert (found.cause, found.exit_code) == (Cause.EXIT_CODE, 1)
        assert found.detail == "worker 0 left with exit code 1"
        found = await ended(client, grows)
        assert found.cause is Cause.OOM
        assert "used more memory than" in found.detail
        found = await ended(client, misses)
        assert found.cause is Cause.STAGING  # its registry may come back
        assert "127.0.0.1:1/no/such:1" in found.detail


async def test_a_stop_ends_a_running_worker_and_one_that_was_still_to_come(
    stack: SwarmStack,
) -> None:
    async with stack.stack.client() as client:
        runs = await submit(client, job(stack, "echo up; sleep 600"))
        await running(client, runs)
        stack.signal("cluster", signal.SIGKILL)
        waits = await submit(client, job(stack, "echo never; sleep 600"))
        await wished(stack, 2)
        for each in (runs, waits):
            await client.desire(each, "cancel")
        for each in (runs, waits):
            assert (await ended(client, each)).status is Status.CANCELED
        stack.start("cluster")
        assert await log_of(client, waits) == ""


async def wished(stack: SwarmStack, number: int) -> None:
    """Wait until so many services are wished for."""

    async def there() -> bool:
        async with stack.stack.redis() as redis:
            keys = [f"hr:services:{node}" for node in stack.swarm.nodes]
            return sum([await redis.command("HLEN", key) for key in keys]) == number

    await wait_until(there, f"{number} wishes", within_s=_WITHIN_S)


async def test_the_cluster_agents_death_costs_no_job(stack: SwarmStack) -> None:
    async with stack.stack.client() as client:
        stack.signal("cluster", signal.SIGKILL)
        id_ = await submit(client, job(stack, "echo up; sleep 12; echo down"))
        await wished(stack, 1)
        stack.start("cluster")
        await running(client, id_)
        stack.signal("cluster", signal.SIGKILL)
        assert (await ended(client, id_)).status is Status.COMPLETED
        assert await log_of(client, id_) == "up\ndown\n"
        stack.start("cluster")


async def test_a_node_that_is_cut_off_is_replaced_and_its_worker_counts_for_nothing(
    stack: SwarmStack,
) -> None:
    retry = {"limit": 1, "on": ["NODE_LOST"]}
    manager = stack.swarm.nodes[0]  # one that is cut off stops all others too
    async with stack.stack.client() as client:
        await client.change_node(manager, "drain")
        id_ = await submit(client, job(stack, "echo up; sleep 15; echo down", retry=retry))
        cut = node_of(await running(client, id_))
        async with cut_off(stack, cut):

            async def elsewhere() -> bool:
                found = await client.job(id_)
                return found.attempt == 2 and found.status is Status.RUNNING

            await wait_until(elsewhere, "a second attempt", within_s=_WITHIN_S)
            assert node_of(await client.job(id_)) not in (cut, manager)
        await stack.serves(cut)
        found = await ended(client, id_)
        assert (found.status, found.attempt) == (Status.COMPLETED, 2)
        assert await log_of(client, id_) == "up\ndown\n"


async def test_an_exclusive_job_of_a_node_that_is_cut_off_waits_until_its_worker_is_gone(
    stack: SwarmStack,
) -> None:
    manager = stack.swarm.nodes[0]
    exclusive = job(
        stack, "echo up; sleep 600", retry={"limit": 1, "on": ["NODE_LOST", "ATTEMPT_LOST"]}
    )
    exclusive["limits"] = {"grace": "1s", "exclusive": True}

    async with stack.stack.client() as client:
        await client.change_node(manager, "drain")
        id_ = await submit(client, exclusive)
        cut = node_of(await running(client, id_))
        async with cut_off(stack, cut):

            async def stopping() -> bool:
                return (await client.job(id_)).status is Status.STOPPING

            await wait_until(stopping, "its attempt to be given up", within_s=_WITHIN_S)
            later = await ended(client, await submit(client, job(stack, "true")))
            assert later.status is Status.COMPLETED, "another node had room"
            found = await client.job(id_)
            assert (found.status, found.attempt) == (Status.STOPPING, 1)
            assert f"hr-{id_}-1-0" in await asyncio.to_thread(containers, stack, cut)

        async def again() -> bool:
            return (await client.job(id_)).attempt == 2

        await wait_until(again, "a second attempt", within_s=_WITHIN_S)
        assert f"hr-{id_}-1-0" not in await asyncio.to_thread(containers, stack, cut)
        await running(client, id_)
        await client.desire(id_, "cancel")
        assert (await ended(client, id_)).status is Status.CANCELED
