"""How long a job was where, beside brute force over any way; and the words for it."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_client.cli.history import event_text, lasted
from headrace_model.phases import Step, phases
from headrace_model.status import EDGES, Event, Status
from headrace_wire.api import HistoryView
from headrace_wire.history import run_ms_of


@st.composite
def ways(draw: st.DrawFn) -> tuple[list[Step], int]:
    """A way that the table allows, with wishes between, and the attempt at its end."""
    at, attempt, status = draw(st.integers(0, 10)), 1, Status.ACCEPTED
    steps = [Step(at, 1, None, Status.ACCEPTED)]
    for _ in range(draw(st.integers(1, 25))):
        at += draw(st.integers(0, 5))
        edges = sorted((e, edge.to) for (s, e), edge in EDGES.items() if s is status)
        event, to = draw(st.sampled_from(edges)) if edges and draw(st.booleans()) else ("", status)
        steps.append(Step(at, attempt, status, to))
        attempt += event == Event.RETRY or (status is Status.STOPPED and not to.closed)
        status = to
    return steps, attempt


@given(ways())
def test_at_each_moment_it_was_where_its_history_puts_it(
    way: tuple[list[Step], int],
) -> None:
    steps, attempt = way
    found = phases(steps, attempt)
    end_ms = steps[-1].at_ms + 3
    for moment in range(steps[0].at_ms, end_ms):
        told = [
            (each.status, each.attempt)
            for each in found
            if each.began_ms <= moment < (end_ms if each.ended_ms is None else each.ended_ms)
        ]
        place = max(n for n, step in enumerate(steps) if step.at_ms <= moment)
        last = place + 1 == len(steps)
        status = steps[place].after
        if status is Status.ACCEPTED or (status.closed and _stays(steps[place:])):
            assert told == []
        else:
            assert told == [(status, attempt if last else steps[place + 1].attempt)]
    for one, other in pairwise(found):
        assert (one.status, one.attempt) != (other.status, other.attempt)
        assert one.ended_ms is not None


def _stays(steps: list[Step]) -> bool:
    """Whether nothing follows a job's end but the end of the list."""
    return len(steps) == 1


def _line(at: int, attempt: int, before: str, after: str) -> str:
    said = {"at": at, "attempt": attempt, "from": before, "to": after, "event": "E"}
    return json.dumps(said)


def test_an_attempt_ran_as_long_as_it_was_running() -> None:
    running, stopping, waiting = (
        "MODEL_EXEC:RUNNING", "MODEL_EXEC:STOPPING", "MODEL_EXEC:AWAITING_ALLOCATION",
    )  # fmt: skip
    way = [
        _line(0, 1, "", waiting),
        _line(10, 1, waiting, "MODEL_EXEC:SCHEDULED"),
        _line(20, 1, "MODEL_EXEC:SCHEDULED", running),
        _line(25, 1, running, running),  # a node left it
        _line(50, 1, running, stopping),
        _line(60, 1, stopping, waiting),
        _line(70, 2, waiting, "MODEL_EXEC:SCHEDULED"),
        _line(80, 2, "MODEL_EXEC:SCHEDULED", running),
    ]
    assert [run_ms_of(way, attempt) for attempt in (1, 2, 3)] == [30, None, None]
    ended = [*way, _line(95, 2, running, "CLOSED:COMPLETED")]
    assert [run_ms_of(ended, attempt) for attempt in (1, 2)] == [30, 15]


def _entry(event: str, desired: str = "", from_: str = "") -> HistoryView:
    return HistoryView("", "request", event, "MODEL_EXEC:RUNNING", 1, 1, from_, desired=desired)


@pytest.mark.parametrize(
    ("entry", "word"),
    [
        (_entry("DESIRE_HOLD", "HOLD"), "HOLD"),
        (_entry("DESIRE_RUN", "RUN"), "RELEASE"),
        (_entry("DESIRE_CANCEL", "CANCEL"), "CANCEL"),
        (_entry("NEEDS_ALLOCATION", "RUN", "CLOSED:STOPPED"), "RESTART"),
        (_entry("STARTED"), "STARTED"),
    ],
)
def test_a_wish_is_told_by_its_verb(entry: HistoryView, word: str) -> None:
    assert event_text(entry) == word


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0124, "0.012s"),
        (42.06, "42.1s"),
        (303.9, "5m 3s"),
        (7_810, "2h 10m"),
        (274_000, "3d 4h"),
    ],
)
def test_a_time_that_passed_is_told_in_two_units(seconds: float, text: str) -> None:
    assert lasted(seconds) == text
