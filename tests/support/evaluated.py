"""Things to evaluate and calibrate for the pages of the GUI: real rivers, and a small model."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from netCDF4 import Dataset

from tests.acceptance.conftest import Headrace
from tests.support import delaware
from tests.support import linear_reservoir as reservoir

PERIOD = "1979-01-01/1981-01-01"
_DAYS = 500
_FORECASTS = {"yesterday": (1, 1), "week": (1, 7)}


def rivers(headrace: Headrace, folder: Path, gauges: int) -> list[str]:
    """Datasets of what was measured at gauges of the Delaware, and of two forecasts of it.

    `yesterday`: the flow of the day before; `week`: the mean of the seven days before. Returns
    the gauges.
    """
    data = delaware.fetch(folder)
    with Dataset(data / "observations" / "drb_2yr_gage_poi_obs.nc") as file:
        flow = np.ma.filled(file["discharge"][:], np.nan).astype(float)
        ids = [str(each).strip() for each in file["poi_id"][:]]
    at = [n for n in range(len(ids)) if np.isfinite(flow[n]).all()][:gauges]
    days = np.datetime64("1979-01-01") + np.arange(flow.shape[1])
    for name, (first, last) in _FORECASTS.items():
        shifted = [np.roll(flow[at], by, axis=1) for by in range(first, last + 1)]
        made = np.mean(shifted, axis=0)[:, last:].T
        lines = [",".join([str(day), *(f"{value:.6g}" for value in row)])
                 for day, row in zip(days[last:], made, strict=True)]  # fmt: skip
        head = ",".join(["time", *(ids[n] for n in at)])
        (folder / name).mkdir()
        (folder / name / "flow.csv").write_text("\n".join([head, *lines, ""]))
        put(headrace, name, "output", folder / name)
    put(headrace, "measured", "observation", data / "observations")
    return [ids[n] for n in at]


def put(headrace: Headrace, name: str, category: str, folder: Path) -> None:
    """A dataset of a folder, found by its name."""
    headrace.said("dataset", "create", name, "--category", category, "--upload", str(folder),
                  "--domain", f"{{DATA_ID: {name}}}")  # fmt: skip


def evaluate(headrace: Headrace, name: str, *simulations: str) -> str:
    """Submit an evaluation of forecasts; returns the job."""
    named = [word for each in simulations for word in ("--simulation", f"{each}={each}")]
    found = headrace.said(
        "exec", "evaluation", PERIOD, "--observations", "measured", *named, "--name", name,
        "--simulated-unit", "ft3/s", "--warm-up-days", "30", "--memory", "512MiB",
        "--metrics", "nse,kge,pbias,peak_error",
    )  # fmt: skip
    return str(found["id"])


def scores(headrace: Headrace, job: str) -> tuple[str, Any, list[str]]:
    """The result of a job that is over: its dataset, scores.json, and the lines of series.csv."""
    (output,) = headrace.get(f"/jobs/{job}/outputs")["outputs"].values()
    said = _item(headrace, output, "scores.json")
    return output, json.loads(said), _item(headrace, output, "series.csv").splitlines()


def best(headrace: Headrace, job: str) -> Any:
    """What best.json of a calibration says."""
    (output,) = headrace.get(f"/jobs/{job}/outputs")["outputs"].values()
    return json.loads(_item(headrace, output, "best.json"))


def _item(headrace: Headrace, dataset: str, name: str) -> str:
    folder = headrace.home.root.parent / f"items-{dataset}"
    if not folder.exists():
        done = headrace.cli("dataset", "download", dataset, str(folder))
        assert done.returncode == 0, done.stderr
    (path,) = folder.rglob(name)
    return path.read_text()


def calibrate(headrace: Headrace, folder: Path, iterations: int, seconds: float) -> str:
    """Submit a calibration whose model takes so many seconds a run; returns the job."""
    days, rain = reservoir.days_from(date(2000, 1, 1), _DAYS), reservoir.rain_of(_DAYS)
    reservoir.write_series(folder / "rain/rain.csv", "mm", days, rain)
    seen = reservoir.flows(rain, 0.6, 0.02, 0.3)
    reservoir.write_series(folder / "seen/flow.csv", reservoir.GAUGE, days, seen)
    (folder / "model.py").write_text(Path(reservoir.__file__).read_text())
    start = {"fast": 0, "slow": 0, "split": 0, "sleep_s": seconds}
    (folder / "reservoir.json").write_text(json.dumps(start))
    job = {
        "headrace": 1,
        "kind": "calibration",
        "name": "reservoir",
        "files": ["model.py", "reservoir.json"],
        "settings": {
            "model": {
                "kind": "command",
                "command": [
                    "python3",
                    "model.py",
                    "reservoir.json",
                    "{rain}/rain.csv",
                    "{output}",
                ],
                "outputs": {"flow": {"format": "TIMESERIES_CSV"}},
                "resources": {"cpus": "500m", "memory": "128MiB"},
            },
            "parameters": {
                "fast": {"min": 0.05, "max": 1.0, "init": 0.2, **_at("/fast")},
                "slow": {"min": 0.001, "max": 0.1, "init": 0.05, "scale": "log", **_at("/slow")},
                "split": {"min": 0.0, "max": 1.0, "init": 0.9, **_at("/split")},
            },
            "train": ["2000-01-01", "2001-01-01"],
            "validate": ["2001-01-01", "2001-05-15"],
            "warm_up": "90d",
            "locations": [{"name": reservoir.GAUGE}],
            "iterations": iterations,
            "seed": 5,
        },
        "inputs": {"rain": {"path": "rain"}, "observations": {"path": "seen"}},
    }
    (folder / "job.json").write_text(json.dumps(job))
    return str(headrace.said("exec", "from_file", str(folder / "job.json"))["id"])


def _at(key: str) -> dict[str, str]:
    return {"file": "reservoir.json", "key": key}
