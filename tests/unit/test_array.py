"""Tasks as values: spans, the record as Redis holds it, and how many a node takes."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_model.array import (
    LONGEST_LEASE,
    STATES,
    TaskState,
    indices_of,
    lease_size,
    lost_from,
    spans_of,
)
from headrace_model.cause import Cause
from headrace_model.errors import InvalidInput
from headrace_model.ids import JobId, NodeId
from headrace_wire.arrays import read_array

JOB = JobId("0123456789abcdef")
states = st.lists(st.sampled_from(TaskState), min_size=1, max_size=40)


@given(st.lists(st.integers(0, 60)))
def test_spans_hold_exactly_their_tasks_and_are_as_few_as_can_be(indices: list[int]) -> None:
    spans = spans_of(indices)
    assert indices_of(spans) == sorted(set(indices))
    gaps = [later[0] - before[1] for before, later in pairwise(spans)]
    assert all(gap > 0 for gap in gaps)


def fields_of(states: Sequence[TaskState], **more: str) -> dict[str, str]:
    """What the scripts write, letter by letter as `_arrays.lua` says."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    padded = [*(STATES.index(state) for state in states), 0, 0]
    chunk = "".join(
        letters[padded[at] + 4 * padded[at + 1] + 16 * padded[at + 2]]
        for at in range(0, len(states), 3)
    )
    counts = {state.name.lower(): str(states.count(state)) for state in TaskState}
    return {"total": str(len(states)), **counts, "low": "0", "c0": chunk, **more}


@given(states)
def test_the_record_is_read_as_the_scripts_write_it(states: list[TaskState]) -> None:
    record = read_array(JOB, fields_of(states))
    assert [record.state(index) for index in range(len(states))] == states


@given(states, st.none() | st.sampled_from(TaskState), st.integers(1, 7))
def test_pages_show_every_task_of_a_state_once_and_in_order(
    states: list[TaskState], wanted: TaskState | None, limit: int
) -> None:
    record = read_array(JOB, fields_of(states))
    found: list[int] = []
    at = 0
    while at >= 0:
        page, at = record.page(wanted, at, limit)
        assert len(page) <= limit
        found += page
    assert found == [i for i, state in enumerate(states) if wanted in (None, state)]


def test_failures_and_parts_are_read() -> None:
    fields = fields_of(
        [TaskState.FAILED, TaskState.DONE],
        f0="2 NOT_STARTED - there is no program 'x'",
        f1="1 EXIT_CODE 3 ",
        p2="bb 1-2",
        p1="aa 0-1,3-9",
    )
    record = read_array(JOB, fields)
    assert [(f.index, f.tries, f.cause, f.exit_code) for f in record.failures.values()] == [
        (0, 2, Cause.NOT_STARTED, None),
        (1, 1, Cause.EXIT_CODE, 3),
    ]
    assert [each.sentence for each in record.failures.values()] == [
        "there is no program 'x'",
        "exit code 3",
    ]
    assert [(part.digest, part.covers(4)) for part in record.parts] == [
        ("aa", True),
        ("bb", False),
    ]
    assert [each.index for each in record.first_failed(9)] == [0], "task 1 did well afterwards"


@pytest.mark.parametrize("wrong", [{"c0": "*"}, {"total": "x"}, {"f0": "2"}, {"p1": "aa 1"}])
def test_a_damaged_record_is_an_error_that_names_it(wrong: dict[str, str]) -> None:
    with pytest.raises(InvalidInput, match=JOB):
        read_array(JOB, fields_of([TaskState.DONE]) | wrong)


@given(st.integers(1, 64), st.floats(0, 5_000), st.integers(0, 200_000), st.integers(1, 20))
def test_ranges_are_bounded_and_shrink_near_the_end(
    slots: int, per_s: float, waiting: int, nodes: int
) -> None:
    size = lease_size(slots, per_s, waiting, nodes)
    assert (size > 0) == (waiting > 0)
    assert size <= min(LONGEST_LEASE, waiting)
    if nodes > 1:
        assert size * nodes <= waiting / 2 + nodes, "half is left for who asks next"
    if waiting >= 2 * nodes * LONGEST_LEASE:
        assert size >= min(slots, LONGEST_LEASE)


@given(st.sets(st.sampled_from("abcd"), min_size=1), st.sets(st.sampled_from("abcdef")))
def test_an_attempt_lives_while_one_node_does(there: set[str], lost: set[str]) -> None:
    nodes = [NodeId(name) for name in sorted(there)]
    away = lost_from(nodes, [NodeId(name) for name in lost])
    assert set(away) == (there & lost if there - lost else set())
