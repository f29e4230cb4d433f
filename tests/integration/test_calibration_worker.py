"""The worker of a calibration as a process: a real model, killed, failing, and its report."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from xml.etree import ElementTree
from zipfile import ZipFile

import pytest

from headrace_model.times import parse_instant
from tests.support import linear_reservoir as reservoir
from tests.support.wait import wait_until as _wait_until

T = TypeVar("T")
_MODEL = Path(reservoir.__file__)
_TRUE = {"fast": 0.6, "slow": 0.02, "split": 0.3}
_DAYS = 900


def wait_until(condition: Callable[[], T], what: str) -> T:
    return asyncio.run(_wait_until(condition, what))


def _ms(text: str) -> int:
    return int(parse_instant(text))


class _Worker:
    """A working folder as an attempt has it, with a twin's flow as observations."""

    def __init__(self, root: Path, **plan: Any) -> None:
        self.work, self.output = root / "work", root / "output"
        self.checkpoint = root / "checkpoint"
        for each in (self.work, self.output, self.checkpoint):
            each.mkdir(parents=True)
        days, rain = reservoir.days_from(date(2000, 1, 1), _DAYS), reservoir.rain_of(_DAYS)
        reservoir.write_series(root / "datasets/rain/rain.csv", "mm", days, rain)
        seen = reservoir.flows(rain, **_TRUE)
        reservoir.write_series(root / "datasets/seen/flow.csv", reservoir.GAUGE, days, seen)
        (self.work / "model.py").write_text(_MODEL.read_text())
        self.parameters({"fast": 0, "slow": 0, "split": 0})
        self.plan: dict[str, Any] = {
            "headrace_calibration": 1,
            "parameters": [
                self.parameter("fast", 0.05, 1.0, 0.2, "linear"),
                self.parameter("slow", 0.001, 0.1, 0.05, "log"),
                self.parameter("split", 0.0, 1.0, 0.9, "linear"),
            ],
            "algorithm": "dds",
            "options": {},
            "iterations": 30,
            "parallel": 2,
            "seed": 3,
            "objective": "kge",
            "train": [_ms("2000-01-01"), _ms("2001-07-01")],
            "validate": [_ms("2001-07-01"), _ms("2002-06-01")],
            "warm_up_ms": 180 * 86_400_000,
            "stop": {},
            "model": {
                "command": [
                    sys.executable, "model.py", "reservoir.json", "{rain}/rain.csv", "{output}",
                ],
                "env": {}, "files": ["model.py", "reservoir.json"], "links": [], "output": "",
                "limit_s": 60.0,
            },
            "evaluation": {
                "unit": None,
                "variable": None,
                "locations": [
                    {"observed": reservoir.GAUGE, "simulated": reservoir.GAUGE, "weight": 1.0}
                ]
            },
            **plan,
        }  # fmt: skip

    @staticmethod
    def parameter(name: str, low: float, high: float, first: float, scale: str) -> dict[str, Any]:
        return {"name": name, "min": low, "max": high, "init": first, "scale": scale,
                "input": None, "file": "reservoir.json", "key": f"/{name}"}  # fmt: skip

    def parameters(self, values: dict[str, Any]) -> None:
        (self.work / "reservoir.json").write_text(json.dumps(values))

    def start(self) -> subprocess.Popen[str]:
        (self.work / "plan.json").write_text(json.dumps(self.plan))
        datasets = self.work.parent / "datasets"
        words = ["plan.json", self.output, self.checkpoint, datasets / "seen"]
        return subprocess.Popen(
            [sys.executable, "-m", "headrace_calibration", *words, f"rain={datasets / 'rain'}"],
            cwd=self.work, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(self, code: int = 0) -> tuple[str, str]:
        with self.start() as process:
            out, err = process.communicate(timeout=120)
        assert process.returncode == code, out + err
        return out, err

    def recorded(self) -> int:
        record = self.checkpoint / "iterations.jsonl"
        return record.read_bytes().count(b"\n") - 1 if record.exists() else 0

    def has_recorded(self, number: int) -> bool:
        return self.recorded() >= number

    def files(self) -> dict[str, bytes]:
        return {
            each.relative_to(self.output).as_posix(): each.read_bytes()
            for each in sorted(self.output.rglob("*"))
            if each.is_file()
        }

    def best(self) -> Any:
        return json.loads((self.output / "best.json").read_text())


def test_a_calibration_finds_what_made_the_observations_and_tells_both_periods(
    tmp_path: Path,
) -> None:
    worker = _Worker(tmp_path, iterations=60, algorithm="pso", seed=2)
    out, _ = worker.run()
    best = worker.best()
    before, after = best["initial"]["objective"], best["best"]["objective"]
    assert before["train"] < 0.55 < 0.95 < after["train"]
    assert before["validate"] < 0.65 < 0.9 < after["validate"]
    assert best["initial"]["parameters"] == {"fast": 0.2, "slow": 0.05, "split": 0.9}
    for name, value in _TRUE.items():
        assert best["best"]["parameters"][name] == pytest.approx(value, rel=0.4)
    with ZipFile(worker.output / "parameters.zip") as kept:
        assert json.loads(kept.read("reservoir.json")) == best["best"]["parameters"]
    assert best["scored"] == {
        "train": ["2000-06-29", "2001-07-01"],
        "validate": ["2001-07-01", "2002-06-01"],
    }
    said = re.findall(r"HEADRACE_PROGRESS (\d+)/60 .*best kge (-?[0-9.]+)", out)
    assert [int(number) for number, _ in said] == list(range(1, 61))
    assert [float(kge) for _, kge in said] == sorted(float(kge) for _, kge in said)
    assert out.splitlines()[-1].startswith("kge of the initial and the best parameters: train ")
    assert not list((worker.work / "runs").iterdir())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killed_in_the_middle_it_goes_on_to_the_same_bytes(
    tmp_path: Path, number: signal.Signals
) -> None:
    whole = _Worker(tmp_path / "whole")
    whole.run()
    killed = _Worker(tmp_path / "killed", parallel=1)
    for at in (4, 11):
        process = killed.start()
        wait_until(partial(killed.has_recorded, at), what=f"{at} iterations")
        process.send_signal(number)
        process.communicate(timeout=30)
        assert process.returncode in (-signal.SIGKILL, 143)
    had = killed.recorded()
    assert 11 <= had < 30
    out, _ = killed.run()
    assert f"going on after {had} iterations" in out
    assert killed.files() == whole.files()


def test_sigterm_leaves_no_model_running(tmp_path: Path) -> None:
    worker = _Worker(tmp_path)
    worker.parameters({**_TRUE, "sleep_s": 300})
    process = worker.start()
    said = worker.work / "runs/0/said.txt"
    wait_until(said.exists, what="a run of the model")
    (model,) = wait_until(lambda: _children(process.pid), what="the model's process")
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == 143
    wait_until(lambda: not Path(f"/proc/{model}").exists(), what="the end of the model")
    assert worker.recorded() == 0


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split() or [
        child
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]


def test_a_model_that_never_runs_ends_it_with_the_models_last_lines(tmp_path: Path) -> None:
    worker = _Worker(tmp_path)
    worker.parameters({**_TRUE, "broken": True})
    _, err = worker.run(code=1)
    assert err.startswith("the first 3 runs of the model all failed: exit code 1")
    assert "the reservoir has a hole" in err
    assert worker.files() == {}


def test_a_target_that_is_reached_ends_the_models_that_still_run(tmp_path: Path) -> None:
    worker = _Worker(tmp_path, algorithm="lhs", stop={"target": -10.0})
    (worker.work / "slow.py").write_text(
        "import pathlib, runpy, sys, time\n"
        "if pathlib.Path.cwd().parent.name not in ('0', 'again-0'): time.sleep(600)\n"
        "runpy.run_path('model.py', run_name='__main__')\n"
    )
    worker.plan["model"]["command"][1] = "slow.py"
    worker.plan["model"]["files"].append("slow.py")
    out, _ = worker.run()
    assert "kge is as good as the target, -10" in out
    assert worker.best()["iterations"] == 1


def test_a_parameter_without_a_place_ends_it_before_anything_is_tried(tmp_path: Path) -> None:
    worker = _Worker(tmp_path)
    worker.plan["parameters"][0]["key"] = "/soil/fast"
    _, err = worker.run(code=1)
    where = "reservoir.json has nothing at /soil/fast, where fast goes"
    assert err == f"{where}; known are fast, slow, split\n"
    assert worker.recorded() == 0
    worker = _Worker(tmp_path / "other")
    worker.plan["parameters"][0]["file"] = "tank.json"
    _, err = worker.run(code=1)
    assert "no file among the files of the model fits tank.json; there are: model.py" in err
    assert worker.recorded() == 0


def test_parameters_go_into_files_of_an_input_and_leave_the_staged_ones_alone(
    tmp_path: Path,
) -> None:
    worker = _Worker(tmp_path, iterations=3)
    config = tmp_path / "datasets/rain/config"
    config.mkdir()
    for name in ("a", "b"):
        (config / f"{name}.json").write_text('{"fast": 0, "slow": 0, "split": 0}')
    for each in worker.plan["parameters"]:
        each |= {"input": "rain", "file": "config/*.json"}
    worker.plan["model"]["command"][2] = "{rain}/config/b.json"
    worker.run()
    assert (config / "b.json").read_text() == '{"fast": 0, "slow": 0, "split": 0}'
    with ZipFile(worker.output / "parameters.zip") as kept:
        one, other = (kept.read(f"rain/config/{name}.json") for name in ("a", "b"))
    assert one == other
    assert json.loads(one) == worker.best()["best"]["parameters"]


def test_the_report_stands_alone_and_shows_every_period(tmp_path: Path) -> None:
    worker = _Worker(tmp_path)
    worker.run()
    report = (worker.output / "report.html").read_text()
    assert not re.search(r"<script|https?:|src=|@import", report)
    charts = re.findall(r"<svg viewBox.*?</svg>", report, re.DOTALL)
    assert len(charts) == 1 + 3 + 1
    for chart in charts:
        ElementTree.fromstring(chart)  # noqa: S314 - our own
    assert all(word in charts[-1] for word in (">warm-up<", ">train<", ">validate<"))
    assert "2001-07-01 to 2002-06-01, which the search never saw" in report
    assert os.environ.get("HOME", "/nowhere") not in report


def test_observations_that_say_nothing_of_the_train_period_are_refused(tmp_path: Path) -> None:
    worker = _Worker(tmp_path, train=[_ms("2010-01-01"), _ms("2011-01-01")], validate=None)
    _, err = worker.run(code=1)
    assert "01000001 has fewer than two observations in 2010-06-30" in err
