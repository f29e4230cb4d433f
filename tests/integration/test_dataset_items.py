"""Items over HTTP: uploads that stream, resume and are checked; downloads; the seal."""

import asyncio
import io
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import pytest
from aiohttp import ClientError
from yarl import URL

from headrace_adapters.files.store import DirectoryStore
from headrace_data.core.keys import folder
from headrace_model.errors import Unavailable
from headrace_ports.arriving import Arriving
from tests.support.data_service import DataHarness, Found, World
from tests.support.wait import wait_until

pytestmark = pytest.mark.usefixtures("no_blocking")

NEW = {"name": "drb", "category": "FORCING"}
YEAR = {"TIME": ["1979-01-01", "1980-01-01"]}


async def test_a_dataset_is_made_filled_sealed_and_read(data: DataHarness) -> None:
    made = await data.api("POST", "/datasets", json={**NEW, "domain": YEAR})
    assert (made.status, made.json["state"], made.json["version"]) == (201, "OPEN", 1)
    put = await data.upload("drb", "more/a.nc", b"0123456789")
    assert (put.status, put.json["size_bytes"]) == (201, 10)
    assert (await data.api("GET", "/datasets/drb")).json["item_count"] == 1
    sealed = (await data.api("POST", "/datasets/drb:seal")).json
    assert (sealed["state"], sealed["format"], sealed["domain"]) == ("SEALED", "GENERIC", YEAR)
    assert (sealed["size_bytes"], sealed["item_count"]) == (10, 1)
    again = await data.api("POST", "/datasets/drb:seal")
    assert again.json["manifest_sha256"] == sealed["manifest_sha256"]
    got = await data.api("GET", "/datasets/drb@1/items/more/a.nc")
    assert got.body == b"0123456789"
    assert got.headers["ETag"] == f'"{sha256(got.body).hexdigest()}"'
    late = await data.upload("drb", "b", b"late")
    assert (late.status, late.code) == (409, "CONFLICT")
    assert "version: new" in late.json["hint"]


async def test_ranges_of_an_item_are_served(data: DataHarness) -> None:
    await data.make("drb", {"a": b"0123456789"})
    item = "/datasets/drb/items/a"
    for asked, status, body in (
        ("bytes=2-4", 206, b"234"),
        ("bytes=7-", 206, b"789"),
        ("bytes=-3", 206, b"789"),
        ("bytes=5-99", 206, b"56789"),
        ("bytes=10-", 416, b""),
        ("bytes=0-1,3-4", 200, b"0123456789"),
        ("bytes=4-2", 416, b""),
    ):
        got = await data.api("GET", item, headers={"Range": asked})
        assert (got.status, got.body) == (status, body), asked
    part = await data.api("GET", item, headers={"Range": "bytes=2-4"})
    assert part.headers["Content-Range"] == "bytes 2-4/10"
    etag = part.headers["ETag"]
    assert (await data.api("GET", item, headers={"If-None-Match": etag})).status == 304
    old = {"Range": "bytes=2-4", "If-Range": '"other"'}
    assert (await data.api("GET", item, headers=old)).body == b"0123456789"
    head = await data.api("HEAD", item)
    assert (head.status, head.headers["Content-Length"]) == (200, "10")


async def test_an_upload_goes_on_where_it_was_cut_off(data: DataHarness) -> None:
    await data.api("POST", "/datasets", json=NEW)
    whole = os.urandom(2_000_000)
    checksum = {"X-Content-SHA256": sha256(whole).hexdigest()}
    item = "/datasets/drb/items/a.nc"

    async def broken() -> AsyncIterator[bytes]:
        yield whole[:1_500_000]
        raise ConnectionResetError

    with suppress(ClientError, ConnectionError):
        await data.api(
            "PUT", item, data=broken(), headers={**checksum, "Content-Length": "2000000"}
        )

    async def kept() -> int:
        answer = await data.api("HEAD", item, headers=checksum)
        assert answer.headers["Upload-Complete"] == "?0"
        return int(answer.headers["Upload-Offset"])

    told = await wait_until(kept, "the bytes to be kept")
    await data.kill()
    await data.start()
    offset = await kept()
    assert 0 < told <= offset <= 1_500_000
    wrong = {**checksum, "Content-Range": f"bytes {offset + 1}-1999999/2000000"}
    refused = await data.api("PUT", item, data=whole[offset + 1 :], headers=wrong)
    assert (refused.status, refused.code) == (409, "WRONG_OFFSET")
    assert refused.headers["Upload-Offset"] == str(offset)
    middle = {**checksum, "Content-Range": f"bytes {offset}-1799999/2000000"}
    more = await data.api("PUT", item, data=whole[offset:1_800_000], headers=middle)
    assert (more.status, more.headers["Upload-Offset"]) == (202, "1800000")
    rest = {**checksum, "Content-Range": "bytes 1800000-1999999/2000000"}
    done = await data.api("PUT", item, data=whole[1_800_000:], headers=rest)
    assert (done.status, done.json["size_bytes"]) == (201, 2_000_000)
    assert (await data.api("GET", item)).body == whole
    complete = await data.api("HEAD", item, headers=checksum)
    assert complete.headers["Upload-Complete"] == "?1"


async def test_what_came_whole_and_was_not_stored_becomes_an_item_without_its_bytes(
    data: DataHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    await data.api("POST", "/datasets", json=NEW)
    whole = os.urandom(2_000_000)
    checksum = {"X-Content-SHA256": sha256(whole).hexdigest()}
    item = "/datasets/drb/items/a.nc"

    async def away(_store: DirectoryStore, _key: str, file: Arriving) -> None:
        await file.whole()
        raise Unavailable("the store is away")

    with monkeypatch.context() as patched:
        patched.setattr(DirectoryStore, "put_arriving", away)
        put = await data.api("PUT", item, data=io.BytesIO(whole), headers=checksum)
        assert put.status == 503
    head = await data.api("HEAD", item, headers=checksum)
    assert (head.headers["Upload-Offset"], head.headers["Upload-Complete"]) == ("2000000", "?0")
    for total, status in (("1999999", 409), ("2000001", 409), ("", 422), ("2000000", 201)):
        nothing = {**checksum, "Content-Range": f"bytes */{total}"}
        assert (await data.api("PUT", item, headers=nothing)).status == status, total
    assert (await data.api("GET", item)).body == whole


async def test_a_wrong_checksum_is_refused_and_nothing_is_kept(data: DataHarness) -> None:
    await data.api("POST", "/datasets", json=NEW)
    checksum = {"X-Content-SHA256": sha256(b"meant").hexdigest()}
    refused = await data.api("PUT", "/datasets/drb/items/a", data=b"sent!", headers=checksum)
    assert (refused.status, refused.code) == (422, "WRONG_CHECKSUM")
    assert "upload it again" in refused.json["hint"]
    assert (await data.api("GET", "/datasets/drb/items/a")).status == 404
    head = await data.api("HEAD", "/datasets/drb/items/a", headers=checksum)
    assert head.headers["Upload-Offset"] == "0"
    assert (
        await data.api("PUT", "/datasets/drb/items/a", data=b"meant", headers=checksum)
    ).status == 201


async def test_an_upload_without_a_checksum_is_told_what_to_send(data: DataHarness) -> None:
    await data.api("POST", "/datasets", json=NEW)
    refused = await data.api("PUT", "/datasets/drb/items/a", data=b"x")
    assert refused.status == 422
    assert "X-Content-SHA256" in refused.json["detail"]
    assert "sha256sum" in refused.json["hint"]


async def test_putting_the_same_again_is_success_and_other_bytes_replace(
    data: DataHarness,
) -> None:
    await data.api("POST", "/datasets", json=NEW)
    assert [(await data.upload("drb", "a", b"one")).status for _ in range(3)] == [201, 200, 200]
    assert (await data.upload("drb", "a", b"two")).status == 201
    assert (await data.api("GET", "/datasets/drb/items/a")).body == b"two"
    sealed = await data.api("POST", "/datasets/drb:seal")
    assert sealed.json["item_count"] == 1


async def test_a_file_over_the_limit_is_too_large(data: DataHarness) -> None:
    await data.api("POST", "/datasets", json=NEW)
    large = bytes(data.settings.item_limit_bytes + 1)
    checksum = {"X-Content-SHA256": sha256(large).hexdigest()}
    refused = await data.api(
        "PUT", "/datasets/drb/items/a", data=io.BytesIO(large), headers=checksum
    )
    assert (refused.status, refused.code) == (413, "TOO_LARGE")


@pytest.mark.parametrize(
    "path", ["%2e%2e/x", "a/%2e%2e/%2e%2e/x", "a%2F..%2Fx", "%2Fetc%2Fpasswd", "a%5Cb", "a%00b",
             "a//b", "a%0Ab"],
)  # fmt: skip
async def test_no_path_of_an_item_leads_anywhere_else(data: DataHarness, path: str) -> None:
    await data.api("POST", "/datasets", json=NEW)
    digest = {"X-Content-SHA256": sha256(b"x").hexdigest()}
    url = f"http://data/api/v1/datasets/drb/items/{path}"
    async with data.session.put(
        URL(url, encoded=True), data=b"x", headers={**digest, "X-Headrace-User": "ann"}
    ) as answer:
        assert answer.status in (404, 422)
        assert str(data.settings.state_dir) not in await answer.text()
    assert (await data.api("GET", "/datasets/drb/items")).json["items"] == []
    assert not (data.settings.state_dir.parent / "x").exists()


async def test_a_seal_and_a_late_upload_never_mix(all_: World) -> None:
    holder: list[DataHarness] = []

    async def uploads_meanwhile(_at: Path, _format: str | None) -> Found:
        await holder[0].upload("drb", "a", b"late")
        return Found()

    async with all_.data(uploads_meanwhile) as data:
        holder.append(data)
        await data.api("POST", "/datasets", json=NEW)
        await data.upload("drb", "a", b"early")
        refused = await data.api("POST", "/datasets/drb:seal")
        assert refused.status == 409
        assert "changed while it was read" in refused.json["detail"]
        sealed = await data.api("POST", "/datasets/drb:seal")
        assert sealed.status == 200
        assert (await data.api("GET", "/datasets/drb/items/a")).body == b"late"


async def test_items_are_listed_in_pages_before_and_after_the_seal(data: DataHarness) -> None:
    await data.api("POST", "/datasets", json=NEW)
    for path in ("b", "a/1", "a/2"):
        await data.upload("drb", path, path.encode())
    for _ in range(2):
        first = (await data.api("GET", "/datasets/drb/items?limit=2")).json
        assert [each["path"] for each in first["items"]] == ["a/1", "a/2"]
        cursor = first["cursor"]
        rest = (await data.api("GET", "/datasets/drb/items", params={"cursor": cursor})).json
        assert ([each["path"] for each in rest["items"]], rest["cursor"]) == (["b"], None)
        await data.api("POST", "/datasets/drb:seal")


async def test_items_that_were_replaced_before_the_seal_leave_the_store(
    all_: World, data: DataHarness
) -> None:
    await data.api("POST", "/datasets", json=NEW)
    for content in (b"one", b"two"):
        await data.upload("drb", "a", content)
    sealed = (await data.api("POST", "/datasets/drb:seal")).json
    keys = await all_.store.keys(folder(sealed["id"]))
    assert len(keys) == 2  # the item and the manifest
    assert any(key.endswith(sha256(b"two").hexdigest()) for key in keys)


async def test_a_newer_upload_takes_the_place_of_one_that_hangs(
    data: DataHarness, state_dir: Path
) -> None:
    await data.api("POST", "/datasets", json=NEW)
    whole = b"0123456789"
    checksum = {"X-Content-SHA256": sha256(whole).hexdigest()}
    never = asyncio.Event()

    async def hangs() -> AsyncIterator[bytes]:
        yield whole[:4]
        await never.wait()

    def parts() -> list[Path]:
        return [path for path in state_dir.rglob("spool/*/*") if path.is_file()]

    item = "/datasets/drb/items/a"
    first = asyncio.ensure_future(data.api("PUT", item, data=hangs(), headers=checksum))
    await wait_until(lambda: asyncio.to_thread(parts), "the first upload to be received")
    second = await data.api("PUT", item, data=whole, headers=checksum)
    assert second.status == 201
    never.set()
    with suppress(ClientError):
        assert (await first).status in (200, 409)
    assert (await data.api("GET", item)).body == whole


async def test_a_kill_between_store_and_catalogue_only_costs_the_upload(
    all_: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def killed(*_: object) -> None:
        raise asyncio.CancelledError

    async with all_.data() as data:
        await data.api("POST", "/datasets", json=NEW)
        with monkeypatch.context() as patched:
            patched.setattr(type(all_.datasets), "put_items", killed)
            with suppress(ClientError, asyncio.TimeoutError):
                await data.upload("drb", "a", b"one")
        assert (await data.api("GET", "/datasets/drb/items")).json["items"] == []
        assert (await data.upload("drb", "a", b"one")).status == 201
        assert (await data.api("GET", "/datasets/drb/items/a")).body == b"one"


async def test_with_a_store_elsewhere_the_own_disk_keeps_its_room(
    all_: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def not_told(_store: DirectoryStore) -> None:
        """As an S3 server's."""

    monkeypatch.setattr(DirectoryStore, "free_bytes", not_told)

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield bytes(2**20)

    async with all_.data(free_limit_bytes=2**60) as data:
        await data.api("POST", "/datasets", json=NEW)
        chunked = await data.api(
            "PUT",
            "/datasets/drb/items/big.nc",
            data=pieces(),
            headers={"X-Content-SHA256": sha256(bytes(3 * 2**20)).hexdigest()},
        )
        assert (chunked.status, chunked.code) == (503, "UNAVAILABLE")
        # What goes straight from memory to the store needs no room here; reading it does.
        assert (await data.upload("drb", "small.nc", b"0123456789")).status == 201
        sealed = await data.api("POST", "/datasets/drb:seal")
        assert (sealed.status, sealed.code) == (503, "UNAVAILABLE")
        state = data.settings.state_dir
        left = await asyncio.to_thread(
            lambda: [e for e in state.rglob("*") if e.is_file() and "items.sqlite" not in e.name]
        )
        assert left == []
