"""What each service takes while nothing is to be done: resident memory, and CPU time."""

import asyncio
import os
import time
from pathlib import Path

from tests.benchmarks.bench import Bench
from tests.benchmarks.rows import Row, series
from tests.support.stack import Stack

NAME = "idle"
ABOUT = "resident memory and CPU of each service while nothing is to be done"
_SETTLE_S = 5.0
_MIB = 2**20


async def measure(bench: Bench) -> list[Row]:
    """Two rows a service: MiB, and thousandths of a CPU."""
    # The times of a real stack: the tests' own are short.
    stack = Stack(bench.folder / "home", lease_s=6.0, node_lost_s=10.0, sweep_s=5.0, renew_s=2.0)
    async with stack:
        await asyncio.sleep(_SETTLE_S)
        pids = {name: stack.pid(name) for name in stack.names}
        found = {name: pid for name, pid in pids.items() if pid is not None}
        before = {name: _cpu_s(pid) for name, pid in found.items()}
        began = time.monotonic()
        await asyncio.sleep(max(bench.seconds, 1.0))
        taken_s = time.monotonic() - began
        rows = []
        for name, pid in found.items():
            rss = _rss_bytes(pid) / _MIB
            cpu = 1000 * (_cpu_s(pid) - before[name]) / taken_s
            rows += [_row(f"{name}: resident", "MiB", rss), _row(f"{name}: idle", "mCPU", cpu)]
    return rows


def _row(name: str, unit: str, found: float) -> Row:
    return Row(name=name, unit=unit, ours=series([found]), budget="-", met=None)


def _rss_bytes(pid: int) -> int:
    pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _cpu_s(pid: int) -> float:
    """CPU time of all its threads, as the scheduler counts it (/proc/<pid>/task/*/schedstat, in
    ns): the ticks of /proc/<pid>/stat miss most of what wakes only for a moment."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((each / "schedstat").read_text().split()[0]) for each in threads) / 1e9
