"""The worker: `python3 -m exceedance PLAN FLOWS OUTPUT`. It needs nothing but Python.

PLAN is the small file that the kind made, FLOWS the folder with ngen's `nex-*_output.csv`.
"""

import csv
import json
import sys
from datetime import UTC, datetime
from pathlib import Path


def hours_above(path: Path, begin_ms: int, end_ms: int, threshold: float, step_h: float) -> float:
    """The hours in [begin, end) of a nexus's file (step, time, m3/s) with more than a flow."""
    steps = 0
    with path.open(newline="") as file:
        for _, time, flow in csv.reader(file, skipinitialspace=True):
            at_ms = datetime.fromisoformat(time).replace(tzinfo=UTC).timestamp() * 1000
            steps += begin_ms <= at_ms < end_ms and float(flow) > threshold
    return steps * step_h


def main() -> None:
    """Read, count, write `hours.csv`; say how far it is."""
    plan_path, flows, output = (Path(each) for each in sys.argv[1:])
    plan = json.loads(plan_path.read_text())
    lines = [f"nexus,hours above {plan['threshold_m3_s']:g} m3/s"]
    for done, nexus in enumerate(plan["nexuses"], start=1):
        found = sorted(flows.rglob(f"{nexus}_output.csv"))
        if not found:
            raise SystemExit(f"{flows} has no {nexus}_output.csv")
        hours = hours_above(
            found[0], plan["begin_ms"], plan["end_ms"], plan["threshold_m3_s"], plan["step_h"]
        )
        lines.append(f"{nexus},{hours:g}")
        print(f"HEADRACE_PROGRESS {done}/{len(plan['nexuses'])}", flush=True)
    (output / "hours.csv").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
