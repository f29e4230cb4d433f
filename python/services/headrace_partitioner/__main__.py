"""The worker of the kind `partition`: `python3 -m headrace_partitioner PLAN OUTPUT HYDROFABRIC`.

PLAN is the file that `headrace_kinds.partition` writes, HYDROFABRIC a folder. Exit code 1 with a
sentence on stderr where the fabric can't be split so.
"""

import json
import sys
from pathlib import Path
from typing import Any

from headrace_derivations.hydrofabric_read import files_at
from headrace_derivations.program import run_program, say
from headrace_kinds.partition import Balance
from headrace_partitioner.errors import PartitioningFailed
from headrace_partitioner.work import write_config


def run(plan: dict[str, Any], output: Path, fabric: Path) -> None:
    """Do what a plan says; raises `HeadraceError`."""
    if plan.get("headrace_partition") != 1:
        raise PartitioningFailed("the plan is of another version of Headrace")
    write_config(
        files_at([fabric]).network(),
        output,
        plan["partitions"],
        Balance(plan["balance"]),
        plan["catchments"],
        say,
    )


def main() -> None:
    """Read the arguments and run."""
    plan, output, fabric = (Path(each) for each in sys.argv[1:])
    run_program(lambda: run(json.loads(plan.read_bytes()), output, fabric), "a split", "netcdf")


if __name__ == "__main__":
    main()
