"""Basins and the configs of a run are made from what is there, in a real `headrace local`."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import Headrace
from tests.support.format_samples import CFE
from tests.support.samples import sample

GAUGES = ("troute-hyfeature/gauge_01069700.gpkg", "ngen-gauge-01073000/gauge_01073000.gpkg")
BASIN = {
    "category": "HYDROFABRIC",
    "format": "NGEN_GEOJSON_HYDROFABRIC",
    "domain": {"ELEMENT_ID": "upstream/gages-01073000"},
}
RUN = {
    "category": "CONFIG",
    "format": "NGEN_JOB_COMPOSITE_CONFIG",
    "domain": {
        "TIME": ["2015-12-05", "2015-12-06"],
        "CATCHMENT_ID": ["cat-10236", "cat-10245"],
        "COMPOSITE_SOURCE_ID": ["models", "soils"],
    },
}


@pytest.fixture
def there(headrace: Headrace) -> Iterator[None]:
    """No dataset is left for the next test."""
    yield
    headrace.delete_datasets()


def put(headrace: Headrace, category: str, *paths: Path, folder: Path, **domain: str) -> str:
    folder.mkdir()
    for path in paths:
        shutil.copy(path, folder)
    made = headrace.said(
        *("dataset", "create", folder.name, "--category", category, "--upload", str(folder)),
        *(("--domain", json.dumps(domain)) if domain else ()),
    )
    return str(made["id"])


def run(headrace: Headrace, wanted: dict[str, Any], *command: str) -> tuple[Any, list[str]]:
    """Run a job that looks at its input; gives the job and what it saw."""
    job = headrace.submit("sh", "-c", *command, inputs={"data": wanted})
    view = headrace.until(job, "COMPLETED")
    return view, headrace.log(job).splitlines()


@pytest.mark.usefixtures("there")
def test_the_basin_of_a_gauge_is_made_once(headrace: Headrace, tmp_path: Path) -> None:
    fabrics = [
        put(headrace, "HYDROFABRIC", sample(each), folder=tmp_path / Path(each).stem)
        for each in GAUGES
    ]
    look = "grep -c '\"Feature\"' {data}/catchment_data.geojson"
    job, seen = run(headrace, BASIN, look)
    assert seen == ["5"]
    (child,) = job["children"]
    made = headrace.until(child, "COMPLETED")
    known = headrace.get(f"/datasets/{made['outputs']['derived']}")
    assert [each["id"] for each in known["derived_from"]] == [fabrics[1]]
    assert known["domain"]["ELEMENT_ID"] == BASIN["domain"]["ELEMENT_ID"]
    whole = headrace.get(f"/datasets/{fabrics[1]}")
    assert known["domain"]["HYDROFABRIC_ID"] == whole["domain"]["HYDROFABRIC_ID"]
    again, same = run(headrace, BASIN, look)
    assert same == seen
    assert not again["children"]


@pytest.mark.usefixtures("there")
def test_the_config_of_a_run_is_made_in_one_child_of_three_steps(
    headrace: Headrace, tmp_path: Path
) -> None:
    config = json.loads(sample("ngen-sugar-creek/corrected/realization.json").read_text())
    modules = config["global"]["formulations"][0]["params"]["modules"]
    del config["time"], modules[1]
    partial, template = tmp_path / "partial.json", tmp_path / "cfe.ini"
    template.write_text(CFE.replace("b=4.2", "b={{bexp_soil_layers_stag=1}}"))
    modules[1]["params"]["init_config"] = "./{{id}}_cfe.ini"
    partial.write_text(json.dumps(config))
    put(headrace, "CONFIG", partial, folder=tmp_path / "models", DATA_ID="models")
    put(headrace, "CONFIG", template, folder=tmp_path / "soils", DATA_ID="soils")
    put(headrace, "HYDROFABRIC", sample(GAUGES[0]), folder=tmp_path / "fabric")
    job, seen = run(headrace, RUN, "cd {data} && find . -type f | sort; grep init- *.json")
    assert seen[:3] == [
        "./init-configs/cat-10236_cfe.ini",
        "./init-configs/cat-10245_cfe.ini",
        "./partial.json",
    ]
    assert '"./init-configs/{{id}}_cfe.ini"' in seen[3]
    (child,) = job["children"]
    said = headrace.log(child)
    assert "step 3 of 3: composite" in said
