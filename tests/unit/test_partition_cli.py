"""`headrace partition` and `headrace hydrofabric`: real fabrics, and what is said of bad input."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from headrace_client.cli import exits, run_cli
from headrace_derivations.hydrofabric_read import files_at
from tests.support.format_samples import catchment, collection, features, geopackage_of, nexus
from tests.support.partition_configs import problems
from tests.support.samples import sample

GAUGE = "ngen-gauge-01073000/gauge_01073000.gpkg"
GAUGE_RIVER = (
    {
        "cat-11223": "nex-11224",
        "cat-11224": "nex-11225",
        "cat-11371": "nex-11224",
        "cat-11410": "nex-11223",
        "cat-11509": "nex-11224",
    },
    {"nex-11223": "wb-11223", "nex-11224": "wb-11224", "nex-11225": "wb-11225"},
)


@pytest.fixture
def fabric(tmp_path: Path) -> Path:
    path = tmp_path / "fabric.geojson"
    path.write_bytes(collection(features()))
    return path


def _said(capsys: pytest.CaptureFixture[str], *words: object) -> Any:
    code = run_cli([*map(str, words), "-o", "json"])
    said = capsys.readouterr()
    assert code == exits.OK, said.err
    return json.loads(said.out)


def _refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert run_cli(list(map(str, words))) == exits.REFUSED
    return capsys.readouterr().err


def _sugar() -> list[Path]:
    return [sample(f"ngen-sugar-creek/{name}_data.geojson") for name in ("catchment", "nexus")]


@pytest.mark.parametrize("parts", [1, 2, 3, 5])
@pytest.mark.parametrize("balance", ["count", "area"])
def test_a_real_geopackage_is_split(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, parts: int, balance: str
) -> None:
    to = tmp_path / "made.json"
    words = ("partition", "make", sample(GAUGE), "-n", parts, "--balance", balance, "--to", to)
    made = _said(capsys, *words)
    assert problems(GAUGE_RIVER, json.loads(to.read_text())) == []
    assert _said(capsys, "partition", "check", to, sample(GAUGE))["valid"]
    explained = _said(capsys, "partition", "explain", to, sample(GAUGE), "--balance", balance)
    assert made == {"file": str(to), **explained}
    assert made["cut_edges"] <= made["naive"]["cut_edges"]


def test_two_partitions_of_gauge_01073000_cut_one_edge_where_ngen_cuts_two(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    mine = _said(
        capsys, "partition", "make", sample(GAUGE), "-n", 2, "--to", tmp_path / "mine.json"
    )
    ngen = sample("ngen-gauge-01073000/partition_2.json")
    theirs = _said(capsys, "partition", "explain", ngen, sample(GAUGE))
    assert (mine["cut_edges"], theirs["cut_edges"]) == (1, 2)
    assert (mine["messages"], theirs["messages"]) == (1, 1)  # two edges through one nexus share it
    assert mine["imbalance"] == theirs["imbalance"] == 1.2


def test_sugar_creek_is_three_rivers_that_nothing_cuts(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    to = tmp_path / "three.json"
    assert _said(capsys, "partition", "make", *_sugar(), "-n", 3, "--to", to)["cut_edges"] == 0
    assert [each["cat-ids"] for each in json.loads(to.read_text())["partitions"]] == [
        ["cat-27"],
        ["cat-52"],
        ["cat-67"],
    ]


@pytest.mark.parametrize(
    ("config", "fabric"),
    [
        ("ngen-gauge-01073000/partition_2.json", (GAUGE,)),
        (
            "ngen-partitions/sugar_creek_partition_2.json",
            tuple(f"ngen-sugar-creek/{name}_data.geojson" for name in ("catchment", "nexus")),
        ),
        (
            "ngen-partitions/simple_partition2.json",
            tuple(f"ngen-partitions/simple_{name}_data.json" for name in ("catchment", "nexus")),
        ),
    ],
)
def test_configs_of_ngen_and_its_generator_fit_and_with_ids_as_text_too(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, config: str, fabric: tuple[str, ...]
) -> None:
    places = [sample(each) for each in fabric]
    assert _said(capsys, "partition", "check", sample(config), *places)["valid"]
    plain = json.loads(sample(config).read_text())
    for each in plain["partitions"]:
        each["id"] = str(each["id"])
    (tmp_path / "texts.json").write_text(json.dumps(plain))
    assert _said(capsys, "partition", "check", tmp_path / "texts.json", *places)["valid"]
    _said(capsys, "partition", "explain", sample(config), *places)


def test_who_receives_at_an_outlet_needs_its_nexus(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    plain = json.loads(sample("ngen-partitions/sugar_creek_partition_2.json").read_text())
    plain["partitions"][0]["nex-ids"].remove("nex-34")
    (tmp_path / "config.json").write_text(json.dumps(plain))
    words = ["partition", "check", *map(str, (tmp_path / "config.json", *_sugar()))]
    assert run_cli(words) == exits.REFUSED
    assert "nex-ids lacks nex-34" in capsys.readouterr().out


def test_what_is_wrong_with_the_eight_partitions_of_ngens_parser_test_is_found(
    capsys: pytest.CaptureFixture[str],
) -> None:
    places = [
        sample(f"ngen-partitions/simple_{each}_data.json") for each in ("catchment", "nexus")
    ]
    config = sample("ngen-partitions/simple_partition8.json")
    assert run_cli(["partition", "check", *map(str, (config, *places))]) == exits.REFUSED
    said = capsys.readouterr()
    assert "cat-2 of partition 3 flows into nex-1 (orig_cat-to-nex)" in said.out
    assert "remote-connections lacks: nex-3 flows to cat-7 of partition 7" in said.out
    assert "simple_partition8.json does not fit the hydrofabric" in said.err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda p: p[0]["cat-ids"].append("cat-3"), "cat-3 in partitions 0 and 1"),
        (lambda p: p[0]["cat-ids"].append("cat-9"), "the hydrofabric has not: cat-9"),
        (lambda p: p[1]["cat-ids"].remove("cat-2"), "in no partition: cat-2"),
        (lambda p: p[0]["cat-ids"].clear(), "it has no catchment"),
        (lambda p: p[1]["nex-ids"].remove("nex-4"), "nex-ids lacks nex-4"),
        (lambda p: p[1]["nex-ids"].append("nex-9"), "names what the hydrofabric has not: nex-9"),
        (lambda p: p[0]["remote-connections"].clear(), "lacks: nex-3 flows to cat-3 of partition"),
        (lambda p: p[1]["remote-connections"].pop(), "cat-1 of partition 0 flows into nex-3"),
    ],
)
def test_each_thing_that_is_wrong_with_a_config_is_told(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, fabric: Path, change: Any, said: str
) -> None:
    config = tmp_path / "config.json"
    _said(capsys, "partition", "make", fabric, "-n", 2, "--to", config)
    plain = json.loads(config.read_text())
    change(plain["partitions"])
    config.write_text(json.dumps(plain))
    assert run_cli(["partition", "check", str(config), str(fabric)]) == exits.REFUSED
    assert said in capsys.readouterr().out


def test_only_some_catchments_are_split(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, fabric: Path
) -> None:
    to = tmp_path / "some.json"
    words = ("partition", "make", fabric, "-n", 2, "--catchments", "cat-1, cat-2", "--to", to)
    assert _said(capsys, *words)["edges"] == 2
    river = {"cat-1": "nex-3", "cat-2": "nex-3"}, {"nex-3": "cat-3"}
    assert problems(river, json.loads(to.read_text())) == []


@pytest.mark.parametrize("version", [1, 2])
def test_geopackages_of_both_versions_are_split_as_the_geojson_of_them_is(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, fabric: Path, version: int
) -> None:
    package = tmp_path / "fabric.gpkg"
    package.write_bytes(geopackage_of(features(), version))
    _said(capsys, "partition", "make", fabric, "-n", 2, "--to", tmp_path / "one.json")
    _said(capsys, "partition", "make", package, "-n", 2, "--to", tmp_path / "two.json")
    assert (tmp_path / "one.json").read_text() == (tmp_path / "two.json").read_text()


def test_a_loop_is_refused_with_its_ids_by_every_command(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "loop.geojson"
    path.write_bytes(
        collection([catchment(1, 2), nexus(2, 2), catchment(2, 1), nexus(1, 1), catchment(3, 1)])
    )
    circle = "the hydrofabric has a loop: cat-1 → nex-2 → cat-2 → nex-1 → cat-1"
    to = tmp_path / "out"
    said = _refused(capsys, "partition", "make", path, "-n", 2, "--to", to)
    assert circle in said
    assert "look at that of nex-1 in the hydrofabric's file" in said
    assert circle in _refused(
        capsys, "hydrofabric", "subset", path, "--upstream", "cat-2", "--to", to
    )
    assert not to.exists()
    # Who takes only what lies beside it, gets it.
    _said(capsys, "hydrofabric", "subset", path, "--catchments", "cat-3", "--to", to)


def test_what_can_not_be_is_refused_with_what_to_do(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, fabric: Path
) -> None:
    to = tmp_path / "out"
    make = ("partition", "make", fabric, "--to", to, "-n")
    assert "3 catchments can't be split into 4 partitions" in _refused(capsys, *make, 4)
    said = _refused(capsys, *make, 2, "--catchments", "cat-11")
    assert "the hydrofabric has no catchment cat-11\n  next: did you mean cat-1?" in said
    to.write_text("mine")
    assert "is there already" in _refused(capsys, *make, 2)
    assert to.read_text() == "mine"
    (tmp_path / "text.txt").write_text("no fabric")
    for place, what in ((tmp_path / "text.txt", "is no hydrofabric"),):
        said = _refused(capsys, "partition", "make", place, "-n", 2, "--to", tmp_path / "x")
        assert what in said
    (tmp_path / "empty").mkdir()
    said = _refused(capsys, "partition", "make", tmp_path / "empty", "-n", 2)
    assert "there is no hydrofabric in" in said
    (tmp_path / "fabric.gpkg").write_bytes(geopackage_of(features()))
    said = _refused(capsys, "partition", "make", tmp_path, "-n", 2, "--to", tmp_path / "x")
    assert "are of different formats" in said
    (tmp_path / "config.json").write_text('{"partitions": [{"id": 0}]}')
    said = _refused(capsys, "partition", "check", tmp_path / "config.json", fabric)
    assert "config.json: partitions[0].cat-ids must be a list" in said


def test_areas_that_are_missing_can_not_be_balanced(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    found = features()
    del found[1]["properties"]["areasqkm"]
    path = tmp_path / "fabric.geojson"
    path.write_bytes(collection(found))
    words = ("partition", "make", path, "-n", 2, "--balance", "area", "--to", tmp_path / "x")
    assert "cat-2: it has none" in _refused(capsys, *words)


@pytest.mark.parametrize(
    ("words", "catchments"),
    [
        (("--upstream", "cat-11223"), {"cat-11223", "cat-11410"}),
        (("--upstream", "gages-01073000"), set(GAUGE_RIVER[0])),
        (("--downstream", "wb-11410"), {"cat-11410", "cat-11223", "cat-11224"}),
        (("--catchments", "cat-11371,cat-11509"), {"cat-11371", "cat-11509"}),
        (("--upstream", "nex-11223", "--catchments", "cat-11371"), {"cat-11410", "cat-11371"}),
    ],
)
@pytest.mark.parametrize("as_", [(), ("--geojson",)])
def test_parts_of_a_geopackage_are_written_as_it_or_as_geojson(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    words: tuple[str, ...],
    catchments: set[str],
    as_: tuple[str, ...],
) -> None:
    to = tmp_path / "part"
    said = _said(capsys, "hydrofabric", "subset", sample(GAUGE), *words, *as_, "--to", to)
    assert (said["catchments"], said["of_catchments"]) == (len(catchments), 5)
    assert said["files"] == sorted(each.name for each in to.iterdir())
    expected = "NGEN_GEOJSON_HYDROFABRIC" if as_ else "NGEN_GEOPACKAGE_HYDROFABRIC_V2"
    network = files_at([to]).network()
    assert said["format"] == files_at([to]).format == expected
    assert set(network.catchments) == catchments


def test_a_part_of_geojson_is_cut_by_a_gauge_of_its_crosswalk(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for each in (*_sugar(), sample("ngen-sugar-creek/crosswalk.json")):
        shutil.copy(each, tmp_path)
    to = tmp_path / "part"
    words = ("hydrofabric", "subset", tmp_path, "--upstream", "gages-02146562", "--to", to)
    assert _said(capsys, *words)["files"] == ["catchment_data.geojson", "nexus_data.geojson"]


def test_a_part_that_can_not_be_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, fabric: Path
) -> None:
    to = tmp_path / "part"
    cut = ("hydrofabric", "subset", fabric, "--to", to)
    said = _refused(capsys, *cut, "--upstream", "26")
    assert "--upstream 26: it is no element\n  next: name a catchment, flowpath or nexus" in said
    assert "the hydrofabric has no nex-33; did you mean nex-3?" in _refused(
        capsys, *cut, "--downstream", "nex-33"
    )
    assert "no catchment cat-7, and 1 more" in _refused(capsys, *cut, "--catchments", "cat-7,x")
    assert run_cli(list(map(str, cut))) == exits.USAGE
    assert "say which part" in capsys.readouterr().err
    to.mkdir()
    (to / "mine").write_text("")
    assert "not empty" in _refused(capsys, *cut, "--catchments", "cat-1")


def test_tables_for_people_say_the_same(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, fabric: Path
) -> None:
    config = tmp_path / "config.json"
    assert run_cli(["partition", "make", str(fabric), "-n", "2", "--to", str(config)]) == exits.OK
    assert "cut edges   1 of 3" in capsys.readouterr().out
    assert run_cli(["partition", "check", str(config), str(fabric)]) == exits.OK
    assert "fits: 3 catchments in 2 partitions" in capsys.readouterr().out
    explain = ["partition", "explain", str(config), str(fabric), "--balance", "area"]
    assert run_cli(explain) == exits.OK
    assert "AREA KM2" in capsys.readouterr().out
