"""What the outputs of jobs are called: the ids and names of the datasets that they become.

An id tells its maker, also when nothing else is known of the dataset any more.
"""

from hashlib import sha256
from typing import Final

from headrace_model.dataset import Origin
from headrace_model.ids import DatasetId, JobId, parse_job_id

_NAME: Final = 128
_ID: Final = 16
_PARTIAL: Final = "-partial"


def output_dataset(job: JobId, attempt: int, output: str) -> DatasetId:
    """The id of the dataset that an output becomes: known before there is one."""
    return DatasetId(f"{job}.{attempt}.{output}")


def partial_dataset(job: JobId, attempt: int, output: str) -> DatasetId:
    """The id of the dataset that holds what a failed attempt had written of an output."""
    return DatasetId(f"{job}.{attempt}{_PARTIAL}.{output}")


def partial_name(job_name: str, output: str, job: JobId, attempt: int) -> str:
    """The name of that dataset."""
    return output_name(job_name, f"{output}{_PARTIAL}-{attempt}", job)


def output_name(job_name: str, output: str, job: JobId) -> str:
    """`<job name>-<output>-<job id>`, the first two cut where the name would be too long."""
    room = _NAME - _ID - 1
    if len(output) > room:
        output = f"{output[: room - 9]}-{sha256(output.encode()).hexdigest()[:8]}"
    start = job_name[: max(0, room - len(output) - 1)].rstrip("._-")
    return f"{start}-{output}-{job}" if start else f"{output}-{job}"


def maker_of(dataset: DatasetId) -> JobId | None:
    """The job whose output a dataset is; None: it was uploaded.

    Raises `InvalidName` for an id that Headrace does not make.
    """
    job, dot, _ = dataset.partition(".")
    parsed = parse_job_id(job)
    return parsed if dot else None


def origin_of(dataset: DatasetId) -> tuple[Origin, str] | None:
    """The attempt whose output a dataset is, and the output's name; None: it was uploaded.

    Raises as `maker_of`.
    """
    maker = maker_of(dataset)
    _, _, rest = dataset.partition(".")
    attempt, _, output = rest.partition(".")
    attempt = attempt.removesuffix(_PARTIAL)
    if maker is None or not (attempt.isascii() and attempt.isdigit() and len(attempt) < 10):
        return None
    return Origin(maker, int(attempt)), output
