"""Objects by grants of a real S3 server, as an agent reads and writes them."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from secrets import token_hex

import pytest

from headrace_adapters.s3.location import parse_location, read_credentials
from headrace_adapters.s3.parts import SMALLEST_PART_BYTES
from headrace_adapters.s3.store import Limits, S3Store
from headrace_agent.grants import Grant, read_grant
from headrace_agent.transfers import FileChanged, Transfers
from headrace_model.errors import InvalidInput, NotFound, Unavailable
from tests.support.s3_servers import S3Server

pytestmark = pytest.mark.usefixtures("no_blocking")

PART = SMALLEST_PART_BYTES
SIZES = [0, 1, PART, 2 * PART + 17]


@pytest.fixture
async def store(s3_servers: Callable[[str], S3Server]) -> AsyncIterator[S3Store]:
    server = s3_servers("juicefs")
    credentials = await asyncio.to_thread(read_credentials, server.credentials_file)
    limits = Limits(part_bytes=PART, grant_part_bytes=PART, patience_s=5.0)
    found = S3Store(parse_location(f"{server.url}/{token_hex(8)}"), credentials, limits)
    yield found
    await found.close()


@pytest.fixture
async def transfers() -> AsyncIterator[Transfers]:
    found = Transfers(patience_s=0.5)
    yield found
    await found.close()


class Source:
    """An output file, open as the agent has it open."""

    def __init__(self, path: Path, data: bytes) -> None:
        path.write_bytes(data)
        self.path, self.data = path, data
        self.fd = os.open(path, os.O_RDONLY)
        self.digest = sha256(data).hexdigest()


@pytest.fixture
def make_source(state_dir: Path) -> "Callable[[int], Source]":
    return lambda size: Source(state_dir / token_hex(4), os.urandom(size))


MakeSource = Callable[[int], Source]


async def put(
    store: S3Store, transfers: Transfers, source: Source, grant: Grant | None = None
) -> list[Grant]:
    """Put a file; the grants that were asked for again meanwhile."""
    renewed: list[Grant] = []

    async def renew(old: Grant) -> Grant:
        renewed.append(old)
        return read_grant(await store.grant_put("a/key", len(source.data), old.upload))

    first = grant or read_grant(await store.grant_put("a/key", len(source.data)))
    await transfers.put(first, renew, source.fd, len(source.data), source.digest)
    return renewed


async def never(_: Grant) -> Grant:
    raise AssertionError("no grant has to be renewed")


def spoiled(grant: Grant) -> Grant:
    """A grant whose URLs the server refuses, as those that have expired."""
    return replace(
        grant,
        url=grant.url and grant.url + "0",
        parts=tuple(url + "0" for url in grant.parts),
        complete=grant.complete and grant.complete + "0",
    )


@pytest.mark.parametrize("size", SIZES)
async def test_a_file_goes_and_comes_by_its_grants(
    store: S3Store, transfers: Transfers, make_source: MakeSource, state_dir: Path, size: int
) -> None:
    source = make_source(size)
    assert await put(store, transfers, source) == []
    grant = read_grant(await store.grant_get("a/key"))
    digest = await transfers.get(grant, never, state_dir / "to", size)
    assert digest == source.digest
    assert _read(state_dir / "to") == source.data
    assert await store.sweep_parts(-3_600.0) == 0


@pytest.mark.parametrize("size", [1, 2 * PART + 17])
async def test_urls_that_have_expired_are_asked_for_again(
    store: S3Store, transfers: Transfers, make_source: MakeSource, state_dir: Path, size: int
) -> None:
    source = make_source(size)
    old = spoiled(read_grant(await store.grant_put("a/key", size)))
    assert await put(store, transfers, source, old) == [old]
    assert await store.get_bytes("a/key", size) == source.data
    assert await store.sweep_parts(-3_600.0) == 0, "it goes on with the same upload"

    async def renew(_: Grant) -> Grant:
        return good

    good = read_grant(await store.grant_get("a/key"))
    await transfers.get(spoiled(good), renew, state_dir / "to", size)
    assert _read(state_dir / "to") == source.data


async def test_urls_that_never_work_end_it_without_a_word_of_them(
    store: S3Store, transfers: Transfers, make_source: MakeSource
) -> None:
    source = make_source(1)
    bad = spoiled(read_grant(await store.grant_put("a/key", 1)))

    async def renew(_: Grant) -> Grant:
        return bad

    with pytest.raises(Unavailable, match="refuses each new URL") as refused:
        await transfers.put(bad, renew, source.fd, 1, source.digest)
    assert "X-Amz" not in f"{refused.value} {refused.value.hint} {bad!r}"
    assert await store.stat("a/key") is None


@pytest.mark.parametrize("size", [100, 2 * PART + 17])
async def test_a_file_that_changed_never_becomes_an_object(
    store: S3Store, transfers: Transfers, make_source: MakeSource, size: int
) -> None:
    source = make_source(size)
    source.path.write_bytes(source.data[:-1] + bytes([source.data[-1] ^ 1]))
    with pytest.raises(FileChanged):
        await put(store, transfers, source)
    assert await store.stat("a/key") is None


async def test_a_file_that_became_shorter_never_becomes_an_object(
    store: S3Store, transfers: Transfers, make_source: MakeSource
) -> None:
    source = make_source(1_000)
    source.path.write_bytes(b"short")
    with pytest.raises(FileChanged):
        await put(store, transfers, source)
    assert await store.stat("a/key") is None


async def test_what_is_not_there_or_too_large_is_told(
    store: S3Store, transfers: Transfers, state_dir: Path
) -> None:
    grant = read_grant(await store.grant_get("a/key"))
    with pytest.raises(NotFound):
        await transfers.get(grant, never, state_dir / "to", 1)
    await store.put_bytes("a/key", b"12345")
    with pytest.raises(InvalidInput, match="more than the 4 bytes"):
        await transfers.get(grant, never, state_dir / "other", 4)


async def test_a_store_that_is_away_is_told_without_its_url(
    store: S3Store, transfers: Transfers, make_source: MakeSource
) -> None:
    source = make_source(1)
    away = read_grant(await store.grant_put("a/key", 1))
    away = replace(away, url="http://127.0.0.1:9/" + away.url.partition("127.0.0.1:")[2])
    with pytest.raises(Unavailable, match="does not answer") as failed:
        await transfers.put(away, never, source.fd, 1, source.digest)
    assert "X-Amz" not in str(failed.value)


async def test_a_broken_connection_is_taken_up_where_it_broke(
    transfers: Transfers, state_dir: Path
) -> None:
    data = os.urandom(3 * 2**20)
    asked: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Gives two thirds, then breaks off; on the next call, the rest."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        ranges = [line for line in head.splitlines() if line.startswith("Range:")]
        asked.extend(ranges)
        first = int(ranges[0].partition("=")[2].rstrip("-")) if ranges else 0
        status = "206 Partial Content" if first else "200 OK"
        left = len(data) - first
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {left}\r\n\r\n".encode())
        writer.write(data[first:] if first else data[: 2 * 2**20])
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        grant = Grant(url=f"http://127.0.0.1:{port}/bucket/key")
        digest = await transfers.get(grant, never, state_dir / "to", len(data))
    assert digest == sha256(data).hexdigest()
    assert _read(state_dir / "to") == data
    assert len(asked) == 1


def _read(path: Path) -> bytes:
    return path.read_bytes()
