"""What the client uploads and downloads, over lines that break, to services that die."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from headrace_adapters.files.store import DirectoryStore
from headrace_adapters.sqlite.items import ItemIndex
from headrace_client import smallfiles, transfers
from headrace_client.connection import Connection
from headrace_client.datasets import Datasets
from headrace_client.http import Http
from headrace_client.localfiles import LocalFile, files_below, hash_of
from headrace_data import batches, known_items
from headrace_model.errors import HeadraceError, Unavailable
from headrace_model.people import User, UserRole
from headrace_ports.arriving import Arriving
from headrace_wire.batch import BatchFile
from headrace_wire.people import encode_user
from tests.support.cut_line import cut_line
from tests.support.data_service import TOKEN, DataHarness
from tests.support.wait import wait_until

pytestmark = pytest.mark.usefixtures("no_blocking")

NEW = {"name": "drb", "category": "FORCING"}
FILES = {"a": b"one", "more/b": b"two", "empty": b"", "same": b"one"}


@pytest.fixture
async def data(data: DataHarness) -> DataHarness:
    await data.api("POST", "/datasets", json=NEW)
    return data


async def fill(data: DataHarness, files: dict[str, bytes]) -> None:
    for path, content in files.items():
        assert (await data.upload("drb", path, content)).status == 201


@asynccontextmanager
async def client(url: str) -> AsyncIterator[Datasets]:
    """A client that shows what the request service would."""
    async with Http(Connection(url, TOKEN), patience_s=20.0) as http:
        assert http._session is not None
        http._session.headers["X-Headrace-User"] = encode_user(User("ann", UserRole.USER))
        yield Datasets(http)


@pytest.fixture
def folder(state_dir: Path) -> Path:
    """600 small files, so three batches, and one that is large."""
    below = state_dir / "files"
    (below / "deep").mkdir(parents=True)
    for number in range(600):
        (below / "deep" / f"{number:03}").write_bytes(b"%d" % number * 7)
    (below / "large").write_bytes(bytes(range(256)) * 6_000)
    return below


def contents(folder: Path) -> dict[str, bytes]:
    return {
        each.relative_to(folder).as_posix(): each.read_bytes()
        for each in folder.rglob("*")
        if each.is_file()
    }


def socket_of(data: DataHarness) -> Path:
    return data.settings.state_dir / "http.sock"


async def test_many_files_go_and_come_in_few_requests_and_are_counted_once(
    data: DataHarness, folder: Path, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    opened = Http.open

    def counted(self: Http, method: str, path: str, **how: Any) -> Any:
        asked.append(f"{method} {path.rpartition('/')[2]}")
        return opened(self, method, path, **how)

    monkeypatch.setattr(Http, "open", counted)
    reached: dict[str, int] = {}

    def moved(item: str, at: int, size: int) -> None:
        assert reached.get(item, 0) <= at <= size
        reached[item] = at

    files = await asyncio.to_thread(files_below, folder)
    sent = await asyncio.to_thread(contents, folder)
    sizes = {path: len(content) for path, content in sent.items()}
    async with cut_line(socket_of(data)) as line, client(line.url) as datasets:
        assert (await datasets.upload("drb", files, moved)).moving_bytes == sum(sizes.values())
        assert reached == sizes
        # Four workers share the files, so that the last batches may be smaller.
        assert 3 <= asked.count("POST drb:upload") <= 6
        asked.clear()
        reached.clear()
        back = state_dir / "back"
        assert (await datasets.download("drb", back, moved)).moving_bytes == sum(sizes.values())
        assert reached == sizes
        assert asked.count("POST drb:download") == 3
        assert await asyncio.to_thread(contents, back) == sent
        asked.clear()
        (back / "deep" / "007").write_bytes(b"other")
        await datasets.download("drb", back)
        assert asked.count("POST drb:download") == 1, "what is whole is kept"
        assert await asyncio.to_thread(contents, back) == sent


async def test_lines_that_break_cost_a_repeat_and_nothing_else(
    data: DataHarness, folder: Path, state_dir: Path
) -> None:
    numbers = count()

    def budget() -> int | None:
        # The first connections break in the middle of their answers.
        return 200 if next(numbers) < 5 else None

    files = await asyncio.to_thread(files_below, folder)
    sent = await asyncio.to_thread(contents, folder)
    async with cut_line(socket_of(data), budget) as line, client(line.url) as datasets:
        await datasets.upload("drb", files)
        assert line.cuts
    assert await items_of(data) == sorted(sent)
    numbers = count()
    async with cut_line(socket_of(data), budget) as line, client(line.url) as datasets:
        await datasets.download("drb", state_dir / "back")
        assert line.cuts
    assert await asyncio.to_thread(contents, state_dir / "back") == sent


async def items_of(data: DataHarness) -> list[str]:
    answer = await data.api("GET", "/datasets/drb/items?limit=10000")
    return [each["path"] for each in answer.json["items"]]


async def test_a_service_that_dies_in_an_upload_loses_nothing(
    data: DataHarness, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, go_on = asyncio.Event(), asyncio.Event()
    kept = DirectoryStore.put_many

    async def held(self: DirectoryStore, objects: Any) -> None:
        if not reached.is_set():
            reached.set()
            await go_on.wait()
        await kept(self, objects)

    monkeypatch.setattr(DirectoryStore, "put_many", held)
    files = await asyncio.to_thread(files_below, folder)
    async with cut_line(socket_of(data)) as line, client(line.url) as datasets:
        uploading = asyncio.create_task(datasets.upload("drb", files))
        await reached.wait()
        killing = asyncio.create_task(data.kill())
        go_on.set()
        await killing
        await data.start()
        await uploading
    assert await items_of(data) == [each.item for each in files]


async def test_a_client_that_comes_anew_sends_only_the_rest_of_a_large_file(
    data: DataHarness, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, read = LocalFile(folder / "large", "large"), transfers._read
    offsets: list[int] = []

    async def stalls(*how: Any) -> AsyncIterator[bytes]:
        async for piece in read(*how):
            yield piece
            await asyncio.Event().wait()

    async def told(sent: LocalFile, offset: int, *how: Any) -> AsyncIterator[bytes]:
        offsets.append(offset)
        async for piece in read(sent, offset, *how):
            yield piece

    digest = {"X-Content-SHA256": await hash_of(file.path)}

    async def kept() -> bool:
        head = await data.api("HEAD", "/datasets/drb/items/large", headers=digest)
        return head.headers["Upload-Offset"] == str(2**20)

    async with cut_line(socket_of(data)) as line:
        monkeypatch.setattr(transfers, "_read", stalls)
        async with client(line.url) as killed:
            uploading = asyncio.create_task(killed.upload("drb", [file]))
            await wait_until(kept, "the first piece to be kept")
            uploading.cancel()
            await asyncio.gather(uploading, return_exceptions=True)
        monkeypatch.setattr(transfers, "_read", told)
        async with client(line.url) as datasets:
            await datasets.upload("drb", [file])
            await datasets.upload("drb", [file])
    assert offsets == [2**20], "and nothing at all of what is an item"
    got = await data.api("GET", "/datasets/drb/items/large")
    assert got.body == await asyncio.to_thread(file.path.read_bytes)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_store_that_is_away_for_a_while_loses_no_large_file(
    data: DataHarness, folder: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    kept, times = DirectoryStore.put_arriving, count()

    async def away(self: DirectoryStore, key: str, file: Arriving) -> None:
        if next(times) == 0:
            if when == "after":
                await file.whole()
            raise Unavailable("the store is away")
        await kept(self, key, file)

    monkeypatch.setattr(DirectoryStore, "put_arriving", away)
    async with cut_line(socket_of(data)) as line, client(line.url) as datasets:
        plan = await datasets.upload("drb", [LocalFile(folder / "large", "large")])
    assert next(times) == 2
    got = await data.api("GET", "/datasets/drb/items/large")
    assert (got.body, plan.moving_bytes) == (
        await asyncio.to_thread((folder / "large").read_bytes),
        len(got.body),
    )


async def test_a_file_that_changes_while_it_is_sent_is_one_or_the_other(
    data: DataHarness, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changing = folder / "deep" / "000"
    encode = smallfiles.encode_batch

    def late(files: Any) -> bytes:
        changing.write_bytes(b"changed after it was read")
        return encode(files)

    monkeypatch.setattr(smallfiles, "encode_batch", late)
    async with cut_line(socket_of(data)) as line, client(line.url) as datasets:
        await datasets.upload("drb", [LocalFile(changing, "x")])
        assert (await data.api("GET", "/datasets/drb/items/x")).body == b"0" * 7


async def test_a_file_that_grew_meanwhile_goes_by_itself(
    data: DataHarness, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grows = folder / "deep" / "000"
    take = smallfiles.take

    def late(waiting: Any) -> Any:
        if grows.stat().st_size <= smallfiles.SMALL_BYTES:
            grows.write_bytes(b"x" * (smallfiles.SMALL_BYTES + 1))
        return take(waiting)

    monkeypatch.setattr("headrace_client.transfers.take", late)
    # One after the other, or it would be written while another worker reads it.
    monkeypatch.setattr("headrace_client.transfers._BATCHES_AT_ONCE", 1)
    async with cut_line(socket_of(data)) as line, client(line.url) as datasets:
        files = [LocalFile(grows, "x"), LocalFile(folder / "deep" / "001", "y")]
        await datasets.upload("drb", files)
    assert await items_of(data) == ["x", "y"]


@pytest.mark.parametrize("spoil", [b"", b"spoiled"])
async def test_what_arrives_damaged_is_not_kept(
    data: DataHarness,
    state_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    spoil: bytes,
) -> None:
    await fill(data, FILES)
    _spoil(monkeypatch, lambda files: [BatchFile(f.path, f.sha256, spoil) for f in files])
    async with cut_line(socket_of(data)) as line, client(line.url) as datasets:
        with pytest.raises(HeadraceError, match="damaged"):
            await datasets.download("drb", state_dir / "back")
    assert not await asyncio.to_thread(contents, state_dir / "back")


async def test_a_server_that_gives_other_files_writes_none(
    data: DataHarness, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(data, {"a": b"one"})
    _spoil(monkeypatch, lambda files: [BatchFile("other", f.sha256, f.data) for f in files])
    async with cut_line(socket_of(data)) as line, client(line.url) as datasets:
        with pytest.raises(HeadraceError, match="other files"):
            await datasets.download("drb", state_dir / "back")
    assert not await asyncio.to_thread(contents, state_dir / "back")


def _spoil(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[list[BatchFile]], list[BatchFile]]
) -> None:
    read = batches.Batches.get

    async def spoiled(*args: Any) -> list[BatchFile]:
        return change(await read(*args))

    monkeypatch.setattr(batches.Batches, "get", spoiled)


async def test_a_large_file_that_stands_elsewhere_goes_over_no_line(
    data: DataHarness, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_items, "_LOOK_EVERY_S", 0.05)
    large = LocalFile(folder / "large", "deep/other-name")
    async with cut_line(socket_of(data)) as line, client(line.url) as datasets:
        await datasets.upload("drb", [large])
        first = await datasets.seal("drb")
        await datasets.create({**NEW, "name": "second"})
        index = ItemIndex(data.settings.state_dir / "items.sqlite")

        async def learned() -> bool:
            return first["id"] in await asyncio.to_thread(index.datasets)

        await wait_until(learned, "the item to be known")

        def never(*_: Any) -> Any:
            raise AssertionError("its bytes were read to be sent")

        monkeypatch.setattr(transfers, "_read", never)
        await datasets.upload("second", [replace(large, item="large")])
        (item,) = [each async for each in datasets.items("second")]
        assert item["sha256"] == await hash_of(large.path)
        assert (await data.api("GET", "/datasets/second/items/large")).body == (
            await asyncio.to_thread(large.path.read_bytes)
        )
