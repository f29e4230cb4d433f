"""RQ: enqueueing alone, no worker. Argument: Redis socket."""

import sys
import time
from concurrent.futures import ThreadPoolExecutor

from redis import Redis
from rq import Queue
from talk import serve


def main(socket: str) -> None:
    """Measure what is asked for: samples are milliseconds an enqueue, or enqueues a second."""
    queue = Queue("bench", connection=Redis(unix_socket_path=socket))

    def enqueue(_: int = 0) -> None:
        queue.enqueue("subprocess.run", ["/bin/true"])

    def one(n: int) -> list[float]:
        samples = []
        for _ in range(n):
            began = time.perf_counter()
            enqueue()
            samples.append((time.perf_counter() - began) * 1e3)
        return samples

    def sixteen(n: int) -> list[float]:
        began = time.perf_counter()
        list(threads.map(enqueue, range(n)))
        return [n / (time.perf_counter() - began)]

    with ThreadPoolExecutor(16) as threads:
        one(5)
        serve(["rq"], {"one": one, "sixteen": sixteen})


if __name__ == "__main__":
    main(*sys.argv[1:])
