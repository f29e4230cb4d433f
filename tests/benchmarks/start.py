"""From just before the submit until the job's process writes its first line, one at a time.

All sides start the same program and notice it by the same code (`peer/arrivals.py`); each job's
end is waited for, outside the time, and a rest follows. Rounds of all sides alternate.
"""

import asyncio
import time
from contextlib import AsyncExitStack

from headrace_client.api import AsyncClient
from tests.benchmarks.bench import Bench
from tests.benchmarks.local import Local
from tests.benchmarks.peer.arrivals import REST_S, Arrivals, command
from tests.benchmarks.peers import Missing, PeerProcess
from tests.benchmarks.rows import Row, Series, series

NAME = "start"
ABOUT = "submit → process started, beside celery and hyperqueue"
_BUDGET_MS = 15.0
_ROUND = 10


async def measure(bench: Bench) -> list[Row]:
    """A row for each peer."""
    pipes = {name: str(bench.folder / f"{name}.pipe") for name in ("ours", *_ASKED)}
    arrivals = Arrivals(pipes["ours"])
    samples: dict[str, list[float]] = {name: [] for name in pipes}
    notes: dict[str, str] = {}
    async with AsyncExitStack() as stack:
        server = bench.redis("redis")
        server.start()
        stack.callback(server.stop)
        client = await stack.enter_async_context(
            stack.enter_context(Local(bench.folder / "home")).client()
        )
        running = {}
        for name in _ASKED:
            words = [str(bench.folder / "redis" / "redis.sock")] if name == "celery" else []
            try:
                peer = PeerProcess(bench.peers, name, bench.folder, *words, pipes[name])
                running[name] = await stack.enter_async_context(peer)
            except Missing as error:
                notes[name] = str(error)
        await _ours(client, arrivals, pipes["ours"], _ROUND)  # warm
        until = time.monotonic() + bench.seconds
        while time.monotonic() < until:
            samples["ours"] += await _ours(client, arrivals, pipes["ours"], _ROUND)
            for name, peer in list(running.items()):
                try:
                    samples[name] += await peer.samples("start", _ROUND)
                except Missing as error:
                    notes[name] = str(error)
                    del running[name]
    ours = series(samples["ours"])
    return [_row(name, ours, samples[name], notes.get(name, "")) for name in _ASKED]


_ASKED = ("celery", "hyperqueue")


async def _ours(client: AsyncClient, arrivals: Arrivals, pipe: str, n: int) -> list[float]:
    job = {
        "headrace": 1,
        "kind": "command",
        "name": "start",
        "command": command(pipe),
        "resources": {"cpus": 0.1, "memory": "16MiB"},
    }
    samples = []
    for _ in range(n):
        began = time.monotonic_ns()
        accepted = await client.submit(job)
        started = await asyncio.to_thread(arrivals.next_ns)
        samples.append((started - began) / 1e6)
        await client.ended(accepted.id)
        await asyncio.sleep(REST_S)
    return samples


def _row(name: str, ours: Series, found: list[float], note: str) -> Row:
    peer = series(found) if found else None
    quick = ours.p50 <= _BUDGET_MS
    return Row(
        name="submit → process started",
        unit="ms",
        ours=ours,
        budget=f"≤ {_BUDGET_MS:g} ms and < 1x",
        met=quick and ours.p50 < peer.p50 if peer else (None if quick else False),
        peer_name=name,
        peer=peer,
        note=note,
    )
