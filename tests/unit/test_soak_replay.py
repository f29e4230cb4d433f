"""The soak's own eyes: a history that does not lead to the job's state is seen."""

from typing import Any

import pytest

from headrace_model.cause import Cause
from headrace_model.status import Event, Role, Status
from tests.support.soak.checks import replay
from tests.support.soak.errands import Expected

STATE = {"status": Status.COMPLETED.value, "attempt": "1", "version": "4"}


def _history() -> list[dict[str, Any]]:
    way = [
        ("SUBMIT", "", Status.ACCEPTED, Role.REQUEST, 1),
        (Event.NEEDS_ALLOCATION, Status.ACCEPTED, Status.AWAITING_ALLOCATION, Role.REQUEST, 1),
        (Event.LAUNCHED, Status.AWAITING_ALLOCATION, Status.SCHEDULED, Role.SCHEDULER, 2),
        (Event.STARTED, Status.SCHEDULED, Status.RUNNING, Role.MONITOR, 3),
        (Event.COMPLETED, Status.RUNNING, Status.COMPLETED, Role.MONITOR, 4),
    ]
    return [
        {"event": event, "from": old, "to": new, "by": by, "version": version, "attempt": 1}
        for event, old, new, by, version in way
    ]


def test_a_way_by_the_table_is_right() -> None:
    assert list(replay(STATE, _history())) == []


@pytest.mark.parametrize(
    ("place", "change"),
    [
        (0, {"event": "LAUNCHED"}),
        (2, {"by": Role.MONITOR}),
        (3, {"version": 2}),
        (3, {"attempt": 2}),
        (3, {"from": Status.AWAITING_DATA}),
        (4, {"to": Status.FAILED}),
        (4, {"event": Event.STARTED}),
    ],
)
def test_a_wrong_entry_is_seen(place: int, change: dict[str, Any]) -> None:
    history = _history()
    history[place] |= change
    assert list(replay(STATE, history))


def test_an_entry_that_is_there_twice_or_not_at_all_is_seen() -> None:
    history = _history()
    assert list(replay(STATE, [*history[:3], *history[2:]]))
    assert list(replay(STATE, history[:4]))
    assert list(replay({**STATE, "attempt": "2"}, history))


@pytest.mark.parametrize(
    ("cause", "met"),
    [
        (Cause.CANCELED, True),
        (Cause.ATTEMPT_LOST, True),  # what was lost right before the cancel
        (Cause.EXIT_CODE, False),
        (None, False),
    ],
)
def test_a_cancel_tells_what_was_lost_right_before_it(cause: Cause | None, met: bool) -> None:
    canceled = Expected("canceled", Status.CANCELED, Cause.CANCELED)
    assert canceled.is_met(Status.CANCELED, cause, None) is met
    assert not canceled.is_met(Status.FAILED, cause, None)


def test_other_ends_tell_their_own_cause_and_code() -> None:
    fails = Expected("fails", Status.FAILED, Cause.EXIT_CODE, 3)
    assert fails.is_met(Status.FAILED, Cause.EXIT_CODE, 3)
    assert not fails.is_met(Status.FAILED, Cause.EXIT_CODE, 4)
    assert not fails.is_met(Status.FAILED, Cause.ATTEMPT_LOST, 3)
