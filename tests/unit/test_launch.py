"""The work records of a placed attempt, and what a job's prerequisites decide."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_model.cause import Cause
from headrace_model.ids import JobId, NodeId
from headrace_model.job import Need
from headrace_model.resources import Allocation, Resources, Share
from headrace_model.status import EDGES, Event, Role, Status
from headrace_model.work import FactKind, Verb
from headrace_scheduler.core.launch import after_prerequisites, launch, place
from tests.unit.test_monitor_decide import RUNNING

SHARES = tuple(
    Share(NodeId(f"node{number}"), Resources(number * 500, 2**30)) for number in range(1, 4)
)
ALLOCATION = Allocation(SHARES)
WAITING = replace(RUNNING, status=Status.AWAITING_ALLOCATION, allocation=None)
FIRST, SECOND = JobId("first"), JobId("second")
AFTER = replace(WAITING, status=Status.AWAITING_PREREQUISITES, after=(FIRST, SECOND))


@pytest.mark.parametrize("needs", [frozenset(), frozenset({Need.COLLECTION})])
def test_with_nothing_to_stage_a_placed_job_is_launched_at_once(needs: frozenset[Need]) -> None:
    move = place(replace(WAITING, needs=needs), ALLOCATION)
    assert (move.event, move.to) == (Event.LAUNCHED, Status.SCHEDULED)
    assert {work.verb for work in move.work} == {Verb.LAUNCH}
    assert move.takes == ALLOCATION


def test_with_data_to_stage_a_placed_job_stages_first() -> None:
    move = place(replace(WAITING, needs=frozenset({Need.STAGING})), ALLOCATION)
    assert (move.event, move.to) == (Event.ALLOCATED, Status.AWAITING_DATA)
    assert {work.verb for work in move.work} == {Verb.STAGE}


def test_every_node_gets_one_record_with_its_rank_and_its_share() -> None:
    records = place(WAITING, ALLOCATION).work
    assert [(w.node, w.rank, w.ranks, w.resources) for w in records] == [
        (share.node, rank, 3, share.resources) for rank, share in enumerate(SHARES)
    ]
    assert {(w.job, w.attempt, w.spec) for w in records} == {(WAITING.id, 1, WAITING.spec)}


def test_a_staged_job_is_launched_where_its_data_is_and_takes_nothing_more() -> None:
    staged = replace(WAITING, status=Status.AWAITING_SCHEDULING, allocation=ALLOCATION)
    move = launch(staged)
    assert move.to is Status.SCHEDULED
    assert move.takes is None
    assert [(w.node, w.verb, w.rank) for w in move.work] == [
        (share.node, Verb.LAUNCH, rank) for rank, share in enumerate(SHARES)
    ]
    assert set(move.consumes) == {(share.node, FactKind.STAGED) for share in SHARES}


def test_a_staged_job_without_an_allocation_is_a_mistake_that_is_named() -> None:
    with pytest.raises(AssertionError, match=WAITING.id):
        launch(replace(WAITING, status=Status.AWAITING_SCHEDULING))


def test_a_job_goes_on_once_all_before_it_have_completed() -> None:
    move = after_prerequisites(AFTER, {FIRST: Status.COMPLETED, SECOND: Status.COMPLETED})
    assert move is not None
    assert move.to is Status.AWAITING_ALLOCATION


def test_a_prerequisite_that_is_gone_ends_the_job() -> None:
    move = after_prerequisites(AFTER, {FIRST: Status.COMPLETED})
    assert move is not None
    assert (move.to, move.cause) == (Status.FAILED, Cause.PREREQUISITE)
    assert SECOND in move.detail
    assert "is gone" in move.detail


@given(st.sampled_from(Status), st.sampled_from(Status), st.frozensets(st.sampled_from(Need)))
def test_prerequisites_decide_for_any_statuses(
    one: Status, other: Status, needs: frozenset[Need]
) -> None:
    both = {one, other}
    move = after_prerequisites(replace(AFTER, needs=needs), {FIRST: one, SECOND: other})
    if any(status.final and status is not Status.COMPLETED for status in both):
        assert move is not None
        assert (move.event, move.cause) == (Event.PREREQUISITE_FAILED, Cause.PREREQUISITE)
    elif both == {Status.COMPLETED}:
        assert move is not None
        assert move.event is not None
        assert EDGES[AFTER.status, move.event].writer is Role.SCHEDULER
        assert move.to is not Status.AWAITING_PREREQUISITES
    else:
        assert move is None, "a stopped prerequisite may be restarted"
