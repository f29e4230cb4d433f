"""Hydrofabrics: the same fabric has the same id in any container, any real change another."""

import json
import sqlite3
import struct
from collections.abc import Callable
from contextlib import closing
from copy import deepcopy
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace_formats import geopackage_hydrofabric
from headrace_formats.detect import Detection, detect_file, detect_folder
from headrace_formats.errors import FormatError
from headrace_formats.fabric import CRS84, Crs, Fabric, _ring, fabric_id
from headrace_formats.validate import validate_file
from headrace_formats.wkb import read_geometry
from tests.support.format_samples import (
    SQUARE,
    catchment,
    collection,
    features,
    geopackage_of,
    nexus,
)
from tests.support.samples import sample

Features = list[dict[str, Any]]


def detected(folder: Path, **files: bytes) -> Detection:
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return detect_folder(folder)


def id_of(found: Detection) -> str:
    id_ = found.domain.to_plain()["HYDROFABRIC_ID"]
    assert isinstance(id_, str)
    return id_


def exported(geopackage: Path, layer: str, id_column: str) -> Features:
    """A layer of a real GeoPackage as features, by a reader of its own."""
    found: Features = []
    with closing(sqlite3.connect(f"file:{geopackage}?mode=ro&immutable=1", uri=True)) as file:
        columns = [row[1] for row in file.execute(f"PRAGMA table_info({layer})")]
        for row in file.execute(f"SELECT * FROM {layer}"):  # noqa: S608 - a layer of a test
            said = dict(zip(columns, row, strict=True))
            points, polygons = read_geometry(said.pop("geom"))
            place: Any = (
                list(points[0]) if points else [[list(p) for p in ring] for ring in polygons[0]]
            )
            kind = "Point" if points else "Polygon"
            found.append(
                {
                    "type": "Feature",
                    "id": said[id_column],
                    "properties": said,
                    "geometry": {"type": kind, "coordinates": place},
                }
            )
    return found


def test_the_real_fabrics_tell_ids_gauges_region_and_version() -> None:
    found = detect_file(sample("ngen-gauge-01073000/gauge_01073000.gpkg"))
    assert (found.format, found.warnings) == ("NGEN_GEOPACKAGE_HYDROFABRIC_V2", ())
    found_folder = detect_folder(sample("ngen-gauge-01073000/gauge_01073000.gpkg"))
    assert found_folder.domain.to_plain() == {
        "CATCHMENT_ID": [f"cat-{n}" for n in (11223, 11224, 11371, 11410, 11509)],
        "HYDROFABRIC_ID": "hf1-07a8c37ef864a11affa7c7c04c5ce1759aa97824",
        "HYDROFABRIC_VERSION": "2",
        "HYDROFABRIC_REGION": "01",
        "GAUGE_ID": "01073000",
    }
    found_folder = detect_folder(sample("troute-hyfeature/gauge_01069700.gpkg"))
    assert (found_folder.format, found_folder.notes) == ("NGEN_GEOPACKAGE_HYDROFABRIC_V1", ())
    assert found_folder.domain.to_plain() == {
        "CATCHMENT_ID": ["cat-10236", "cat-10237", "cat-10245"],
        "HYDROFABRIC_ID": "hf1-6850e6cb7fdaf886ebecfc689fc7657a75b459e6",
        "HYDROFABRIC_VERSION": "1",
        "GAUGE_ID": "01069700",
    }


@pytest.mark.parametrize(
    ("path", "id_column"),
    [
        ("ngen-gauge-01073000/gauge_01073000.gpkg", "divide_id"),
        ("troute-hyfeature/gauge_01069700.gpkg", "id"),
    ],
)
def test_a_real_geopackage_and_its_geojson_have_the_same_id(
    tmp_path: Path, path: str, id_column: str
) -> None:
    geopackage = sample(path)
    divides = exported(geopackage, "divides", id_column)
    nexuses = exported(geopackage, "nexus", "id")
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::5070"}}
    Random(1).shuffle(divides)  # noqa: S311 - an order, not a secret
    found = detected(
        tmp_path / "json",
        catchments=collection(divides, crs=crs),
        nexuses=collection(nexuses[::-1], crs=crs),
    )
    assert (found.format, found.notes) == ("NGEN_GEOJSON_HYDROFABRIC", ())
    assert id_of(found) == id_of(detect_folder(geopackage))


def test_the_layers_of_sugar_creek_are_one_fabric(tmp_path: Path) -> None:
    files = {path.name: path.read_bytes() for path in sample("ngen-sugar-creek").glob("*.geojson")}
    found = detected(tmp_path / "all", **files)
    assert (found.format, found.notes) == ("NGEN_GEOJSON_HYDROFABRIC", ())
    assert found.domain.to_plain() == {
        "CATCHMENT_ID": ["cat-27", "cat-52", "cat-67"],
        "HYDROFABRIC_ID": "hf1-1de6e50673ef11e9ab44bd9315d8e555a16ca572",
    }
    del files["flowpath_data.geojson"]
    assert id_of(detected(tmp_path / "two", **files)) == id_of(found)
    del files["nexus_data.geojson"]
    found = detected(tmp_path / "one", **files)
    assert list(found.domain.to_plain()) == ["CATCHMENT_ID"]
    assert found.notes == ("there are no nexuses: HYDROFABRIC_ID is not detected",)


def test_one_file_or_several_json_or_geopackage_version_1_or_2_is_all_the_same(
    tmp_path: Path,
) -> None:
    one = detected(tmp_path / "one", all=collection(features()))
    two = detected(tmp_path / "two", a=collection(features()[3:]), b=collection(features()[:3]))
    v1 = detected(tmp_path / "v1", a=geopackage_of(features(), 1))
    v2 = detected(tmp_path / "v2", a=geopackage_of(features(), 2))
    parts = detected(
        tmp_path / "v2s", a=geopackage_of(features()[::2]), b=geopackage_of(features()[1::2])
    )
    assert len({id_of(each) for each in (one, two, v1, v2, parts)}) == 1
    assert parts.domain.to_plain()["CATCHMENT_ID"] == ["cat-1", "cat-2", "cat-3"]


def reordered(found: Features, chance: Random) -> Features:
    """The same fabric, written otherwise."""
    found = deepcopy(found)
    chance.shuffle(found)
    for each in found:
        each["properties"] = dict(
            chance.sample(sorted(each["properties"].items()), k=len(each["properties"]))
        )
        each["properties"]["comment"] = chance.choice(["", "x", None])
        if chance.random() < 0.5:
            each["properties"]["id"] = each.pop("id")
        geometry = each["geometry"]
        if geometry["type"] == "Point":
            each["properties"]["toid"] = each["properties"]["toid"].replace("wb-", "cat-")
            continue
        ring = geometry["coordinates"][0][:-1]
        turn = chance.randrange(len(ring))
        ring = ring[turn:] + ring[:turn]
        ring = ring[::-1] if chance.random() < 0.5 else ring
        geometry["coordinates"] = [[*ring, ring[0]]]
        if chance.random() < 0.5:
            geometry |= {"type": "MultiPolygon", "coordinates": [geometry["coordinates"]]}
        else:
            geometry["coordinates"][0][1][0] += 1e-9  # a tenth of a millimetre
    return found


CHANGES: dict[str, Callable[[Features], object]] = {
    "an id": lambda found: found[0].update(id="cat-9"),
    "a flow": lambda found: found[0]["properties"].update(toid="nex-4"),
    "an area": lambda found: found[0]["properties"].update(areasqkm=1.2365),
    "no area": lambda found: found[0]["properties"].pop("areasqkm"),
    "a vertex": lambda found: found[0]["geometry"]["coordinates"][0][1].__setitem__(0, 1.0100002),
    "a vertex more": lambda found: found[0]["geometry"]["coordinates"][0].insert(1, [1.005, 0]),
    "a hole": lambda found: found[0]["geometry"]["coordinates"].append(
        [[1.001, 0.001], [1.002, 0.001], [1.002, 0.002], [1.001, 0.001]]
    ),
    "one catchment less": lambda found: found.pop(1),
    "one catchment more": lambda found: found.append(catchment(4, 4)),
    "a nexus moved": lambda found: found[3]["geometry"]["coordinates"].__setitem__(1, 0.6),
    "a nexus into another": lambda found: found[3]["properties"].update(toid="wb-1"),
    "one nexus less": lambda found: found.pop(),
}


@pytest.fixture(scope="module")
def the_id(tmp_path_factory: pytest.TempPathFactory) -> str:
    return id_of(detected(tmp_path_factory.mktemp("fabric") / "x", a=collection(features())))


@settings(max_examples=30)
@given(chance=st.randoms(use_true_random=False))
def test_another_order_or_spelling_is_no_change(
    the_id: str, tmp_path_factory: pytest.TempPathFactory, chance: Random
) -> None:
    folder = tmp_path_factory.mktemp("again") / "x"
    assert id_of(detected(folder, a=collection(reordered(features(), chance)))) == the_id


def drawn(ring: list[tuple[int, int]]) -> str:
    fabric = Fabric()
    fabric.add_catchment("cat-1", "nex-1", None, [[ring]], Crs("EPSG:5070"))
    return fabric_id(fabric.digests)


FEW_PLACES = st.tuples(st.integers(0, 1), st.integers(0, 2))


@given(st.lists(FEW_PLACES, min_size=1, max_size=9), st.data())
def test_where_a_ring_begins_its_direction_and_repeats_are_no_change(
    ring: list[tuple[int, int]], data: st.DataObject
) -> None:
    turn = data.draw(st.integers(0, len(ring) - 1))
    again = ring[turn:] + ring[:turn]
    again = again[::-1] if data.draw(st.booleans()) else again
    twice = data.draw(st.sets(st.integers(0, len(ring) - 1)))
    again = [place for at, place in enumerate(again) for _ in range(1 + (at in twice))]
    again = [*again, again[0]] if data.draw(st.booleans()) else again
    assert drawn(again) == drawn(ring)


@given(st.lists(FEW_PLACES, min_size=1, max_size=9))
def test_a_ring_is_written_in_the_least_of_all_ways(ring: list[tuple[int, int]]) -> None:
    found = _ring(ring)
    ways = [way[at:] + way[:at] for way in (found, found[::-1]) for at in range(len(way))]
    assert found == min(ways)
    assert set(found) == set(ring)


def test_a_huge_ring_that_returns_to_its_least_place_takes_no_longer_than_others() -> None:
    ring = [(0, 0), (1, 1)] * 100_000 + [(0, 0), (1, 2)]
    assert _ring(ring)[-4:] == [(0, 0), (1, 1), (0, 0), (1, 2)]


@pytest.mark.parametrize("change", sorted(CHANGES))
@pytest.mark.parametrize("container", ["json", "gpkg"])
def test_any_real_change_gives_another_id(
    tmp_path: Path, the_id: str, change: str, container: str
) -> None:
    found = features()
    CHANGES[change](found)
    if container == "gpkg":
        for each in found:
            each["properties"].setdefault("areasqkm", None)
        data = geopackage_of(found)
    else:
        data = collection(found)
    assert id_of(detected(tmp_path / "x", a=data)) != the_id


def test_the_reference_system_counts(tmp_path: Path, the_id: str) -> None:
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::4269"}}
    assert id_of(detected(tmp_path / "a", a=collection(features(), crs=crs))) != the_id
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}}
    assert id_of(detected(tmp_path / "b", a=collection(features(), crs=crs))) == the_id
    crs = {"type": "name", "properties": {"name": "the moon"}}
    (tmp_path / "c").write_bytes(collection(features(), crs=crs))
    with pytest.raises(FormatError, match="'the moon' can't be read"):
        detect_file(tmp_path / "c", "NGEN_GEOJSON_HYDROFABRIC")


def test_degrees_are_told_to_a_centimetre_and_metres_to_a_millimetre() -> None:
    def placed(x: float, crs: Crs) -> str:
        fabric = Fabric()
        fabric.add_nexus("nex-1", "cat-1", [(x, 0)], crs)
        return fabric_id(fabric.digests)

    metres = Crs("EPSG:5070")
    assert placed(1, CRS84) == placed(1 + 2e-8, CRS84) != placed(1 + 2e-7, CRS84)
    assert placed(1, metres) == placed(1.0002, metres) != placed(1.002, metres)


def test_what_does_not_fit_together_is_pointed_out(tmp_path: Path) -> None:
    round_ = [catchment(1, 1), nexus(1, 2), catchment(2, 2), nexus(2, 1), catchment(3, 7)]
    found = detected(tmp_path / "x", a=collection(round_))
    assert found.notes == (
        "1 catchments flow to a nexus that is not there: cat-3",
        "water flows in a circle: cat-1 → nex-1 → cat-2 → nex-2 → cat-1",
    )
    both = detected(tmp_path / "y", a=collection(features()), b=collection(features()))
    assert both.notes == ("some catchments or nexuses stand in several files",)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"areasqkm": 1236.4}, "its area is 1,236.4 km2, that of its shape 1.23"),
        ({"areasqkm": -1}, "its area, -1 km2, is none"),
        ({"ring": [[x + 1e6, y] for x, y in SQUARE]}, "outside of longitude and latitude"),
    ],
)
def test_an_area_or_a_place_that_cannot_be_is_pointed_out(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    path = tmp_path / "x"
    path.write_bytes(collection([catchment(1, 3, **change), *features()[1:]]))
    [found] = validate_file(path).findings
    assert (found.severity, found.where) == ("WARNING", "features[0] (cat-1)")
    assert said in found.message


def test_all_that_is_wrong_in_features_is_said_with_their_place(tmp_path: Path) -> None:
    wrong = features()
    wrong[0]["properties"].pop("toid")
    wrong[1].pop("id")
    wrong[2]["geometry"]["coordinates"] = [[["a", "b"]]]
    wrong[3]["geometry"]["type"] = "Circle"
    wrong[4] = {"type": "Feature"}
    (tmp_path / "x").write_bytes(collection(wrong))
    assert [str(each) for each in validate_file(tmp_path / "x").findings] == [
        "features[0] (cat-1): it has no toid: where does it flow to?",
        "features[1]: it has no id",
        "features[2] (cat-3): its coordinates are not those of its type",
        "features[3] (nex-3): a geometry of the type 'Circle' is in no hydrofabric",
        "features[4]: it must be a feature with properties",
    ]
    (tmp_path / "x").write_bytes(collection([*features(), catchment(1, 3)]))
    with pytest.raises(FormatError, match="1 ids stand there twice"):
        detect_file(tmp_path / "x", "NGEN_GEOJSON_HYDROFABRIC")


def geopackage(path: Path, *statements: str) -> Path:
    path.write_bytes(geopackage_of(features()))
    with closing(sqlite3.connect(path)) as file:
        for each in statements:
            file.execute(each)
        file.commit()
    return path


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE divides SET divide_id = 7 WHERE fid = 1", "row 2: its divide_id is no text"),
        ("UPDATE divides SET areasqkm = 'wide' WHERE fid = 1", "row 2 (cat-2): its area or"),
        ("UPDATE divides SET geom = x'47500001' WHERE fid = 1", "is none of a GeoPackage"),
        ("UPDATE divides SET geom = substr(geom, 1, 40)", "its geometry ends early"),
        ("UPDATE divides SET divide_id = 'cat-1'", "2 ids stand there twice"),
        ("DELETE FROM divides", "table divides: it is empty"),
        ("DROP TABLE nexus", "the table nexus is missing"),
        ("DELETE FROM gpkg_spatial_ref_sys", "its reference system 4326 is not in the file"),
        ("DELETE FROM gpkg_geometry_columns", "gpkg_geometry_columns does not name it"),
    ],
)
def test_what_is_wrong_in_a_geopackage_is_said_with_its_row(
    tmp_path: Path, statement: str, said: str
) -> None:
    path = geopackage(tmp_path / "x", statement)
    with pytest.raises(FormatError) as caught:
        detect_file(path, "NGEN_GEOPACKAGE_HYDROFABRIC_V2")
    assert said in str(caught.value)
    assert not validate_file(path).is_valid


def test_a_view_without_an_end_is_not_read(tmp_path: Path) -> None:
    endless = (
        "CREATE VIEW divides AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
        "SELECT i AS fid, 'cat-' || i AS divide_id, 'nex-1' AS toid FROM n"
    )
    path = geopackage(tmp_path / "x", "DROP TABLE divides", endless)
    with pytest.raises(FormatError, match="the table divides is missing"):
        detect_file(path, "NGEN_GEOPACKAGE_HYDROFABRIC_V2")


@pytest.mark.parametrize("kind", [3, 6, 1006])
def test_a_geometry_that_claims_to_be_huge_takes_no_memory(kind: int) -> None:
    blob = b"GP\0\x01" + struct.pack("<iBII", 4326, 1, kind, 2**32 - 1) + b"\0" * 16
    with pytest.raises(FormatError, match="ends early"):
        read_geometry(blob)


def test_heights_and_measures_are_left_out() -> None:
    head = b"GP\0\x01" + struct.pack("<i", 4326)
    for kind, more in ((1, ()), (1001, (5,)), (2001, (6,)), (3001, (5, 6)), (0x80000001, (5,))):
        body = struct.pack(f"<BI{2 + len(more)}d", 1, kind, 7, 8, *more)
        assert read_geometry(head + body) == ([(7, 8)], [])
    assert read_geometry(b"GP\0\x11" + struct.pack("<i", 4326)) == ([], [])
    big = b"GP\0\0" + struct.pack(">iBI2d", 4326, 0, 1, 7, 8)
    assert read_geometry(big) == ([(7, 8)], [])


def test_json_of_another_kind_is_no_fabric(tmp_path: Path) -> None:
    place = {"type": "Feature", "properties": {"name": "Charlotte"}, "geometry": None}
    (tmp_path / "x").write_text(json.dumps({"type": "FeatureCollection", "features": [place]}))
    assert detect_file(tmp_path / "x").format == "GENERIC"


def test_a_table_described_in_no_letters_is_damage(tmp_path: Path) -> None:
    data = geopackage_of(features())
    (tmp_path / "x").write_bytes(data.replace(b"CREATE TABLE network", b"CRE\xaaTE TABLE network"))
    with pytest.raises(FormatError, match="letters that are none"):
        detect_file(tmp_path / "x", "NGEN_GEOPACKAGE_HYDROFABRIC_V2")


def test_a_fabric_of_a_continent_is_read_without_its_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(geopackage_hydrofabric, "MOST_COUNTED", 2)
    found = detected(tmp_path / "x", a=geopackage_of(features()))
    assert found.domain.to_plain()["CATCHMENT_ID"] == ["cat-1", "cat-2", "cat-3"]
    assert "HYDROFABRIC_ID" not in found.domain.to_plain()
    assert found.notes[-1].endswith("HYDROFABRIC_ID is not detected")
