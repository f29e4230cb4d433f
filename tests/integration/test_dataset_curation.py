"""What owners do with whole datasets: tags, names, searches, items that go."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from headrace_data.core.keys import marker_key
from headrace_model.people import User, UserRole
from tests.support.data_service import DataHarness, World
from tests.support.wait import wait_until

pytestmark = pytest.mark.usefixtures("no_blocking")


async def change(data: DataHarness, name_: str, **asked: Any) -> tuple[int, Any]:
    answer = await data.api("PATCH", f"/datasets/{name_}", json=asked)
    return answer.status, answer.json


async def listed(data: DataHarness, query: str = "", **params: str) -> list[str]:
    answer = await data.api("GET", f"/datasets?{query}", params=params or None)
    assert answer.status == 200, answer.body
    return [f"{each['name']}@{each['version']}" for each in answer.json["datasets"]]


async def test_tags_are_set_on_sealed_datasets_too_and_are_found(
    data: DataHarness, all_: World
) -> None:
    view = await data.make("drb", {"a": b"1"})
    assert view["tags"] == []
    status, changed = await change(data, "drb", tags=["wet", "calib", "wet"])
    assert (status, changed["tags"]) == (200, ["calib", "wet"])
    assert changed["manifest_sha256"] == view["manifest_sha256"]
    assert b'"tags":["calib","wet"]' in await all_.store.get_bytes(marker_key(view["id"]), 10_000)
    assert await listed(data, "q=cali") == ["drb@1"]
    assert (await change(data, "drb", description="x"))[1]["tags"] == ["calib", "wet"]
    assert (await change(data, "drb", tags=[]))[1]["tags"] == []
    assert await listed(data, "q=cali") == []


@pytest.mark.parametrize(
    "asked",
    [
        {"tags": "wet"},
        {"tags": [1]},
        {"tags": ["Wet"]},
        {"tags": [f"t{n}" for n in range(33)]},
        {"name": 7},
        {"name": "Not A Name"},
        {"name": "run-flow-01k3m5p7q9r1s3t5"},
        {"format": "CSV"},
    ],
)
async def test_wrong_changes_are_refused(data: DataHarness, asked: dict[str, Any]) -> None:
    before = await data.make("drb", {"a": b"1"})
    status, _ = await change(data, "drb", **asked)
    assert status == 422
    after = (await data.api("GET", "/datasets/drb")).json
    assert {**after, "notes": []} == before


async def test_a_rename_is_of_all_versions_and_keeps_ids_items_and_numbers(
    data: DataHarness, all_: World
) -> None:
    ids = [
        (await data.make("drb", {"a": b"1"}))["id"],
        (await data.make("drb", {"a": b"2"}, version="new"))["id"],
    ]
    opened = await data.api(
        "POST", "/datasets", json={"name": "drb", "category": "FORCING", "version": "new"}
    )
    ids.append(opened.json["id"])
    await data.upload("drb", "a", b"3")
    assert (await data.api("DELETE", "/datasets/drb@1")).status == 204
    status, renamed = await change(data, "drb@2", name="delaware", description="the river")
    assert (status, renamed["title"], renamed["id"]) == (200, "delaware v2", ids[1])
    assert (await change(data, ids[1], name="delaware", description="the river"))[0] == 200
    assert await listed(data) == ["delaware@3", "delaware@2"]
    assert (await data.api("GET", "/datasets/drb")).status == 404
    assert (await data.api("GET", "/datasets/drb@2")).status == 404
    assert (await data.api("GET", "/datasets/delaware@2/items/a")).body == b"2"
    about = [(await data.api("GET", f"/datasets/delaware@{n}")).json for n in (2, 3)]
    assert [each["description"] for each in about] == ["the river", ""]
    assert b'"name":"delaware"' in await all_.store.get_bytes(marker_key(ids[1]), 10_000)
    assert (await data.api("POST", "/datasets/delaware:seal")).json["id"] == ids[2]
    anew = await data.api("POST", "/datasets", json={"name": "drb", "category": "FORCING"})
    assert (anew.status, anew.json["version"]) == (201, 4), "its old numbers stay taken"
    assert (await data.make("delaware", {"a": b"4"}, version="new"))["version"] == 4


async def test_a_name_that_is_or_was_anothers_is_not_taken(data: DataHarness) -> None:
    await data.make("drb", {"a": b"1"})
    await data.make("taken", {"a": b"1"})
    await data.make("gone", {"a": b"1"})
    assert (await data.api("DELETE", "/datasets/gone")).status == 204
    for name in ("taken", "gone"):
        status, problem = await change(data, "drb", name=name, tags=["x"])
        assert (status, problem["code"]) == (409, "CONFLICT")
    assert (await change(data, "drb", name="drb"))[0] == 200
    assert (await data.api("GET", "/datasets/drb")).json["tags"] == []


async def test_who_may_only_write_does_not_rename(data: DataHarness) -> None:
    await data.make("drb", {"a": b"1"})
    share = {"who": "user:bob", "level": "write"}
    assert (await data.api("POST", "/datasets/drb:share", json=share)).status == 200
    data.user = "bob"
    assert (await change(data, "drb", tags=["mine"]))[0] == 200
    assert (await change(data, "drb", name="mine"))[0] == 403
    data.user = User("root", UserRole.ADMIN)
    assert (await change(data, "drb", name="ours"))[1]["owner"] == "ann"


async def test_a_renamed_dataset_comes_back_under_its_new_name(all_: World) -> None:
    async with all_.data() as data:
        view = await data.make("drb", {"a": b"1"})
        await change(data, "drb", name="delaware", tags=["wet"])
    keys = ["hr:names", "hr:versions", f"hr:dataset:{view['id']}", "hr:datasets:FORCING:GENERIC"]
    await all_.redis.command("DEL", *keys)
    async with all_.data() as data:
        await wait_until(_answers(data, "/datasets/delaware"), "the dataset to come back")
        back = (await data.api("GET", "/datasets/delaware")).json
        assert (back["id"], back["tags"]) == (view["id"], ["wet"])
        assert (await data.api("GET", "/datasets/delaware/items/a")).body == b"1"


async def test_a_dataset_renamed_and_sealed_after_the_backup_has_its_new_name_alone(
    all_: World,
) -> None:
    new = {"name": "drb", "category": "FORCING"}
    async with all_.data() as data:
        id_ = (await data.api("POST", "/datasets", json=new)).json["id"]
        await data.upload("drb", "a", b"1")
        keys = ["hr:names", "hr:versions", f"hr:dataset:{id_}", f"hr:items:{id_}", "hr:open"]
        for key in keys:
            assert await all_.redis.command("COPY", key, f"kept:{key}")
        await change(data, "drb", name="delaware")
        assert (await data.api("POST", "/datasets/delaware:seal", json={})).status == 200
    for key in keys:
        await all_.redis.command("RENAME", f"kept:{key}", key)
    await all_.redis.command("DEL", "hr:datasets:FORCING:GENERIC")
    async with all_.data() as data:
        await wait_until(_answers(data, "/datasets/delaware"), "the dataset to come back")
        assert (await data.api("GET", "/datasets/drb")).status == 404
        assert (await data.api("DELETE", "/datasets/delaware")).status in (200, 204)
        assert (await data.api("POST", "/datasets", json=new)).status == 201


async def test_a_rename_and_a_new_version_at_once_end_in_one_name(data: DataHarness) -> None:
    await data.make("drb", {"a": b"1"})
    new = {"name": "drb", "category": "FORCING", "version": "new"}
    renamed, made = await asyncio.gather(
        data.api("PATCH", "/datasets/drb", json={"name": "delaware"}),
        data.api("POST", "/datasets", json=new),
    )
    assert made.status == 201
    assert renamed.status in (200, 409)
    names = {each.partition("@")[0] for each in await listed(data, "state=SEALED")}
    assert names == ({"delaware"} if renamed.status == 200 else {"drb"})


async def test_datasets_are_found_by_what_they_hold_some_of(data: DataHarness) -> None:
    await data.make("y79", {"a": b"1"}, domain={"TIME": ["1979-01-01", "1980-01-01"]})
    await data.make(
        "y80",
        {"a": b"1"},
        domain={"TIME": ["1980-01-01", "1981-01-01"], "CATCHMENT_ID": ["cat-1", "cat-2"]},
    )
    await data.make("every", {"a": b"1"}, domain={"CATCHMENT_ID": "ALL"})
    await data.make("nothing", {"a": b"1"})

    async def found(domain: str) -> set[str]:
        return {each.partition("@")[0] for each in await listed(data, domain=domain)}

    assert await found('{"TIME": ["1979-06-01", "1980-06-01"]}') == {"y79", "y80"}
    assert await found('{"TIME": ["1980-01-01", "1980-01-02"]}') == {"y80"}
    assert await found('{"CATCHMENT_ID": "cat-2"}') == {"y80", "every"}
    assert await found('{"CATCHMENT_ID": "ALL"}') == {"y80", "every"}
    assert await found('{"CATCHMENT_ID": ["cat-3"]}') == {"every"}
    assert await found('{"CATCHMENT_ID": "cat-1", "TIME": ["1979-01-01", "1979-01-02"]}') == set()
    for wrong in ("[", "[]", '{"TIMES": "x"}', '{"TIME": "x"}'):
        answer = await data.api("GET", "/datasets", params={"domain": wrong})
        assert answer.status == 422, wrong


async def test_datasets_are_found_by_when_they_were_made(data: DataHarness) -> None:
    first = await data.make("first", {"a": b"1"})
    second = await data.make("second", {"a": b"1"})
    assert first["created"] < second["created"]
    assert await listed(data, f"since={second['created']}") == ["second@1"]
    assert await listed(data, f"since={first['created']}") == ["second@1", "first@1"]
    assert await listed(data, "since=2100-01-01") == []
    wrong = await data.api("GET", "/datasets?since=yesterday")
    assert (wrong.status, "ISO 8601" in wrong.json["detail"]) == (422, True)


async def test_an_item_goes_from_an_open_dataset_and_stays_in_a_sealed_one(
    data: DataHarness,
) -> None:
    await data.api("POST", "/datasets", json={"name": "drb", "category": "FORCING"})
    for path in ("a", "b"):
        await data.upload("drb", path, b"1")
    for _ in range(2):
        assert (await data.api("DELETE", "/datasets/drb/items/a")).status == 204
    await data.api("POST", "/datasets/drb:seal")
    refused = await data.api("DELETE", "/datasets/drb/items/b")
    assert (refused.status, refused.code) == (409, "CONFLICT")
    assert [i["path"] for i in (await data.api("GET", "/datasets/drb/items")).json["items"]] == [
        "b"
    ]


def _answers(data: DataHarness, path: str) -> Callable[[], Awaitable[bool]]:
    async def there() -> bool:
        return (await data.api("GET", path)).status == 200

    return there
