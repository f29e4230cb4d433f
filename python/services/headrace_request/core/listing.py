"""What a request for a list says: statuses by name, and the cursor of a page."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable

from headrace_model.errors import InvalidInput, InvalidName
from headrace_model.ids import parse_job_id
from headrace_model.listing import Place
from headrace_model.status import Status


def statuses_named(names: Iterable[str]) -> tuple[Status, ...]:
    """Find statuses by whole name, phase or step, any case; all when none is named.

    Raises `InvalidInput` for a name that fits nothing.
    """
    wanted: dict[Status, None] = {}
    for name in names:
        key = name.strip().upper().replace("-", "_")
        found = [s for s in Status if key in (s.value, *s.value.split(":"))]
        if not found:
            steps = ", ".join(
                s.value.partition(":")[2] for s in Status if s is not Status.ACCEPTED
            )
            raise InvalidInput(f"{name[:60]!r} is not a status; known are {steps}")
        wanted.update(dict.fromkeys(found))
    return tuple(wanted or Status)


def write_cursor(place: Place) -> str:
    """Write a place as the text that a client sends back."""
    return urlsafe_b64encode(json.dumps([place.entered_ms, place.job]).encode()).decode()


def read_cursor(text: str) -> Place:
    """Read what `write_cursor` wrote; raises `InvalidInput` for anything else."""
    try:
        entered_ms, job = json.loads(urlsafe_b64decode(text.encode()))
        if type(entered_ms) is int and 0 <= entered_ms < 2**53 and isinstance(job, str):
            return Place(entered_ms, parse_job_id(job))
    except (ValueError, TypeError, RecursionError, InvalidName):
        pass
    raise InvalidInput(
        "this cursor is not one that a list of jobs gave", hint="start again without a cursor"
    )
