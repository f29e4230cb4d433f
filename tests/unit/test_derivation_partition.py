"""The derivation and the kind `partition`: the config that a job asks for."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headrace_derivations.base import DerivationFailed
from headrace_derivations.registry import all_derivations
from headrace_model.dataset import Category
from headrace_model.domain import Discrete, Index
from headrace_model.requirement import Derived, Shape
from headrace_partitioner.derivation import CONFIG, DERIVATION
from headrace_partitioner.errors import PartitioningFailed
from headrace_wire.jobfile import dump, load_jobfile
from tests.support.deriving import contents, run, step_from, steps, wanted
from tests.support.format_samples import catchment, collection, features, geopackage_of, nexus
from tests.support.samples import sample
from tests.unit.test_derivations_planned import Shelf, order

GEOJSON = "NGEN_GEOJSON_HYDROFABRIC"
V1, V2 = "NGEN_GEOPACKAGE_HYDROFABRIC_V1", "NGEN_GEOPACKAGE_HYDROFABRIC_V2"
ALL = ["cat-1", "cat-2", "cat-3"]


def _folder(path: Path, found: list[dict[str, Any]], source: str = GEOJSON) -> Path:
    path.mkdir()
    if source == GEOJSON:
        (path / "fabric.geojson").write_bytes(collection(found))
    else:
        (path / "fabric.gpkg").write_bytes(geopackage_of(found, 1 if source == V1 else 2))
    return path


def _wanted(**domain: Any) -> Any:
    return wanted(Category.CONFIG, CONFIG, **domain)


@pytest.mark.parametrize("source", [GEOJSON, V1, V2])
def test_the_config_covers_what_is_wanted_whatever_the_fabric_is_kept_in(
    tmp_path: Path, source: str
) -> None:
    of = _wanted(LENGTH="2", CATCHMENT_ID=ALL)
    step = step_from(DERIVATION, of, source)
    folder = _folder(tmp_path / "in", features(), source)
    said: list[str] = []
    found = run(DERIVATION, step, tmp_path / "out", said.append, hydrofabric=folder)
    assert (found.format, found.domain.to_plain()) == (CONFIG, of.domain.to_plain())
    assert "3 catchments in 2 partitions" in said[0]
    assert found.notes == ()


def test_some_catchments_of_a_fabric_are_split_and_no_others(tmp_path: Path) -> None:
    of = _wanted(LENGTH="2", CATCHMENT_ID=["cat-1", "cat-2"])
    folder = _folder(tmp_path / "in", features())
    found = run(
        DERIVATION, step_from(DERIVATION, of, GEOJSON), tmp_path / "out", hydrofabric=folder
    )
    assert found.domain.to_plain() == of.domain.to_plain()


def _balanced(balance: object) -> Any:
    of = _wanted(LENGTH="2", CATCHMENT_ID=[*ALL, "cat-4"])
    return replace(of, derived=Derived("partition", {"balance": balance}))


@pytest.mark.parametrize(
    ("balance", "first"), [("area", ["cat-1"]), ("count", ["cat-1", "cat-2"])]
)
def test_partitions_are_about_even_in_what_is_asked(
    tmp_path: Path, balance: str, first: list[str]
) -> None:
    chain = [catchment(1, 1, areasqkm=30), nexus(1, 2), catchment(2, 2, areasqkm=10)]
    chain += [nexus(2, 3), catchment(3, 3, areasqkm=10), nexus(3, 4)]
    chain += [catchment(4, 4, areasqkm=10), nexus(4, 0)]
    folder = _folder(tmp_path / "in", chain)
    step = step_from(DERIVATION, _balanced(balance), GEOJSON)
    run(DERIVATION, step, tmp_path / "out", hydrofabric=folder)
    made = json.loads((tmp_path / "out" / "partitions.json").read_text())
    assert made["partitions"][0]["cat-ids"] == first


@pytest.mark.parametrize("balance", ["areas", "", None, 1, ["area"]])
def test_a_balance_that_is_not_known_leads_nowhere(balance: object) -> None:
    assert steps(DERIVATION, _balanced(balance)) == []


def test_twice_the_same_fabric_gives_the_same_bytes(tmp_path: Path) -> None:
    step = step_from(DERIVATION, _wanted(LENGTH="2", CATCHMENT_ID=ALL), GEOJSON)
    one = _folder(tmp_path / "one", features())
    other = _folder(tmp_path / "two", features()[::-1])
    for each in (one, other):
        run(DERIVATION, step, each.with_suffix(".out"), hydrofabric=each)
    assert contents(tmp_path / "one.out") == contents(tmp_path / "two.out")


def test_what_the_fabric_must_cover_is_what_is_wanted_but_for_the_length() -> None:
    of = _wanted(LENGTH="4", ELEMENT_ID="upstream/nex-26", HYDROFABRIC_DATA_ID="conus")
    for step in steps(DERIVATION, of):
        (need,) = step.inputs
        assert need.shape is Shape.ONE
        assert need.domain.to_plain() == {
            "ELEMENT_ID": "upstream/nex-26",
            "HYDROFABRIC_DATA_ID": "conus",
        }
    assert [step.inputs[0].format for step in steps(DERIVATION, of)] == [GEOJSON, V2, V1]


@pytest.mark.parametrize(
    "domain",
    [
        {"LENGTH": "4"},
        {"CATCHMENT_ID": ALL},
        {"LENGTH": ["2", "4"], "CATCHMENT_ID": ALL},
        {"LENGTH": "0", "CATCHMENT_ID": ALL},
        {"LENGTH": "04", "CATCHMENT_ID": ALL},
        {"LENGTH": "four", "CATCHMENT_ID": ALL},
        {"LENGTH": "9999999", "CATCHMENT_ID": ALL},
        {"LENGTH": "ALL", "CATCHMENT_ID": ALL},
        {"LENGTH": "2", "CATCHMENT_ID": "ALL"},
        {"LENGTH": "2", "CATCHMENT_ID": ALL, "DATA_ID": "mine"},
    ],
)
def test_what_says_no_number_or_no_fabric_is_not_derived(domain: dict[str, Any]) -> None:
    assert steps(DERIVATION, _wanted(**domain)) == []


@pytest.mark.parametrize(
    ("found", "parts", "said"),
    [
        (features(), "4", "3 catchments can't be split into 4 partitions"),
        ([catchment(1, 2), nexus(2, 1)], "1", "has a loop: cat-1 → nex-2 → cat-1"),
    ],
)
def test_what_can_not_be_split_so_ends_it_with_a_sentence(
    tmp_path: Path, found: list[dict[str, Any]], parts: str, said: str
) -> None:
    step = step_from(DERIVATION, _wanted(LENGTH=parts, HYDROFABRIC_DATA_ID="x"), GEOJSON)
    folder = _folder(tmp_path / "in", found)
    with pytest.raises((DerivationFailed, PartitioningFailed), match=said):
        run(DERIVATION, step, tmp_path / "out", hydrofabric=folder)


def test_it_is_known_where_derivations_are_and_made_of_a_basin_that_is_cut_out_first(
    tmp_path: Path,
) -> None:
    assert DERIVATION in all_derivations()
    shelf = Shelf(tmp_path / "shelf")
    shelf.add("gauge", Category.HYDROFABRIC, sample("ngen-gauge-01073000/gauge_01073000.gpkg"))
    of = _wanted(LENGTH="2", ELEMENT_ID="upstream/cat-11223")
    plan, found = shelf.made(of, tmp_path / "out")
    assert order(plan) == ["hydrofabric-subset", "partition"]
    assert found.domain.to_plain() == {"LENGTH": "2", "CATCHMENT_ID": ["cat-11223", "cat-11410"]}


def _job(**settings: Any) -> dict[str, Any]:
    return {"headrace": 1, "kind": "partition", "settings": {"partitions": 2, **settings}}


def test_the_kind_asks_for_the_fabric_and_promises_the_config() -> None:
    spec = load_jobfile(_job(catchments=ALL, hydrofabric_data_id="small"))
    (fabric,) = spec.requirements
    (output,) = spec.outputs
    said = {"CATCHMENT_ID": ALL, "HYDROFABRIC_DATA_ID": "small"}
    assert (fabric.format, fabric.shape, fabric.domain.to_plain()) == (None, Shape.ONE, said)
    assert output.format == CONFIG
    assert output.domain.to_plain() == {**said, "LENGTH": "2"}
    assert load_jobfile(dump(spec)) == spec


@pytest.mark.parametrize(
    ("settings", "format_"),
    [
        ({"fabric": "GEOJSON", "catchments": ALL}, GEOJSON),
        ({"elements": ["upstream/nex-4"]}, V2),
        ({"fabric": "GEOJSON", "elements": ["upstream/nex-4"]}, GEOJSON),
    ],
)
def test_the_form_of_the_fabric_is_asked_where_it_matters(
    settings: dict[str, Any], format_: str
) -> None:
    (fabric,) = load_jobfile(_job(**settings)).requirements
    assert fabric.format == format_


def _worker(folder: Path, fabric: Path, **settings: Any) -> subprocess.CompletedProcess[str]:
    """Run the worker of a job as an agent does."""
    spec = load_jobfile(_job(**settings))
    (folder / "out").mkdir(parents=True)
    for each in spec.files:
        (folder / each.name).write_bytes(each.content)
    places = {"{output}": "out", "{hydrofabric}": str(fabric), "python3": sys.executable}
    command = [places.get(each, each) for each in spec.command]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)


def test_the_worker_of_the_kind_splits_by_area(tmp_path: Path) -> None:
    fabric = tmp_path / "fabric"
    fabric.mkdir()
    shutil.copy(sample("ngen-gauge-01073000/gauge_01073000.gpkg"), fabric)
    done = _worker(tmp_path / "work", fabric, balance="area", hydrofabric_data_id="gauge")
    assert done.returncode == 0, done.stderr
    assert "5 catchments in 2 partitions" in done.stdout
    made = json.loads((tmp_path / "work" / "out" / "partitions.json").read_text())
    assert [each["cat-ids"] for each in made["partitions"]] == [
        ["cat-11223", "cat-11410"],
        ["cat-11224", "cat-11371", "cat-11509"],
    ]


def test_the_worker_of_the_kind_says_why_it_can_not(tmp_path: Path) -> None:
    fabric = _folder(tmp_path / "fabric", [catchment(1, 2), nexus(2, 1)])
    done = _worker(tmp_path / "work", fabric, hydrofabric_data_id="loop")
    assert done.returncode == 1
    said, what_to_do = done.stderr.splitlines()
    assert said == "the hydrofabric has a loop: cat-1 → nex-2 → cat-1"
    assert "the wrong `toid`" in what_to_do


def test_length_is_the_number_of_partitions() -> None:
    spec = load_jobfile(_job(hydrofabric_id="hf1-0"))
    assert spec.outputs[0].domain.get(Index.LENGTH) == Discrete(frozenset("2"))
