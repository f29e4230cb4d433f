"""Of which datasets nothing can come any more: what the store holds for them is nobody's."""

from headrace_model.dataset import DatasetState
from headrace_model.ids import DatasetId, JobId, parse_job_id
from headrace_model.status import Status


def maker_of(dataset: DatasetId) -> JobId | None:
    """The job whose output a dataset is (`keys.output_dataset`); None: it was uploaded.

    Raises `InvalidName` for an id that Headrace does not make.
    """
    job, dot, _ = dataset.partition(".")
    parsed = parse_job_id(job)
    return parsed if dot else None


def is_over(state: DatasetState | None, maker: JobId | None, status: Status | None) -> bool:
    """Whether a dataset is not in the catalogue (`state` None) and never will be (again).

    `status`: of its maker; None: that is not in Redis any more, for it is archived. Both must
    have been seen in one instant.
    """
    if state is not None:
        return False
    # The ids of uploaded datasets are fresh, and made known before the first byte.
    return maker is None or status is None or status.final
