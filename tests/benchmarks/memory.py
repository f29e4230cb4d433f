"""What one waiting job takes: in Redis, and in the scheduler's memory."""

import asyncio
import gc
import tracemalloc

from headrace_adapters.redis.connection import Redis
from headrace_adapters.redis.jobs import JobStore
from headrace_scheduler.queue import Queue
from tests.benchmarks.bench import Bench
from tests.benchmarks.jobs import new_jobs
from tests.benchmarks.rows import Row, Series, series

NAME = "memory"
ABOUT = "memory per waiting job, in Redis and in the planner"
_JOBS = 10_000
_AT_ONCE = 500
_REDIS_BYTES = 2_500
_PLANNER_BYTES = 1_000


async def measure(bench: Bench) -> list[Row]:
    """Two rows, both in bytes a job."""
    server = bench.redis("redis")
    server.start()
    redis = Redis(server.url)
    try:
        await redis.open()
        store = JobStore(redis)
        before = await _used(redis)
        jobs = new_jobs(_JOBS)
        for first in range(0, _JOBS, _AT_ONCE):
            some = jobs[first : first + _AT_ONCE]
            await asyncio.gather(*(store.create(each.new, each.first) for each in some))
        del jobs
        redis_bytes = (await _used(redis) - before) / _JOBS
        planner_bytes = await _planner(store)
    finally:
        await redis.close()
        server.stop()
    return [
        _row("memory per waiting job, Redis", redis_bytes, _REDIS_BYTES,
             "used_memory, the job's event in the stream included"),
        _row("memory per waiting job, planner", planner_bytes, _PLANNER_BYTES,
             "tracemalloc of the scheduler's loaded Queue"),
    ]  # fmt: skip


async def _planner(store: JobStore) -> float:
    gc.collect()
    tracemalloc.start()
    queue = Queue(store)
    await queue.begin()
    while queue.unread:
        await queue.read_on()
    gc.collect()
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return taken / len(queue)


async def _used(redis: Redis) -> int:
    return int((await redis.command("INFO", "memory"))["used_memory"])


def _row(name: str, found: float, budget: int, note: str) -> Row:
    once = series([found])
    return Row(
        name=name,
        unit="B",
        ours=Series(_JOBS, once.p50, once.p95),
        budget=f"≤ {budget:,} B",
        met=found <= budget,
        note=note,
    )
