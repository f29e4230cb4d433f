"""The main example as a user runs it: from the data to scored gauges, through every service."""

import csv
import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Seen with pywatershed 2.0.4 and 3.0.0 alike; shared/MACHINE.md names the same figures.
NSE = {"01472000": 0.875, "01434000": 0.703, "01463500": 0.627}
KGE = {"01472000": 0.860, "01434000": 0.754, "01463500": 0.587}


@pytest.fixture
def home(state_dir):
    """A home of Headrace, stopped and removed afterwards."""
    environ = {**os.environ, "HEADRACE_HOME": str(state_dir / "h")}
    yield environ
    subprocess.run(
        [ROOT / ".venv/bin/headrace", "local", "reset", "--yes"], env=environ, check=True
    )


def test_the_demo_scores_every_gauge_of_the_delaware(home):
    run = subprocess.run(
        [ROOT / "scripts/run-demo.sh"], env=home, capture_output=True, text=True, timeout=1500
    )
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    summary = json.loads((ROOT / "demo-results/scores/summary.json").read_text())
    assert summary["gauges"]["scored"] == 101
    assert summary["median"]["nse"] == pytest.approx(0.430, abs=0.005)
    assert summary["median"]["kge"] == pytest.approx(0.529, abs=0.005)
    for gauge, score in summary["plotted"].items():
        assert score["nse"] == pytest.approx(NSE[gauge], abs=0.005)
        assert score["kge"] == pytest.approx(KGE[gauge], abs=0.005)
    assert (ROOT / "demo-results/scores/hydrograph.png").stat().st_size > 10_000
    assert "Try next" in run.stdout
    _the_kind_evaluation_scores_the_same(home)


def _the_kind_evaluation_scores_the_same(home):
    headrace = [ROOT / ".venv/bin/headrace"]
    run = subprocess.run(
        [*headrace, "exec", "from_file", ROOT / "examples/delaware/evaluate.yaml", "-o", "json"],
        env=home,
        capture_output=True,
        text=True,
        check=True,
    )
    job = json.loads(run.stdout)["id"]
    subprocess.run([*headrace, "jobs", "watch", job], env=home, check=True, timeout=300)
    folder = Path(home["HEADRACE_HOME"]).parent / "evaluation"
    folder.mkdir()
    subprocess.run([*headrace, "jobs", "outputs", job, "--download", folder], env=home, check=True)
    (path,) = folder.rglob("scores.json")
    found = json.loads(path.read_text())
    assert found["counts"]["scored"] == 101
    with (ROOT / "demo-results/scores/scores.csv").open(newline="") as file:
        script = {row["gauge"]: row for row in csv.DictReader(file)}
    for each in found["locations"]:
        scores = each["runs"]["simulation"]["scores"]
        assert bool(scores) == (each["id"] in script)
        for metric, value in scores.items():
            if metric in ("nse", "kge", "pbias"):
                assert value == pytest.approx(float(script[each["id"]][metric]), abs=2e-6)
