"""Of which datasets nothing can come any more."""

import pytest

from headrace_data.core.sweeping import is_over
from headrace_model.dataset import DatasetState
from headrace_model.errors import InvalidName
from headrace_model.ids import DatasetId, job_id
from headrace_model.outputs import maker_of, output_dataset
from headrace_model.status import Status

JOB = job_id(1_700_000_000_000, 7)


def test_an_output_has_a_maker_and_an_upload_has_none() -> None:
    assert maker_of(output_dataset(JOB, 3, "flow.v2")) == JOB
    assert maker_of(DatasetId(JOB)) is None


@pytest.mark.parametrize("id_", ["", "d1", f"{JOB}x", f"{JOB[1:]}.1.out", "..", f".{JOB}"])
def test_what_headrace_does_not_make_is_not_judged(id_: str) -> None:
    with pytest.raises(InvalidName):
        maker_of(DatasetId(id_))


@pytest.mark.parametrize("state", DatasetState)
def test_nothing_that_the_catalogue_knows_is_over(state: DatasetState) -> None:
    assert not is_over(state, None, None)
    assert not is_over(state, JOB, Status.COMPLETED)


def test_an_upload_that_the_catalogue_does_not_know_is_over() -> None:
    assert is_over(None, None, None)


@pytest.mark.parametrize("status", Status)
def test_an_output_is_over_with_its_job_and_not_before(status: Status) -> None:
    assert is_over(None, JOB, status) is status.final
    assert is_over(None, JOB, None), "archived"
