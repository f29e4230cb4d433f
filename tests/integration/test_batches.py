"""Many small files in one request: all of them become items, or none."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from hashlib import sha256
from typing import Any

import pytest
from aiohttp import ClientError

from headrace_adapters.files.store import DirectoryStore
from headrace_data.library import Bounds
from headrace_wire.batch import BATCH_FILES, BatchFile, decode_batch, encode_batch
from tests.support.data_service import Answer, DataHarness, World

pytestmark = pytest.mark.usefixtures("no_blocking")

NEW = {"name": "drb", "category": "FORCING"}
FILES = {"a": b"one", "more/b": b"two", "empty": b"", "same": b"one"}


@pytest.fixture
async def data(data: DataHarness) -> DataHarness:
    await data.api("POST", "/datasets", json=NEW)
    return data


def batch(files: dict[str, bytes]) -> bytes:
    return encode_batch(
        [BatchFile(path, sha256(content).hexdigest(), content) for path, content in files.items()]
    )


async def upload(data: DataHarness, body: Any, **headers: str) -> Answer:
    return await data.api("POST", "/datasets/drb:upload", data=body, headers=headers)


async def download(data: DataHarness, *paths: str) -> Answer:
    return await data.api("POST", "/datasets/drb:download", json={"paths": list(paths)})


async def items(data: DataHarness) -> list[str]:
    return [each["path"] for each in (await data.api("GET", "/datasets/drb/items")).json["items"]]


async def objects(all_: World) -> list[str]:
    return await all_.store.keys("datasets")


async def test_a_batch_becomes_items_and_is_read_as_one(data: DataHarness, all_: World) -> None:
    put = await upload(data, batch(FILES))
    assert put.status == 200
    assert [each["path"] for each in put.json["items"]] == list(FILES)
    assert not any(each["was_there"] for each in put.json["items"])
    assert len(await objects(all_)) == 3, "equal files have one object"
    for _ in ("OPEN", "SEALED"):
        got = await download(data, "same", "more/b", "empty")
        assert {each.path: each.data for each in decode_batch(got.body)} == {
            path: FILES[path] for path in ("same", "more/b", "empty")
        }
        assert (await data.api("GET", "/datasets/drb/items/more/b")).body == b"two"
        sealed = await data.api("POST", "/datasets/drb:seal")
        assert (sealed.json["item_count"], sealed.json["size_bytes"]) == (4, 9)


async def test_a_repeat_is_success_and_other_bytes_replace(data: DataHarness, all_: World) -> None:
    await upload(data, batch(FILES))
    again = await upload(data, batch({**FILES, "a": b"new"}))
    there = {each["path"]: each["was_there"] for each in again.json["items"]}
    assert there == {"a": False, "more/b": True, "empty": True, "same": True}
    assert decode_batch((await download(data, "a")).body)[0].data == b"new"
    await data.api("POST", "/datasets/drb:seal")
    late = await upload(data, batch({**FILES, "a": b"late"}))
    assert (late.status, late.code) == (409, "CONFLICT")
    assert "version: new" in late.json["hint"]
    # What is there just so may be sent to a SEALED one too, as a single file may.
    assert (await upload(data, batch({**FILES, "a": b"new"}))).status == 200


async def test_a_wrong_checksum_or_frame_keeps_nothing_of_the_batch(
    data: DataHarness, all_: World
) -> None:
    wrong = encode_batch(
        [BatchFile("a", sha256(b"one").hexdigest(), b"one"), BatchFile("b", "0" * 64, b"two")]
    )
    refused = await upload(data, wrong)
    assert (refused.status, refused.code) == (422, "WRONG_CHECKSUM")
    assert "'b'" in refused.json["detail"]
    for body in (batch(FILES)[:-1], batch(FILES) + b"x", b"", b"{}\n"):
        assert (await upload(data, body)).status == 422
    assert await items(data) == []
    assert await objects(all_) == []


async def test_a_batch_that_names_a_file_twice_is_refused(data: DataHarness) -> None:
    twice = encode_batch([BatchFile("a", sha256(each).hexdigest(), each) for each in (b"1", b"2")])
    refused = await upload(data, twice)
    assert (refused.status, "twice" in refused.json["detail"]) == (422, True)
    assert await items(data) == []


async def test_a_connection_that_is_cut_in_a_batch_leaves_nothing(
    data: DataHarness, all_: World
) -> None:
    body = batch(FILES)
    came = asyncio.Event()

    async def broken() -> AsyncIterator[bytes]:
        yield body[:-1]
        came.set()
        raise ConnectionResetError

    with suppress(ClientError, ConnectionError):
        await upload(data, broken(), **{"Content-Length": str(len(body))})
    assert came.is_set()
    assert await items(data) == []
    assert await objects(all_) == []
    assert (await upload(data, body)).status == 200


async def test_a_kill_between_store_and_catalogue_only_costs_the_batch(
    all_: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def killed(*_: object) -> None:
        raise asyncio.CancelledError

    async with all_.data() as data:
        await data.api("POST", "/datasets", json=NEW)
        with monkeypatch.context() as patched:
            patched.setattr(type(all_.datasets), "put_items", killed)
            with suppress(ClientError, asyncio.TimeoutError):
                await upload(data, batch(FILES))
        assert await items(data) == []
        assert (await upload(data, batch(FILES))).status == 200
        assert await items(data) == sorted(FILES)


async def test_a_batch_over_the_limits_is_too_large(all_: World, data: DataHarness) -> None:
    many = {f"{number}": b"" for number in range(BATCH_FILES + 1)}
    assert (await upload(data, batch(many))).status == 413
    huge = await upload(data, _zeros(4 * 2**20), **{"Content-Length": str(4 * 2**20)})
    assert (huge.status, huge.code) == (413, "TOO_LARGE")
    assert (await upload(data, _zeros(4 * 2**20))).status == 413, "nor without its length"
    assert await items(data) == []
    for name in "abc":
        assert (await data.upload("drb", name, bytes(2**20))).status == 201
    assert (await download(data, "a", "b")).status == 200
    assert (await download(data, "a", "b", "c")).status == 413


async def _zeros(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 2**16):
        yield bytes(2**16)


async def test_a_dataset_takes_no_more_items_than_it_may_have(
    all_: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headrace_data.main.Bounds", lambda _, free: Bounds(3, free))
    async with all_.data() as data:
        await data.api("POST", "/datasets", json=NEW)
        refused = await upload(data, batch(FILES))
        assert (refused.status, await items(data)) == (413, [])
        assert (await upload(data, batch({"a": b"1", "b": b"2", "c": b"3"}))).status == 200
        assert (await upload(data, batch({"a": b"4", "b": b"2"}))).status == 200
        assert (await upload(data, batch({"a": b"4", "d": b"2"}))).status == 413


@pytest.mark.parametrize("alone", [False, True])
async def test_uploads_side_by_side_add_no_more_items_than_a_dataset_may_have(
    all_: World, monkeypatch: pytest.MonkeyPatch, alone: bool
) -> None:
    monkeypatch.setattr("headrace_data.main.Bounds", lambda _, free: Bounds(3, free))
    both = asyncio.Barrier(2)  # each has found room before one has taken it

    def together(put: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        async def waits(*args: object) -> None:
            await both.wait()
            await put(*args)

        return waits

    async with all_.data() as data:
        await data.api("POST", "/datasets", json=NEW)
        await upload(data, batch({"there": b"0"}))
        for name in ("put_many", "put_bytes"):
            monkeypatch.setattr(DirectoryStore, name, together(getattr(DirectoryStore, name)))
        first = upload(data, batch({"a": b"1", "b": b"2"}))
        more = (
            data.upload("drb", "c", b"3") if alone else upload(data, batch({"c": b"3", "d": b"4"}))
        )
        answers = await asyncio.gather(first, more)
        refused = [each for each in answers if each.status == 413]
        assert len(refused) == 1, [each.status for each in answers]
        assert refused[0].json["hint"].startswith("pack small files together")
        assert await items(data) in (["a", "b", "there"], ["c", "d", "there"], ["c", "there"])


async def test_a_batch_for_a_dataset_that_one_may_not_change_is_refused_before_it_is_read(
    data: DataHarness,
) -> None:
    answered = asyncio.Event()

    async def begun() -> AsyncIterator[bytes]:
        yield batch(FILES)[:1]
        await answered.wait()

    data.user = "eve"
    async with asyncio.timeout(60.0):
        assert (await upload(data, begun())).status == 404
    answered.set()


async def test_what_is_not_there_or_was_lost_is_an_error_and_no_batch(
    data: DataHarness, all_: World
) -> None:
    await upload(data, batch(FILES))
    missing = await download(data, "a", "nothing")
    assert (missing.status, "'nothing'" in missing.json["detail"]) == (404, True)
    for key in await objects(all_):
        await all_.store.delete(key)
    assert (await download(data, "a")).status == 404
    for key in [each.key for each in await all_.datasets.items(await all_.datasets.named("drb"))]:
        await all_.store.put_bytes(key, b"")
    damaged = await download(data, "a")
    assert (damaged.status, "damaged" in damaged.json["hint"]) == (500, True)


async def test_who_may_not_see_or_change_a_dataset_gets_no_batch(data: DataHarness) -> None:
    await upload(data, batch(FILES))
    data.user = "eve"
    assert (await upload(data, batch(FILES))).status == 404
    assert (await download(data, "a")).status == 404
    data.user = "ann"
    await data.api("POST", "/datasets/drb:share", json={"who": "user:eve"})
    data.user = "eve"
    assert (await download(data, "a")).status == 200
    assert (await upload(data, batch(FILES))).status == 403
