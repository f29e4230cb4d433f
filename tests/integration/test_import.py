"""Import in place: files that lie elsewhere are items, stay there, and count as they were."""

from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from headrace_data import importing
from headrace_data.core.keys import folder
from headrace_model.ids import DatasetId
from headrace_model.people import User, UserRole
from tests.support.data_service import DataHarness, World
from tests.support.wait import wait_until

pytestmark = pytest.mark.usefixtures("no_blocking")

ROOT = User("root", UserRole.ADMIN)
CONTENTS = {"a.csv": b"rain", "more/b.csv": b"flow", "more/deep/c.csv": b"snow" * 50_000}


@pytest.fixture
def place(state_dir: Path) -> Path:
    """A folder of somebody else's."""
    made = state_dir / "archive" / "2015"
    for path, data in CONTENTS.items():
        (made / path).parent.mkdir(parents=True, exist_ok=True)
        (made / path).write_bytes(data)
    (made / "link.csv").symlink_to("/etc/passwd")
    (made / "away").symlink_to("/etc")
    return made


@pytest.fixture
async def here(all_: World, place: Path) -> AsyncIterator[DataHarness]:
    """A data service whose admin may import from the folder's parent."""
    async with all_.data(import_places=f"archive={place.parent}") as data:
        data.user = ROOT
        yield data


async def _open(data: DataHarness, name: str = "old", **more: Any) -> str:
    answer = await data.api(
        "POST", "/datasets", json={"name": name, "category": "FORCING", **more}
    )
    assert answer.status == 201, answer.body
    return str(answer.json["id"])


async def _import(data: DataHarness, dataset: str, source: Path | str) -> dict[str, Any]:
    """All of it: the sums of all answers."""
    after, sums = "", {"items": 0, "size_bytes": 0, "read": 0, "requests": 0}
    while after is not None:
        answer = await data.api(
            "POST", f"/datasets/{dataset}:import", json={"source": str(source), "after": after}
        )
        assert answer.status == 200, answer.body
        after = answer.json["after"]
        for name in ("items", "size_bytes", "read"):
            sums[name] += answer.json[name]
        sums["requests"] += 1
    return sums


async def test_files_become_items_and_are_read_where_they_lie(
    all_: World, here: DataHarness, place: Path
) -> None:
    dataset = await _open(here)
    sums = await _import(here, dataset, place)
    size = sum(map(len, CONTENTS.values()))
    assert (sums["items"], sums["size_bytes"], sums["read"]) == (3, size, 3)
    assert (await _import(here, dataset, place))["read"] == 0, "a repeat reads nothing"
    items = (await here.api("GET", f"/datasets/{dataset}/items")).json["items"]
    assert {each["path"]: each["sha256"] for each in items} == {
        path: sha256(data).hexdigest() for path, data in CONTENTS.items()
    }
    assert (await here.api("POST", f"/datasets/{dataset}:seal")).json["state"] == "SEALED"
    for path, data in CONTENTS.items():
        got = await here.api("GET", f"/datasets/{dataset}/items/{path}")
        assert (got.status, got.body) == (200, data)
    batch = await here.api(
        "POST", f"/datasets/{dataset}:download", json={"paths": ["a.csv", "more/b.csv"]}
    )
    assert batch.body.endswith(b"rainflow")
    kept = await all_.store.keys(folder(DatasetId(dataset)))
    assert [key for key in kept if "/manifest-" not in key] == [], "nothing was copied"
    assert (await _import(here, dataset, place))["items"] == 3, "sealed, and just this"


async def test_what_was_changed_is_said_and_never_given_for_what_it_was(
    here: DataHarness, place: Path
) -> None:
    dataset = await _open(here)
    await _import(here, dataset, place)
    await here.api("POST", f"/datasets/{dataset}:seal")
    (place / "a.csv").write_bytes(b"hail")
    got = await here.api("GET", f"/datasets/{dataset}/items/a.csv")
    assert (got.status, got.code) == (409, "CONFLICT")
    assert "2015/a.csv was changed since it was imported" in got.json["detail"]
    (place / "a.csv").unlink()
    got = await here.api("GET", f"/datasets/{dataset}/items/a.csv")
    assert got.status == 404
    assert "not where it was" in got.json["detail"]
    (place / "new.csv").write_bytes(b"new")
    late = await here.api("POST", f"/datasets/{dataset}:import", json={"source": str(place)})
    assert (late.status, late.code) == (409, "CONFLICT"), "sealed, and not just this"


async def test_what_is_changed_before_the_seal_is_read_again(
    here: DataHarness, place: Path
) -> None:
    dataset = await _open(here)
    await _import(here, dataset, place)
    (place / "a.csv").write_bytes(b"other")
    assert (await here.api("POST", f"/datasets/{dataset}:seal")).status == 409
    assert (await _import(here, dataset, place))["read"] == 1
    assert (await here.api("POST", f"/datasets/{dataset}:seal")).status == 200
    assert (await here.api("GET", f"/datasets/{dataset}/items/a.csv")).body == b"other"


async def test_deleting_it_leaves_the_files_alone(
    all_: World, here: DataHarness, place: Path
) -> None:
    dataset = await _open(here)
    await _import(here, dataset, place)
    await here.api("POST", f"/datasets/{dataset}:seal")
    assert (await here.api("DELETE", f"/datasets/{dataset}")).status == 204

    async def gone() -> bool:
        return await all_.store.keys("datasets") == []

    await wait_until(gone, "the dataset to be gone")
    assert {path: (place / path).read_bytes() for path in CONTENTS} == CONTENTS


async def test_only_admins_import_and_only_from_the_places_named(
    here: DataHarness, place: Path, state_dir: Path
) -> None:
    here.user = "ann"
    hers = await _open(here, "hers")
    asked = {"source": str(place)}
    refused = await here.api("POST", f"/datasets/{hers}:import", json=asked)
    assert (refused.status, refused.code) == (403, "FORBIDDEN")
    here.user = ROOT
    for source in ("/etc", str(state_dir / "store"), f"{place}/../../store", "s3://archive", ""):
        said = await here.api("POST", f"/datasets/{hers}:import", json={"source": source})
        assert (said.status, said.code) == (422, "INVALID_INPUT"), source
    for source in (f"{place}/none", f"{place}/away", f"{place}/link.csv"):
        said = await here.api("POST", f"/datasets/{hers}:import", json={"source": source})
        assert said.status == 404, source
    for wrong in ({}, {"source": 1}, {**asked, "after": "../x"}, {**asked, "more": 1}):
        assert (await here.api("POST", f"/datasets/{hers}:import", json=wrong)).status == 422
    assert (await here.api("GET", f"/datasets/{hers}")).json["item_count"] == 0


async def test_many_files_come_in_several_requests_and_a_cut_one_is_gone_on_with(
    here: DataHarness, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(300):
        (place / "more" / f"{number:03}").write_bytes(b"%d" % number)
    monkeypatch.setattr(importing, "_PAGE", 100)
    monkeypatch.setattr(importing, "_GROUP", 7)
    monkeypatch.setattr(importing, "_TURN_S", 0.0)
    dataset = await _open(here)
    first = await here.api("POST", f"/datasets/{dataset}:import", json={"source": str(place)})
    assert first.json["items"] == 7
    sums = await _import(here, dataset, place)
    assert (sums["items"], sums["read"]) == (303, 296)
    assert sums["requests"] > 40
    assert (await here.api("GET", f"/datasets/{dataset}")).json["item_count"] == 303


async def test_a_file_that_takes_long_is_read_on_between_requests(
    here: DataHarness, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "_LONG_S", 0.0)
    dataset = await _open(here)
    sums = await _import(here, dataset, place)
    assert (sums["items"], sums["read"]) == (3, 3)
    assert sums["requests"] > 1


async def test_a_new_version_takes_what_is_unchanged_in_place_too(
    all_: World, here: DataHarness, place: Path
) -> None:
    old = await _open(here)
    await _import(here, old, place)
    await here.api("POST", f"/datasets/{old}:seal")
    new = await _open(here, version="new")
    took = await here.api(
        "POST", f"/datasets/{new}:take", json={"dataset": old, "paths": ["a.csv"]}
    )
    assert took.status == 200, took.body
    assert await all_.store.keys(folder(DatasetId(new))) == []
    assert (await here.api("GET", f"/datasets/{new}/items/a.csv")).body == b"rain"


async def test_a_lost_catalogue_knows_imported_datasets_again(all_: World, place: Path) -> None:
    async with all_.data(import_places=f"archive={place.parent}") as data:
        data.user = ROOT
        dataset = await _open(data)
        await _import(data, dataset, place)
        await data.api("POST", f"/datasets/{dataset}:seal")
    await all_.redis.command("FLUSHALL")
    await all_.redis.open()
    item = f"/datasets/{dataset}/items/more/b.csv"
    async with all_.data(import_places=f"archive={place.parent}") as data:
        data.user = ROOT

        async def back() -> bool:
            return (await data.api("GET", f"/datasets/{dataset}")).status == 200

        await wait_until(back, "the dataset to be back")
        assert (await data.api("GET", item)).body == b"flow"
    async with all_.data() as data:
        data.user = ROOT
        said = await data.api("GET", item)
        assert said.status == 422
        assert "import_places" in said.json["hint"], "who takes a place away is told"
