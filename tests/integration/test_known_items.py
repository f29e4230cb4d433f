"""A file that stands in a dataset which the uploader may read is taken from there, not sent."""

import sqlite3
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace_adapters.sqlite.items import ItemIndex
from headrace_data import known_items
from headrace_model.ids import DatasetId
from tests.support.data_service import Answer, DataHarness, World
from tests.support.wait import wait_until

DATA = bytes(range(256)) * 4_096  # as small as is worth to be known
NEW = {"category": "FORCING"}


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_items, "_LOOK_EVERY_S", 0.05)


async def offer(data: DataHarness, name: str, content: bytes = DATA) -> Answer:
    """Say that all has come of a file of which nothing has."""
    headers = {
        "X-Content-SHA256": sha256(content).hexdigest(),
        "Content-Range": f"bytes */{len(content)}",
    }
    return await data.api("PUT", f"/datasets/{name}/items/deep/copy.bin", headers=headers)


async def known(data: DataHarness, dataset: str, *, there: bool = True) -> None:
    """Wait until the service has learned, or forgotten, a dataset."""
    file = data.settings.state_dir / "items.sqlite"

    def learned() -> bool:
        try:
            return (dataset in ItemIndex(file).datasets()) is there
        except sqlite3.Error:
            return False

    await wait_until(learned, f"{dataset} to be known: {there}")


async def test_who_may_read_it_need_not_send_it(data: DataHarness) -> None:
    source = await data.make("first", {"a.bin": DATA})
    await known(data, source["id"])
    await data.api("POST", "/datasets", json={"name": "second", **NEW})
    taken = await offer(data, "second")
    assert (taken.status, taken.json["sha256"]) == (201, sha256(DATA).hexdigest())
    await data.api("POST", "/datasets/second:seal")
    # Nothing is shared: what is deleted of the one stays in the other.
    assert (await data.api("DELETE", "/datasets/first")).status == 204
    got = await data.api("GET", "/datasets/second/items/deep/copy.bin")
    assert got.body == DATA


async def test_who_may_not_read_it_hears_nothing_of_it(data: DataHarness) -> None:
    source = await data.make("anns", {"a.bin": DATA})
    await known(data, source["id"])
    data.user = "bob"
    await data.api("POST", "/datasets", json={"name": "bobs", **NEW})
    refused = await offer(data, "bobs")
    unknown = await offer(data, "bobs", DATA + b"1")
    assert (refused.status, refused.headers["Upload-Offset"]) == (409, "0")
    assert (refused.status, refused.code) == (unknown.status, unknown.code)
    data.user = "ann"
    shared = {"who": "user:bob", "level": "read"}
    assert (await data.api("POST", "/datasets/anns:share", json=shared)).status == 200
    data.user = "bob"
    assert (await offer(data, "bobs")).status == 201


async def test_what_is_deleted_or_of_another_size_is_not_taken(data: DataHarness) -> None:
    source = await data.make("first", {"a.bin": DATA})
    await known(data, source["id"])
    await data.api("POST", "/datasets", json={"name": "second", **NEW})
    headers = {"X-Content-SHA256": sha256(DATA).hexdigest(), "Content-Range": "bytes */7000000"}
    lied = await data.api("PUT", "/datasets/second/items/x", headers=headers)
    assert (lied.status, lied.headers["Upload-Offset"]) == (409, "0")
    await data.api("DELETE", "/datasets/first")
    assert (await offer(data, "second")).status == 409
    await known(data, source["id"], there=False)


async def test_a_file_that_can_not_be_read_is_made_anew(all_: World) -> None:
    async with all_.data() as data:
        source = await data.make("first", {"a.bin": DATA})
        await known(data, source["id"])
        await data.kill()
        (data.settings.state_dir / "items.sqlite").write_bytes(b"no database" * 1_000)
        await data.start()
        await known(data, source["id"])
        await data.api("POST", "/datasets", json={"name": "second", **NEW})
        assert (await offer(data, "second")).status == 201


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from("pqr"),
            st.one_of(st.none(), st.lists(st.sampled_from("abcd"), max_size=4, unique=True)),
        ),
        max_size=12,
    )
)
def test_the_index_finds_what_was_learned_and_not_forgotten(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, list[str] | None]]
) -> None:
    index = ItemIndex(tmp_path_factory.mktemp("index") / "items.sqlite")
    index.open()
    held: dict[str, set[str]] = {}
    for dataset, letters in steps:
        if letters is None:
            index.forget([DatasetId(dataset)])
            held.pop(dataset, None)
        else:
            index.learn(DatasetId(dataset), [(each * 64, f"path/{each}") for each in letters])
            held.setdefault(dataset, set()).update(letters)
        index.open()  # a restart changes nothing
    assert index.datasets() == held.keys()
    for letter in "abcd":
        found = index.find(letter * 64, 10)
        assert sorted(found) == sorted(
            (DatasetId(one), f"path/{letter}") for one, has in held.items() if letter in has
        )
