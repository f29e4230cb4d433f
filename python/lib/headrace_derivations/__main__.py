"""Runs a plan: `python3 -m headrace_derivations PLAN OUTPUT [INPUT...]`.

The worker of a derivation job. PLAN is the file that `headrace_kinds.derivation.plan_job`
writes, an INPUT the folder of each of its inputs, in order. Exit code 1 with a sentence on stderr
where the data can't be derived.
"""

import gzip
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from headrace_derivations.base import DerivationFailed, Work
from headrace_derivations.program import run_program, say
from headrace_derivations.registry import derivation_named


def read_plan(content: bytes) -> dict[str, Any]:
    """Read the file of a plan."""
    plan: dict[str, Any] = json.loads(gzip.decompress(content))
    return plan


def run_plan(plan: dict[str, Any], output: Path, inputs: Sequence[Path], scratch: Path) -> None:
    """Run the steps in order, the last one into `output`; raises `HeadraceError`."""
    if plan.get("headrace_plan") != 1:
        raise DerivationFailed("the plan is of another version of Headrace")
    steps = plan["steps"]
    folders: list[Path] = []
    for place, step in enumerate(steps):
        last = place == len(steps) - 1
        folder = output if last else scratch / str(place)
        folder.mkdir(parents=True, exist_ok=True)
        folders.append(folder)
        roles = {
            role: folders[source["step"]] if "step" in source else inputs[source["input"]]
            for role, source in step["roles"].items()
        }
        say(f"step {place + 1} of {len(steps)}: {step['derivation']}")
        work = Work(roles, folder, step["parameters"], say)
        derivation_named(step["derivation"]).run(work)


def main() -> None:
    """Read the arguments and run."""
    plan, output, *inputs = (Path(each) for each in sys.argv[1:])

    def work() -> None:
        with tempfile.TemporaryDirectory(dir=".", prefix="steps-") as scratch:
            run_plan(read_plan(plan.read_bytes()), output, inputs, Path(scratch))

    run_program(work, "this derivation", "netcdf")


if __name__ == "__main__":
    main()
