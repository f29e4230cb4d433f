"""Item paths can't play tricks; a manifest has one form of bytes and reads back."""

import json
from dataclasses import replace
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_model.dataset import (
    Category,
    Dataset,
    DatasetState,
    Item,
    Manifest,
    Origin,
    check_item_path,
)
from headrace_model.domain import Domain
from headrace_model.errors import Conflict, InvalidInput, InvalidName
from headrace_model.ids import DatasetId, JobId

OPEN = Dataset(
    id=DatasetId("d1"),
    name="delaware-run",
    version=1,
    category=Category.OUTPUT,
    format="TIMESERIES_NETCDF",
    domain=Domain.from_plain({"TIME": ["1979-01-01", "1981-01-01"], "HYDROFABRIC_DATA_ID": "drb"}),
    owner="ada",
    created_ms=5,
    expires_ms=100,
    origin=Origin(JobId("0" * 16), 2),
    output="streamflow",
    derived_from=(DatasetId("d0"),),
    description="Größe",
)


def item(path: str, size_bytes: int = 3) -> Item:
    return Item(path, size_bytes, "0" * 64, f"delaware-run/1/x/{path}")


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "//a",
        "..",
        "../a",
        "a/../b",
        "a/..",
        ".",
        "./a",
        "a//b",
        "a/",
        "a\0b",
        "a\nb",
        "a\x7fb",
        "a\u202eb",
        "a\\b",
        "\ud800",
        "a" * 256,
        "/".join(["a" * 200] * 6),
        "ä" * 128,
    ],
)
def test_tricky_item_paths_are_refused(path: str) -> None:
    with pytest.raises(InvalidName):
        check_item_path(path)


@pytest.mark.parametrize("path", ["a", "forcing/prcp.nc", ".hidden", "a..b/c d", "Größe.csv"])
def test_ordinary_item_paths_pass(path: str) -> None:
    assert check_item_path(path) == path


@given(st.text(alphabet="a./\\\0", max_size=8))
def test_a_path_that_passes_stays_below_any_directory(path: str) -> None:
    try:
        check_item_path(path)
    except InvalidName:
        return
    pure = PurePosixPath(path)
    assert not pure.is_absolute()
    assert ".." not in pure.parts
    assert str(pure) == path


@pytest.mark.parametrize(
    ("size_bytes", "sha256", "key"),
    [(-1, "0" * 64, "k"), (1, "0" * 63, "k"), (1, "G" * 64, "k"), (1, "0" * 64, "")],
)
def test_an_item_with_a_wrong_fact_is_refused(size_bytes: int, sha256: str, key: str) -> None:
    with pytest.raises(InvalidInput):
        Item("a", size_bytes, sha256, key)


def test_sealing_fills_in_what_the_manifest_knows() -> None:
    manifest = Manifest.of(OPEN, [item("b/c", 4), item("a")])
    sealed = manifest.sealed(at_ms=9)
    assert [each.path for each in manifest.items] == ["a", "b/c"]
    assert sealed.state is DatasetState.SEALED
    assert (sealed.sealed_ms, sealed.size_bytes, sealed.item_count) == (9, 7, 2)
    assert sealed.manifest_sha256 == manifest.sha256
    with pytest.raises(Conflict):
        Manifest.of(sealed, [])


@given(st.permutations(["a", "b/c", "b/d", "ä"]))
def test_the_bytes_do_not_depend_on_the_order_of_items(paths: list[str]) -> None:
    manifest = Manifest.of(OPEN, [item(path) for path in paths])
    assert manifest.canonical_bytes == Manifest.of(OPEN, manifest.items).canonical_bytes
    assert Manifest.from_bytes(manifest.canonical_bytes) == manifest


def test_other_contents_give_another_hash() -> None:
    first = Manifest.of(OPEN, [item("a")])
    assert first.sha256 != Manifest.of(OPEN, [item("a", 4)]).sha256
    assert first.sha256 != Manifest.of(replace(OPEN, version=2), [item("a")]).sha256


def test_a_dataset_without_an_origin_reads_back_too() -> None:
    manifest = Manifest.of(replace(OPEN, origin=None, output=None, expires_ms=None), [])
    assert Manifest.from_bytes(manifest.canonical_bytes) == manifest


@pytest.mark.parametrize("paths", [["a", "a"], ["a", "a/b"], ["a/b/c", "a"]])
def test_items_that_no_directory_could_hold_are_refused(paths: list[str]) -> None:
    with pytest.raises(InvalidInput):
        Manifest.of(OPEN, [item(path) for path in paths])


@pytest.mark.parametrize("data", [b"", b"\xff", b"[]", b"1", b"{}", b'{"manifest": 2}'])
def test_what_is_no_manifest_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        Manifest.from_bytes(data)


def test_a_manifest_with_a_tricky_path_is_refused() -> None:
    document = json.loads(Manifest.of(OPEN, [item("a")]).canonical_bytes)
    document["items"][0][0] = "../a"
    with pytest.raises(InvalidInput):
        Manifest.from_bytes(json.dumps(document).encode())


def test_wrong_datasets_can_not_be_built() -> None:
    for wrong in ({"name": "../x"}, {"format": "csv"}, {"version": 0}):
        with pytest.raises(InvalidInput):
            replace(OPEN, **wrong)
    with pytest.raises(InvalidInput):
        replace(OPEN, state=DatasetState.SEALED)


def test_a_dataset_expires_at_its_time() -> None:
    assert not OPEN.expired(99)
    assert OPEN.expired(100)
    assert not replace(OPEN, expires_ms=None).expired(10**15)


@given(st.integers(0, 10**13), st.integers(0, 10**10), st.none() | st.integers(0, 10**13))
def test_a_deleted_dataset_comes_back_as_it_was_and_is_kept_no_longer_than_before(
    now: int, undo_ms: int, expires: int | None
) -> None:
    before = replace(OPEN, expires_ms=expires)
    for dataset in (before, Manifest.of(before, [item("a")]).sealed(9)):
        deleted = dataset.deleted(now, undo_ms)
        assert deleted.undeleted(dataset.name) == dataset
        assert deleted.purge_ms is not None
        assert now <= deleted.purge_ms <= now + undo_ms
        assert expires is None or deleted.purge_ms <= max(expires, now)
