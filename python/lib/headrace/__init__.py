"""Headrace for Python programs and notebooks: `headrace.run({…}).result()`.

docs/python.md tells all of it. The functions here share a client, which finds its server and token
as the command `headrace` does; `Client` and `AsyncClient` are for others.
"""

import os
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from headrace_client.api import AsyncClient
from headrace_client.connection import Connection, choose_connection
from headrace_client.errors import JobFailed, NotCompleted, StillRunning, Unreachable, Untrusted
from headrace_client.jobsource import JobSource
from headrace_client.sync import Client, Job, Jobs, Nodes, Tasks
from headrace_client.syncdata import Dataset, Datasets, Outputs
from headrace_model.errors import (
    Conflict,
    Forbidden,
    HeadraceError,
    InvalidInput,
    NeverFits,
    NotFound,
    RateLimited,
    TooLarge,
    Unauthorized,
    Unavailable,
)
from headrace_model.status import Status
from headrace_wire.live import Change, LogPiece, Snapshot

__all__ = [
    "AsyncClient",
    "Change",
    "Client",
    "Conflict",
    "Dataset",
    "Datasets",
    "Forbidden",
    "HeadraceError",
    "InvalidInput",
    "Job",
    "JobFailed",
    "Jobs",
    "LogPiece",
    "NeverFits",
    "Nodes",
    "NotCompleted",
    "NotFound",
    "Outputs",
    "RateLimited",
    "Snapshot",
    "Status",
    "StillRunning",
    "Tasks",
    "TooLarge",
    "Unauthorized",
    "Unavailable",
    "Unreachable",
    "Untrusted",
    "dataset",
    "datasets",
    "job",
    "jobs",
    "nodes",
    "run",
]

_lock = threading.Lock()
_clients: dict[Connection, Client] = {}


def run(source: JobSource) -> Job:
    """Submit a job: a mapping with the keys of a job file, the path of one, or its text.

    Inputs that are local paths are uploaded before. `.result()` of the job waits for it.
    """
    return _client().run(source)


def job(job: str) -> Job:
    """A job by its id."""
    return _client().job(job)


def jobs(
    *,
    status: Sequence[str] = (),
    kind: str = "",
    owner: str = "",
    q: str = "",
    since: str = "",
    limit: int = 100,
) -> Jobs:
    """List jobs, the last that moved first; at most `limit` (up to 1,000)."""
    return _client().jobs(status=status, kind=kind, owner=owner, q=q, since=since, limit=limit)


def dataset(name: str) -> Dataset:
    """A dataset by name, `name@version` or id."""
    return _client().dataset(name)


def datasets(**query: str | int | Mapping[str, Any]) -> Datasets:
    """List datasets, the newest first; `query` as for GET /datasets (docs/rest.md)."""
    return _client().datasets(**query)


def nodes() -> Nodes:
    """List the nodes."""
    return _client().nodes()


def _client() -> Client:
    """The client for the server and token that are found now: a login may change them."""
    found = choose_connection(None, None, None, os.environ)
    with _lock:
        client = _clients.get(found)
        if client is None or not client.is_usable:
            client = Client(found.url, found.token, ca_file=found.ca_file)
            _clients[found] = client
        return client
