"""A third party adds a format by an entry point: the one of examples/format."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from headrace_formats.base import HEAD_BYTES
from headrace_formats.errors import FormatError
from headrace_formats.page import describe_page
from headrace_formats.registry import all_formats

PROJECT = Path(__file__).parents[2]
EXAMPLE = PROJECT / "examples" / "format"
GOOD = "# stage-log 01472000\n2015-12-01T00:00Z 1.52\n2015-12-01T01:00Z 1.55\n"


@pytest.fixture
def installed(tmp_path: Path) -> dict[str, str]:
    """An environment in which the example is installed, with the entry points it declares."""
    site = tmp_path / "site"
    info = site / "headrace_stage_log-1.0.0.dist-info"
    info.mkdir(parents=True)
    for name in ("stage_log.py", "stage_series.py"):
        (site / name).write_bytes((EXAMPLE / name).read_bytes())
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    lines = [
        f"[{group}]\n" + "\n".join(f"{name} = {value}" for name, value in points.items())
        for group, points in project["entry-points"].items()
    ]
    (info / "entry_points.txt").write_text("\n".join(lines))
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: headrace-stage-log\nVersion: 1\n")
    return {**os.environ, "PYTHONPATH": str(site)}


def headrace(environment: dict[str, str], *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", "from headrace_client.cli import main; main()", *words],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_example_is_detected_and_validated(tmp_path: Path, installed: dict[str, str]) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "anything").write_text(GOOD)
    found = headrace(installed, "dataset", "domain", "detect", str(logs), "-o", "json")
    assert '"format": "STAGE_LOG"' in found.stdout, found.stderr
    assert "01472000" in found.stdout
    assert "2015-12-01T02:00" in found.stdout

    (logs / "anything").write_text(GOOD + "2015-12-01T02:00Z high\n2015-12-01T03:00Z -7\nx 1\n")
    found = headrace(installed, "dataset", "domain", "validate", str(logs))
    assert "line 4: 'high' is not a level" in found.stdout
    assert "line 5: a level of -7 m is no water level" in found.stdout
    assert "line 6" in found.stdout
    assert found.returncode != 0
    assert "1 of 1 files" in found.stderr


_PLANS = """
import sys
from headrace_data.core.planning import planned
from headrace_derivations.registry import all_derivations
from headrace_kinds.derivation import plan_job
from headrace_model.dataset import Category
from headrace_model.domain import Domain
from headrace_model.ids import DatasetId
from headrace_model.requirement import Fulfilment, Requirement

def have(need):
    there = need.format == "STAGE_LOG"
    return Fulfilment(need.name, (DatasetId("x"),), None, "") if there else None

domain = Domain.from_plain({"GAUGE_ID": "1"})
wanted = Requirement("q", Category.OBSERVATION, "TIMESERIES_CSV", domain)
plan = planned(wanted, [each.recipe for each in all_derivations()], have)
sys.stdout.buffer.write(plan_job(plan, 50).files[0].content)
"""


def test_the_example_derives_what_a_job_misses(tmp_path: Path, installed: dict[str, str]) -> None:
    logs, output, plan = tmp_path / "logs", tmp_path / "output", tmp_path / "plan.json.gz"
    logs.mkdir()
    output.mkdir()
    (logs / "weir.log").write_text(GOOD)

    def python(*words: str) -> bytes:
        done = subprocess.run(
            [sys.executable, *words],
            env=installed,
            cwd=tmp_path,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    plan.write_bytes(python("-c", _PLANS))
    said = python("-m", "headrace_derivations", str(plan), str(output), str(logs))
    assert b"weir.log: 2 levels" in said
    lines = (output / "weir.csv").read_text().splitlines()
    assert lines == ["time,stage", "2015-12-01T00:00Z,1.52", "2015-12-01T01:00Z,1.55"]


def test_without_the_example_nobody_knows_the_format(tmp_path: Path) -> None:
    (tmp_path / "anything").write_text(GOOD)
    found = headrace(dict(os.environ), "dataset", "domain", "detect", str(tmp_path))
    assert "GENERIC" in found.stdout


def test_every_format_declares_what_it_is() -> None:
    page = describe_page()
    for each in all_formats():
        assert each.summary, each.name
        assert each.categories, each.name
        assert len({index for index, _ in each.indexes}) == len(each.indexes), each.name
        assert all(source for _, source in each.indexes), each.name
        assert all(field.about for field in each.fields), each.name
        if each.name not in ("EMPTY", "GENERIC"):
            assert each.source, each.name
        assert f"## {each.name}\n" in page


def test_no_format_but_generic_takes_any_bytes() -> None:
    for head in (b"", b"\0" * HEAD_BYTES, b"\xff" * HEAD_BYTES, b"hello\n", b"{}", b"[" * 8192):
        assert [each.name for each in all_formats() if each.sniff(head)] == ["GENERIC"], head[:9]


def test_a_name_tells_nothing(tmp_path: Path) -> None:
    """Formats look at content: a file of another name is the same, an empty one is nothing."""
    from headrace_formats.detect import detect_file

    for name in ("forcing.nc", "cat-1.csv", "realization.json", "fabric.gpkg", "x.tar.gz"):
        (tmp_path / name).write_bytes(b"nothing of the sort")
        assert detect_file(tmp_path / name).format == "GENERIC"
        for each in all_formats():
            if each.name != "GENERIC":
                with pytest.raises(FormatError):
                    detect_file(tmp_path / name, each.name)
