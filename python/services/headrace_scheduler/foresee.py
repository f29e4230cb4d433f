"""Makes a forecast in a process of its own, so that the scheduler's loop never waits for it.

`python -m headrace_scheduler.foresee` reads a pickled snapshot and its time, and writes what
`forecast` says of them. Only the scheduler starts it, and talks to nobody else.
"""

import asyncio
import os
import pickle
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from headrace_model.ids import JobId
from headrace_scheduler.core.forecast import Start, forecast
from headrace_scheduler.core.snapshot import Snapshot

_SMALL: Final = 100  # jobs, waiting and running: a matter of milliseconds, without a process
_LONGEST_S: Final = 300.0


async def foresee(snapshot: Snapshot, now_ms: int) -> Mapping[JobId, Start]:
    """Make a forecast beside the event loop; raises `OSError` where that failed."""
    # What it does not look at, and views that can't be sent to another process, stay here.
    snapshot = replace(snapshot, held={}, shifts=dict(snapshot.shifts))
    if sum(map(len, snapshot.lines)) + len(snapshot.running) <= _SMALL:
        return await asyncio.to_thread(forecast, snapshot, now_ms)
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "headrace_scheduler.foresee",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        content = await asyncio.to_thread(pickle.dumps, (snapshot, now_ms))
        async with asyncio.timeout(_LONGEST_S):
            said, _ = await child.communicate(content)
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode != 0:
        raise OSError(f"the process that makes forecasts ended with {child.returncode}")
    plain = await asyncio.to_thread(pickle.loads, said)  # from our own child
    return {id: Start(*times) for id, times in plain.items()}


def main() -> None:
    """Answer one question, after everybody else's work."""
    os.nice(10)
    snapshot, now_ms = pickle.loads(sys.stdin.buffer.read())  # noqa: S301 - from our own parent
    made = forecast(snapshot, now_ms)
    plain = {id: (each.at_ms, each.low_ms, each.high_ms) for id, each in made.items()}
    sys.stdout.buffer.write(pickle.dumps(plain))


if __name__ == "__main__":
    main()
