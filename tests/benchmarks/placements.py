"""Placements a second of the planner: 10,000 waiting jobs, 1,000 nodes, 100 placements a call.

CPU time counts, not the clock: the planner is pure code.
"""

import random
import time
from collections.abc import Iterator
from dataclasses import replace

from headrace_model.ids import DatasetId, JobId, NodeId
from headrace_model.node import NodeState
from headrace_model.resources import Paradigm, Resources
from headrace_scheduler.core.plan import Plan, plan
from headrace_scheduler.core.running import Running
from headrace_scheduler.core.snapshot import Node, RunningJob, Snapshot, WaitingJob
from headrace_scheduler.core.waiting import Waiting
from headrace_scheduler.holders import Held
from tests.benchmarks.bench import Bench
from tests.benchmarks.rows import Row, series

NAME = "placements"
ABOUT = "placements a second, 10,000 waiting jobs on 1,000 nodes"
_JOBS, _NODES = 10_000, 1_000
_AT_ONCE = 100
_GIB = 2**30
_BUDGET = 5_000
_PROCESS = "process"


async def measure(bench: Bench) -> list[Row]:
    """Rows for single-node jobs, for all paradigms mixed, and for those with inputs on nodes."""
    third_s = bench.seconds / 3
    mixed = tuple(Paradigm)
    held = _held()
    return [
        _row("planner placements, SINGLE_NODE", list(_rounds((Paradigm.SINGLE_NODE,), third_s))),
        _row("planner placements, all paradigms", list(_rounds(mixed, third_s))),
        _row("planner placements, inputs on nodes", list(_rounds(mixed, third_s, held))),
    ]


def _held() -> Held:
    """20 datasets, each on as many nodes as the scheduler looks at."""
    chance = random.Random(2)  # noqa: S311 - as below
    return {
        DatasetId(f"d{i}"): {
            NodeId(f"n{node:04}"): chance.randrange(1, _GIB)
            for node in chance.sample(range(_NODES), 32)
        }
        for i in range(20)
    }


def _rounds(
    paradigms: tuple[Paradigm, ...], seconds: float, held: Held | None = None
) -> Iterator[float]:
    """Placements a second, one figure for each time that all nodes were filled.

    With `held` each job needs two of the datasets.
    """
    chance = random.Random(1)  # noqa: S311 - the same jobs and nodes at each run
    until = time.monotonic() + seconds
    while True:
        jobs = _waiting(chance, paradigms)
        if held:
            names = sorted(held)
            jobs = [replace(job, datasets=tuple(chance.sample(names, 2))) for job in jobs]
        yield _fill(nodes_for(chance), jobs, held or {})
        if time.monotonic() > until:
            return


def _fill(nodes: tuple[Node, ...], waiting: list[WaitingJob], held: Held) -> float:
    running = Running()
    placed, spent_s = 0, 0.0
    limits = {job.id: job.time_limit_ms for job in waiting}
    queue = Waiting()
    for job in waiting:
        queue.put(job)
    while len(queue):
        began = time.process_time()
        now = Snapshot(nodes, queue.lines(0), running, held=held)
        found = plan(now, 0, limit=_AT_ONCE)
        for placement in found.placements:
            queue.drop(placement.job)
            limit_ms = limits[placement.job]
            running.put(RunningJob(placement.job, placement.allocation, limit_ms))
        spent_s += time.process_time() - began
        if not found.placements:
            break
        placed += len(found.placements)
        nodes = _apply(found, nodes)
    return placed / spent_s


def _apply(found: Plan, nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    free = {node.id: node.free for node in nodes}
    for placement in found.placements:
        for share in placement.allocation.shares:
            free[share.node] -= share.resources
    return tuple(_node(node.id, node.capacity, free[node.id]) for node in nodes)


def nodes_for(chance: random.Random) -> tuple[Node, ...]:
    """1,000 empty nodes of mixed sizes."""
    sizes = [
        Resources(chance.choice([16, 32, 64]) * 1000, chance.choice([32, 64, 128]) * _GIB)
        for _ in range(_NODES)
    ]
    return tuple(_node(NodeId(f"n{i:04}"), size, size) for i, size in enumerate(sizes))


def _node(name: NodeId, capacity: Resources, free: Resources) -> Node:
    return Node(name, capacity, free, NodeState.UP, frozenset({_PROCESS}))


def _waiting(chance: random.Random, paradigms: tuple[Paradigm, ...]) -> list[WaitingJob]:
    return [
        WaitingJob(
            id=JobId(f"j{i:06}"),
            version=1,
            attempt=1,
            rank=float(i),
            resources=Resources(
                chance.choice([500, 1000, 2000, 4000, 8000]), chance.randrange(1, 8) * _GIB
            ),
            paradigm=chance.choice(paradigms),
            backend=_PROCESS,
            held=False,
            not_before_ms=None,
            time_limit_ms=chance.randrange(1000, 10**6),
            queued_ms=0,
        )
        for i in range(_JOBS)
    ]


def _row(name: str, rates: list[float]) -> Row:
    found = series(rates)
    return Row(
        name=name,
        unit="1/s",
        ours=found,
        budget=f"≥ {_BUDGET:,}/s",
        met=found.p50 >= _BUDGET,
        note="by CPU time",
    )
