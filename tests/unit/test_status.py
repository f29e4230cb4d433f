"""The one table of a job's moves, and that the page about it says the same."""

from itertools import pairwise
from pathlib import Path

import pytest

from headrace_model.errors import IllegalTransition
from headrace_model.job import Need, first_step, step_after_prerequisites
from headrace_model.status import (
    EDGES,
    HAS_ATTEMPT,
    HOLDS_NOTHING,
    Event,
    Role,
    Status,
    as_markdown,
    as_picture,
    move,
)

PAGE = Path(__file__).parents[2] / "docs" / "design.md"


def between(name: str) -> str:
    """What stands between the page's two marks, without the fence of a picture."""
    page = PAGE.read_text()
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    assert page.count(begin) == page.count(end) == 1
    lines = page.partition(begin)[2].partition(end)[0].strip().splitlines()
    return "\n".join(line for line in lines if not line.startswith("```"))


def test_the_page_shows_the_table_as_it_is() -> None:
    assert between("edges") == as_markdown()


def test_the_page_draws_the_table_as_it_is() -> None:
    assert between("picture") == as_picture()


def test_every_edge_is_one_row_of_the_table() -> None:
    assert len(as_markdown().splitlines()) == len(EDGES) + 2


def test_every_status_can_be_reached() -> None:
    reached, new = set[Status](), {Status.ACCEPTED}
    while new:
        reached |= new
        new = {edge.to for (of, _), edge in EDGES.items() if of in reached} - reached
    assert reached == set(Status)


@pytest.mark.parametrize("status", Status)
def test_only_a_final_status_has_no_way_out(status: Status) -> None:
    ways = [edge for (of, _), edge in EDGES.items() if of is status]
    assert bool(ways) == (not status.final)


@pytest.mark.parametrize("status", [status for status in Status if not status.final])
def test_from_every_other_status_a_job_can_still_be_closed(status: Status) -> None:
    reached, new = set[Status](), {status}
    while new:
        reached |= new
        new = {edge.to for (of, _), edge in EDGES.items() if of in reached} - reached
    assert Status.CANCELED in reached


def test_only_the_monitor_writes_what_leads_to_stopping_and_out_of_it() -> None:
    for (of, event), edge in EDGES.items():
        if Status.STOPPING in (of, edge.to) and event is not Event.OUTPUTS_FOUND:
            assert edge.writer is Role.MONITOR


@pytest.mark.parametrize("status", HAS_ATTEMPT)
def test_every_bad_end_of_an_attempt_leads_to_stopping(status: Status) -> None:
    for event in (Event.STOP, Event.CANCEL, Event.FAILED, Event.ATTEMPT_LOST):
        assert EDGES[status, event].to is Status.STOPPING


@pytest.mark.parametrize("status", HOLDS_NOTHING)
def test_what_holds_nothing_is_closed_by_the_owner_at_once(status: Status) -> None:
    assert EDGES[status, Event.STOP].to is Status.STOPPED
    assert EDGES[status, Event.CANCEL].to is Status.CANCELED


def test_every_status_is_waiting_or_has_an_attempt_or_neither() -> None:
    others = {Status.ACCEPTED, Status.STOPPING, *(s for s in Status if s.closed)}
    assert {*HOLDS_NOTHING, *HAS_ATTEMPT}.isdisjoint(others)
    assert {*HOLDS_NOTHING, *HAS_ATTEMPT, *others} == set(Status)


def test_no_edge_goes_back_within_an_attempt() -> None:
    order = list(Status)
    for (of, event), edge in EDGES.items():
        new_attempt = event is Event.RETRY or of is Status.STOPPED
        assert new_attempt or order.index(of) <= order.index(edge.to)


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("event", Event)
def test_any_other_move_is_refused_with_the_jobs_history(status: Status, event: Event) -> None:
    history = ("INIT:ACCEPTED", "MODEL_EXEC:RUNNING")
    if (status, event) in EDGES:
        assert move(status, event, history) == EDGES[status, event]
        return
    with pytest.raises(IllegalTransition, match="INIT:ACCEPTED → MODEL_EXEC:RUNNING") as refused:
        move(status, event, history)
    assert refused.value.history == history


@pytest.mark.parametrize("status", [Status.ACCEPTED, Status.STOPPED])
@pytest.mark.parametrize("fulfilled", [False, True])
def test_the_first_step_with_work_is_one_that_the_table_knows(
    status: Status, fulfilled: bool
) -> None:
    for number in range(2 ** len(Need)):
        needs = frozenset(need for bit, need in enumerate(Need) if number >> bit & 1)
        assert (status, first_step(needs, fulfilled=fulfilled)) in EDGES


def test_steps_without_work_are_passed_over_in_order() -> None:
    needs = [Need.PREREQUISITES, Need.DATA_CHECK]
    steps = [first_step(frozenset(needs[at:])) for at in range(3)]
    assert steps == [
        Event.NEEDS_PREREQUISITES,
        Event.NEEDS_DATA_CHECK,
        Event.NEEDS_ALLOCATION,
    ]
    everything = frozenset(needs)
    later = [first_step(everything), step_after_prerequisites(everything)]
    later.append(step_after_prerequisites(everything, fulfilled=True))
    assert later == steps
    order = list(Status)
    for one, other in pairwise(steps):
        assert order.index(EDGES[Status.ACCEPTED, one].to) < order.index(
            EDGES[Status.ACCEPTED, other].to
        )
