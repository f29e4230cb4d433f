"""Datasets over HTTP: from OPEN to SEALED, read, expired, deleted, rebuilt; nothing half done."""

import asyncio
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientError

from headrace_adapters.redis.datasets import DatasetStore
from headrace_data.access import Access
from headrace_data.core.keys import folder, marker_key, tombstone_key
from headrace_data.upkeep import Upkeep
from headrace_model.dataset import Category, Dataset
from headrace_model.domain import Domain
from headrace_model.errors import HeadraceError, NotFound
from headrace_model.ids import DatasetId
from headrace_model.job import Need
from headrace_model.status import Event, Role, Status
from headrace_wire.batch import BatchFile, encode_batch
from tests.support.data_service import DataHarness, Found, World
from tests.support.wait import wait_until

pytestmark = pytest.mark.usefixtures("no_blocking")

NEW = {"name": "drb", "category": "FORCING"}
YEAR = {"TIME": ["1979-01-01", "1980-01-01"]}


@pytest.mark.parametrize("name", ["../x", "Upper", "", "a b", "run-flow-01k3m5p7q9r1s3t5"])
async def test_bad_names_are_refused(data: DataHarness, name: str) -> None:
    refused = await data.api("POST", "/datasets", json={**NEW, "name": name})
    assert refused.status == 422
    assert "name" in refused.json["detail"]


async def test_versions_of_a_name_rise_and_never_come_back(data: DataHarness) -> None:
    await data.make("drb", {"a": b"1"})
    taken = await data.api("POST", "/datasets", json=NEW)
    assert (taken.status, taken.code) == (409, "CONFLICT")
    await data.make("drb", {"a": b"2"}, version="new")
    assert (await data.api("GET", "/datasets/drb/items/a")).body == b"2"
    assert (await data.api("GET", "/datasets/drb@1/items/a")).body == b"1"
    listed = (await data.api("GET", "/datasets/drb/versions")).json["datasets"]
    assert [each["version"] for each in listed] == [2, 1]
    assert (await data.api("DELETE", "/datasets/drb@2")).status == 204
    assert (await data.api("GET", "/datasets/drb")).json["version"] == 1
    assert (await data.make("drb", {"a": b"3"}, version="new"))["version"] == 3


async def test_one_version_at_a_time_is_written(data: DataHarness) -> None:
    await data.api("POST", "/datasets", json=NEW)
    second = await data.api("POST", "/datasets", json={**NEW, "version": "new"})
    assert second.status == 409
    assert "being written" in second.json["detail"]


async def test_a_repeated_creation_finds_what_it_made(data: DataHarness) -> None:
    key = {"Idempotency-Key": "once"}
    first = await data.api("POST", "/datasets", json=NEW, headers=key)
    second = await data.api("POST", "/datasets", json=NEW, headers=key)
    assert (first.status, second.status) == (201, 200)
    assert first.json["id"] == second.json["id"]
    other = await data.api("POST", "/datasets", json={**NEW, "name": "other"}, headers=key)
    assert (other.status, other.code) == (409, "CONFLICT")
    assert (await data.api("DELETE", "/datasets/drb")).status == 204
    # What is removed from the store for a deleted dataset, however late, must be no other's.
    gone = await data.api("POST", "/datasets", json=NEW, headers=key)
    assert (gone.status, gone.code) == (404, "NOT_FOUND")
    anew = await data.api("POST", "/datasets", json=NEW, headers={"Idempotency-Key": "twice"})
    assert (anew.status, anew.json["id"] != first.json["id"]) == (201, True)


async def test_an_empty_dataset_is_not_sealed(data: DataHarness) -> None:
    await data.api("POST", "/datasets", json=NEW)
    refused = await data.api("POST", "/datasets/drb:seal")
    assert (refused.status, refused.json["hint"]) == (409, "upload a file, then seal it")


@pytest.mark.parametrize("late", ["upload", "batch", "seal", "seal with its items read"])
async def test_what_is_deleted_while_it_is_changed_is_not_there(
    data: DataHarness, monkeypatch: pytest.MonkeyPatch, late: str
) -> None:
    await data.api("POST", "/datasets", json=NEW)
    await data.upload("drb", "a", b"1")
    reads_items = late == "seal with its items read"
    kind, name = (DatasetStore, "items") if reads_items else (Access, "allowed")
    plain = getattr(kind, name)

    async def then_deleted(self: Any, *how: Any) -> Any:
        found = await plain(self, *how)
        store = self if isinstance(self, DatasetStore) else self.datasets
        with suppress(NotFound):
            await store.tombstone(await store.get(await store.named("drb")))
        return found

    monkeypatch.setattr(kind, name, then_deleted)
    if late == "upload":
        answer = await data.upload("drb", "b", b"2")
    elif late == "batch":
        body = encode_batch([BatchFile("b", sha256(b"2").hexdigest(), b"2")])
        answer = await data.api("POST", "/datasets/drb:upload", data=body)
    else:
        answer = await data.api("POST", "/datasets/drb:seal")
    assert (answer.status, answer.code) == (404, "NOT_FOUND"), answer.json


async def test_others_may_read_and_not_change(data: DataHarness) -> None:
    await data.make("drb", {"a": b"1"})
    await data.api("POST", "/datasets/drb:share", json={"who": "user:bob"})
    data.user = "bob"
    assert (await data.api("GET", "/datasets/drb/items/a")).body == b"1"
    for answer in (
        await data.api("DELETE", "/datasets/drb"),
        await data.api("PATCH", "/datasets/drb", json={"description": "mine"}),
        await data.api("POST", "/datasets", json={**NEW, "version": "new"}),
        await data.upload("drb", "a", b"2"),
    ):
        assert (answer.status, answer.code) == (403, "FORBIDDEN")


async def test_what_was_declared_must_be_in_the_files(all_: World) -> None:
    have = Domain.from_plain({"TIME": ["1979-01-01", "1979-07-01"], "CATCHMENT_ID": ["cat-1"]})
    seen: list[dict[str, bytes]] = []

    async def reads(at: Path, _format: str | None) -> Found:
        seen.append(await asyncio.to_thread(_contents, at))
        return Found("CSV", have, ("1 file",))

    async with all_.data(reads) as data:
        await data.api("POST", "/datasets", json={**NEW, "domain": YEAR})
        await data.upload("drb", "more/a.csv", b"1,2")
        refused = await data.api("POST", "/datasets/drb:seal")
        assert (refused.status, refused.code) == (422, "DOMAIN_MISMATCH")
        assert "1979-07-01 to 1980-01-01 is missing" in refused.json["detail"]
        assert (await data.api("GET", "/datasets/drb")).json["state"] == "OPEN"
        corrected = {"domain": {"HYDROFABRIC_DATA_ID": "drb"}}
        sealed = (await data.api("POST", "/datasets/drb:seal", json=corrected)).json
        assert sealed["domain"] == {**have.to_plain(), "HYDROFABRIC_DATA_ID": "drb"}
        assert (sealed["format"], sealed["notes"]) == ("CSV", ["1 file"])
        again = await data.api("POST", "/datasets/drb:seal", json={**corrected, "format": "CSV"})
        assert (again.status, again.json["domain"]) == (200, sealed["domain"])
        for other in ({"domain": YEAR}, {"domain": {"GAUGE_ID": "1"}}, {"format": "NETCDF"}):
            refused = await data.api("POST", "/datasets/drb:seal", json=other)
            assert (refused.status, refused.code) == (409, "CONFLICT"), other
            assert "described otherwise" in refused.json["detail"]
        assert seen == [{"more/a.csv": b"1,2"}] * 2
        left = data.settings.state_dir / "reading"
        assert list(left.iterdir()) == []


async def test_lists_are_filtered_and_paged(data: DataHarness) -> None:
    for number in range(5):
        await data.make(f"d{number}", {"a": b"1"})
    await data.api("POST", "/datasets", json={"name": "open", "category": "CONFIG"})
    names: list[str] = []
    cursor = ""
    while cursor is not None:
        answer = await data.api("GET", f"/datasets?limit=2&state=SEALED&cursor={cursor}")
        names += [each["name"] for each in answer.json["datasets"]]
        cursor = answer.json["cursor"]
    assert names == ["d4", "d3", "d2", "d1", "d0"]
    found = await data.api("GET", "/datasets?category=CONFIG")
    assert [each["name"] for each in found.json["datasets"]] == ["open"]
    wrong = await data.api("GET", "/datasets?categry=CONFIG")
    assert "did you mean category" in wrong.json["detail"]


async def test_a_match_tells_what_would_be_taken_or_is_missing(data: DataHarness) -> None:
    await data.make("drb", {"a": b"1"}, domain=YEAR)
    wants = {"category": "FORCING", "domain": YEAR}
    hit = (await data.api("POST", "/datasets:match", json=wants)).json
    assert (hit["result"], hit["datasets"][0]["name"]) == ("fulfilled", "drb")
    wants["domain"] = {"TIME": ["1979-06-01", "1981-01-01"]}
    miss = (await data.api("POST", "/datasets:match", json=wants)).json
    assert miss["missing"] == {"TIME": ["1980-01-01", "1981-01-01"]}
    assert miss["nearest"][0]["title"] == "drb v1"


async def test_both_replicas_answer_with_what_one_of_them_made(all_: World) -> None:
    async with all_.data() as one, all_.data() as other:
        await one.make("drb", {"a": b"1"}, domain=YEAR)
        wants = {"category": "FORCING", "domain": YEAR}
        hit = await other.api("POST", "/datasets:match", json=wants)
        assert hit.json["result"] == "fulfilled"
        assert (await other.api("GET", "/datasets/drb/items/a")).body == b"1"


async def test_a_deleted_dataset_leaves_no_file(all_: World, data: DataHarness) -> None:
    view = await data.make("drb", {"a": b"1"})
    assert (await data.api("DELETE", "/datasets/drb")).status == 204
    assert (await data.api("GET", "/datasets/drb")).status == 404
    assert await _objects(all_) == []
    assert await all_.datasets.tombstones() == []
    assert (await data.api("GET", f"/datasets/{view['id']}")).status == 404


async def test_a_dataset_in_use_is_not_deleted_and_names_the_jobs(
    all_: World, data: DataHarness
) -> None:
    await data.make("drb", {"a": b"1"}, domain=YEAR)
    reads = {"command": ["true"], "inputs": {"f": {"category": "FORCING", "domain": YEAR}}}
    job = await all_.submit({Need.DATA_CHECK}, reads)
    await all_.until(job, Status.AWAITING_ALLOCATION)
    refused = await data.api("DELETE", "/datasets/drb")
    assert (refused.status, job in refused.json["detail"]) == (409, True)
    await data.api("PATCH", "/datasets/drb", json={"expires_in": "1ms"})
    await all_.write(job, Event.CANCEL, Role.REQUEST)
    await wait_until(lambda: _is_gone(data, "drb"), "the unlinked dataset to expire")


async def test_datasets_really_expire_also_open_ones(all_: World, data: DataHarness) -> None:
    await data.make("sealed", {"a": b"1"})
    await data.api("PATCH", "/datasets/sealed", json={"expires_in": "1ms"})
    await data.api(
        "POST", "/datasets", json={"name": "open", "category": "CONFIG", "expires_in": "1ms"}
    )
    for name in ("sealed", "open"):
        await wait_until(lambda name=name: _is_gone(data, name), f"{name} to expire")
    await wait_until(lambda: _nothing(all_), "the files to go")


async def test_a_prolonged_dataset_stays(all_: World, data: DataHarness) -> None:
    view = await data.make("drb", {"a": b"1"}, expires_in="1h")
    kept = await data.api("PATCH", "/datasets/drb", json={"expires_in": None, "description": "x"})
    assert (kept.json["expires"], kept.json["description"]) == (None, "x")
    marker = await all_.store.get_bytes(marker_key(view["id"]), 10_000)
    assert b'"description":"x"' in marker
    assert b"expires_ms" not in marker


async def test_a_lost_catalogue_is_rebuilt_from_markers(all_: World) -> None:
    async with all_.data() as data:
        await data.make("drb", {"a": b"1"}, domain=YEAR, description="before")
        await data.make("drb", {"a": b"2"}, domain=YEAR, version="new")
        await data.api("PATCH", "/datasets/drb@1", json={"description": "after"})
        before = (await data.api("GET", "/datasets/drb/versions")).json
        await data.api("POST", "/datasets", json={"name": "open", "category": "CONFIG"})
    await _lose_catalogue(all_)
    async with all_.data() as data:
        await wait_until(lambda: _is_there(data, "drb@2"), "the datasets to come back")
        assert (await data.api("GET", "/datasets/drb/versions")).json == before
        assert (await data.api("GET", "/datasets/drb/items/a")).body == b"2"
        assert (await data.api("GET", "/datasets/open")).status == 404
        assert (await data.make("drb", {"a": b"3"}, version="new"))["version"] == 3


async def test_a_half_deletion_is_not_brought_back(all_: World) -> None:
    async with all_.data() as data:
        id_ = DatasetId((await data.make("drb", {"a": b"1"}))["id"])
    await all_.store.put_bytes(tombstone_key(id_), b"")
    await _lose_catalogue(all_)
    async with all_.data() as data:
        await wait_until(lambda: _nothing(all_), "the deletion to be finished")
        assert (await data.api("GET", "/datasets/drb")).status == 404


async def test_a_marker_whose_manifest_is_not_there_is_not_believed(all_: World) -> None:
    async with all_.data() as data:
        id_ = DatasetId((await data.make("drb", {"a": b"1"}))["id"])
    await all_.store.delete(folder(id_))
    await _lose_catalogue(all_)
    async with all_.data() as data:
        await data.make("other", {"a": b"1"})
        assert (await data.api("GET", "/datasets/drb")).status == 404


async def test_a_marker_that_a_kill_prevented_is_written_later(all_: World) -> None:
    async with all_.data() as data:
        id_ = DatasetId((await data.make("drb", {"a": b"1"}))["id"])
        await all_.store.delete(marker_key(id_))
    async with all_.data():
        await wait_until(lambda: all_.store.stat(marker_key(id_)), "the marker")


async def test_a_deletion_that_a_kill_cut_off_is_finished(
    all_: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = asyncio.Event()

    async def dies(self: Upkeep, _dataset: DatasetId) -> None:
        killed.set()
        raise asyncio.CancelledError

    async with all_.data() as data:
        await data.make("drb", {"a": b"1"})
        with monkeypatch.context() as patched:
            patched.setattr(Upkeep, "bury", dies)
            with suppress(ClientError, asyncio.TimeoutError):
                await data.api("DELETE", "/datasets/drb")
            await killed.wait()
        assert await _objects(all_) != []
    async with all_.data():
        await wait_until(lambda: _nothing(all_), "the files to go")


async def test_a_manifest_that_somebody_changed_is_noticed(all_: World) -> None:
    async with all_.data() as data:
        view = await data.make("drb", {"a": b"1"})
    (key,) = [key for key in await all_.store.keys(folder(view["id"])) if "manifest" in key]
    changed = await all_.store.get_bytes(key, 10_000)
    await all_.store.put_bytes(key, changed.replace(b'"a"', b'"b"'))
    async with all_.data() as data:
        answer = await data.api("GET", "/datasets/drb/items")
        assert answer.status == 409
        assert "was changed" in answer.json["detail"]


def _contents(at: Path) -> dict[str, bytes]:
    return {str(p.relative_to(at)): p.read_bytes() for p in at.rglob("*") if p.is_file()}


async def _objects(all_: World) -> list[str]:
    return [key for top in ("datasets", "sealed") for key in await all_.store.keys(top)]


async def _nothing(all_: World) -> bool:
    return not await _objects(all_) and not await all_.store.keys("tombstones")


async def _is_gone(data: DataHarness, name: str) -> bool:
    return (await data.api("GET", f"/datasets/{name}")).status == 404


async def _is_there(data: DataHarness, name: str) -> bool:
    return (await data.api("GET", f"/datasets/{name}")).status == 200


async def _lose_catalogue(all_: World) -> None:
    keys: Any = await all_.redis.command("KEYS", "hr:dataset*")
    named = ("hr:names", "hr:versions", "hr:open", "hr:unmarked")
    await all_.redis.command("DEL", *keys, *named)


async def test_the_readers_of_formats_describe_what_was_uploaded(all_: World) -> None:
    rows = "".join(f"1979-01-0{day},{day}.5\n" for day in range(1, 5))
    async with all_.data(None) as data:
        view = await data.make("flows", {"q.csv": f"time,01472000\n{rows}".encode()})
        assert view["format"] == "TIMESERIES_CSV"
        assert view["domain"] == {"TIME": ["1979-01-01", "1979-01-05"], "GAUGE_ID": "01472000"}


@pytest.mark.parametrize("key", ["hr:names", "hr:versions", "hr:open"])
async def test_a_key_of_a_wrong_type_stops_a_script_before_it_writes(
    all_: World, key: str
) -> None:
    await all_.redis.command("SET", key, "in the way")
    dataset = Dataset(
        DatasetId("d1"), "drb", 1, Category.CONFIG, "CSV", Domain(), "ann", created_ms=1
    )
    with pytest.raises(HeadraceError, match=f"{key} is a string"):
        await all_.datasets.create(dataset, new_version=False, newest="")
    with pytest.raises(NotFound):
        await all_.datasets.get(dataset.id)


async def test_one_damaged_entry_does_not_hide_the_others(all_: World) -> None:
    async with all_.data() as data:
        await data.make("good", {"a": b"1"}, domain=YEAR)
        bad = await data.make("bad", {"a": b"1"}, domain=YEAR)
    await all_.redis.command("HSET", f"hr:dataset:{bad['id']}", "doc", "{")
    async with all_.data() as data:
        wants = {"category": "FORCING", "domain": YEAR}
        hit = await data.api("POST", "/datasets:match", json=wants)
        assert hit.json["datasets"][0]["name"] == "good"
