"""Trivial tasks of an array a second, from just before the submit until the last one has begun.

All sides run the same program and notice it by the same code (`peer/arrivals.py`). Rounds of
all sides alternate; each job's end is waited for, outside the time.
"""

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass

from headrace_client.api import AsyncClient
from headrace_model.status import Status
from tests.benchmarks.bench import Bench, NotHere
from tests.benchmarks.local import Local
from tests.benchmarks.peer.arrivals import Arrivals, command
from tests.benchmarks.peers import Missing, PeerProcess
from tests.benchmarks.rows import Row, Series, series

NAME = "arrays"
ABOUT = "trivial array tasks a second, beside hyperqueue and Slurm"
_TASKS = 1_000


@dataclass(frozen=True, slots=True)
class _Asked:
    """How many tasks a round of a peer has, and how many times its rate is asked of ours."""

    tasks: int
    times: int


_ASKED = {"hyperqueue": _Asked(_TASKS, 1), "slurm": _Asked(200, 10)}


async def measure(bench: Bench) -> list[Row]:
    """A row for each peer."""
    pipes = {name: str(bench.folder / f"{name}.pipe") for name in ("ours", *_ASKED)}
    arrivals = Arrivals(pipes["ours"])
    samples: dict[str, list[float]] = {name: [] for name in pipes}
    notes: dict[str, str] = {}
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(
            stack.enter_context(Local(bench.folder / "home")).client()
        )
        running = {}
        for name in _ASKED:
            try:
                peer = PeerProcess(bench.peers, name, bench.folder, pipes[name])
                running[name] = await stack.enter_async_context(peer)
            except Missing as error:
                notes[name] = str(error)
        until = time.monotonic() + bench.seconds
        while not samples["ours"] or time.monotonic() < until:
            samples["ours"].append(await _ours(client, arrivals, pipes["ours"]))
            for name, peer in list(running.items()):
                try:
                    samples[name] += await peer.samples("tasks", _ASKED[name].tasks)
                except Missing as error:
                    notes[name] = str(error)
                    del running[name]
    ours = series(samples["ours"])
    return [_row(name, ours, samples[name], notes.get(name, "")) for name in _ASKED]


def _row(name: str, ours: Series, found: list[float], note: str) -> Row:
    peer, times = series(found) if found else None, _ASKED[name].times
    return Row(
        name="trivial array tasks",
        unit="1/s",
        ours=ours,
        budget=f"≥ {times}x",
        met=ours.p50 >= times * peer.p50 if peer else None,
        peer_name=name,
        peer=peer,
        note=note,
    )


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
