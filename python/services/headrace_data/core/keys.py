"""Where things lie in the object store.

`datasets/<id>/<version>/<who made it>/<sha256>` are items, named by their contents: writing one
again, by whomever and after whatever crash, writes the same bytes, and no path that a stranger
chose is ever a key. `…/direct/<SHA-256 of its path>-<sha256>/<random>` is an item that its client
put there itself: nobody hashed it yet. `sealed/<id>` is the SEALED marker, `deleted/<id>` stands
in its place while a deletion can be undone, `tombstones/<id>` marks one that goes on,
`logs/<job>/<attempt>/<name>` is a shipped log, `checkpoints/<job>/<attempt>/<rank>.tar` what a
worker left for the next attempt, `archive/<name>` a pack of archived jobs.
`swept/catalogue` tells by which Redis the store was swept.
"""

from collections.abc import Iterable
from hashlib import sha256
from typing import Final

from headrace_model.dataset import Dataset, Item, check_item_path
from headrace_model.ids import DatasetId, JobId, check_name
from headrace_model.job import Job
from headrace_model.outputs import output_dataset, partial_dataset

DATASETS: Final = "datasets"
MARKERS: Final = "sealed"
DELETED: Final = "deleted"
TOMBSTONES: Final = "tombstones"
ARCHIVE: Final = "archive"
CHECKPOINTS: Final = "checkpoints"
CATALOGUE: Final = "swept/catalogue"
_DIRECT: Final = "direct"


def folder(dataset: DatasetId) -> str:
    """All that the store holds of a dataset, but for its marker."""
    return check_item_path(f"{DATASETS}/{dataset}")


def upload_key(dataset: Dataset, digest: str) -> str:
    """An item that came by an upload."""
    return f"{folder(dataset.id)}/{dataset.version}/upload/{digest}"


def direct_folder(dataset: Dataset, path: str, digest: str) -> str:
    """Where an item lies that its client puts there itself, under a random name."""
    name = sha256(path.encode()).hexdigest()[:32]
    return f"{folder(dataset.id)}/{dataset.version}/{_DIRECT}/{name}-{digest}"


def is_direct(key: str) -> bool:
    """Whether an item was put there by its client: of its bytes we know the size only."""
    parts = key.split("/")
    return parts[0] == DATASETS and parts[3:4] == [_DIRECT]


def copied_key(dataset: Dataset, item: Item) -> str:
    """An item that is a copy of another dataset's: still nobody hashed what nobody hashed."""
    if is_direct(item.key):
        return f"{direct_folder(dataset, item.path, item.sha256)}/copy"
    return upload_key(dataset, item.sha256)


def output_key(job: JobId, attempt: int, output: str, digest: str) -> str:
    """An item that an attempt made."""
    return f"{folder(output_dataset(job, attempt, output))}/1/{job}.{attempt}/{digest}"


def partial_key(job: JobId, attempt: int, output: str, digest: str) -> str:
    """A file that an attempt had written when it failed."""
    return f"{folder(partial_dataset(job, attempt, output))}/1/{job}.{attempt}/{digest}"


def manifest_key(dataset: Dataset, digest: str) -> str:
    """The manifest. Its name holds its SHA-256: of two that try to seal, neither can overwrite
    what the other one sealed.
    """
    return f"{folder(dataset.id)}/{dataset.version}/manifest-{digest}.json"


def marker_key(dataset: DatasetId) -> str:
    """The SEALED marker."""
    return f"{MARKERS}/{dataset}"


def deleted_key(dataset: DatasetId) -> str:
    """The marker of a SEALED dataset that was deleted and can be brought back."""
    return f"{DELETED}/{dataset}"


def tombstone_key(dataset: DatasetId) -> str:
    """The mark of a deletion that goes on."""
    return f"{TOMBSTONES}/{dataset}"


def log_key(job: JobId, attempt: int, name: str) -> str:
    """A shipped log; raises `InvalidName`."""
    return f"{logs_folder(job)}/{attempt}/{check_name(name, 'log')}"


def checkpoint_key(job: JobId, attempt: int, rank: int) -> str:
    """What a worker of an attempt left for the next one."""
    return f"{checkpoints_folder(job)}/{attempt}/{rank}.tar"


def checkpoints_folder(job: JobId) -> str:
    """All that attempts of a job left for later ones."""
    return f"{CHECKPOINTS}/{job}"


def checkpoints_before(attempt: int, rank: int, keys: Iterable[str]) -> list[str]:
    """Of the keys of a job's checkpoints those that earlier attempts left, the newest first."""
    of_rank = {int(key.split("/")[2]): key for key in keys if key.endswith(f"/{rank}.tar")}
    return [of_rank[each] for each in sorted(of_rank, reverse=True) if each < attempt]


def logs_folder(job: JobId) -> str:
    """All shipped logs of a job."""
    return f"logs/{job}"


def pack_name(now_ms: int, data: bytes) -> str:
    """The name of a new pack: names in order are in the order of time."""
    return f"{now_ms:014}-{sha256(data).hexdigest()[:16]}"


def pack_key(name: str) -> str:
    """A pack of archived jobs; raises `InvalidName`."""
    return f"{ARCHIVE}/{check_name(name, 'pack')}"


def kept_attempt(job: Job) -> int:
    """The attempt whose dataset an output becomes.

    Of an array it is the first: later ones go on with what has not ended, and add to it.
    """
    return 1 if job.is_array else job.attempt
