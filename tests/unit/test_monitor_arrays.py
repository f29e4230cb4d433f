"""What the monitor decides for an array: it lives while one node does, until all tasks ended."""

from dataclasses import replace

import pytest

from headrace_model.array import STATES, ArrayRecord, TaskCounts, TaskFailure, TaskState
from headrace_model.cause import Cause
from headrace_model.job import Need
from headrace_model.spec import Retry
from headrace_model.status import Event, Status
from headrace_model.work import FactKind, Verb
from headrace_monitor.core.decide import Seen, decide
from tests.unit.test_monitor_decide import N1, N2, RUNNING, STOPPING, fact, moved, seen

ARRAY = replace(RUNNING, ask=replace(RUNNING.ask, tasks=4))
BOTH_EXITED = fact(N1, FactKind.EXITED) | fact(N2, FactKind.EXITED)


def record(*states: TaskState, failures: dict[int, TaskFailure] | None = None) -> ArrayRecord:
    counts = TaskCounts(len(states), *(states.count(state) for state in TaskState))
    return ArrayRecord(counts, bytes(STATES.index(s) for s in states), failures or {}, ())


def with_array(by: Seen, array: ArrayRecord) -> Seen:
    return replace(by, array=array)


HALF = record(TaskState.DONE, TaskState.RUNNING, TaskState.RUNNING, TaskState.WAITING)
WELL = record(*[TaskState.DONE] * 4)
BADLY = record(
    TaskState.DONE,
    TaskState.FAILED,
    TaskState.DONE,
    TaskState.FAILED,
    failures={
        1: TaskFailure(1, 1, Cause.EXIT_CODE, 3),
        2: TaskFailure(2, 1, Cause.EXIT_CODE, 9),  # it did well when it was run again
        3: TaskFailure(3, 1, Cause.OOM, None, "it used more memory than 1 GiB"),
    },
)


@pytest.mark.parametrize("status", [Status.SCHEDULED, Status.RUNNING])
def test_an_array_goes_on_without_a_lost_node(status: Status) -> None:
    job = replace(ARRAY, status=status)
    move = moved(job, with_array(seen(lost={N2}), HALF))
    assert (move.event, move.to) == (Event.NODE_LEFT, status)
    assert (move.returns, move.forgets, move.work) == ((N2,), (N2,), ())
    assert move.keeps is not None
    assert [share.node for share in move.keeps.shares] == [N1]
    assert {node for node, _ in move.consumes} == {N2}
    assert "node2" in move.detail
    left = replace(job, allocation=move.keeps)
    assert decide(left, with_array(seen(lost={N2}), HALF)) is None, "it has left already"


def test_an_array_without_any_node_left_is_lost_and_opens_an_attempt_for_the_rest() -> None:
    move = moved(ARRAY, with_array(seen(lost={N1, N2}), HALF))
    assert (move.event, move.cause) == (Event.ATTEMPT_LOST, Cause.NODE_LOST)
    end = moved(
        replace(STOPPING, ask=ARRAY.ask, cause=Cause.NODE_LOST),
        with_array(seen(lost={N1, N2}), HALF),
    )
    assert end.event is Event.RETRY
    assert end.opens is not None
    assert end.opens.tasks == 3, "no slots for what has ended"


def test_an_array_whose_tasks_all_did_well_is_completed_with_nothing_to_collect_on_nodes() -> None:
    move = moved(ARRAY, with_array(seen(BOTH_EXITED), WELL))
    assert move.to is Status.COMPLETED
    keeps = replace(ARRAY, needs=frozenset({Need.COLLECTION}))
    move = moved(keeps, with_array(seen(BOTH_EXITED), WELL))
    assert (move.to, move.returns) == (Status.AWAITING_COLLECTION, (N1, N2))
    assert {work.verb for work in move.work} == {Verb.CLEAN}, "its outputs are in the store"


def test_a_node_lost_while_an_arrays_outputs_are_sealed_changes_nothing() -> None:
    job = replace(ARRAY, status=Status.AWAITING_COLLECTION)
    assert decide(job, with_array(seen(lost={N1, N2}), WELL)) is None


def test_failed_tasks_fail_the_job_once_all_have_ended_and_no_attempt_follows() -> None:
    by = with_array(seen(BOTH_EXITED), BADLY)
    move = moved(ARRAY, by)
    assert (move.to, move.cause, move.exit_code) == (Status.STOPPING, Cause.TASKS, 3)
    assert move.detail == (
        "2 of 4 tasks failed: task 1 (exit code 3), task 3 (it used more memory than 1 GiB)"
    )
    stopped = fact(N1, FactKind.STOPPED) | fact(N2, FactKind.STOPPED)
    stopping = replace(STOPPING, ask=ARRAY.ask, cause=Cause.TASKS)
    every_cause = Retry(limit=9, on=frozenset(Cause))
    end = moved(stopping, with_array(seen(stopped, retry=every_cause), BADLY))
    assert end.to is Status.FAILED


def test_tasks_of_an_exclusive_array_stay_on_a_lost_node_until_an_admin_confirms() -> None:
    by = replace(with_array(seen(lost={N2}), HALF), exclusive=True)
    assert decide(ARRAY, by) is None, "the other node goes on"
    move = moved(ARRAY, replace(by, confirmed={N2}))
    assert (move.event, move.returns, move.confirmed) == (Event.NODE_LEFT, (N2,), (N2,))
