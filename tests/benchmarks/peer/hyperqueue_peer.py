"""HyperQueue: server and worker of its own Python package, in memory. Argument: pipe."""

import os
import sys
import time

from arrivals import REST_S, Arrivals, command
from hyperqueue import Job, LocalCluster
from hyperqueue.cluster import WorkerConfig
from talk import serve


def main(pipe: str) -> None:
    """Start a cluster, measure what is asked for, end the cluster."""
    arrivals = Arrivals(pipe)
    with LocalCluster(f"{os.getcwd()}/server", WorkerConfig(cores=2)) as cluster:
        client = cluster.client()

        def start(n: int) -> list[float]:
            samples = []
            for _ in range(n):
                began = time.monotonic_ns()
                job = Job(max_fails=1)
                job.program(command(pipe))
                client.submit(job)
                samples.append((arrivals.next_ns() - began) / 1e6)
                # Its process ends with its line; to wait for the job takes a second here.
                time.sleep(REST_S)
            return samples

        def tasks(n: int) -> list[float]:
            job = Job(max_fails=1)
            for _ in range(n):
                job.program(command(pipe))
            began = time.monotonic_ns()
            submitted = client.submit(job)
            ended = arrivals.nth_ns(n)
            client.wait_for_jobs([submitted])
            return [n / ((ended - began) / 1e9)]

        start(3)
        serve(["hyperqueue"], {"start": start, "tasks": tasks})


if __name__ == "__main__":
    # The cluster speaks on the standard output, which belongs to the answers.
    answers = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = os.fdopen(answers, "w")
    main(*sys.argv[1:])
