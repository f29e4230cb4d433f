"""When a plan takes a job that holds nodes to give them back: its limit counts from RUNNING."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from headrace_model.ids import DatasetId
from headrace_model.job import Need
from headrace_model.requirement import Fulfilment
from headrace_model.status import Status
from headrace_scheduler.queue import STAGING_MS, running_job, waiting_job
from headrace_wire.records import encode_fulfilments

from .test_monitor_decide import NOW, RUNNING

INPUTS = encode_fulfilments((Fulfilment("forcing", (DatasetId("d"),), None, ""),))
BEFORE = (Status.AWAITING_DATA, Status.AWAITING_SCHEDULING, Status.SCHEDULED)


@given(
    st.lists(st.integers(0, STAGING_MS // 3), min_size=3, max_size=3),
    st.integers(1, 10**8),
    st.booleans(),
)
def test_a_plan_reckons_with_no_end_before_the_real_one_and_with_that_once_the_job_runs(
    steps: list[int], limit_ms: int, staged: bool
) -> None:
    """`steps`: how long it was in each status before RUNNING; without inputs in none of them."""
    needs = frozenset({Need.STAGING}) if staged else frozenset()
    ask = replace(RUNNING.ask, time_ms=limit_ms)
    placed = replace(
        RUNNING, ask=ask, needs=needs, fulfilments=INPUTS if staged else "", taken_ms=NOW
    )
    at_ms = NOW
    told = waiting_job(replace(placed, status=Status.AWAITING_ALLOCATION)).longest_ms
    assert told is not None
    really_ms = NOW + (sum(steps) if staged else 0) + limit_ms
    assert NOW + told >= really_ms
    for status, lasts_ms in zip(BEFORE, steps if staged else (0, 0, 0), strict=True):
        found = running_job(replace(placed, status=status, entered_ms=at_ms))
        assert found is not None
        assert found.ends_ms is not None
        assert really_ms <= found.ends_ms <= NOW + told
        at_ms += lasts_ms
    found = running_job(replace(placed, entered_ms=at_ms))
    assert found is not None
    assert found.ends_ms == really_ms


def test_what_is_staged_for_longer_than_plans_allow_ends_later_than_they_were_told() -> None:
    """Seen from when it is there: nothing is over-booked, what waits starts later."""
    late_ms = NOW + 2 * STAGING_MS
    placed = replace(
        RUNNING,
        ask=replace(RUNNING.ask, time_ms=1000),
        needs=frozenset({Need.STAGING}),
        fulfilments=INPUTS,
        taken_ms=NOW,
    )
    found = running_job(replace(placed, status=Status.SCHEDULED, entered_ms=late_ms))
    assert found is not None
    assert found.ends_ms == late_ms + 1000
