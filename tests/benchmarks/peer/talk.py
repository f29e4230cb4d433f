"""A peer program's end of the lines of JSON (see ../peers.py). Standard library only."""

import json
import sys
from collections.abc import Callable
from importlib.metadata import version


def serve(
    packages: list[str],
    acts: dict[str, Callable[[int], list[float]]],
    others: dict[str, str] | None = None,
) -> None:
    """Say that the peer is ready, then answer requests until the input ends.

    `others` are the versions of what is no Python package.
    """
    _say({"versions": {name: version(name) for name in packages} | (others or {})})
    for line in sys.stdin:
        request = json.loads(line)
        _say({"samples": acts[request["do"]](request["n"])})


def _say(plain: object) -> None:
    sys.stdout.write(json.dumps(plain) + "\n")
    sys.stdout.flush()
