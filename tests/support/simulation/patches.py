"""The clock and the chance of this program, put into the hands of a simulation.

They stay there: a simulation runs in a program of its own.
"""

import collections
import os
import random
import shutil
import time
from typing import Any

import structlog

from tests.support.simulation.loop import BEGIN_S, PROCESS, SimulatedLoop
from tests.support.simulation.trace import Trace

REAL_MONOTONIC = time.monotonic
_Usage = collections.namedtuple("_Usage", "total used free")


class _Now:
    loop: SimulatedLoop | None = None
    trace: Trace | None = None
    chance = random.Random(0)


def take_over() -> None:
    """Replace what the services read their clock and their random numbers from."""
    time.monotonic = _monotonic
    time.perf_counter = _monotonic
    time.time = _time
    time.time_ns = lambda: int(_time() * 1e9)
    # All of `secrets` reads this.
    random._urandom = _chance_bytes
    os.urandom = _chance_bytes
    shutil.disk_usage = lambda _: _Usage(10**12, 10**11, 9 * 10**11)
    structlog.configure(
        processors=[_log],
        wrapper_class=structlog.make_filtering_bound_logger(20),
        cache_logger_on_first_use=False,
    )


def begin(loop: SimulatedLoop, trace: Trace, seed: str) -> None:
    """From now on it is this simulation's."""
    _Now.loop, _Now.trace, _Now.chance = loop, trace, random.Random(f"{seed} secrets")
    random.seed(f"{seed} random")


def _monotonic() -> float:
    return _Now.loop.now_s if _Now.loop else REAL_MONOTONIC()


def _time() -> float:
    process = PROCESS.get()
    return BEGIN_S + _monotonic() + (process.skew_s if process else 0.0)


def _chance_bytes(number: int) -> bytes:
    return _Now.chance.randbytes(number)


def _log(_: Any, method: str, event: dict[str, Any]) -> str:
    event.pop("exc_info", None)
    if _Now.trace is not None:
        _Now.trace.log(method, event)
    raise structlog.DropEvent
