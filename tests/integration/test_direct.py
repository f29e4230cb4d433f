"""Large files between a client and an S3 server itself: who may, what is believed, and when."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from yarl import URL

from headrace_adapters.redis.quotas import QuotaStore
from headrace_adapters.redis.users import UserStore
from headrace_adapters.s3.direct import DirectObjects
from headrace_adapters.s3.location import parse_location, read_credentials
from headrace_adapters.s3.parts import SMALLEST_PART_BYTES
from headrace_adapters.s3.store import Limits, S3Store
from headrace_client import direct as client_direct
from headrace_client import transfers
from headrace_client.connection import Connection
from headrace_client.datasets import Datasets
from headrace_client.http import Http
from headrace_client.localfiles import LocalFile
from headrace_data import known_items
from headrace_data import main as data_main
from headrace_local.health import any_free_port
from headrace_model.errors import Conflict, HeadraceError, InvalidInput
from headrace_model.people import User, UserRole
from headrace_wire.people import encode_user
from tests.support.cut_line import cut_line
from tests.support.data_service import TOKEN, DataHarness, World
from tests.support.s3_servers import S3Server
from tests.support.wait import wait_until

pytestmark = pytest.mark.usefixtures("no_blocking")

PART = SMALLEST_PART_BYTES
DATA = os.urandom(2 * PART + 17)
DIGEST = sha256(DATA).hexdigest()
ASKED = {"path": "large", "size_bytes": len(DATA), "sha256": DIGEST}
SEND, FETCH = "/datasets/drb:direct-upload", "/datasets/drb:direct-download"


@pytest.fixture
def server(s3_servers: Callable[[str], S3Server]) -> S3Server:
    return s3_servers("juicefs")


@pytest.fixture
async def store(
    server: S3Server, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[S3Store]:
    """What all data services of a test keep their objects in."""
    location = parse_location(f"{server.url}/{sha256(str(state_dir).encode()).hexdigest()}")
    credentials = await asyncio.to_thread(read_credentials, server.credentials_file)
    limits = Limits(part_bytes=PART, parallel=2, patience_s=5.0)
    made: list[S3Store] = []

    def make(_settings: object) -> S3Store:
        made.append(S3Store(location, credentials, limits))
        return made[-1]

    monkeypatch.setattr(data_main, "make_store", make)
    yield make(None)
    for each in made:
        await each.close()


@pytest.fixture
async def data(all_: World, server: S3Server, store: S3Store) -> AsyncIterator[DataHarness]:
    """A data service with an OPEN dataset, whose clients reach the store by another name."""
    direct = f"http://localhost:{server.port}"
    async with all_.data(store=server.url, store_direct=direct, item_limit_bytes=2**30) as made:
        answer = await made.api("POST", "/datasets", json={"name": "drb", "category": "FORCING"})
        assert answer.status == 201
        yield made


@asynccontextmanager
async def client(url: str) -> AsyncIterator[Datasets]:
    """A client that shows what the request service would."""
    async with Http(Connection(url, TOKEN), patience_s=20.0) as http:
        assert http._session is not None
        http._session.headers["X-Headrace-User"] = encode_user(User("ann", UserRole.USER))
        yield Datasets(http)
    # A part that the store refused early is closed with bytes still to send, and nobody waits for
    # them: the next test would be told of a socket that is open.
    loop: Any = asyncio.get_running_loop()
    for transport in list(loop._transports.values()):
        if transport.is_closing():
            transport.abort()
    await asyncio.sleep(0.01)


@asynccontextmanager
async def clients_of(data: DataHarness) -> AsyncIterator[Datasets]:
    socket = data.settings.state_dir / "http.sock"
    async with cut_line(socket) as line, client(line.url) as datasets:
        yield datasets


@pytest.fixture
def file(state_dir: Path) -> LocalFile:
    path = state_dir / "large"
    path.write_bytes(DATA)
    return LocalFile(path, "large")


async def put(part: dict[str, Any], content: bytes = DATA) -> int:
    piece = content[part["offset"] : part["offset"] + part["size_bytes"]]
    async with (
        ClientSession() as session,
        session.put(URL(part["url"], encoded=True), data=BytesIO(piece)) as answer,
    ):
        return answer.status


async def parts_of(data: DataHarness, asked: dict[str, Any] = ASKED) -> list[dict[str, Any]]:
    answer = await data.api("POST", SEND, json=asked)
    assert answer.status == 200, answer.body
    assert answer.json["item"] is None
    assert answer.headers["Cache-Control"] == "no-store"
    parts: list[dict[str, Any]] = answer.json["parts"]
    return parts


async def items_of(data: DataHarness) -> list[str]:
    answer = await data.api("GET", "/datasets/drb/items")
    return [each["path"] for each in answer.json["items"]]


def forbid(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """No byte of a large file may go through the server."""

    def streamed(*_: object) -> None:
        raise AssertionError("it went through the server")

    for name in names:
        monkeypatch.setattr(transfers.Transfers, name, streamed)


async def test_a_large_file_goes_and_comes_without_us_and_no_url_is_logged(
    data: DataHarness, store: S3Store, file: LocalFile, state_dir: Path,
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG)
    forbid(monkeypatch, "_put", "_fetch")
    seen: list[tuple[str, int, int]] = []
    async with clients_of(data) as datasets:
        await datasets.upload("drb", [file], lambda *moved: seen.append(moved))
        assert (await datasets.seal("drb"))["state"] == "SEALED"
        await datasets.download("drb", state_dir / "back")
    assert seen[-1] == ("large", len(DATA), len(DATA))
    assert all(at <= size for _, at, size in seen)
    assert await asyncio.to_thread((state_dir / "back" / "large").read_bytes) == DATA
    streamed = await data.api("GET", "/datasets/drb/items/large")
    assert streamed.body == DATA
    assert "X-Amz-" not in caplog.text


async def test_where_the_store_cant_be_reached_all_goes_through_the_server(
    data: DataHarness, store: S3Store, file: LocalFile, state_dir: Path
) -> None:
    await data.kill()
    data.settings = replace(data.settings, store_direct=f"http://127.0.0.1:{any_free_port()}")
    await data.start()
    async with clients_of(data) as datasets:
        await datasets.upload("drb", [file])
        await datasets.download("drb", state_dir / "back")
    assert await asyncio.to_thread((state_dir / "back" / "large").read_bytes) == DATA
    assert [key for key in await store.keys("datasets") if "/direct/" in key] == []


async def test_where_the_store_refuses_the_urls_all_goes_through_the_server(
    data: DataHarness, file: LocalFile, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Http.json

    async def spoilt(self: Http, method: str, path: str, **how: Any) -> Any:
        answer = await real(self, method, path, **how)
        if ":direct-" in path:
            for each in [*answer.get("parts", []), answer]:
                if each.get("url"):
                    each["url"] += "0"
        return answer

    monkeypatch.setattr(client_direct, "_FIRST_PAUSE_S", 0.0)
    monkeypatch.setattr(Http, "json", spoilt)
    async with clients_of(data) as datasets:
        await datasets.upload("drb", [file])
        await datasets.download("drb", state_dir / "back")
    assert await asyncio.to_thread((state_dir / "back" / "large").read_bytes) == DATA


async def test_an_upload_goes_on_after_both_sides_died_with_the_parts_that_lack(
    data: DataHarness, file: LocalFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *_ = await parts_of(data)
    assert await put(first) == 200  # and of the client that sent it nothing is left
    await data.kill()
    await data.start()
    read, offsets = client_direct._read, list[int]()

    async def told(path: Path, offset: int, *how: Any) -> AsyncIterator[bytes]:
        offsets.append(offset)
        async for piece in read(path, offset, *how):
            yield piece

    monkeypatch.setattr(client_direct, "_read", told)
    forbid(monkeypatch, "_put")
    async with clients_of(data) as datasets:
        await datasets.upload("drb", [file])
        await datasets.upload("drb", [file])
    assert sorted(offsets) == [PART, 2 * PART], "and nothing at all of what is an item"
    assert (await data.api("GET", "/datasets/drb/items/large")).body == DATA


async def test_a_download_goes_on_where_it_broke_off_and_damage_is_found(
    data: DataHarness, file: LocalFile, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forbid(monkeypatch, "_put", "_fetch")
    back = state_dir / "back"
    back.mkdir()
    async with clients_of(data) as datasets:
        await datasets.upload("drb", [file])
        await asyncio.to_thread((back / "large.part").write_bytes, DATA[: PART + 1])
        await datasets.download("drb", back)
        assert await asyncio.to_thread((back / "large").read_bytes) == DATA
        (back / "large").unlink()
        await asyncio.to_thread((back / "large.part").write_bytes, b"x" + DATA[1 : PART + 1])
        with pytest.raises(HeadraceError, match="arrived damaged"):
            await datasets.download("drb", back)
    assert list(back.iterdir()) == []


async def test_a_kill_between_the_object_and_its_item_costs_nothing(
    data: DataHarness, all_: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in await parts_of(data):
        assert await put(part) == 200

    async def killed(*_: object) -> None:
        raise ConnectionResetError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(type(all_.datasets), "put_items", killed)
        assert (await data.api("POST", SEND, json=ASKED)).status >= 500
    assert await items_of(data) == []
    await data.kill()
    await data.start()
    answer = await data.api("POST", SEND, json=ASKED)
    assert answer.json == {"item": ASKED, "kept_bytes": len(DATA), "parts": []}
    assert await items_of(data) == ["large"]


async def test_bytes_that_are_not_what_was_said_are_found_at_the_seal(
    data: DataHarness, store: S3Store, file: LocalFile
) -> None:
    for part in await parts_of(data):
        assert await put(part, os.urandom(len(DATA))) == 200
    assert (await data.api("POST", SEND, json=ASKED)).json["item"] == ASKED
    refused = await data.api("POST", "/datasets/drb:seal")
    assert (refused.status, refused.code) == (422, "WRONG_CHECKSUM")
    assert await items_of(data) == []
    assert await store.keys("datasets") == []
    async with clients_of(data) as datasets:
        await datasets.upload("drb", [file])
        assert (await datasets.seal("drb"))["state"] == "SEALED"


async def test_what_is_taken_from_an_open_dataset_is_hashed_at_the_seal_too(
    data: DataHarness,
) -> None:
    for part in await parts_of(data):
        assert await put(part, os.urandom(len(DATA))) == 200
    assert (await data.api("POST", SEND, json=ASKED)).json["item"] == ASKED
    await data.api("POST", "/datasets", json={"name": "other", "category": "FORCING"})
    taken = await data.api(
        "POST", "/datasets/other:take", json={"dataset": "drb", "paths": ["large"]}
    )
    assert taken.status == 200, taken.body
    assert (await data.api("POST", "/datasets/other:seal")).code == "WRONG_CHECKSUM"


async def test_a_dataset_that_was_sealed_meanwhile_takes_nothing_more(
    data: DataHarness, store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in await parts_of(data):
        assert await put(part) == 200
    assert (await data.upload("drb", "small", b"x")).status == 201
    go_on = DirectObjects.go_on

    made: list[object] = []

    async def sealed_first(self: DirectObjects, *how: Any) -> Any:
        assert (await data.api("POST", "/datasets/drb:seal")).status == 200
        made.append(await go_on(self, *how))
        return made[-1]

    with monkeypatch.context() as patched:
        patched.setattr(DirectObjects, "go_on", sealed_first)
        assert (await data.api("POST", SEND, json=ASKED)).code == "CONFLICT"
    assert (await data.api("POST", SEND, json=ASKED)).code == "CONFLICT"
    assert await items_of(data) == ["small"]

    (key,) = made
    assert isinstance(key, str)
    # An object that became no item is swept, also one that comes later still.
    await data.kill()
    await store.put_bytes(f"{key.rpartition('/')[0]}/late", b"late")
    data.settings = replace(data.settings, store_unnamed_s=0.0)
    await data.start()

    async def swept() -> bool:
        return not [key for key in await store.keys("datasets") if "/direct/" in key]

    await wait_until(swept, "the object that nothing names to be swept")
    assert (await data.api("GET", "/datasets/drb/items/small")).body == b"x"


async def test_urls_are_for_those_who_might_stream_the_file(data: DataHarness) -> None:
    assert (await data.upload("drb", "small", b"x")).status == 201
    data.user = "bob"
    assert (await data.api("POST", SEND, json=ASKED)).status == 404
    assert (await data.api("POST", FETCH, json={"path": "small"})).status == 404
    data.user = "ann"
    await data.api("POST", "/datasets/drb:share", json={"who": "user:bob"})
    data.user = "bob"
    assert (await data.api("POST", SEND, json=ASKED)).status == 403
    granted = await data.api("POST", FETCH, json={"path": "small"})
    assert granted.status == 200
    assert (await data.api("POST", FETCH, json={"path": "nothing"})).status == 404
    async with (
        ClientSession() as session,
        session.put(URL(granted.json["url"], encoded=True), data=b"y") as answer,
    ):
        assert answer.status >= 400, "to read is not to write"
    data.user = "ann"
    assert (await data.api("GET", "/datasets/drb/items/small")).body == b"x"


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"size_bytes": 2**30 + 1}, 413),
        ({"size_bytes": 0}, 422),
        ({"size_bytes": -1}, 422),
        ({"size_bytes": "9"}, 422),
        ({"sha256": "g" * 64}, 422),
        ({"path": "../out"}, 422),
        ({"more": 1}, 422),
    ],
)
async def test_what_streaming_would_refuse_gets_no_url(
    data: DataHarness, asked: dict[str, Any], status: int
) -> None:
    answer = await data.api("POST", SEND, json={**ASKED, **asked})
    assert answer.status == status, answer.body


async def test_over_a_quota_nothing_is_begun_and_nothing_becomes_an_item(
    data: DataHarness, all_: World, store: S3Store
) -> None:
    await UserStore(all_.redis).create_user("root")
    await UserStore(all_.redis).create_user("ann", UserRole.USER)
    quotas = QuotaStore(all_.redis)
    parts = await parts_of(data)
    for part in parts:
        assert await put(part) == 200
    await quotas.set("user", "ann", len(DATA) - 1)
    assert (await data.api("POST", SEND, json=ASKED)).code == "OVER_QUOTA"
    assert await items_of(data) == []
    assert await store.keys("datasets") == []
    await quotas.set("user", "ann", len(DATA))
    assert (await data.api("POST", SEND, json=ASKED)).json["item"] == ASKED


async def test_what_stands_in_a_sealed_dataset_that_one_may_read_is_not_sent(
    data: DataHarness, file: LocalFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_items, "_LOOK_EVERY_S", 0.1)
    await data.kill()
    await data.start()
    async with clients_of(data) as datasets:
        await datasets.upload("drb", [file])
        await datasets.seal("drb")
    await data.api("POST", "/datasets", json={"name": "other", "category": "FORCING"})

    async def taken() -> bool:
        answer = await data.api("POST", "/datasets/other:direct-upload", json=ASKED)
        return bool(answer.json["item"] == ASKED)

    await wait_until(taken, "the sealed item to be known")
    assert (await data.api("POST", "/datasets/other:seal")).status == 200
    assert (await data.api("GET", "/datasets/other/items/large")).body == DATA
    data.user = "bob"
    await data.api("POST", "/datasets", json={"name": "bobs", "category": "FORCING"})
    answer = await data.api("POST", "/datasets/bobs:direct-upload", json=ASKED)
    assert (answer.json["item"], answer.json["kept_bytes"]) == (None, 0)


async def test_a_file_that_changes_while_it_is_sent_is_no_item(
    data: DataHarness, file: LocalFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = client_direct._read

    async def changed(path: Path, *how: Any) -> AsyncIterator[bytes]:
        async for piece in read(path, *how):
            yield piece
        os.utime(path, (1, 1))

    monkeypatch.setattr(client_direct, "_read", changed)
    async with clients_of(data) as datasets:
        with pytest.raises(Conflict, match="changed while it was uploaded"):
            await datasets.upload("drb", [file])
    assert await items_of(data) == []


@pytest.mark.parametrize(
    ("store_at", "direct", "why"),
    [
        ("folder", "http://localhost:1", "the store is a folder"),
        ("s3", "localhost:1", "not http"),
        ("s3", "http://localhost:1/bucket", "not http"),
    ],
)
async def test_a_wrong_setting_ends_the_start(
    data: DataHarness, server: S3Server, store_at: str, direct: str, why: str
) -> None:
    await data.kill()
    good = data.settings
    store = server.url if store_at == "s3" else str(good.state_dir / "objects")
    with pytest.raises(InvalidInput, match=why):
        await asyncio.to_thread(data_main.build, replace(good, store=store, store_direct=direct))
    await data.start()
