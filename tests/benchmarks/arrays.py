"""Trivial tasks of an array a second, from just before the submit until the last one has begun.

Both sides run the same program and notice it by the same code (`peer/arrivals.py`). Rounds of
both sides alternate; each job's end is waited for, outside the time.
"""

import asyncio
import time
from contextlib import AsyncExitStack

from headrace_client.api import AsyncClient
from headrace_model.status import Status
from tests.benchmarks.bench import Bench, NotHere
from tests.benchmarks.local import Local
from tests.benchmarks.peer.arrivals import Arrivals, command
from tests.benchmarks.peers import Missing, PeerProcess
from tests.benchmarks.rows import Row, series

NAME = "arrays"
ABOUT = "trivial array tasks a second, beside hyperqueue"
_PEER = "hyperqueue"
_TASKS = 1_000


async def measure(bench: Bench) -> list[Row]:
    """One row."""
    pipes = {name: str(bench.folder / f"{name}.pipe") for name in ("ours", _PEER)}
    arrivals = Arrivals(pipes["ours"])
    ours: list[float] = []
    theirs: list[float] = []
    note = ""
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(
            stack.enter_context(Local(bench.folder / "home")).client()
        )
        peer: PeerProcess | None = None
        try:
            process = PeerProcess(bench.peers, _PEER, bench.folder, pipes[_PEER])
            peer = await stack.enter_async_context(process)
        except Missing as error:
            note = str(error)
        until = time.monotonic() + bench.seconds
        while not ours or time.monotonic() < until:
            ours.append(await _ours(client, arrivals, pipes["ours"]))
            if peer is not None:
                try:
                    theirs += await peer.samples("tasks", _TASKS)
                except Missing as error:
                    note, peer = str(error), None
    found = series(theirs) if theirs else None
    rate = series(ours)
    return [
        Row(
            name="trivial array tasks",
            unit="1/s",
            ours=rate,
            budget="≥ 1x",
            met=rate.p50 >= found.p50 if found else None,
            peer_name=_PEER,
            peer=found,
            note=note,
        )
    ]


async def _ours(client: AsyncClient, arrivals: Arrivals, pipe: str) -> float:
    job = {
        "headrace": 1,
        "kind": "command",
        "name": "tasks",
        "command": command(pipe),
        "resources": {"cpus": 1, "memory": "64MiB"},
        "array": {"count": _TASKS},
    }
    began = time.monotonic_ns()
    accepted = await client.submit(job)
    ended = await asyncio.to_thread(arrivals.nth_ns, _TASKS)
    view = await client.ended(accepted.id)
    if view.status is not Status.COMPLETED:
        raise NotHere(f"an array ended in {view.status}: {view.detail}")
    return _TASKS / ((ended - began) / 1e9)
