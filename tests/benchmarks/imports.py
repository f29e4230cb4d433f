"""Import in place of 100,000 small files, beside a program that reads and hashes the same plainly.

Ours is the whole way: requests to the services, which list, read, hash and register; then a seal.
The memory is what the data service had at its highest, beside what it had before.
"""

import asyncio
import os
import time
from collections.abc import Awaitable
from hashlib import sha256
from pathlib import Path

from tests.benchmarks.bench import Bench
from tests.benchmarks.rows import Row, series
from tests.support.stack import Stack

NAME = "imports"
ABOUT = "import in place of 100,000 small files, beside reading and hashing them plainly"
_FOLDERS, _FILES, _BYTES = 100, 1_000, 2_000
_MOST_TIMES, _MOST_MIB = 5.0, 512.0
_MIB = 2**20


async def measure(bench: Bench) -> list[Row]:
    """Rows for the import, its repeat, the seal, and the memory."""
    place, home = bench.folder / "place", bench.folder / "home"
    await asyncio.to_thread(_make, place)
    plain, first, repeated, sealed, grown = [], [], [], [], []
    until = time.monotonic() + bench.seconds
    # The times of a real stack: the tests' own are short.
    times = {"lease_s": 6.0, "node_lost_s": 10.0, "sweep_s": 5.0, "renew_s": 2.0}
    stack = Stack(home, settings={"import_places": f"place={place}"}, **times)
    async with stack, stack.client() as client:
        while not first or time.monotonic() < until:
            plain.append(await _timed(asyncio.to_thread(_read, place)))
            before = _highest(stack.pid("data"))
            asked = {"name": f"many{len(first)}", "category": "FORCING"}
            name, source = (await client.datasets.create(asked))["id"], str(place)
            first.append(await _timed(client.datasets.import_from(name, source)))
            repeated.append(await _timed(client.datasets.import_from(name, source)))
            grown.append((_highest(stack.pid("data")) - before) / _MIB)
            sealed.append(await _timed(client.datasets.seal(name)))
    ours, peer, memory = series(first), series(plain), series(grown)
    beside = "read and hash"
    return [
        Row(f"{_FOLDERS * _FILES:,} files imported", "s", ours, f"≤ {_MOST_TIMES:g}x its time",
            ours.p50 <= _MOST_TIMES * peer.p50, beside, peer),
        Row("the same again", "s", series(repeated), "-", None, beside, peer),
        Row("and sealed", "s", series(sealed), "-", None, beside, peer),
        Row("memory grown by", "MiB", memory, f"≤ {_MOST_MIB:g}", memory.p95 <= _MOST_MIB),
    ]  # fmt: skip


def _make(place: Path) -> None:
    for folder in range(_FOLDERS):
        (place / f"{folder:03}").mkdir(parents=True)
        for file in range(_FILES):
            (place / f"{folder:03}" / f"{file:04}.bin").write_bytes(os.urandom(_BYTES))
    os.sync()


def _read(place: Path) -> int:
    """What a program does that only wants to know the digests."""
    digests = {}
    for folder, _, files in os.walk(place):
        for name in files:
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                digests[path] = sha256(file.read()).hexdigest()
    return len(digests)


async def _timed(work: Awaitable[object]) -> float:
    began = time.perf_counter()
    await work
    return time.perf_counter() - began


def _highest(pid: int | None) -> int:
    """The most resident memory that a process has had."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("this kernel tells no VmHWM")
