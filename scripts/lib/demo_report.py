"""What scripts/run-demo.sh prints at its end: the scores, and where the time went.

python demo_report.py HEADRACE INSTALLED_S TOTAL_S SUMMARY_JSON JOB...
"""

import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path

# Between these two statuses a job waits for its software environment, and little else.
BEGIN, END = "MODEL_EXEC:AWAITING_DERIVATION", "MODEL_EXEC:AWAITING_SCHEDULING"


def environment_s(headrace: str, job: str) -> float:
    """Seconds that a job spent on its environment; 0 when it was there already."""
    command = [headrace, "jobs", "history", job, "-o", "json"]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 (our own program)
    entered = {row["to"]: datetime.fromisoformat(row["at"]) for row in json.loads(answer.stdout)}
    if BEGIN not in entered or END not in entered:
        return 0.0
    return (entered[END] - entered[BEGIN]).total_seconds()


def main(headrace: str, installed: str, total: str, summary_file: str, *jobs: str) -> None:
    """Print the report."""
    summary = json.loads(Path(summary_file).read_text())
    environments = sum(environment_s(headrace, job) for job in jobs)
    print()
    median, scored = summary["median"], summary["gauges"]["scored"]
    print(f"{scored} gauges, median NSE {median['nse']:.3f}, KGE {median['kge']:.3f}")
    print(
        f"All of it took {total} s; installing was {float(installed) + environments:.0f} s of "
        f"that: Headrace and the data {installed} s, the jobs' environments {environments:.0f} s."
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
