"""The real HBV over a few catchments, by `kind: bmi` in a real `headrace local`."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from netCDF4 import Dataset

from tests.acceptance.conftest import Headrace

UNITS = (5307, 5308, 5309)
DAYS = 10
HEADER = "Time Step,Time,Q_OUT,SNOW"
JOB = """
headrace: 1
kind: bmi
name: hbv
settings:
  model: HBV:HBV
  time: [1979-01-03, 1979-01-09]
  catchments: [cat-5307, cat-5308, cat-5309]
  config: |
    {"precipitation_file": "{{forcing}}", "potential_evaporation_file": "{{forcing}}",
     "mean_temperature_file": "{{forcing}}", "parameters": "2,0.9,250,2,1,2,0.1,0.01,3",
     "initial_storage": "0,100,0,10,0"}
  variables: {Q_OUT: Q, SNOW: Sp}
resources: {cpus: 100m, memory: 256MiB}
"""


@pytest.fixture(scope="module")
def prms(headrace: Headrace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Forcing and parameters of three units, as PRMS reads them."""
    folder = tmp_path_factory.mktemp("prms")
    for each in ("forcing", "parameters"):
        (folder / each).mkdir()
    days = np.arange(DAYS)[:, None]
    made = {
        "prcp": ("inches", 0.2 * (days % 3) + 0.01 * np.arange(3)),
        "tmax": ("degree_fahrenheit", 28.0 + 3 * days + np.arange(3)),
        "tmin": ("degree_fahrenheit", 20.0 + 3 * days + np.arange(3)),
    }
    for name, (unit, values) in made.items():
        write_forcing(folder / "forcing" / f"{name}.nc", name, unit, values)
    with Dataset(folder / "parameters" / "parameters_dis_hru.nc", "w") as file:
        file.createDimension("nhru", len(UNITS))
        file.createVariable("nhm_id", "i4", ("nhru",))[:] = UNITS
        file.createVariable("hru_lat", "f8", ("nhru",))[:] = (41.5, 41.6, 42.0)
    for name, category in (("forcing", "FORCING"), ("parameters", "CONFIG")):
        headrace.said(
            *("dataset", "create", f"prms-{name}", "--category", category, "--format"),
            *("PRMS_NETCDF", "--upload", str(folder / name)),
        )
    yield
    headrace.delete_datasets()


def write_forcing(path: Path, name: str, unit: str, values: Any) -> None:
    with Dataset(path, "w") as file:
        file.createDimension("time", DAYS)
        file.createDimension("nhm_id", len(UNITS))
        time = file.createVariable("time", "f8", ("time",))
        time.units = "days since 1979-01-01 00:00:00"
        time[:] = np.arange(DAYS)
        file.createVariable("nhm_id", "i4", ("nhm_id",))[:] = UNITS
        variable = file.createVariable(name, "f8", ("time", "nhm_id"))
        variable.units = unit
        variable[:] = values


def run(headrace: Headrace, folder: Path, text: str = JOB) -> tuple[Any, dict[str, list[str]]]:
    """Run a job file to its end; gives the job, and its files' lines by name."""
    file = folder / "hbv.yaml"
    file.write_text(text)
    made = headrace.said("exec", "from_file", str(file))
    view = headrace.until(made["id"], "COMPLETED")
    got = folder / made["id"]
    done = headrace.cli("jobs", "outputs", made["id"], "--download", str(got))
    assert done.returncode == 0, done.stderr
    found = {each.name: each.read_text().splitlines() for each in got.rglob("*.csv")}
    assert sorted(found) == [f"cat-{each}.csv" for each in UNITS]
    return view, found


@pytest.mark.usefixtures("prms")
class TestHbv:
    """Forcing that is derived, output that is known."""

    def test_over_three_catchments(self, headrace: Headrace, tmp_path: Path) -> None:
        view, found = run(headrace, tmp_path)
        (child,) = view["children"]
        derived = headrace.job(child)
        assert derived["kind"] == "derivation"
        for lines in found.values():
            assert lines[0] == HEADER
            assert [line[:12] for line in (lines[1], lines[-1])] == [
                "0,1979-01-03",
                "5,1979-01-08",
            ]
        assert len({tuple(lines) for lines in found.values()}) == len(UNITS)
        output = headrace.get(f"/datasets/{view['outputs']['model']}")
        assert output["format"] == "NGEN_CSV_OUTPUT"
        assert output["domain"]["TIME"] == ["1979-01-03", "1979-01-09"]
        assert sorted(output["domain"]["CATCHMENT_ID"]) == [f"cat-{each}" for each in UNITS]

    @pytest.mark.skipif(not shutil.which("mpirun"), reason="mpirun is not on this machine")
    def test_in_two_ranks_as_in_one(self, headrace: Headrace, tmp_path: Path) -> None:
        _, alone = run(headrace, tmp_path)
        view, both = run(headrace, tmp_path, JOB.replace("cpus: 100m", "cpus: 2"))
        assert both == alone
        log = headrace.log(view["id"])
        assert "rank 0 of 2 on local: 2 of 3 catchments" in log
        assert "rank 1 of 2 on local: 1 of 3 catchments" in log

    def test_a_model_that_is_not_there_is_told(self, headrace: Headrace, tmp_path: Path) -> None:
        file = tmp_path / "none.yaml"
        file.write_text(JOB.replace("HBV:HBV", "nothere:HBV"))
        done = headrace.cli("exec", "from_file", "--follow", str(file))
        assert done.returncode != 0
        assert "no module nothere" in done.stdout + done.stderr
