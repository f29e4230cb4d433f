"""What workers write, and what must have become of it in the end."""

import json
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

from headrace_model.dataset import Manifest
from headrace_model.status import Status
from headrace_model.worker import WorkerKey, WorkerLaunch
from tests.support.simulation.broken import Broken, hash_of


def write_output(launch: WorkerLaunch) -> None:
    """What a worker leaves that ends well: a file that tells whose it is."""
    folder = Path(launch.env["HEADRACE_OUTPUT"])
    key = launch.key
    if folder.is_dir():
        (folder / f"{key.rank}.txt").write_text(f"{key}\n")


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
        array = hash_of(state.get(f"hr:array:{job}", ()))
        _judge_completed(job, attempt, fields, array, made, ended_well, store)
    if sealed:
        raise Broken(f"results of no job: {sealed}")


def _judge_completed(
    job: str,
    attempt: int,
    fields: Mapping[str, str],
    array: Mapping[str, str],
    made: list[dict[str, Any]],
    ended_well: Set[WorkerKey],
    store: Path,
) -> None:
    well = [key for key in ended_well if key.job == job]
    tasks = json.loads(fields["ask"]).get("tasks") is not None
    if tasks:
        total = int(array["total"])
        if int(array["done"]) != total or {key.index for key in well} != set(range(total)):
            raise Broken(f"{job} is COMPLETED, of its tasks: {array}, ended well: {well}")
        want = set(range(total))
    else:
        want = set(range(len(json.loads(fields["allocation"])["shares"])))
        if want - {key.rank for key in well if key.attempt == attempt}:
            raise Broken(f"{job} is COMPLETED, and not all workers of attempt {attempt}: {well}")
    if "collection" not in fields.get("needs", ""):
        return
    if len(made) != 1 or (not tasks and made[0]["origin"]["attempt"] != attempt):
        raise Broken(f"{job} was completed by attempt {attempt}, and its results are {made}")
    texts = _items(made[0], store)
    if not texts <= {f"{key}\n" for key in well} or len(texts) != len(want):
        raise Broken(f"the results of {job} are {sorted(texts)}; ended well: {well}")


def _items(dataset: Mapping[str, Any], store: Path) -> set[str]:
    """What the files of a result hold, as its manifest has them."""
    folder = f"datasets/{dataset['id']}/{dataset['version']}"
    path = store / folder / f"manifest-{dataset['manifest_sha256']}.json"
    manifest = Manifest.from_bytes(path.read_bytes())
    return {(store / item.key).read_text() for item in manifest.items}
