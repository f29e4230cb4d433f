"""Runs seeds: `python -m tests.support.simulation --first 1 --seeds 10`."""

import argparse
import gc
import json
import os
import signal
import sys
import tempfile
import warnings
from dataclasses import asdict
from pathlib import Path

from tests.support.redis_server import find_redis_server
from tests.support.simulation import patches
from tests.support.simulation.plants import NOTHING, PLANTS
from tests.support.simulation.redis_host import RedisHost
from tests.support.simulation.story import Story
from tests.support.simulation.trace import to_stderr


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.support.simulation", description=__doc__
    )
    parser.add_argument("--first", type=int, default=1, metavar="SEED", help="the first (1)")
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="how many (1)")
    parser.add_argument("--step", type=int, default=1, metavar="N", help="every n-th (1)")
    parser.add_argument("--seconds", type=float, help="begin none after so many seconds")
    parser.add_argument("--least", type=int, default=0, help="so many whatever --seconds says")
    parser.add_argument("--plant", choices=sorted(PLANTS), help="plant a bug")
    parser.add_argument("--trace", action="store_true", help="print all that happens")
    parser.add_argument("--keep-going", action="store_true", help="go on after a broken seed")
    return parser.parse_args()


def main() -> int:
    """Print a JSON line a seed; 1 when something did not hold."""
    if os.environ.get("PYTHONHASHSEED") != "0":
        # The order of sets of texts hangs on it.
        os.environ["PYTHONHASHSEED"] = "0"
        again = [sys.executable, "-m", "tests.support.simulation", *sys.argv[1:]]
        os.execv(sys.executable, again)  # noqa: S606 - ourselves
    asked = _arguments()
    binary = find_redis_server()
    if binary is None:
        sys.exit("there is no redis-server")
    plant = PLANTS[asked.plant] if asked.plant else NOTHING
    patches.take_over()
    warnings.simplefilter("ignore")  # what is abandoned by a crash is never awaited
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    began, broken = patches.REAL_MONOTONIC(), 0
    memory = Path("/dev/shm")  # noqa: S108 - a folder of our own in it
    with tempfile.TemporaryDirectory(
        prefix="headrace-simulation-", dir=memory if os.access(memory, os.W_OK) else None
    ) as folder:
        os.chdir(folder)
        host = RedisHost(binary, Path(folder), plant.fsync, lambda: 0.0)
        gc.disable()
        gc.freeze()
        try:
            for number in range(asked.seeds):
                spent = patches.REAL_MONOTONIC() - began
                if asked.seconds and spent > asked.seconds and number >= asked.least:
                    break
                seed = asked.first + number * asked.step
                out = to_stderr() if asked.trace else None
                outcome = Story(seed, host, Path(f"seed{seed}"), plant, out).run()
                print(json.dumps(asdict(outcome)), flush=True)  # noqa: T201 - who started us reads it
                if outcome.broken:
                    broken += 1
                    if not asked.keep_going:
                        break
        finally:
            host.close()
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
