"""Runs seeds in programs of their own, as many side by side as there are CPUs."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from signal import SIGTERM
from time import sleep
from typing import Any

_ROOT = Path(__file__).parents[3]
_SHOWN = 60  # lines of a trace
_RUNS = count(1)
_EXITS = (0, 1, 128 + SIGTERM, -SIGTERM)  # the last: ended before it could see to that


@dataclass(frozen=True, slots=True)
class Seeds:
    """What became of some seeds: an outcome each, as `story.Outcome` has it."""

    outcomes: tuple[dict[str, Any], ...]
    said: str  # by the programs, beside the outcomes
    plant: str = ""

    @property
    def broken(self) -> dict[str, Any] | None:
        """The first seed in which something did not hold."""
        found = [each for each in self.outcomes if each["broken"]]
        return min(found, key=lambda each: int(each["seed"])) if found else None

    def report(self) -> str:
        """What a person needs of the first broken seed: what, how again, what came before."""
        found = self.broken
        if found is None:
            return self.said
        again = f"python -m tests.support.simulation --first {found['seed']} --trace"
        if self.plant:
            again += f" --plant {self.plant}"
        return "\n".join(
            [
                f"seed {found['seed']}: {found['broken']}",
                f"again: {again}",
                f"the last lines of its trace, of {found['lines']}:",
                *found["tail"][-_SHOWN:],
            ]
        )

    def figures(self, real_s: float) -> str:
        """One line for the end of a run."""
        seeds = len(self.outcomes)
        simulated = sum(each["simulated_s"] for each in self.outcomes)
        steps = sum(each["steps"] for each in self.outcomes)
        looks = sum(each["looks"] for each in self.outcomes)
        fenced = sum(each["fenced"] for each in self.outcomes)
        faults, starts = self._sums("faults"), self._sums("starts")
        edges = {edge for each in self.outcomes for edge in each["edges"]}
        return (
            f"{seeds:,} seeds in {real_s:.0f} s ({seeds / real_s * 60:.0f} a minute): "
            f"{simulated / 3600:.1f} simulated hours, {steps:,} steps of Redis, all invariants "
            f"checked {looks:,} times, {len(edges)} kinds of moves, former leaders and agents "
            f"refused {fenced:,} times; attempts by what bound them: {_told(starts)}; "
            f"faults: {_told(faults)}"
        )

    def _sums(self, name: str) -> dict[str, int]:
        sums: dict[str, int] = {}
        for each in self.outcomes:
            for what, number in each[name].items():
                sums[what] = sums.get(what, 0) + number
        return sums


def _told(sums: dict[str, int]) -> str:
    return ", ".join(f"{name} {number:,}" for name, number in sorted(sums.items()))


def run_seeds(
    folder: Path,
    *,
    first: int,
    seeds: int,
    seconds: float | None = None,
    least: int = 0,
    plant: str = "",
    side_by_side: int | None = None,
) -> Seeds:
    """Run `seeds` of them, or as many as begin within `seconds`, but `least`."""
    width = min(side_by_side or len(os.sched_getaffinity(0)), seeds)
    files, programs = [], []
    for number in range(width):
        words = [
            *("--first", first + number),
            *("--step", width),
            *("--seeds", len(range(number, seeds, width))),
            *("--least", -(-least // width)),
            *(("--seconds", seconds) if seconds else ()),
            *(("--plant", plant) if plant else ()),
        ]
        run = next(_RUNS)
        files.append((folder / f"seeds{run}.jsonl", folder / f"seeds{run}.err"))
        programs.append(_start(list(map(str, words)), *files[-1]))
    try:
        # One broken seed is enough.
        while any(program.poll() is None for program in programs):
            if any(program.poll() for program in programs):
                break
            sleep(0.05)
    finally:
        for program in programs:
            program.terminate()
        for program in programs:
            program.wait()
    outcomes = [
        json.loads(line)
        for out, _ in files
        for line in out.read_text().splitlines()
        if line.startswith("{")
    ]
    said = "\n".join(err.read_text()[-4000:] for _, err in files)
    if not all(program.returncode in _EXITS for program in programs) or not outcomes:
        raise AssertionError(f"the simulation itself fails:\n{said}")
    return Seeds(tuple(outcomes), said, plant)


def _start(words: Sequence[str], out: Path, err: Path) -> "subprocess.Popen[bytes]":
    with out.open("wb") as stdout, err.open("wb") as stderr:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.support.simulation", *words],
            cwd=_ROOT,
            env={**os.environ, "PYTHONHASHSEED": "0"},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
        )
