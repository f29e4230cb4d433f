"""An evaluation as a job of a real `headrace local`: it finds its data, scores, tells how far."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from tests.acceptance.conftest import Headrace
from tests.support.format_samples import collection, features

DAYS = np.datetime64("1979-01-01") + np.arange(90)
FLOW = 10 + np.arange(90) % 7


def put(
    headrace: Headrace,
    folder: Path,
    name: str,
    category: str,
    factor: float,
    domain: str = "{HYDROFABRIC_DATA_ID: small}",
) -> None:
    folder.mkdir()
    rows = [f"{day},{factor * flow:g},{factor * (flow + 1):g}" for day, flow in
            zip(DAYS, FLOW, strict=True)]  # fmt: skip
    (folder / "flow.csv").write_text("\n".join(["time,01000001,01000002", *rows]) + "\n")
    headrace.said(
        "dataset", "create", name, "--category", category, "--upload", str(folder),
        "--domain", domain,
    )  # fmt: skip


def test_a_job_of_a_period_scores_what_it_finds(headrace: Headrace, tmp_path: Path) -> None:
    put(headrace, tmp_path / "o", "observed", "OBSERVATION", 1)
    put(headrace, tmp_path / "s", "simulated", "OUTPUT", 1.1)
    settings: dict[str, Any] = {
        "period": ["1979-01-01", "1979-04-01"],
        "warm_up_days": 10,
        "hydrofabric": "small",
        "observed_unit": "m3 s-1",
        "simulated_unit": "m3 s-1",
    }
    job = {
        "headrace": 1,
        "kind": "evaluation",
        "name": "scores",
        "settings": settings,
        "resources": {"cpus": "500m", "memory": "512MiB"},
    }
    answer = headrace.ask("POST", "/jobs", job)
    assert answer.status == 201, answer.body
    id_ = str(answer.json["id"])
    headrace.until(id_, "COMPLETED")
    log = headrace.log(id_)
    assert "SCORE 01000001 n=80" in log
    assert "HEADRACE_PROGRESS 2/2" in log
    headrace.cli("jobs", "outputs", id_, "--download", str(tmp_path / "out"))
    (path,) = (tmp_path / "out").rglob("scores.json")
    found = json.loads(path.read_text())
    assert found["counts"] == {"locations": 2, "scored": 2}
    assert abs(found["aggregated"]["simulation"]["pbias"]["median"] - 10) < 1e-6
    assert len(list((tmp_path / "out").rglob("report.html"))) == 1


def test_the_command_puts_named_runs_side_by_side_and_shows_scores_as_they_come(
    headrace: Headrace, tmp_path: Path
) -> None:
    for name, category, factor in (
        ("seen", "OBSERVATION", 1.0), ("low", "OUTPUT", 0.9), ("high", "OUTPUT", 1.2),
    ):  # fmt: skip
        put(headrace, tmp_path / name, name, category, factor, f"{{DATA_ID: {name}}}")
    done = headrace.cli(
        "exec", "evaluation", "1979-01-01/1979-04-01", "--observations", "seen",
        "--simulation", "low=low", "--simulation", "high=high", "--warm-up-days", "10",
        "--observed-unit", "m3 s-1", "--simulated-unit", "m3 s-1", "--metrics", "nse,pbias",
        "--memory", "512MiB", "--follow",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()  # --follow reads them from the WebSocket
    assert [line.split()[1:3] for line in lines if line.startswith("SCORE")] == [
        ["01000001", "low"], ["01000001", "high"], ["01000002", "low"], ["01000002", "high"],
    ]  # fmt: skip
    first = lines.index("HEADRACE_PROGRESS 1/2")
    assert first < lines.index("HEADRACE_PROGRESS 2/2")
    id_ = done.stderr.split("headrace: job ")[1].split()[0]
    headrace.cli("jobs", "outputs", id_, "--download", str(tmp_path / "out"))
    (path,) = (tmp_path / "out").rglob("scores.json")
    found = json.loads(path.read_text())["aggregated"]
    assert found["low"]["pbias"]["median"] < 0 < found["high"]["pbias"]["median"]


def test_several_runs_want_names(headrace: Headrace) -> None:
    done = headrace.cli(
        "exec", "evaluation", "1979-01-01/1979-04-01", "--simulation", "a", "--simulation", "b"
    )
    assert done.returncode == 2
    assert "write NAME=DATA_ID" in done.stderr


def test_the_runoff_upstream_of_the_gauges_of_a_fabric_is_summed(
    headrace: Headrace, tmp_path: Path
) -> None:
    fabric, seen, run = (tmp_path / name for name in ("fabric", "seen", "run"))
    for each in (fabric, seen, run):
        each.mkdir()
    (fabric / "fabric.geojson").write_bytes(collection(features()))
    sites = {f"cat-{n}": {"site_no": f"0100000{n}"} for n in (1, 3)}
    (fabric / "crosswalk.json").write_text(json.dumps(sites))
    for folder, names in ((seen, "01000001,01000003"), (run, "cat-1,cat-2,cat-3")):
        width = names.count(",") + 1
        rows = [",".join([str(day), *[str(flow)] * width]) for day, flow in
                zip(DAYS, FLOW, strict=True)]  # fmt: skip
        (folder / "flow.csv").write_text("\n".join([f"time,{names}", *rows]) + "\n")
    domain = "{HYDROFABRIC_DATA_ID: forked}"
    for name, category, folder in (
        ("forked", "HYDROFABRIC", fabric), ("forked-run", "OUTPUT", run),
        ("forked-seen", "OBSERVATION", seen),
    ):  # fmt: skip
        headrace.said("dataset", "create", name, "--category", category, "--upload", str(folder),
                      "--domain", domain)  # fmt: skip
    done = headrace.cli(
        "exec", "evaluation", "1979-01-01/1979-04-01", "--hydrofabric", "forked", "--upstream",
        "--observed-unit", "m3 s-1", "--simulated-unit", "mm/d", "--memory", "512MiB", "--follow",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 of 2 locations scored" in done.stdout
    id_ = done.stderr.split("headrace: job ")[1].split()[0]
    headrace.cli("jobs", "outputs", id_, "--download", str(tmp_path / "out"))
    (path,) = (tmp_path / "out").rglob("scores.json")
    found = json.loads(path.read_text())["locations"]
    assert [each["catchments"]["count"] for each in found] == [1, 3]
