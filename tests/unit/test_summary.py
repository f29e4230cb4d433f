"""The table of scripts/run-tests.sh and its last line, which CI reads."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SUMMARY = Path(__file__).parents[2] / "scripts" / "lib" / "summary.py"


def _summary(lines: list[str], *arguments: str) -> tuple[int, list[str]]:
    """The exit code and the lines printed for these groups."""
    ended = subprocess.run(
        [sys.executable, SUMMARY, *arguments],
        input="".join(f"{line}\n" for line in lines),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.stderr == ""
    return ended.returncode, ended.stdout.splitlines()


def _group(name: str, code: int, file: Path, *outcomes: str) -> str:
    """A group's line, with its outcomes file written: test n ended with outcome n."""
    file.write_text(
        "".join(
            json.dumps({"test": f"{name}::{n}[a]", "outcome": outcome, "reason": "no server"})
            + "\n"
            for n, outcome in enumerate(outcomes)
        )
    )
    return f"{name}\t{code}\t3\t{file}\t"


def test_counts_are_summed_over_the_groups(tmp_path: Path) -> None:
    unit = _group("unit", 1, tmp_path / "a", "passed", "passed", "failed")
    contract = _group("contract", 0, tmp_path / "b", "passed", "skipped")
    code, lines = _summary([unit, contract])
    assert (code, lines[-1]) == (1, "3 passed, 1 failed, 1 skipped")
    assert "skipped: contract::1[a]: no server" in lines


def test_all_passed_is_success(tmp_path: Path) -> None:
    code, lines = _summary(["check\t0\t1\t\tall hold", _group("u", 0, tmp_path / "a", "passed")])
    assert (code, lines[-1]) == (0, "1 passed, 0 failed, 0 skipped")


@pytest.mark.parametrize("code_of_group", [2, 5, 137])
def test_a_bad_end_without_a_failed_test_counts_as_failed(
    tmp_path: Path, code_of_group: int
) -> None:
    code, lines = _summary([_group("unit", code_of_group, tmp_path / "a", "passed")])
    assert (code, lines[-1]) == (1, "1 passed, 1 failed, 0 skipped")


def test_no_test_at_all_is_no_success(tmp_path: Path) -> None:
    code, lines = _summary(["swarm\t0\t0\t\tno tests: there is no folder tests/swarm"])
    assert (code, lines[-1]) == (1, "0 passed, 0 failed, 0 skipped")
    assert any("no folder tests/swarm" in line for line in lines)


def test_a_skip_that_no_line_allows_fails_in_ci(tmp_path: Path) -> None:
    skips = tmp_path / "skips.txt"
    skips.write_text("# a comment\nunit::1[?]  # needs a moon\n")
    group = _group("unit", 0, tmp_path / "a", "passed", "skipped", "skipped")
    code, lines = _summary([group], "--skips", str(skips))
    assert (code, lines[-1]) == (1, "1 passed, 1 failed, 1 skipped")
    assert "FAILED: unit::2[a] was skipped, and tests/skips.txt does not allow that" in lines
