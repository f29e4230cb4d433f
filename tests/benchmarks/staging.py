"""Inputs that a node's cache holds already, laid beside a worker; beside hard links by `cp -l`.

Ours goes through the agent's cache, which looks at each entry (size and time), notes that it was
used, links it, and makes the folder read-only; `cp -l` links alone.
"""

import asyncio
import os
import subprocess
import time
from hashlib import sha256
from pathlib import Path

from headrace_agent.cache import Cache, StagedItem
from headrace_agent.grants import Grant
from headrace_agent.transfers import Transfers
from tests.benchmarks.bench import Bench
from tests.benchmarks.rows import Row, series

NAME = "staging"
ABOUT = "5,000 files of 20 kB and one of 1 GiB that the node's cache holds, beside cp -l"
_SMALL_FILES, _SMALL_BYTES = 5_000, 20_000
_BIG_BYTES = 1 << 30


async def measure(bench: Bench) -> list[Row]:
    """A row for many small files and one for a large one."""
    half_s = bench.seconds / 2
    small = [os.urandom(16) * (_SMALL_BYTES // 16) for _ in range(_SMALL_FILES)]
    rows = [await _row(bench, "5,000 cached files staged", "small", small, half_s)]
    big = [bytes(_BIG_BYTES)]
    return [*rows, await _row(bench, "1 GiB, cached, staged", "big", big, half_s)]


async def _row(bench: Bench, what: str, name: str, contents: list[bytes], seconds: float) -> Row:
    folder = bench.folder / name
    source = folder / "source"
    source.mkdir(parents=True)
    transfers = Transfers()
    items = [_item(source, f"{place:04}", data) for place, data in enumerate(contents)]
    cache = Cache(folder / "cache" / "sha256", 4 * _BIG_BYTES, transfers)
    ours: list[float] = []
    links: list[float] = []
    try:
        await cache.stage(items, folder / "first", _never)
        until = time.monotonic() + seconds
        while not ours or time.monotonic() < until:
            began = time.perf_counter()
            await cache.stage(items, folder / f"ours{len(ours)}", _never)
            ours.append(time.perf_counter() - began)
            words = ["cp", "-rl", str(source), str(folder / f"links{len(links)}")]
            began = time.perf_counter()
            await asyncio.to_thread(subprocess.run, words, check=True)
            links.append(time.perf_counter() - began)
    finally:
        await transfers.close()
        for path in folder.glob("*"):  # what was staged is read-only
            path.chmod(0o700)
    return Row(
        name=what,
        unit="s",
        ours=series(ours),
        budget="-",
        met=None,
        peer_name="cp -rl",
        peer=series(links),
    )


def _item(source: Path, name: str, data: bytes) -> StagedItem:
    path = source / name
    path.write_bytes(data)
    return StagedItem(name, len(data), sha256(data).hexdigest(), Grant(path=path), "d1")


async def _never(item: StagedItem, grant: Grant) -> Grant:
    raise AssertionError(f"{item.path} is granted by its path, for good")
