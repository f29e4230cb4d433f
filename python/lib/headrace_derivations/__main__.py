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
from headrace_derivations.registry import derivation_named
from headrace_model.errors import HeadraceError


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


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
        _say(f"step {place + 1} of {len(steps)}: {step['derivation']}")
        work = Work(roles, folder, step["parameters"], _say)
        derivation_named(step["derivation"]).run(work)


def main() -> None:
    """Read the arguments and run."""
    plan, output, *inputs = (Path(each) for each in sys.argv[1:])
    try:
        with tempfile.TemporaryDirectory(dir=".", prefix="steps-") as scratch:
            run_plan(read_plan(plan.read_bytes()), output, inputs, Path(scratch))
    except HeadraceError as error:
        hint = f"\n{error.hint}" if error.hint else ""
        raise SystemExit(f"{error.message}{hint}") from None
    except ImportError as error:
        raise SystemExit(
            f"this derivation needs the package {error.name}, which these workers have not\n"
            "pip install 'headrace[netcdf]' beside the agent, or use a worker image that has it"
        ) from None


if __name__ == "__main__":
    main()
