"""Partition configs that jobs ask for or make, in a real `headrace local`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import Headrace, waits_for
from tests.support.format_samples import catchment, collection, features, nexus
from tests.support.partition_configs import problems

RIVER = (
    {"cat-1": "nex-3", "cat-2": "nex-3", "cat-3": "nex-4"},
    {"nex-3": "wb-3", "nex-4": "wb-0"},
)
ALL = sorted(RIVER[0])


@pytest.fixture
def there(headrace: Headrace) -> Iterator[None]:
    """No dataset is left for the next test."""
    yield
    headrace.delete_datasets()


def put(headrace: Headrace, folder: Path, found: list[dict[str, Any]], name: str) -> str:
    folder.mkdir()
    (folder / "fabric.geojson").write_bytes(collection(found))
    domain = json.dumps({"HYDROFABRIC_DATA_ID": name})
    made = headrace.said(
        *("dataset", "create", name, "--category", "HYDROFABRIC", "--upload", str(folder)),
        *("--domain", domain),
    )
    return str(made["id"])


def wants(parts: int, **domain: Any) -> dict[str, Any]:
    of = {"LENGTH": str(parts), **domain}
    config = {"category": "CONFIG", "format": "NGEN_PARTITION_CONFIG", "domain": of}
    return {"config": {**config, "shape": "EXACT"}}


@pytest.mark.usefixtures("there")
def test_a_job_gets_the_partitions_that_it_asks_for_and_the_next_one_the_same(
    headrace: Headrace, tmp_path: Path
) -> None:
    fabric = put(headrace, tmp_path / "in", features(), "small")
    look = ("sh", "-c", "cat {config}/*.json")
    job = headrace.submit(*look, inputs=wants(2, CATCHMENT_ID=ALL))
    view = headrace.until(job, "COMPLETED")
    made = json.loads(headrace.log(job))
    assert problems(RIVER, made) == []
    assert len(made["partitions"]) == 2
    (child,) = view["children"]
    output = headrace.until(child, "COMPLETED")["outputs"]["derived"]
    known = headrace.get(f"/datasets/{output}")
    assert [each["id"] for each in known["derived_from"]] == [fabric]
    assert known["domain"] == {"CATCHMENT_ID": ALL, "LENGTH": "2"}
    assert "3 catchments in 2 partitions" in headrace.log(child)
    again = headrace.submit(*look, inputs=wants(2, CATCHMENT_ID=ALL))
    assert headrace.until(again, "COMPLETED")["children"] == []
    assert json.loads(headrace.log(again)) == made
    # Another number is another question.
    other = headrace.submit(*look, inputs=wants(3, CATCHMENT_ID=ALL))
    assert len(headrace.until(other, "COMPLETED")["children"]) == 1


@pytest.mark.usefixtures("there")
def test_a_loop_ends_the_job_with_its_ids_before_it_holds_anything(
    headrace: Headrace, tmp_path: Path
) -> None:
    round_ = [catchment(1, 2), nexus(2, 2), catchment(2, 1), nexus(1, 1)]
    put(headrace, tmp_path / "in", round_, "round")
    job = headrace.submit("true", inputs=wants(2, HYDROFABRIC_DATA_ID="round"))
    headrace.until(job, "DATA_FAILURE")
    said = headrace.said("jobs", "why", job)
    assert "has a loop: cat-1 → nex-2 → cat-2 → nex-1 → cat-1" in json.dumps(
        said, ensure_ascii=False
    )
    way = [each["to"] for each in headrace.get(f"/jobs/{job}/history")["history"]]
    assert way[-1] == "CLOSED:DATA_FAILURE"
    assert not [each for each in way if "ALLOCATION" in each or "RUNNING" in each]


@pytest.mark.usefixtures("there")
def test_a_job_of_the_kind_makes_a_config_by_area_that_runs_are_given(
    headrace: Headrace, tmp_path: Path
) -> None:
    put(headrace, tmp_path / "in", features(), "small")
    file = tmp_path / "job.json"
    settings = {"partitions": 2, "balance": "area", "hydrofabric_data_id": "small"}
    file.write_text(json.dumps({"headrace": 1, "kind": "partition", "settings": settings}))
    job = headrace.said("exec", "from_file", str(file))["id"]
    view = headrace.until(job, "COMPLETED")
    output = view["outputs"]["partitions"]
    known = headrace.get(f"/datasets/{output}")
    assert known["domain"]["CATCHMENT_ID"] == ALL
    asked = wants(2, HYDROFABRIC_DATA_ID="small")
    run = headrace.submit("sh", "-c", "cat {config}/*.json", inputs=asked)
    assert headrace.until(run, "COMPLETED")["children"] == []
    assert problems(RIVER, json.loads(headrace.log(run))) == []


def by_area(parts: int, **domain: Any) -> dict[str, Any]:
    asked = wants(parts, **domain)
    asked["config"]["derived"] = {"by": "partition", "settings": {"balance": "area"}}
    return asked


@pytest.mark.usefixtures("there")
def test_a_job_gets_partitions_of_the_same_area_where_it_asks_for_these(
    headrace: Headrace, tmp_path: Path
) -> None:
    chain = [catchment(1, 1, areasqkm=40000), nexus(1, 2), catchment(2, 2, areasqkm=10000)]
    chain += [nexus(2, 3), catchment(3, 3, areasqkm=10000), nexus(3, 4)]
    chain += [catchment(4, 4, areasqkm=10000), nexus(4, 0)]
    put(headrace, tmp_path / "in", chain, "chain")
    look = ("sh", "-c", "cat {config}/*.json")
    even = headrace.submit(*look, inputs=wants(2, HYDROFABRIC_DATA_ID="chain"))
    headrace.until(even, "COMPLETED")
    file = tmp_path / "job.json"
    asked = by_area(2, HYDROFABRIC_DATA_ID="chain")
    file.write_text(
        json.dumps({"headrace": 1, "kind": "command", "command": list(look), "inputs": asked})
    )
    (told,) = json.loads(headrace.cli("exec", "plan", str(file), "-o", "json").stdout)["data"]
    assert told["result"] == "derivable"
    assert "partition (balance: area) from NGEN_GEOJSON_HYDROFABRIC" in told["why"]
    gate = headrace.gate()
    busy = headrace.submit(*waits_for(gate), resources={"cpus": 2, "memory": "64MiB"})
    headrace.until(busy, "RUNNING")
    job = headrace.submit(*look, inputs=asked)
    headrace.until(job, "AWAITING_DERIVATION")
    causes = {
        each["cause"]: each["sentence"] for each in headrace.said("jobs", "why", job)["causes"]
    }
    assert "derived: partition (balance: area) from NGEN_GEOJSON" in causes["DATA"]
    gate.touch()
    assert len(headrace.until(job, "COMPLETED")["children"]) == 1
    config = tmp_path / "made.json"
    config.write_text(headrace.log(job))
    made = [each["cat-ids"] for each in json.loads(config.read_text())["partitions"]]
    assert made == [["cat-1"], ["cat-2", "cat-3", "cat-4"]]
    explain = ("partition", "explain", str(config), str(tmp_path / "in"), "--balance", "area")
    figures = headrace.said(*explain)
    assert [each["area_km2"] for each in figures["partitions"]] == [40000, 30000]
    assert figures["imbalance"] == pytest.approx(8 / 7, abs=1e-6)
    again = headrace.said("dataset", "match", str(file))["config"]
    assert again["result"] == "fulfilled"
    assert "by partition (balance: area), from the same data" in again["why"]
    assert json.loads(headrace.log(even)) != json.loads(config.read_text())
