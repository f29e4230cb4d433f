"""`python3 -m headrace_bmi CONFIG.json FORCING OUTPUT [--partitions FILE]`, in the working folder.

Exit code 1 with a sentence on stderr where the run can't be done.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from headrace_bmi.config import read_config
from headrace_bmi.errors import BmiFailed
from headrace_bmi.model import load_model
from headrace_bmi.run import run_catchments
from headrace_bmi.shares import chosen, forcing_files, rank_of, share


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def run(arguments: argparse.Namespace) -> None:
    """Run this process's share; raises `BmiFailed`."""
    config = read_config(arguments.config).until(os.environ.get("HEADRACE_END"))
    rank, size = rank_of(os.environ)
    forcing = forcing_files(arguments.forcing)
    catchments = chosen(config.catchments, forcing)
    mine = share(catchments, rank, size, arguments.partitions)
    make = load_model(config.model)
    arguments.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=".", prefix=f"bmi-{rank}-") as scratch:
        # One rank speaks for all: theirs are about as many, and lines of several would jump.
        run_catchments(
            config, make, mine, forcing, arguments.output, Path(scratch),
            _say if rank == 0 else lambda _line: None,
        )  # fmt: skip
    node = os.environ.get("HEADRACE_NODE")
    where = f" on {node}" if node else ""
    _say(f"rank {rank} of {size}{where}: {len(mine):,} of {len(catchments):,} catchments")


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(
        prog="python3 -m headrace_bmi", description="Runs a BMI model over catchments."
    )
    parser.add_argument("config", type=Path, help="JSON, see headrace_bmi.config")
    parser.add_argument("forcing", type=Path, help="folder with a file a catchment")
    parser.add_argument("output", type=Path, help="folder for cat-<id>.csv")
    parser.add_argument("--partitions", type=Path, help="ngen's partition config: file or folder")
    try:
        run(parser.parse_args())
    except BmiFailed as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
