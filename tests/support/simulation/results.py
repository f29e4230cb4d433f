"""What workers write, and what must have become of it in the end."""

import json
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

from headrace_model.status import Status
from headrace_model.worker import WorkerKey, WorkerLaunch
from tests.support.simulation.invariants import Broken, hash_of


def write_output(launch: WorkerLaunch) -> None:
    """What a worker leaves that ends well: a file that tells whose it is."""
    folder = Path(launch.env["HEADRACE_OUTPUT"])
    key = launch.key
    if folder.is_dir():
        (folder / f"{key.rank}.txt").write_text(_said(key.job, key.attempt, key.rank))


def _said(job: str, attempt: int, rank: int) -> str:
    return f"{job} {attempt} {rank}\n"


def judge(state: Mapping[str, Any], ended_well: Set[WorkerKey], store: Path) -> None:
    """Each completed job has the results of one attempt, whose workers ended well, and no more."""
    sealed: dict[str, list[dict[str, Any]]] = {}
    for key, value in state.items():
        if key.startswith("hr:dataset:"):
            fields = hash_of(value)
            doc = json.loads(fields["doc"])
            if fields["state"] == "SEALED" and doc.get("origin"):
                sealed.setdefault(doc["origin"]["job"], []).append(doc)
    for key, value in state.items():
        if not key.startswith("hr:job:"):
            continue
        job, fields = key.removeprefix("hr:job:"), hash_of(value)
        made, attempt = sealed.pop(job, []), int(fields["attempt"])
        if fields["status"] != Status.COMPLETED:
            if made:
                raise Broken(f"{job} is {fields['status']} and has results: {made}")
            continue
        _judge_completed(job, attempt, fields, made, ended_well, store)
    if sealed:
        raise Broken(f"results of no job: {sealed}")


def _judge_completed(
    job: str,
    attempt: int,
    fields: Mapping[str, str],
    made: list[dict[str, Any]],
    ended_well: Set[WorkerKey],
    store: Path,
) -> None:
    nodes = json.loads(fields["allocation"])["shares"]
    for rank in range(len(nodes)):
        if WorkerKey(job, attempt, rank) not in ended_well:
            raise Broken(f"{job} is COMPLETED, and worker {rank} of attempt {attempt} is not")
    if "collection" not in fields.get("needs", ""):
        return
    if len(made) != 1 or made[0]["origin"]["attempt"] != attempt:
        raise Broken(f"{job} was completed by attempt {attempt}, and its results are {made}")
    found = {
        path.read_text()
        for path in store.glob(f"datasets/*/*/{job}.{attempt}/*")
        if len(path.name) == 64
    }
    want = {_said(job, attempt, rank) for rank in range(len(nodes))}
    if found != want:
        raise Broken(f"the store has {found} of {job}, not {want}")
