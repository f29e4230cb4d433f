"""Celery: one worker, acks_late, tasks that start a process. Arguments: Redis socket, pipe."""

import os
import subprocess
import sys
import time

from arrivals import REST_S, Arrivals, command
from talk import serve


def main(socket: str, pipe: str) -> None:
    """Start a worker, measure what is asked for, end the worker."""
    here = os.path.dirname(os.path.abspath(__file__))
    os.environ |= {"BENCH_REDIS_SOCKET": socket, "PYTHONPATH": here}
    from celery_tasks import app, run  # it reads the environment

    worker = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "celery_tasks", "worker", "--concurrency=2",
         "--loglevel=WARNING", "--without-gossip", "--without-mingle", "--without-heartbeat"],
        stdin=subprocess.DEVNULL, stdout=sys.stderr,
    )  # fmt: skip
    arrivals = Arrivals(pipe)

    def start(n: int) -> list[float]:
        samples = []
        for _ in range(n):
            began = time.monotonic_ns()
            done = run.delay(command(pipe))
            samples.append((arrivals.next_ns() - began) / 1e6)
            done.get(timeout=30.0)
            time.sleep(REST_S)
        return samples

    try:
        start(3)  # the worker is up when it has done something
        serve(["celery"], {"start": start})
    finally:
        app.close()
        worker.terminate()
        worker.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
