"""A calibration as users run it: a job file, killed in the middle, with the same end."""

import json
import os
import re
import signal
from datetime import date
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
import yaml

from headrace_local import processes
from tests.acceptance.conftest import PACKAGE, Headrace, pids_with, until
from tests.support import linear_reservoir as reservoir

_DAYS = 500
_JOB = """
headrace: 1
kind: calibration
files: [model.py, reservoir.json]
settings:
  model:
    kind: command
    command: [python3, model.py, reservoir.json, "{rain}/rain.csv", "{output}"]
    outputs: {flow: {format: TIMESERIES_CSV}}
    resources: {cpus: 500m, memory: 128MiB}
  parameters:
    fast: {min: 0.05, max: 1.0, init: 0.2, file: reservoir.json, key: /fast}
    slow: {min: 0.001, max: 0.1, init: 0.05, file: reservoir.json, key: /slow, scale: log}
    split: {min: 0.0, max: 1.0, init: 0.9, file: reservoir.json, key: /split}
  train: [2000-01-01, 2001-01-01]
  validate: [2001-01-01, 2001-05-15]
  warm_up: 90d
  locations: [{name: "01000001"}]
  iterations: 24
  seed: 5
retry: {limit: 5, on: [EXIT_CODE, NODE_LOST, ATTEMPT_LOST]}
inputs:
  rain: {path: rain}
  observations: {path: seen}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a job file, with the flow of the same model as observations."""
    root = tmp_path_factory.mktemp("calibration")
    days, rain = reservoir.days_from(date(2000, 1, 1), _DAYS), reservoir.rain_of(_DAYS)
    reservoir.write_series(root / "rain/rain.csv", "mm", days, rain)
    seen = reservoir.flows(rain, 0.6, 0.02, 0.3)
    reservoir.write_series(root / "seen/flow.csv", reservoir.GAUGE, days, seen)
    (root / "model.py").write_text(Path(reservoir.__file__).read_text())
    (root / "reservoir.json").write_text('{"fast": 0, "slow": 0, "split": 0}')
    (root / "job.yaml").write_text(_JOB)
    return root


def _result(headrace: Headrace, job: str, to: Path) -> dict[str, bytes]:
    done = headrace.cli("jobs", "outputs", job, "--download", str(to))
    assert done.returncode == 0, done.stderr
    return {
        each.relative_to(to).as_posix(): each.read_bytes()
        for each in sorted(to.rglob("*"))
        if each.is_file()
    }


@pytest.fixture(scope="module")
def whole(headrace: Headrace, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the calibration comes to that nobody disturbs."""
    done = headrace.cli("exec", "from_file", str(folder / "job.yaml"), "--follow")
    assert done.returncode == 0, done.stdout + done.stderr
    said = re.findall(r"HEADRACE_PROGRESS (\d+)/24 iteration", done.stdout)
    assert [int(each) for each in said] == list(range(1, 25))
    [view, *_] = headrace.said("jobs", "list", "--limit", "1")
    return view["id"], _result(headrace, view["id"], tmp_path_factory.mktemp("whole"))


def _found(files: dict[str, bytes]) -> Any:
    (text,) = (content for name, content in files.items() if name.endswith("best.json"))
    return json.loads(text)


def test_a_job_file_calibrates_and_its_result_is_a_described_dataset(
    headrace: Headrace, whole: Any
) -> None:
    job, files = whole
    best = _found(files)
    assert best["best"]["objective"]["train"] > best["initial"]["objective"]["train"] + 0.1
    assert set(best["best"]["objective"]) == {"train", "validate"}
    ((name, output),) = headrace.get(f"/jobs/{job}/outputs")["outputs"].items()
    assert name == "calibration"
    dataset = headrace.get(f"/datasets/{output}")
    assert dataset["format"] == "CALIBRATION_RESULT"
    assert dataset["domain"]["GAUGE_ID"] == "01000001"
    assert sorted(name.rpartition("/")[2] for name in files) == [
        "best.json", "iterations.csv", "parameters.zip", "report.html",
    ]  # fmt: skip


def test_worker_and_agent_are_killed_in_the_middle_and_the_end_is_the_same(
    headrace: Headrace, folder: Path, whole: Any, tmp_path: Path
) -> None:
    job = headrace.cli("exec", "from_file", str(folder / "job.yaml"), "-o", "json")
    view = json.loads(job.stdout)
    _kill_worker(headrace, view["id"], 4)
    until(lambda: headrace.job(view["id"])["attempt"] == 2, "a second attempt")
    _kill_worker(headrace, view["id"], 9)
    until(lambda: headrace.job(view["id"])["attempt"] == 3, "a third attempt")
    _progress(headrace, view["id"], 12)
    assert headrace.job(view["id"])["status"] == "MODEL_EXEC:RUNNING"
    killed = _services(headrace)  # the agent is one of them
    os.kill(killed, signal.SIGKILL)
    until(lambda: _services(headrace) not in (0, killed), "the agent to be back")
    until(lambda: headrace.cli("nodes", "list").returncode == 0, "Headrace to answer")
    ended = headrace.until(view["id"], "COMPLETED")
    assert ended["attempt"] == 3
    assert re.search(
        r"going on after \d+ iterations of an earlier attempt", headrace.log(view["id"])
    )
    files = _result(headrace, view["id"], tmp_path)
    assert sorted(files.values()) == sorted(whole[1].values())


def _progress(headrace: Headrace, job: str, step: int) -> None:
    def there() -> bool:
        found = re.findall(r"HEADRACE_PROGRESS (\d+)/", headrace.log(job))
        return bool(found) and int(found[-1]) >= step

    until(there, f"iteration {step}")


def _services(headrace: Headrace) -> int:
    found = processes.find(headrace.home.id, "services")
    return found[0].pid if found else 0


def _kill_worker(headrace: Headrace, job: str, step: int) -> None:
    _progress(headrace, job, step)
    (worker,) = (
        pid
        for pid in pids_with("headrace_calibration")
        if job.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    )
    os.kill(worker, signal.SIGKILL)


def test_what_is_wrong_is_told_before_anything_runs(
    headrace: Headrace, folder: Path, tmp_path: Path
) -> None:
    job = yaml.safe_load(_JOB)
    job["settings"]["parameters"]["fast"]["init"] = 2
    job["settings"]["objective"] = "kgee"
    job["settings"]["model"]["comand"] = ["true"]
    (folder / "wrong.yaml").write_text(yaml.safe_dump(job))
    done = headrace.cli("exec", "validate", str(folder / "wrong.yaml"))
    assert done.returncode == 4
    for said in ("init: 2 is outside 0.05 to 1", "comand", "did you mean command"):
        assert said in done.stderr


def test_a_model_that_never_runs_fails_the_job_with_its_last_lines(
    headrace: Headrace, folder: Path
) -> None:
    job = yaml.safe_load(_JOB)
    job["settings"]["model"]["command"] = ["python3", "nothing.py"]
    (folder / "nothing.yaml").write_text(yaml.safe_dump({**job, "retry": {"limit": 0}}))
    done = headrace.cli("exec", "from_file", str(folder / "nothing.yaml"), "--follow")
    assert done.returncode == 1
    assert "the first 3 runs of the model all failed: exit code 2" in done.stderr
    assert "can't open file" in done.stderr


_HAS = """
import importlib.util, six
assert "/environments/" in six.__file__, six.__file__
assert importlib.util.find_spec("headrace_model") is None
"""


@pytest.mark.usefixtures("index")
def test_a_model_finds_its_environment_and_the_worker_headrace(
    headrace: Headrace, folder: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "mine"
    copytree(folder, mine)
    (mine / "model.py").write_text((folder / "model.py").read_text() + _HAS)
    job = f"environment: {{pip: ['{PACKAGE}']}}\n" + _JOB.replace(
        "iterations: 24", "iterations: 3"
    )
    (mine / "job.yaml").write_text(job)
    done = headrace.cli("exec", "from_file", str(mine / "job.yaml"), "--follow")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "HEADRACE_PROGRESS 3/3" in done.stdout
    assert "failed" not in done.stdout
