"""Groups of tests side by side: scripts/lib/lanes.sh."""

import signal
import subprocess
from pathlib import Path

import pytest

LANES = Path(__file__).parents[2] / "scripts" / "lib" / "lanes.sh"
_WITHIN_S = 60


def _program(folder: Path, lanes: int, run_group: str, *groups: str) -> list[str]:
    """Runs groups whose work is the shell text `run_group`, with $1 the group's name."""
    (folder / "results").mkdir()
    lines = (
        f". {LANES}",
        "results=results",
        f"run_group() {{ {run_group}; }}",
        f"run_side_by_side {lanes} {' '.join(groups)}",
        "echo all have ended",
    )
    return ["bash", "-uc", "\n".join(lines)]


def _said(folder: Path, lanes: int, run_group: str, *groups: str) -> list[str]:
    done = subprocess.run(
        _program(folder, lanes, run_group, *groups),
        cwd=folder, capture_output=True, text=True, timeout=_WITHIN_S,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return [line for line in done.stdout.splitlines() if not line.startswith("===")]


def test_two_groups_run_at_once_and_each_ones_output_is_whole(tmp_path: Path) -> None:
    """Each waits for the other between its two lines."""
    meet = "echo $1 1; touch $1; while [ ! -e a ] || [ ! -e b ]; do sleep 0.01; done; echo $1 2"
    said = _said(tmp_path, 2, meet, "a", "b")
    assert said in (
        ["a 1", "a 2", "b 1", "b 2", "all have ended"],
        ["b 1", "b 2", "a 1", "a 2", "all have ended"],
    )


def test_no_more_run_at_once_than_there_are_lanes(tmp_path: Path) -> None:
    count = "touch on.$1; ls | grep -c ^on; sleep 0.05; rm on.$1"
    *counts, last = _said(tmp_path, 2, count, *"abcdef")
    assert (len(counts), last) == (6, "all have ended")
    assert {int(each) for each in counts} <= {1, 2}


def test_a_group_that_fails_stops_no_other(tmp_path: Path) -> None:
    assert _said(tmp_path, 2, "echo ran $1; return 3", "a", "b", "c")[-1] == "all have ended"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_all_groups_and_shows_what_they_said(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    work = "echo $1 began; touch $1; timeout 1000 sleep 1000"
    program = subprocess.Popen(
        _program(tmp_path, 2, work, "a", "b", "c"),
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    with program:
        while not ((tmp_path / "a").exists() and (tmp_path / "b").exists()):
            assert program.poll() is None
        program.send_signal(number)
        out, err = program.communicate(timeout=_WITHIN_S)
    assert program.returncode == code
    assert "a began" in out
    assert "b began" in out
    assert "c" not in out.replace("all have ended", "")
    assert "ended by a signal" in err
