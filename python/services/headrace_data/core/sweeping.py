"""Of which datasets and jobs nothing can come any more, and why: what lies there is nobody's."""

from headrace_model.dataset import DatasetState
from headrace_model.ids import JobId
from headrace_model.status import Status


def is_over(state: DatasetState | None, maker: JobId | None, status: Status | None) -> bool:
    """Whether a dataset is not in the catalogue (`state` None) and never will be (again).

    `status`: of its maker; None: that is not in Redis any more, for it is archived. Both must
    have been seen in one instant.
    """
    if state is not None:
        return False
    # The ids of uploaded datasets are fresh, and made known before the first byte.
    return maker is None or status is None or status.final


def why_over(maker: JobId | None, status: Status | None) -> str:
    """Say why nothing can come of a dataset that `is_over`."""
    if maker is None:
        return "its dataset was deleted"
    ended = "is archived" if status is None else f"ended as {status}"
    return f"job {maker} {ended} and did not seal it, or its dataset was deleted"


def why_left(job: JobId, status: Status | None) -> str:
    """Say why nobody goes on from a checkpoint of a job that `is_over`."""
    return f"job {job} {'is archived' if status is None else f'ended as {status}'}"
