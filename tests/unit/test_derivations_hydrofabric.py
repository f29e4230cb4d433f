"""Parts of hydrofabrics: what is wanted, up or down the river, in the format that is wanted."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace_derivations import hydrofabric_geojson, hydrofabric_network
from headrace_derivations.base import DerivationFailed
from headrace_derivations.hydrofabric import DERIVATION, GEOJSON, V1, V2
from headrace_formats.detect import Detection, detect_folder
from headrace_formats.errors import FormatError
from headrace_model.dataset import Category
from headrace_model.requirement import Shape
from tests.support.deriving import contents, run, step_from, steps, wanted
from tests.support.format_samples import catchment, collection, features, nexus
from tests.support.samples import sample

FABRIC = Category.HYDROFABRIC
GAUGE_V2 = "ngen-gauge-01073000/gauge_01073000.gpkg"
GAUGE_V1 = "troute-hyfeature/gauge_01069700.gpkg"


def in_folder(folder: Path, *paths: str) -> Path:
    folder.mkdir()
    for path in paths:
        shutil.copy(sample(path), folder)
    return folder


def sugar_creek(folder: Path) -> Path:
    names = ("catchment_data.geojson", "nexus_data.geojson", "flowpath_data.geojson")
    return in_folder(folder, *(f"ngen-sugar-creek/{each}" for each in (*names, "crosswalk.json")))


def made(source: Path, output: Path, to: str, from_: str, **domain: Any) -> Detection:
    step = step_from(DERIVATION, wanted(FABRIC, to, **domain), from_)
    return run(DERIVATION, step, output, hydrofabric=source)


def plain(found: Detection) -> dict[str, Any]:
    return {key: of for key, of in found.domain.to_plain().items() if key != "HYDROFABRIC_ID"}


def rows(path: Path, table: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as file:
        return list(file.execute(f"SELECT * FROM {table}"))  # noqa: S608 - a table of a test


def test_two_catchments_of_sugar_creek_keep_their_lines_nexuses_and_flowpaths(
    tmp_path: Path,
) -> None:
    source, output = sugar_creek(tmp_path / "in"), tmp_path / "out"
    found = made(source, output, GEOJSON, GEOJSON, CATCHMENT_ID=["cat-27", "cat-67"])
    assert (found.format, plain(found)) == (GEOJSON, {"CATCHMENT_ID": ["cat-27", "cat-67"]})
    whole = contents(source)
    for name, data in contents(output).items():
        features = [line for line in data.splitlines() if b'"Feature"' in line]
        assert len(features) == 2
        assert all(line.removesuffix(b",") in whole[name] for line in features)
    assert b"nex-34" not in contents(output)["nexus_data.geojson"]
    assert b"CRS84" in contents(output)["catchment_data.geojson"]


@pytest.mark.parametrize(
    ("element", "catchments"),
    [
        ("upstream/cat-11223", ["cat-11223", "cat-11410"]),
        ("upstream/wb-11223", ["cat-11223", "cat-11410"]),
        ("upstream/nex-11223", "cat-11410"),
        ("downstream/nex-11223", ["cat-11223", "cat-11224"]),
        ("downstream/cat-11410", ["cat-11223", "cat-11224", "cat-11410"]),
        ("downstream/cat-11224", "cat-11224"),
        (
            "upstream/gages-01073000",
            [f"cat-{n}" for n in (11223, 11224, 11371, 11410, 11509)],
        ),
        (["upstream/cat-11509", "downstream/cat-11509"], ["cat-11224", "cat-11509"]),
    ],
)
@pytest.mark.parametrize("to", [GEOJSON, V2])
def test_up_and_down_the_river_from_a_real_geopackage(
    tmp_path: Path, element: str | list[str], catchments: str | list[str], to: str
) -> None:
    source = in_folder(tmp_path / "in", GAUGE_V2)
    found = made(source, tmp_path / "out", to, V2, ELEMENT_ID=element)
    assert found.format == to
    assert found.domain.to_plain()["CATCHMENT_ID"] == catchments
    assert not [note for note in found.notes if "nexus that is not there" in note]


def test_a_part_of_a_geopackage_holds_the_rows_of_all_tables_that_belong_to_it(
    tmp_path: Path,
) -> None:
    source, output = in_folder(tmp_path / "in", GAUGE_V2), tmp_path / "out"
    with closing(sqlite3.connect(source / "gauge_01073000.gpkg")) as file:
        file.execute(
            "UPDATE network SET id = NULL WHERE fid = 1"
        )  # divide_id names it all the same
        file.commit()
    made(source, output, V2, V2, CATCHMENT_ID=["cat-11410", "cat-11223"])
    path = output / "gauge_01073000.gpkg"
    whole = source / path.name
    assert [row[0] for row in rows(path, "nexus")] == [1, 2]
    assert [row[2] for row in rows(path, "flowpaths")] == ["wb-11223", "wb-11410"]
    assert [row[1] for row in rows(path, "flowpath_attributes")] == ["wb-11223", "wb-11410"]
    assert len(rows(path, "network")) == 11 + 4 + 2
    assert rows(path, "hydrolocations") == []
    assert rows(path, "layer_styles") == rows(whole, "layer_styles")
    assert set(rows(path, "divides")) <= set(rows(whole, "divides"))
    assert rows(path, "gpkg_spatial_ref_sys") == rows(whole, "gpkg_spatial_ref_sys")
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        kinds = {row[0] for row in file.execute("SELECT type FROM sqlite_master")}
        assert kinds <= {"table", "index"}


def test_a_part_of_version_1_takes_the_attributes_along(tmp_path: Path) -> None:
    source, output = in_folder(tmp_path / "in", GAUGE_V1), tmp_path / "out"
    found = made(source, output, V1, V1, ELEMENT_ID="upstream/nex-10236")
    assert (found.format, plain(found)) == (
        V1,
        {"CATCHMENT_ID": "cat-10245", "HYDROFABRIC_VERSION": "1"},
    )
    path = output / "gauge_01069700.gpkg"
    for table in ("cfe_noahowp_attributes", "forcing_attributes"):
        assert [row[1] for row in rows(path, table)] == ["cat-10245"]
    assert [row[1:] for row in rows(path, "flowpath_edge_list")] == [
        ("wb-10245", "nex-10236"),
        ("nex-10236", "wb-10236"),
    ]


def test_a_gauge_of_a_geojson_fabric_is_found_in_the_crosswalk_beside_it(tmp_path: Path) -> None:
    found = made(
        sugar_creek(tmp_path / "in"),
        tmp_path / "out",
        GEOJSON,
        GEOJSON,
        ELEMENT_ID="upstream/gages-0214657975",
    )
    assert plain(found) == {"CATCHMENT_ID": "cat-52"}


@pytest.mark.parametrize(("path", "version"), [(GAUGE_V1, V1), (GAUGE_V2, V2)])
def test_a_geopackage_as_geojson_is_the_same_fabric(
    tmp_path: Path, path: str, version: str
) -> None:
    source = in_folder(tmp_path / "in", path)
    id_ = detect_folder(source).domain.to_plain()["HYDROFABRIC_ID"]
    found = made(source, tmp_path / "out", GEOJSON, version, HYDROFABRIC_ID=id_)
    assert (found.format, found.domain.to_plain()["HYDROFABRIC_ID"]) == (GEOJSON, id_)
    nexuses = contents(tmp_path / "out")["nexus_data.geojson"]
    assert b'"toid": "cat-' in nexuses
    assert b'"toid": "wb-' not in nexuses
    assert sorted(contents(tmp_path / "out")) == [
        "catchment_data.geojson",
        "flowpath_data.geojson",
        "nexus_data.geojson",
    ]


@pytest.mark.parametrize(("path", "version"), [(GAUGE_V1, V1), (GAUGE_V2, V2)])
def test_a_part_with_every_catchment_is_the_same_fabric_and_twice_the_same_bytes(
    tmp_path: Path, path: str, version: str
) -> None:
    source = in_folder(tmp_path / "in", path)
    domain = detect_folder(source).domain.to_plain()
    every = {"CATCHMENT_ID": domain["CATCHMENT_ID"]}
    assert made(source, tmp_path / "one", version, version, **every).domain.to_plain() == domain
    made(source, tmp_path / "two", version, version, **every)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


@st.composite
def rivers(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A fabric: catchment i flows to one of a later number, through a nexus of that number."""
    count = draw(st.integers(2, 9))
    below = [draw(st.integers(i + 1, count)) for i in range(count)]
    nexuses = sorted(set(below))
    return [catchment(i, to) for i, to in enumerate(below)] + [nexus(n, n) for n in nexuses]


def _fabric(folder: Path, found: list[dict[str, Any]]) -> Path:
    folder.mkdir(parents=True)
    (folder / "fabric.geojson").write_bytes(collection(found))
    return folder


@settings(max_examples=60, deadline=None)
@given(rivers(), st.data())
def test_a_part_of_a_part_is_the_part_of_what_both_have(
    river: list[dict[str, Any]], data: st.DataObject
) -> None:
    ids = [each["id"] for each in river if each["id"].startswith("cat-")]
    larger = data.draw(st.sets(st.sampled_from(ids), min_size=1))
    smaller = data.draw(st.sets(st.sampled_from(sorted(larger)), min_size=1))
    with TemporaryDirectory() as name:
        at = Path(name)
        source = _fabric(at / "in", river)
        made(source, at / "larger", GEOJSON, GEOJSON, CATCHMENT_ID=sorted(larger))
        twice = made(at / "larger", at / "twice", GEOJSON, GEOJSON, CATCHMENT_ID=sorted(smaller))
        once = made(source, at / "once", GEOJSON, GEOJSON, CATCHMENT_ID=sorted(smaller))
        assert twice.domain == once.domain
        assert contents(at / "twice") == contents(at / "once")


def _drains(below: dict[str, str], id_: str, to: str) -> bool:
    while id_ != to and id_ in below:
        id_ = below[id_]
    return id_ == to


@settings(max_examples=60, deadline=None)
@given(rivers(), st.data())
def test_upstream_is_what_drains_there_and_downstream_where_it_drains(
    river: list[dict[str, Any]], data: st.DataObject
) -> None:
    below = {each["id"]: each["properties"]["toid"].replace("wb-", "cat-") for each in river}
    place = data.draw(st.sampled_from(sorted(below)))
    catchments = {each for each in below if each.startswith("cat-")}
    up = {each for each in catchments if _drains(below, each, place)}
    down = {each for each in catchments if _drains(below, place, each)}
    with TemporaryDirectory() as name:
        source = _fabric(Path(name, "in"), river)
        for way, expected in (("upstream", up), ("downstream", down)):
            output = Path(name, way)
            step = step_from(
                DERIVATION, wanted(FABRIC, GEOJSON, ELEMENT_ID=f"{way}/{place}"), GEOJSON
            )
            if not expected:
                with pytest.raises(DerivationFailed, match="nothing lies"):
                    run(DERIVATION, step, output, hydrofabric=source)
                continue
            found = run(DERIVATION, step, output, hydrofabric=source)
            assert found.domain.to_plain()["CATCHMENT_ID"] in (sorted(expected), *expected)


def test_a_gauge_that_is_wanted_must_stand_in_the_part(tmp_path: Path) -> None:
    source = in_folder(tmp_path / "in", GAUGE_V2)
    wanted_too = {"GAUGE_ID": "01073000"}
    made(source, tmp_path / "one", GEOJSON, V2, CATCHMENT_ID="cat-11224", **wanted_too)
    with pytest.raises(DerivationFailed, match="01073000 stands nowhere in the part"):
        made(source, tmp_path / "two", GEOJSON, V2, CATCHMENT_ID="cat-11410", **wanted_too)


def test_columns_that_would_be_more_than_columns_are_not_copied(tmp_path: Path) -> None:
    source = in_folder(tmp_path / "in", GAUGE_V2)
    with closing(sqlite3.connect(source / "gauge_01073000.gpkg")) as file:
        file.execute("""ALTER TABLE network ADD COLUMN 'a" DEFAULT (randomblob(9)), "b' TEXT""")
    with pytest.raises(DerivationFailed, match=r"table network: the column .* can't be copied"):
        made(source, tmp_path / "out", V2, V2, CATCHMENT_ID="cat-11224")


def test_the_larger_fabric_must_cover_what_is_wanted_and_the_elements() -> None:
    of = wanted(
        FABRIC,
        GEOJSON,
        ELEMENT_ID=["upstream/gages-01073000", "downstream/cat-7"],
        HYDROFABRIC_DATA_ID="conus",
        HYDROFABRIC_REGION="01",
    )
    said = {"HYDROFABRIC_DATA_ID": "conus", "HYDROFABRIC_REGION": "01", "CATCHMENT_ID": "cat-7"}
    found = [step.inputs[0] for step in steps(DERIVATION, of)]
    assert [(each.format, each.domain.to_plain()) for each in found] == [
        (GEOJSON, said),
        (V2, said | {"GAUGE_ID": "01073000"}),
        (V1, said | {"GAUGE_ID": "01073000"}),
    ]
    assert {each.shape for each in found} == {Shape.ONE}


def test_a_whole_fabric_is_only_made_from_another_format() -> None:
    of = wanted(FABRIC, GEOJSON, HYDROFABRIC_ID="hf1-0", CATCHMENT_ID="cat-1")
    assert [step.inputs[0].format for step in steps(DERIVATION, of)] == [V2, V1]
    assert all(step.inputs[0].domain == of.domain for step in steps(DERIVATION, of))
    assert steps(DERIVATION, wanted(FABRIC, V2, HYDROFABRIC_ID="hf1-0")) == []
    both = wanted(FABRIC, GEOJSON, HYDROFABRIC_ID="hf1-0", ELEMENT_ID="upstream/cat-1")
    assert steps(DERIVATION, both) == []


@pytest.mark.parametrize("element", ["nex-26", "upstream", "upstream/26", "up/nex-26", "ALL"])
def test_elements_that_say_no_way_or_place_are_not_derived(element: str) -> None:
    assert steps(DERIVATION, wanted(FABRIC, GEOJSON, ELEMENT_ID=element)) == []


@pytest.mark.parametrize(
    ("domain", "said"),
    [
        ({"ELEMENT_ID": "upstream/nex-33"}, r"has no nex-33; did you mean nex-3\?"),
        ({"ELEMENT_ID": "downstream/cat-77"}, "has no cat-77; "),
        ({"ELEMENT_ID": "upstream/gages-01073000"}, "has no gauge 01073000; "),
        ({"CATCHMENT_ID": ["cat-1", "cat-8", "cat-9"]}, "no catchment cat-8, and 1 more"),
    ],
)
def test_what_the_fabric_lacks_is_named(tmp_path: Path, domain: dict[str, Any], said: str) -> None:
    with pytest.raises(DerivationFailed, match=said):
        made(_fabric(tmp_path / "in", features()), tmp_path / "out", GEOJSON, GEOJSON, **domain)


@pytest.mark.parametrize("cut", [1, 2, 5, 40])
def test_a_cut_fabric_is_an_error_that_says_so(tmp_path: Path, cut: int) -> None:
    source = _fabric(tmp_path / "in", features())
    path = source / "fabric.geojson"
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(DerivationFailed, match=r"fabric.geojson can't be read as JSON"):
        made(source, tmp_path / "out", GEOJSON, GEOJSON, CATCHMENT_ID="cat-1")


def test_a_fabric_that_is_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = _fabric(tmp_path / "in", features())
    monkeypatch.setattr(hydrofabric_network, "MOST_FEATURES", 4)
    with pytest.raises(DerivationFailed, match="more than 4 catchments and nexuses"):
        made(source, tmp_path / "one", GEOJSON, GEOJSON, CATCHMENT_ID="cat-1")
    monkeypatch.setattr(hydrofabric_geojson, "_MOST_BYTES", 100)
    with pytest.raises(FormatError, match="larger than 100 bytes"):
        made(source, tmp_path / "two", GEOJSON, GEOJSON, CATCHMENT_ID="cat-1")
