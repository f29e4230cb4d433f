"""What 1,000, 10,000 and 100,000 waiting jobs change: the same work at each size of one Redis.

The peer of a row is the same figure at 1,000 jobs: a ratio of 1 means that size costs nothing.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

from headrace_adapters.redis.connection import Redis
from headrace_adapters.redis.jobs import JobStore
from headrace_model.resources import NOTHING
from headrace_scheduler.core.plan import plan
from headrace_scheduler.core.snapshot import Node
from headrace_scheduler.queue import Queue
from tests.benchmarks.bench import Bench
from tests.benchmarks.jobs import new_jobs
from tests.benchmarks.placements import nodes_for
from tests.benchmarks.rows import Row, Series, series
from tests.benchmarks.transitions import rate_of

NAME = "growth"
ABOUT = "transitions, reading the queue and planning with 1k, 10k and 100k waiting jobs"
_SIZES = (1_000, 10_000, 100_000)
_AT_ONCE = 500
_ROUNDS = 5
_PLACED = 100
_UNITS = {"transitions": "1/s", "begin": "s", "read": "s", "plan": "ms", "full": "ms"}


async def measure(bench: Bench) -> list[Row]:
    """Five rows a size, each beside the first size."""
    server = bench.redis("redis")
    server.start()
    redis = Redis(server.url)
    found: dict[tuple[str, int], Series] = {}
    try:
        await redis.open()
        store = JobStore(redis)
        filled = 0
        for size in _SIZES:
            while filled < size:
                some = new_jobs(min(_AT_ONCE, size - filled))
                await asyncio.gather(*(store.create(each.new, each.first) for each in some))
                filled += len(some)
            found["transitions", size] = await _times(partial(rate_of, store))
            queue = Queue(store)
            found["begin", size] = await _times(partial(_begin, queue), 1)
            found["read", size] = await _times(partial(_read, queue), 1)
            found["plan", size] = await _times(partial(_plan, queue))
            found["full", size] = await _times(partial(_plan_full, queue))
    finally:
        await redis.close()
        server.stop()
    return [
        _row(what, unit, size, found[what, size], found[what, _SIZES[0]])
        for what, unit in _UNITS.items()
        for size in _SIZES
    ]


async def _times(measured: Callable[[], Awaitable[float]], n: int = _ROUNDS) -> Series:
    return series([await measured() for _ in range(n)])


async def _begin(queue: Queue) -> float:
    """Seconds until a scheduler that has just taken over has its first plan made."""
    began = time.perf_counter()
    await queue.begin()
    await queue.read_on()
    await _plan(queue)
    return time.perf_counter() - began


async def _read(queue: Queue) -> float:
    """Seconds in which it reads the rest of the queue."""
    began = time.perf_counter()
    while queue.unread:
        await queue.read_on()
    return time.perf_counter() - began


async def _plan(queue: Queue) -> float:
    """Milliseconds of CPU for one plan of 100 placements on 1,000 empty nodes."""
    nodes = nodes_for(random.Random(1))  # noqa: S311 - the same nodes each time
    return _planned(queue, nodes, _PLACED)


async def _plan_full(queue: Queue) -> float:
    """Milliseconds of CPU for one plan on 1,000 full nodes."""
    nodes = nodes_for(random.Random(1))  # noqa: S311 - the same nodes each time
    return _planned(queue, tuple(replace(node, free=NOTHING) for node in nodes), 0)


def _planned(queue: Queue, nodes: tuple[Node, ...], placed: int) -> float:
    began = time.thread_time()
    found = len(plan(queue.snapshot(nodes, 0), 0, limit=_PLACED).placements)
    took_ms = (time.thread_time() - began) * 1000
    if found != placed:
        raise AssertionError(f"{found} placements, not {placed}")
    return took_ms


def _row(what: str, unit: str, size: int, found: Series, first: Series) -> Row:
    names = {
        "transitions": "durable transitions",
        "begin": "taking over, until the first plan",
        "read": "the scheduler reads the rest of its queue",
        "plan": "one plan, 100 placements",
        "full": "one plan, all nodes full",
    }
    return Row(
        name=f"{names[what]}, {size:,} waiting",
        unit=unit,
        ours=found,
        budget="-",
        met=None,
        peer_name=None if size == _SIZES[0] else f"{_SIZES[0]:,} waiting",
        peer=None if size == _SIZES[0] else first,
    )
