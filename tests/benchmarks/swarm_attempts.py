"""From just before the submit until all eight workers of a parallel attempt run, one a node.

Beside it `docker stack deploy` of a stack of the same shape: eight services of one run each, one a
node, in an overlay network of their own, with a secret, the same image, limits and privileges. For
both sides the engines tell when the containers started. Rounds alternate, and each begins when
nothing of the one before is left.
"""

import asyncio
import json
import os
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from headrace_client.api import AsyncClient
from tests.benchmarks.bench import Bench
from tests.benchmarks.rows import Row, series
from tests.support.dev_swarm import Swarm, own_network
from tests.support.docker_images import TAG, image_file
from tests.support.run_root import VARIABLE
from tests.support.swarm_stack import SwarmStack
from tests.support.wait import wait_until

_BUDGET = 1.0
_WORKERS = 8
_ROUNDS = 5
_IMAGE = f"headrace/worker-mpi:{TAG}"
_COMMAND = ["sleep", "300"]
_WITHIN_S = 120.0
_LOOK_S = 1.0


async def measure(bench: Bench) -> Row:
    """The row for a parallel attempt."""
    swarm = Swarm(bench.folder / "eight", own_network(12))
    ours: list[float] = []
    peer: list[float] = []
    try:
        up = ["up", "--workers", str(_WORKERS - 1), "--network", f"{swarm.network}.0/24"]
        await asyncio.to_thread(swarm.run, *up)
        file = await asyncio.to_thread(image_in, bench.folder, "worker-mpi")
        for node in swarm.nodes:
            await asyncio.to_thread(swarm.docker, node, "load", "--input", str(file))
        made = SwarmStack(bench.folder / "home8", swarm, _IMAGE, node_lost_s=30.0)
        async with made as stack, stack.stack.client() as client:
            await _ours(stack, client)  # warm
            until = time.monotonic() + bench.seconds
            while time.monotonic() < until or len(peer) < _ROUNDS:
                ours.append(await _ours(stack, client))
                peer.append(await _peer(stack, bench.folder))
    finally:
        swarm.run("down")
    one, other = series(ours), series(peer)
    return Row(
        name=f"{_WORKERS} workers of a parallel Swarm job running",
        unit="ms",
        ours=one,
        budget=f"≤ {_BUDGET:.1f}x",
        met=one.p50 <= _BUDGET * other.p50,
        peer_name="docker stack deploy",
        peer=other,
    )


def image_in(folder: Path, name: str) -> Path:
    """The file with an image, which an engine below `folder` builds if it is not there."""
    os.environ.setdefault(VARIABLE, str(folder))
    try:
        return image_file(folder, name)
    finally:
        if os.environ[VARIABLE] == str(folder):
            del os.environ[VARIABLE]


async def _ours(stack: SwarmStack, client: AsyncClient) -> float:
    job = {
        "headrace": 1,
        "kind": "command",
        "name": "eight",
        "image": _IMAGE,
        "parallel": "mpi",
        "command": ["mpirun", *_COMMAND],
        "resources": {"cpus": _WORKERS, "memory": "256MiB", "paradigm": "ROUND_ROBIN"},
        "limits": {"grace": "0s"},
        "retry": {"limit": 0},
    }
    began = time.time()
    id_ = (await client.submit(job)).id
    took = await asyncio.to_thread(_last_start, stack.swarm, f"name=hr-{id_}-1-") - began
    await client.desire(id_, "cancel")
    await client.ended(id_)
    await stack.nothing_left()
    return took * 1000


async def _peer(stack: SwarmStack, folder: Path) -> float:
    (folder / "key").write_text("k" * 400)
    file = folder / "eight.json"
    file.write_text(json.dumps(_compose(stack.swarm.nodes)))
    manager = stack.swarm.nodes[0]
    words = ("stack", "deploy", "--resolve-image", "never", "-c", str(file), "peer")
    began = time.time()
    await asyncio.to_thread(stack.swarm.docker, manager, *words)
    took = await asyncio.to_thread(_last_start, stack.swarm, "name=peer_") - began
    # The containers first: a network that goes while one is in it stays on that one's node.
    for node in stack.swarm.nodes:
        ids = stack.swarm.docker(node, "ps", "-aq", "--filter", "name=peer_").split()
        await asyncio.to_thread(stack.swarm.docker, node, "rm", "--force", *ids)
    await asyncio.to_thread(stack.swarm.docker, manager, "stack", "rm", "peer")

    def gone() -> bool:
        said = stack.swarm.docker(manager, "network", "ls", "-q", "--filter", "name=peer_")
        return not said.strip()

    await wait_until(lambda: asyncio.to_thread(gone), "the peer's end", within_s=_WITHIN_S)
    return took * 1000


def _compose(nodes: Sequence[str]) -> dict[str, Any]:
    """What `swarm_services.task_template` asks for, as a Compose file says it."""
    return {
        "version": "3.9",
        "services": {
            f"w{rank}": {
                "image": _IMAGE,
                "command": _COMMAND,
                "user": "10001:10001",
                "read_only": True,
                "init": True,
                "cap_drop": ["ALL"],
                "volumes": [{"type": "tmpfs", "target": "/tmp"}],  # noqa: S108 - inside
                "networks": {"own": {"aliases": [f"rank-{rank}"]}},
                "secrets": [
                    {"source": "key", "uid": "10001", "gid": "10001", "mode": 0o400},
                ],
                "logging": {"driver": "json-file"},
                "deploy": {
                    "mode": "replicated-job",
                    "endpoint_mode": "dnsrr",
                    "restart_policy": {"condition": "none"},
                    "placement": {"constraints": [f"node.hostname == {node}"]},
                    "resources": {"limits": {"cpus": "1", "memory": "32M", "pids": 4096}},
                },
            }
            for rank, node in enumerate(nodes)
        },
        "networks": {"own": {"driver": "overlay"}},
        "secrets": {"key": {"file": "./key"}},
    }


def _last_start(swarm: Swarm, mine: str) -> float:
    """When the last of the containers started, in seconds since 1970; waits until all have.

    One look a second, at one node: what both sides measure must not be slowed by it.
    """
    form = "{{.State.Running}} {{.State.StartedAt}}"
    found: list[float] = []
    patience = time.monotonic() + _WITHIN_S
    for node in swarm.nodes:
        while len(found) <= swarm.nodes.index(node):
            ids = swarm.docker(node, "ps", "-q", "--filter", mine).split()
            said = swarm.docker(node, "inspect", "-f", form, *ids).strip() if ids else ""
            running, _, at = said.partition(" ")
            if running == "true":
                found.append(datetime.fromisoformat(at).timestamp())
            elif time.monotonic() > patience:
                raise TimeoutError(f"{node} has none that runs of {mine}: {said}")
            else:
                time.sleep(_LOOK_S)
    return max(found)
