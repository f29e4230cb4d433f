"""From a kill -9 until work goes on: a job that is submitted at once has started."""

import asyncio
import signal
import time

from headrace_client.api import AsyncClient
from headrace_local import processes
from tests.benchmarks.bench import Bench
from tests.benchmarks.local import Local
from tests.benchmarks.peer.arrivals import Arrivals, command
from tests.benchmarks.rows import Row, series

NAME = "recovery"
ABOUT = "kill -9 of all services, of Redis, of the nest → a new job has started"
_ROUNDS = 5
# An AOF of a few jobs loads in no time, so Redis has its two seconds.
_BUDGETS_S = {"services": 11.0, "redis": 2.0, "nest": 11.0}


async def measure(bench: Bench) -> list[Row]:
    """A row a victim, in seconds."""
    pipe = str(bench.folder / "started.pipe")
    arrivals = Arrivals(pipe)
    with Local(bench.folder / "home") as local:
        async with local.client() as client:
            await _seconds(client, arrivals, pipe)  # warm
            return [
                _row(victim, [await _after(local, victim, client, arrivals, pipe)
                              for _ in range(_ROUNDS)])
                for victim in _BUDGETS_S
            ]  # fmt: skip


async def _after(
    local: Local, victim: str, client: AsyncClient, arrivals: Arrivals, pipe: str
) -> float:
    home_id = local.home_id()
    found = processes.find_nests(home_id) if victim == "nest" else processes.find(home_id, victim)
    for process in found:
        process.signal(signal.SIGKILL)
    return await _seconds(client, arrivals, pipe)


async def _seconds(client: AsyncClient, arrivals: Arrivals, pipe: str) -> float:
    """Seconds until a job has started, which the client submits again until it is taken."""
    job = {
        "headrace": 1,
        "kind": "command",
        "name": "recovery",
        "command": command(pipe),
        "resources": {"cpus": 0.1, "memory": "16MiB"},
    }
    began = time.monotonic_ns()
    accepted = await client.submit(job)
    started = await asyncio.to_thread(arrivals.next_ns)
    await client.ended(accepted.id)
    return (started - began) / 1e9


def _row(victim: str, found: list[float]) -> Row:
    ours = series(found)
    return Row(
        name=f"kill -9 of {victim} → work goes on",
        unit="s",
        ours=ours,
        budget=f"≤ {_BUDGETS_S[victim]:g} s",
        met=ours.p95 <= _BUDGETS_S[victim],
    )
