"""A peer program's end of the lines of JSON (see ../peers.py). Standard library only."""

import json
import sys
from collections.abc import Callable
from importlib.metadata import version


def serve(packages: list[str], acts: dict[str, Callable[[int], list[float]]]) -> None:
    """Say that the peer is ready, then answer requests until the input ends."""
    _say({"versions": {name: version(name) for name in packages}})
    for line in sys.stdin:
        request = json.loads(line)
        _say({"samples": acts[request["do"]](request["n"])})


def _say(plain: object) -> None:
    sys.stdout.write(json.dumps(plain) + "\n")
    sys.stdout.flush()
