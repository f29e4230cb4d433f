"""Jobs as the benchmarks make them: as the request service would, without HTTP."""

import time
from secrets import randbits

from headrace_model.ids import JobId, job_id
from headrace_request.core.accept import Accepted, accept
from headrace_wire.jobfile import dump_text, load_jobfile

PLAIN = {
    "headrace": 1,
    "kind": "command",
    "name": "bench",
    "command": ["true"],
    "resources": {"cpus": 0.5, "memory": "64MiB"},
}
"""A simple job, as a client sends it."""


def new_id() -> JobId:
    """An id of its own."""
    return job_id(int(time.time() * 1000), randbits(30))


def new_jobs(n: int) -> list[Accepted]:
    """Simple jobs, ready to be created."""
    spec = load_jobfile(PLAIN, sent=True)
    text = dump_text(spec)
    return [accept(spec, text, job=new_id(), owner="bench") for _ in range(n)]
