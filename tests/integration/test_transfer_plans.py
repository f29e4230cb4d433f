"""What is the same on both sides is not moved, and a dry run moves nothing at all."""

import asyncio
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from headrace_adapters.files.store import DirectoryStore
from headrace_client.datasets import Datasets
from headrace_client.http import Http
from headrace_client.localfiles import files_at
from headrace_client.transferplan import Plan
from headrace_data import batches
from headrace_model.errors import Conflict, Forbidden, HeadraceError, NotFound
from headrace_model.people import Level, User, UserRole
from headrace_wire.people import encode_user
from tests.integration.test_client_transfers import (
    FILES,
    NEW,
    client,
    contents,
    fill,
    items_of,
    socket_of,
)
from tests.support.cut_line import cut_line
from tests.support.data_service import DataHarness

pytestmark = pytest.mark.usefixtures("no_blocking")

LARGE = bytes(range(256)) * 6_000


@pytest.fixture
async def data(data: DataHarness) -> DataHarness:
    await data.api("POST", "/datasets", json=NEW)
    return data


@pytest.fixture
def folder(state_dir: Path) -> Path:
    below = state_dir / "files"
    for name, content in (FILES | {"large": LARGE}).items():
        (below / name).parent.mkdir(parents=True, exist_ok=True)
        (below / name).write_bytes(content)
    return below


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a client asked for, without its reading of lists."""
    heard: list[str] = []
    opened = Http.open

    def counted(self: Http, method: str, path: str, **how: Any) -> Any:
        if method != "GET" or "/items/" in path:
            heard.append(f"{method} {path.rpartition('/')[2]}")
        return opened(self, method, path, **how)

    monkeypatch.setattr(Http, "open", counted)
    return heard


def actions(plan: Plan) -> dict[str, str]:
    return {step.item: step.action.value for step in plan.steps}


async def send(datasets: Datasets, folder: Path, *exclude: str) -> Plan:
    return await datasets.upload("drb", await asyncio.to_thread(files_at, [folder], exclude))


async def test_an_upload_sends_what_is_new_or_other_and_leaves_the_rest(
    data: DataHarness, folder: Path, asked: list[str]
) -> None:
    await fill(data, {"extra": b"kept"})
    async with cut_line(socket_of(data)) as line, client(line.url) as datasets:
        files = await asyncio.to_thread(files_at, [folder])
        plan = await datasets.plan_upload("drb", files)
        assert asked == []
        assert set(actions(plan).values()) == {"new"}
        assert plan.moving_bytes == sum(map(len, FILES.values())) + len(LARGE)
        assert await send(datasets, folder) == plan
        assert await items_of(data) == sorted([*FILES, "large", "extra"])
        (folder / "a").write_bytes(b"ONE")
        (folder / "same").unlink()
        (folder / "new").write_bytes(b"new")
        asked.clear()
        plan = await send(datasets, folder)
    assert actions(plan) == {
        "a": "replace", "more/b": "skip", "empty": "skip", "large": "skip", "new": "new",
    }  # fmt: skip
    assert plan.moving_bytes == 6
    assert set(asked) == {"POST drb:upload"}, "several share the small files"
    assert (await data.api("GET", "/datasets/drb/items/a")).body == b"ONE"
    assert {"same", "extra"} <= set(await items_of(data)), "what is extra stays"


async def test_a_download_fetches_what_is_new_or_other_and_leaves_the_rest(
    data: DataHarness, folder: Path, asked: list[str], state_dir: Path
) -> None:
    back = state_dir / "back"
    async with cut_line(socket_of(data)) as line, client(line.url) as datasets:
        await send(datasets, folder)
        asked.clear()
        plan = await datasets.plan_download("drb", back)
        assert (asked, back.exists()) == ([], False)
        assert await datasets.download("drb", back) == plan
        (back / "large").write_bytes(LARGE[::-1])
        (back / "more" / "b").unlink()
        (back / "extra").write_bytes(b"kept")
        asked.clear()
        plan = await datasets.download("drb", back)
        assert {k: v for k, v in actions(plan).items() if v != "skip"} == {
            "large": "replace",
            "more/b": "new",
        }
        assert sorted(asked) == ["GET large", "POST drb:download"]
        sent = await asyncio.to_thread(contents, folder)
        assert await asyncio.to_thread(contents, back) == sent | {"extra": b"kept"}
        asked.clear()
        await datasets.download("drb", back)
        assert asked == []


async def test_items_are_downloaded_by_folder_or_pattern_without_what_is_excluded(
    data: DataHarness, folder: Path, state_dir: Path
) -> None:
    back = state_dir / "back"
    async with cut_line(socket_of(data)) as line, client(line.url) as datasets:
        await send(datasets, folder, "large")
        await datasets.download("drb", back, wanted=["more", "?"], exclude=["empty"])
        assert await asyncio.to_thread(contents, back) == {"a": b"one", "more/b": b"two"}
        with pytest.raises(NotFound, match="large"):
            await datasets.download("drb", back, wanted=["large"])


async def test_an_upload_of_what_is_there_is_refused_to_who_may_only_read(
    data: DataHarness, folder: Path
) -> None:
    async with cut_line(socket_of(data)) as line, client(line.url) as datasets:
        await send(datasets, folder)
        await datasets.share("drb", "user:bob", Level.READ)
        assert not (await send(datasets, folder)).moving
        files = await asyncio.to_thread(files_at, [folder])
        assert datasets._http._session is not None
        bob = encode_user(User("bob", UserRole.USER))
        datasets._http._session.headers["X-Headrace-User"] = bob
        with pytest.raises(Forbidden):
            await datasets.upload("drb", files)


async def test_a_sealed_dataset_takes_what_it_has_and_a_plan_says_so(
    data: DataHarness, folder: Path
) -> None:
    async with cut_line(socket_of(data)) as line, client(line.url) as datasets:
        await send(datasets, folder)
        await datasets.seal("drb")
        files = await asyncio.to_thread(files_at, [folder])
        assert not (await datasets.plan_upload("drb", files)).moving
        await datasets.upload("drb", files)
        (folder / "a").write_bytes(b"other")
        with pytest.raises(Conflict, match="SEALED"):
            await datasets.plan_upload("drb", files)
        with pytest.raises(Conflict, match="SEALED"):
            await datasets.upload("drb", files)


async def test_an_item_is_read_on_over_lines_that_break(data: DataHarness, folder: Path) -> None:
    numbers = count()

    def budget() -> int | None:
        return 700_000 if next(numbers) < 3 else None

    async with cut_line(socket_of(data)) as line, client(line.url) as datasets:
        await send(datasets, folder)
    async with cut_line(socket_of(data), budget) as line, client(line.url) as datasets:
        got = b"".join([piece async for piece in datasets.read("drb", "large")])
        assert line.cuts
        assert got == LARGE
        assert b"".join([piece async for piece in datasets.read("drb", "empty")]) == b""
        with pytest.raises(NotFound):
            [piece async for piece in datasets.read("drb", "nothing")]


async def test_an_item_that_arrives_damaged_is_told_of_at_its_end(
    data: DataHarness, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with cut_line(socket_of(data)) as line, client(line.url) as datasets:
        await send(datasets, folder)
        key = next(iter(await data_objects(data, LARGE)))
        key.chmod(0o600)
        key.write_bytes(LARGE[::-1])
        with pytest.raises(HeadraceError, match="damaged"):
            [piece async for piece in datasets.read("drb", "large")]


async def data_objects(data: DataHarness, content: bytes) -> list[Path]:
    store = Path(data.settings.store)

    def find() -> list[Path]:
        files = [each for each in store.rglob("*") if each.is_file()]
        return [each for each in files if each.read_bytes() == content]

    return await asyncio.to_thread(find)


async def test_a_new_version_takes_what_is_unchanged_from_the_one_before(
    data: DataHarness, folder: Path, asked: list[str]
) -> None:
    async with cut_line(socket_of(data)) as line, client(line.url) as datasets:
        await send(datasets, folder)
        first = await datasets.seal("drb")
        await datasets.create({**NEW, "version": "new"})
        (folder / "a").write_bytes(b"ONE")
        (folder / "new").write_bytes(b"new")
        (folder / "same").unlink()
        asked.clear()
        files = await asyncio.to_thread(files_at, [folder])
        would = await datasets.plan_upload("drb", files)
        assert asked == []
        assert await send(datasets, folder) == would
        assert actions(would) == {
            "a": "new", "empty": "take", "large": "take", "more/b": "take", "new": "new",
        }  # fmt: skip
        assert would.moving_bytes == 6
        assert set(asked) == {"POST drb:take", "POST drb:upload"}
        assert set(actions(await send(datasets, folder)).values()) == {"skip"}
        await datasets.seal("drb")
        await datasets.delete(first["id"])
    assert await items_of(data) == ["a", "empty", "large", "more/b", "new"]
    for path, content in {"large": LARGE, "empty": b"", "more/b": b"two", "a": b"ONE"}.items():
        assert (await data.api("GET", f"/datasets/drb/items/{path}")).body == content


async def test_what_the_version_before_can_not_give_is_sent(
    data: DataHarness, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(*_: object) -> None:
        raise NotFound("the store has no such object")

    async with cut_line(socket_of(data)) as line, client(line.url) as datasets:
        await send(datasets, folder)
        await datasets.seal("drb")
        await datasets.create({**NEW, "version": "new"})
        monkeypatch.setattr(DirectoryStore, "copy_many", nothing)
        assert set(actions(await send(datasets, folder)).values()) == {"new"}
    assert (await data.api("GET", "/datasets/drb/items/large")).body == LARGE


async def test_items_are_taken_all_or_none_from_what_one_may_read(data: DataHarness) -> None:
    await data.make("rain", {"a": b"one", "b": b"two"})
    await fill(data, {"a": b"other"})

    async def take(*paths: str, dataset: str = "rain", into: str = "drb") -> tuple[int, Any]:
        body = {"dataset": dataset, "paths": list(paths)}
        answer = await data.api("POST", f"/datasets/{into}:take", json=body)
        return answer.status, answer.json

    assert (await take("b", "nothing"))[0] == 404
    assert await items_of(data) == ["a"]
    for there in (False, True):
        status, done = await take("a", "b")
        assert (status, [each["was_there"] for each in done["items"]]) == (200, [there] * 2)
    assert (await data.api("GET", "/datasets/drb/items/a")).body == b"one"
    assert (await take("a", dataset="unknown"))[0] == 404
    assert (await take("../a"))[0] == 422
    assert (await take())[0] == 422
    status, refused = await take("a", dataset="drb", into="rain")
    assert (status, [each["was_there"] for each in refused["items"]]) == (200, [True])
    await data.make("snow", {"a": b"snow"})
    assert (await take("a", dataset="snow", into="rain"))[0] == 409
    data.user = "bob"
    assert (await take("a"))[0] == 404
    made = await data.api("POST", "/datasets", json={"name": "bobs", "category": "FORCING"})
    hidden = await take("a", into="bobs")
    missing = await take("a", dataset="never", into="bobs")
    assert (made.status, hidden[0], missing[0]) == (201, 404, 404)
    assert hidden[1]["detail"].replace("rain", "never") == missing[1]["detail"]


async def test_a_server_copies_no_more_than_it_can_answer_for(
    data: DataHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unknown(_: object) -> None:
        return None

    await data.make("rain", {"a": b"one", "b": b"two"})
    monkeypatch.setattr(batches, "TAKE_BYTES", 5)
    body = {"dataset": "rain", "paths": ["a", "b"]}
    assert (await data.api("POST", "/datasets/drb:take", json=body)).status == 200
    await data.api("DELETE", "/datasets/drb/items/a")
    await data.api("DELETE", "/datasets/drb/items/b")
    monkeypatch.setattr(DirectoryStore, "free_bytes", unknown)
    refused = await data.api("POST", "/datasets/drb:take", json=body)
    assert (refused.status, refused.code) == (413, "TOO_LARGE")
