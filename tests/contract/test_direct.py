"""What clients send to and read from S3 servers themselves, by URLs that the store hands out."""

import asyncio
import os
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from headrace_adapters.s3.direct import DirectObjects, Lacking, PartGrant
from headrace_adapters.s3.location import parse_location, read_credentials
from headrace_adapters.s3.parts import SMALLEST_PART_BYTES
from headrace_adapters.s3.store import Limits, S3Store
from tests.support.s3_servers import S3Server

pytestmark = pytest.mark.usefixtures("no_blocking")

PART = SMALLEST_PART_BYTES
LIMITS = Limits(part_bytes=PART, parallel=2, patience_s=5.0)
FOLDER = "datasets/1/1/direct/file"
DATA = os.urandom(2 * PART + 17)


@pytest.fixture(params=["juicefs", "seaweedfs"])
def server(request: pytest.FixtureRequest, s3_servers: Callable[[str], S3Server]) -> S3Server:
    return s3_servers(request.param)


@pytest.fixture
async def store(server: S3Server, state_dir: Path) -> AsyncIterator[S3Store]:
    prefix = sha256(str(state_dir).encode()).hexdigest()
    credentials = await asyncio.to_thread(read_credentials, server.credentials_file)
    found = S3Store(parse_location(f"{server.url}/{prefix}"), credentials, LIMITS)
    yield found
    await found.close()


def by_name(store: S3Store, server: S3Server) -> DirectObjects:
    """The store as clients reach it who know the server by another name than we do."""
    return store.direct(f"http://localhost:{server.port}")


async def ask(method: str, url: str, data: bytes | None = None) -> tuple[int, bytes]:
    def call() -> tuple[int, bytes]:
        request = urllib.request.Request(url, data, method=method)  # noqa: S310 - ours
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, b""
        except urllib.error.URLError:
            return 599, b""  # refused before all of it was sent

    return await asyncio.to_thread(call)


async def put(part: PartGrant, data: bytes = DATA) -> int:
    piece = data[part.offset : part.offset + part.size_bytes]
    return (await ask("PUT", part.url, piece))[0]


async def lacking(direct: DirectObjects) -> Lacking:
    found = await direct.go_on(FOLDER, len(DATA))
    assert isinstance(found, Lacking)
    return found


async def test_what_was_sent_is_remembered_by_the_server_alone(
    store: S3Store, server: S3Server
) -> None:
    first = await lacking(by_name(store, server))
    assert (first.kept_bytes, [part.offset for part in first.parts]) == (0, [0, PART, 2 * PART])
    assert all(part.url.startswith("http://localhost:") for part in first.parts)
    assert await put(first.parts[1]) == 200
    # As after a restart: nothing of the first is used but what the server has.
    again = await lacking(by_name(store, server))
    assert (again.kept_bytes, [part.offset for part in again.parts]) == (PART, [0, 2 * PART])
    assert [await put(part) for part in again.parts] == [200, 200]
    key = await by_name(store, server).go_on(FOLDER, len(DATA))
    assert isinstance(key, str)
    assert key.startswith(FOLDER + "/")
    assert await store.get_bytes(key, len(DATA)) == DATA
    assert await by_name(store, server).go_on(FOLDER, len(DATA)) == key
    status, read = await ask("GET", await by_name(store, server).url(key))
    assert (status, read) == (200, DATA)


async def test_a_part_of_another_size_is_asked_for_again(store: S3Store, server: S3Server) -> None:
    direct = by_name(store, server)
    parts = (await lacking(direct)).parts
    for part in parts[:2]:
        await put(part)
    await ask("PUT", parts[2].url, b"more than the seventeen bytes")
    assert [part.offset for part in (await lacking(direct)).parts] == [2 * PART]
    assert await store.keys(FOLDER) == []
    await put(parts[2])
    key = await direct.go_on(FOLDER, len(DATA))
    assert isinstance(key, str)
    assert await store.get_bytes(key, len(DATA)) == DATA


async def test_no_url_changes_an_object_that_is_made(store: S3Store, server: S3Server) -> None:
    direct = by_name(store, server)
    parts = (await lacking(direct)).parts
    for part in parts:
        await put(part)
    key = await direct.go_on(FOLDER, len(DATA))
    assert isinstance(key, str)
    for part in parts:
        assert await put(part, os.urandom(len(DATA))) >= 400
    assert (await ask("PUT", await direct.url(key), b"else"))[0] >= 400
    assert await direct.go_on(FOLDER, len(DATA)) == key
    assert await store.get_bytes(key, len(DATA)) == DATA


async def test_a_url_is_for_one_object_and_for_its_time(store: S3Store, server: S3Server) -> None:
    await store.put_bytes("a/one", b"one")
    await store.put_bytes("a/two", b"two")
    url = await by_name(store, server).url("a/one")
    assert (await ask("GET", url))[1] == b"one"
    assert (await ask("GET", url.replace("a/one", "a/two")))[0] >= 400
    store._limits = replace(LIMITS, grant_s=1.0)
    short = await by_name(store, server).url("a/one")
    for _ in range(300):
        if (await ask("GET", short))[0] >= 400:
            return
        await asyncio.sleep(0.1)
    raise AssertionError("a URL of one second is valid after half a minute")


async def test_what_nobody_goes_on_with_is_swept(store: S3Store, server: S3Server) -> None:
    first = await lacking(by_name(store, server))
    await put(first.parts[0])
    assert await store.sweep_parts(older_than_s=-60.0) == 1
    assert (await lacking(by_name(store, server))).kept_bytes == 0
