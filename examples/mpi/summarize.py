"""Mean and highest discharge of each gauge, day by day: the files of a folder shared among ranks.

Every rank reads each of its files; rank 0 gathers what all have found and writes result.json.
"""

import argparse
import csv
import json
import os
from pathlib import Path

from mpi4py import MPI


def summary(path: Path) -> dict[str, dict[str, float]]:
    """Mean and highest value of each column but the first, by the column's name."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    gauges = [name for name in rows[0] if name != "time_utc"]
    found = {}
    for gauge in gauges:
        values = [float(row[gauge]) for row in rows if row[gauge]]
        if values:
            found[gauge] = {"mean": round(sum(values) / len(values), 5), "max": max(values)}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=Path, required=True, help="folder with CSV files")
    parser.add_argument("--output", type=Path, required=True, help="folder for result.json")
    folders = parser.parse_args()

    world = MPI.COMM_WORLD
    files = sorted(folders.items.rglob("*.csv"))
    mine = files[world.rank :: world.size]
    part = {
        "rank": world.rank,
        "node": os.environ.get("HEADRACE_NODE", MPI.Get_processor_name()),
        "items": [path.name for path in mine],
        "days": {path.stem: summary(path) for path in mine},
    }
    parts = world.gather(part, root=0)
    if parts is None:
        return
    days = {day: found for each in parts for day, found in each.pop("days").items()}
    result = {"ranks": parts, "days": dict(sorted(days.items()))}
    (folders.output / "result.json").write_text(json.dumps(result, indent=1) + "\n")
    print(f"{len(files)} items by {world.size} ranks on {len({p['node'] for p in parts})} nodes")


if __name__ == "__main__":
    main()
