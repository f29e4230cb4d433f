"""A third party adds a kind by an entry point: the one of examples/kind."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace_client.cli import run_cli
from headrace_kinds import registry
from tests.support.example_kind import JOB, with_example
from tests.support.samples import sample


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages with the example."""
    return with_example(tmp_path_factory.mktemp("site"))


@pytest.fixture
def _installed(site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The example is installed here, too."""
    monkeypatch.syspath_prepend(site)
    registry.all_kinds.cache_clear()
    yield
    registry.all_kinds.cache_clear()


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[str, str]:
    """What `headrace …` writes to standard output, and to standard error."""
    run_cli(list(words))
    return capsys.readouterr()


@pytest.mark.usefixtures("_installed")
def test_its_settings_come_to_a_job(capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = said(capsys, "exec", "validate", str(JOB), "-o", "json")
    job = json.loads(out)
    assert job["command"][:3] == ["python3", "-m", "exceedance"]
    assert job["inputs"]["flows"]["domain"] == {
        "TIME": ["2015-12-01", "2015-12-31"],
        "ELEMENT_ID": ["nex-26", "nex-34", "nex-68"],
    }
    assert job["outputs"]["hours"]["format"] == "GENERIC"


@pytest.mark.usefixtures("_installed")
@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ("settings.nexuses=[cat-27]", "settings.nexuses: cat-27 is no nexus, such as nex-26"),
        ("settings.treshold_m3_s=2", "did you mean threshold_m3_s"),
    ],
)
def test_what_is_wrong_with_its_settings_is_said(
    capsys: pytest.CaptureFixture[str], change: str, wrong: str
) -> None:
    assert wrong in said(capsys, "exec", "validate", str(JOB), "--set", change)[1]


def test_without_the_package_the_kind_is_not_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert "'exceedance' is not a kind" in said(capsys, "exec", "validate", str(JOB))[1]


@pytest.mark.usefixtures("_installed")
def test_a_file_to_begin_with_shows_all_settings(capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = said(capsys, "init", "-", "--kind", "exceedance")
    for name in ("time:", "nexuses:", "threshold_m3_s:", "step_h:"):
        assert name in out


def test_its_worker_counts_the_hours_of_a_real_run(site: Path, tmp_path: Path) -> None:
    plan = {
        "begin_ms": 1448928000000,
        "end_ms": 1451520000000,
        "nexuses": ["nex-26", "nex-34"],
        "threshold_m3_s": 10,
        "step_h": 1,
    }
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    flows = sample("ngen-sugar-creek/corrected/expected_output")
    done = subprocess.run(
        [sys.executable, "-m", "exceedance", "plan.json", str(flows), str(tmp_path)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "HEADRACE_PROGRESS 2/2" in done.stdout
    counted = dict(
        line.split(",") for line in (tmp_path / "hours.csv").read_text().splitlines()[1:]
    )
    for nexus, hours in counted.items():
        rows = (flows / f"{nexus}_output.csv").read_text().splitlines()
        assert float(hours) == sum(float(row.split(",")[2]) > 10 for row in rows) > 0
