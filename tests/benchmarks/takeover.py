"""Leaders that are killed, and services that begin anew, with up to a million jobs queued on 1,000
simulated nodes: real processes of the scheduler and the monitor on a durable Redis.

The nodes' agents are simulated by this process, whose jobs end at once: so the figures are those
of the services, of Redis and of this machine, which all of them share.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from headrace_adapters.redis.connection import Redis
from headrace_adapters.redis.events import Events
from headrace_adapters.redis.jobs import JobStore
from headrace_model.resources import Resources
from headrace_model.status import Role, Status
from tests.benchmarks.bench import Bench
from tests.benchmarks.jobs import new_jobs
from tests.benchmarks.rows import Row, series
from tests.support.replicas import Replica, SimulatedNodes, leader

NAME = "takeover"
ABOUT = "leaders killed and services restarted with 1k to 1M jobs queued on 1,000 nodes"
_NODES, _SIZE = 1_000, Resources(4_000, 2**40)
_SIZES = (1_000, 10_000, 100_000)
_LARGEST, _LARGEST_TAKES_S = 1_000_000, 120.0  # where so long may be measured
_AT_ONCE = 500
_OWNERS = 100
_WITHIN_S = 600.0
_READ_WITHIN_S = 1_800.0
_MIB = 2**20
_BUDGET_S = 11.0
# What only a leader of the role does: the status that it enters.
_WORK = {Role.SCHEDULER: Status.SCHEDULED, Role.MONITOR: Status.COMPLETED}


async def measure(bench: Bench) -> list[Row]:
    """Rows a size: takeover of each role, restart, decisions a second, memory."""
    rows = []
    largest = (_LARGEST,) if bench.seconds >= _LARGEST_TAKES_S else ()
    for size in (*_SIZES, *largest):
        folder = bench.folder / str(size)
        folder.mkdir()
        rows += await _Ground(bench, folder, size).measure()
    return rows


class _Ground:
    """One Redis with its replicas, for one size of the queue."""

    def __init__(self, bench: Bench, folder: Path, size: int) -> None:
        self._size = size
        self._seconds = bench.seconds
        self._server = bench.redis(f"redis{size}")
        self._server.start()
        self._redis = Redis(self._server.url, patience_s=60.0)
        self._jobs = JobStore(self._redis)
        self._replicas = {
            role: [Replica(role, number, self._server.url, folder) for number in (1, 2)]
            for role in _WORK
        }
        self._last: dict[Status, float] = {}  # when a job entered a status last

    async def measure(self) -> list[Row]:
        """All rows of this size."""
        await self._redis.open()
        agents = SimulatedNodes(self._redis, _NODES, _SIZE)
        await agents.join()
        await self._fill(self._size)
        tasks = [asyncio.create_task(agents.run()), asyncio.create_task(self._watch())]
        try:
            return await self._rows(agents)
        finally:
            for each in (one for both in self._replicas.values() for one in both):
                each.kill9()
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            await self._redis.close()
            self._server.stop()

    async def _rows(self, agents: SimulatedNodes) -> list[Row]:
        rows = []
        for both in self._replicas.values():
            for each in both:
                each.start()
        began = time.monotonic()
        await self._until(lambda: Status.COMPLETED in self._last, "the first job to end")
        rows.append(
            self._row("start until the first job has ended", "s", time.monotonic() - began)
        )
        rows.append(self._row("jobs placed, started and ended", "1/s", await self._rate()))
        for role, status in _WORK.items():
            rows.append(await self._killed(role, status))
        began = time.monotonic()
        schedulers = self._replicas[Role.SCHEDULER]
        await self._until(
            lambda: any(each.alive and each.has_read_all for each in schedulers),
            "the whole queue to be read",
            _READ_WITHIN_S,
        )
        rows.append(self._row("then until the whole queue is read", "s", time.monotonic() - began))
        rows.append(self._row("jobs placed, started and ended then", "1/s", await self._rate()))
        for role in _WORK:
            if found := leader(self._replicas[role]):
                what = f"resident memory of the leading {role}"
                rows.append(self._row(what, "MiB", found.resident_bytes() / _MIB))
        info = await self._redis.command("INFO", "memory")
        rows.append(self._row("memory of Redis", "MiB", int(info["used_memory"]) / _MIB))
        twice = sum(times > 1 for times in agents.launched.values())
        if twice:
            raise AssertionError(f"{twice} attempts were launched twice")
        return rows

    async def _killed(self, role: Role, status: Status) -> Row:
        """Seconds from the kill -9 of a leader to the next step that only a leader takes."""
        # A few that have ended change nothing; a queue that runs empty would.
        waiting = int(await self._redis.command("ZCARD", "hr:queue"))
        if waiting < 0.9 * self._size:
            await self._fill(self._size - waiting)
        await self._until(lambda: leader(self._replicas[role]) is not None, f"a leading {role}")
        first = leader(self._replicas[role])
        assert first is not None
        before = first.term
        first.kill9()
        killed = time.monotonic()

        def another() -> bool:
            found = leader(self._replicas[role])
            return found is not None and found.term > before

        await self._until(another, f"another {role} to lead")
        led = time.monotonic()
        await self._until(lambda: self._last.get(status, 0.0) > led, f"the next {status}")
        took = self._last[status] - killed
        first.start()
        return Row(
            name=f"kill -9 of the leading {role} until it goes on, {self._size:,} waiting",
            unit="s",
            ours=series([took]),
            budget=f"≤ {_BUDGET_S:g} s",
            met=took <= _BUDGET_S,
        )

    async def _rate(self) -> float:
        """Jobs a second that go their whole way, as long as there are some."""
        for_s = max(2.0, min(self._seconds, self._size / 500))
        before, began = (await self._jobs.counts())[Status.COMPLETED], time.monotonic()
        await asyncio.sleep(for_s)
        done = (await self._jobs.counts())[Status.COMPLETED] - before
        return done / (time.monotonic() - began)

    async def _fill(self, number: int) -> None:
        """Queue so many more jobs, of a hundred owners; Redis need not sync each of them."""
        await self._redis.command("CONFIG", "SET", "appendfsync", "everysec")
        for first in range(0, number, _AT_ONCE):
            some = new_jobs(min(_AT_ONCE, number - first))
            await asyncio.gather(
                *(
                    self._jobs.create(
                        replace(each.new, owner=f"user{place % _OWNERS}"), each.first
                    )
                    for place, each in enumerate(some)
                )
            )
        await self._redis.command("CONFIG", "SET", "appendfsync", "always")

    async def _watch(self) -> None:
        async for hint in Events(self._redis).follow():
            if hint.get("kind") == "job" and hint["to"] in _WORK.values():
                self._last[Status(hint["to"])] = time.monotonic()

    async def _until(
        self, there: Callable[[], bool], what: str, within_s: float = _WITHIN_S
    ) -> None:
        ends = time.monotonic() + within_s
        while not there():
            if time.monotonic() > ends:
                raise AssertionError(f"waited in vain for {what}, {self._size:,} waiting")
            await asyncio.sleep(0.01)

    def _row(self, what: str, unit: str, found: float) -> Row:
        return Row(
            name=f"{what}, {self._size:,} waiting",
            unit=unit,
            ours=series([found]),
            budget="-",
            met=None,
        )
