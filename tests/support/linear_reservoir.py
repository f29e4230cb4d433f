"""A small real model: two linear reservoirs, daily, as a command that reads and writes CSV.

`python linear_reservoir.py PARAMETERS RAIN OUTPUT`: PARAMETERS is JSON with `fast` and `slow` (the
share of a store that leaves it a day) and `split` (the share of rain that goes to the fast one);
RAIN a CSV file `time,mm`; OUTPUT gets `flow.csv`, `time,01000001` in mm/d. It heeds HEADRACE_END.
With the key `broken` it fails, with `sleep_s` it takes its time.
"""

import csv
import json
import os
import random
import sys
import time
from datetime import date, timedelta
from pathlib import Path

GAUGE = "01000001"


def flows(rain: list[float], fast: float, slow: float, split: float) -> list[float]:
    """The flow of each day."""
    stores, found = [0.0, 0.0], []
    for mm in rain:
        stores[0] += split * mm
        stores[1] += (1 - split) * mm
        out = (fast * stores[0], slow * stores[1])
        stores = [stores[0] - out[0], stores[1] - out[1]]
        found.append(sum(out))
    return found


def rain_of(days: int, seed: int = 1) -> list[float]:
    """Rain that never fell: dry days, and some with much."""
    rng = random.Random(seed)  # noqa: S311 - it must be the same each time
    return [rng.expovariate(0.1) if rng.random() < 0.3 else 0.0 for _ in range(days)]


def days_from(first: date, count: int) -> list[str]:
    """So many days in a row, as ISO 8601 has them."""
    return [(first + timedelta(day)).isoformat() for day in range(count)]


def write_series(path: Path, name: str, days: list[str], values: list[float]) -> None:
    """Write `time,NAME`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["time", name])
        writer.writerows((day, repr(value)) for day, value in zip(days, values, strict=True))


def main() -> None:
    """Run it."""
    parameters = json.loads(Path(sys.argv[1]).read_text())
    with Path(sys.argv[2]).open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    if parameters.pop("broken", False):
        raise SystemExit("the reservoir has a hole")
    time.sleep(parameters.pop("sleep_s", 0.0))
    end = os.environ.get("HEADRACE_END", "9999")
    rows = [row for row in rows if row[0] < end]
    values = flows([float(mm) for _, mm in rows], **parameters)
    write_series(Path(sys.argv[3]) / "flow.csv", GAUGE, [day for day, _ in rows], values)


if __name__ == "__main__":
    main()
