"""`python -m tests.benchmarks`: measures Headrace beside its peers; see docs/benchmarks.md."""

import argparse
import asyncio
import json
import sys
import tempfile
from pathlib import Path

from tests.benchmarks import (
    arrays,
    first_view,
    follow,
    growth,
    idle,
    imports,
    listing,
    matching,
    memory,
    partitions,
    placements,
    planner,
    ranks,
    recovery,
    staging,
    start,
    submits,
    swarm,
    takeover,
    transfers,
    transitions,
    when,
)
from tests.benchmarks.bench import Bench, NotHere
from tests.benchmarks.peers import Peers, default_folder
from tests.benchmarks.rows import Row, machine, plain, table
from tests.support.run_root import temp_folder

_ALL = {
    each.NAME: each
    for each in (
        transitions,
        start,
        arrays,
        memory,
        matching,
        placements,
        planner,
        when,
        submits,
        growth,
        recovery,
        takeover,
        listing,
        follow,
        first_view,
        idle,
        swarm,
        transfers,
        staging,
        imports,
        partitions,
        ranks,
    )
}


def main(words: list[str]) -> int:
    """Run what is asked for; status 0 whatever the figures are, 1 when one can't run here."""
    options = _options(words)
    peers = Peers(options.peers)
    rows: list[Row] = []
    failed: dict[str, str] = {}
    for name in options.names or _ALL:
        sys.stderr.write(f"measures {name}: {_ALL[name].ABOUT}\n")
        with tempfile.TemporaryDirectory(prefix="hrb", dir=temp_folder()) as folder:
            bench = Bench(Path(folder), options.seconds, peers)
            try:
                rows += asyncio.run(_ALL[name].measure(bench))
            except NotHere as error:
                failed[name] = str(error)
    facts = machine(peers.versions)
    if options.json:
        found = {"machine": facts, "rows": [plain(row) for row in rows], "failed": failed}
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        print(table(rows, facts))
        for name, reason in failed.items():
            print(f"{name} could not run: {reason}")
    return 1 if failed else 0


def _options(words: list[str]) -> argparse.Namespace:
    names = "\n".join(f"  {name:12} {each.ABOUT}" for name, each in _ALL.items())
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description=f"Measure Headrace beside its peers, in one run.\n\nbenchmarks:\n{names}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", metavar="NAME", nargs="*", help="which ones (default: all)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument(
        "--seconds", type=float, default=20.0, help="about how long each measures (default: 20)"
    )
    parser.add_argument(
        "--peers",
        type=Path,
        default=default_folder(),
        help="where the peers' environments are kept (default: %(default)s)",
    )
    options = parser.parse_args(words)
    if unknown := sorted(set(options.names) - _ALL.keys()):
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are: {', '.join(_ALL)}")
    if options.seconds <= 0:
        parser.error("--seconds must be above 0")
    return options


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
