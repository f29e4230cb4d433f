"""A node whose disk gets full, for real: a small file system of its own."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from headrace_model.node import NodeState
from headrace_model.status import Status
from tests.support.agent_bench import WAIT_S, AgentBench, open_bench
from tests.support.redis_server import RedisServer
from tests.support.script_scenes import N1
from tests.support.small_disk import small_file_system
from tests.support.wait import wait_until


@pytest.fixture
async def bench(redis_server: RedisServer, state_dir: Path) -> AsyncIterator[AgentBench]:
    node = state_dir / "node"
    node.mkdir(mode=0o700)
    with small_file_system(node, 64) as reason:
        if reason:
            pytest.skip(reason)
        bench = await open_bench(state_dir, redis_server.url)
        try:
            yield bench
        finally:
            await bench.close()


async def _until(bench: AgentBench, state: NodeState) -> None:
    async def there() -> bool:
        (node,) = await bench.nodes.all()
        return node.state is state and (node.free is not None) is (state is NodeState.UP)

    await wait_until(there, f"the node to be {state}", within_s=WAIT_S)


async def test_a_node_takes_nothing_new_while_its_disk_is_nearly_full_and_recovers(
    bench: AgentBench,
) -> None:
    await bench.agent()
    gate = bench.state / "gate"
    job = await bench.run("sh", "-c", f"while [ ! -e {gate} ]; do sleep 0.05; done; echo done")
    ballast = bench.state / "ballast"
    await asyncio.to_thread(ballast.write_bytes, bytes(62 * 2**20))
    await _until(bench, NodeState.FULL)
    assert not await bench.nodes.drain(N1, drained=False)
    await bench.nodes.drain(N1, drained=True)
    await _until(bench, NodeState.DRAINED)
    await bench.nodes.drain(N1, drained=False)
    await _until(bench, NodeState.FULL)
    gate.touch()
    await bench.until(job, Status.COMPLETED)
    await bench.cleaned(job)
    ballast.unlink()
    await _until(bench, NodeState.UP)
    assert await bench.nodes.ledger_errors() == []
