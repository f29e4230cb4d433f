"""The table at the end of scripts/run-tests.sh, from one line of TSV per group.

Standard input: group, exit code, seconds, file of outcomes (tests/support/outcomes.py) or empty,
note. The last line printed is `N passed, N failed, N skipped`, which CI reads. Exit code 1 when
anything failed, when a skip is not allowed (CI=true), or when no test ran at all.
"""

import argparse
import json
import sys
from collections import Counter
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Group:
    """How one group of tests ended; `failed` counts a bad end of the session itself too."""

    name: str
    seconds: int
    passed: int
    failed: int
    skips: tuple[tuple[str, str], ...]
    note: str


def main() -> int:
    """Print the table; returns the exit code."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--skips", type=Path, help="allow only the skips that this file names")
    skips_file = arguments.parse_args().skips
    groups = [read_group(line.rstrip("\n")) for line in sys.stdin]
    print_table(groups)
    passed = sum(each.passed for each in groups)
    failed = sum(each.failed for each in groups)
    skips = [skip for each in groups for skip in each.skips]
    for test, reason in skips:
        print(f"skipped: {test}: {reason}")
    refused = [] if skips_file is None else [s for s in skips if not allowed(s[0], skips_file)]
    for test, _ in refused:
        print(f"FAILED: {test} was skipped, and tests/skips.txt does not allow that")
    failed += len(refused)
    if passed + failed == 0:
        print("NO TEST RAN: that is no success.")
    print(f"{passed} passed, {failed} failed, {len(skips) - len(refused)} skipped")
    return 1 if failed or passed == 0 else 0


def read_group(line: str) -> Group:
    """One line of standard input."""
    name, code, seconds, file, note = line.split("\t")
    outcomes = read_outcomes(Path(file)) if file else []
    count = Counter(outcome for _, outcome, _ in outcomes)
    failed = count["failed"]
    if code != "0" and failed == 0:
        failed = 1
        note = note or f"ended with code {code} though no test failed: see its output"
    skips = tuple((test, reason) for test, outcome, reason in outcomes if outcome == "skipped")
    return Group(name, int(seconds), count["passed"], failed, skips, note)


def read_outcomes(file: Path) -> list[tuple[str, str, str]]:
    """Test, outcome and reason of each line; nothing when the session wrote no file."""
    if not file.exists():
        return []
    found = [json.loads(line) for line in file.read_text().splitlines()]
    return [(each["test"], each["outcome"], each["reason"]) for each in found]


def allowed(test: str, skips_file: Path) -> bool:
    """True when a glob in the file (`node-id-glob  # reason`) fits the skipped test."""
    lines = (line.partition("#")[0].strip() for line in skips_file.read_text().splitlines())
    return any(fnmatchcase(test, glob.replace("[", "[[]")) for glob in lines if glob)


def print_table(groups: list[Group]) -> None:
    """One line a group."""
    print(f"\n{'group':<12} {'passed':>7} {'failed':>7} {'skipped':>8} {'seconds':>8}")
    for each in groups:
        counts = f"{each.passed:>7} {each.failed:>7} {len(each.skips):>8} {each.seconds:>8}"
        print(f"{each.name:<12} {counts}  {each.note}".rstrip())


if __name__ == "__main__":
    sys.exit(main())
