"""How long a job could have started, counted millisecond by millisecond from its history."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from headrace_model.status import Event, Status

QUEUED = Status.AWAITING_ALLOCATION


def eligible_ms(lines: Sequence[dict[str, Any]], not_before_ms: int) -> int:
    """Since when, by its history, a job that waits and is not held counts as waiting.

    The time until it entered the queue, until `not_before_ms` and that it was held counts nothing;
    a retry goes on where the attempt before began. A restart is by a person, who says now.
    """
    counted, due_ms, held, attempts = 0, not_before_ms, False, 0
    inside = False
    for line, after in pairwise([*lines, lines[-1]]):
        if line["event"] == "DESIRE_HOLD":
            held = True
        elif line["event"] == "DESIRE_RUN" or line["from"] == Status.STOPPED:
            held = False
        if line["to"] == QUEUED and line["from"] != QUEUED and line["event"] != Event.RETRY:
            counted, inside = 0, True
            due_ms = 0 if attempts else not_before_ms
            attempts += 1
        inside = inside and not Status(line["to"]).closed
        if inside and not held:
            counted += sum(at >= due_ms for at in range(line["at"], after["at"]))
    return max(int(lines[-1]["at"]) - counted, due_ms)
