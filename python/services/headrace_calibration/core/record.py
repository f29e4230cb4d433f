"""The record of a calibration, from which it goes on after a kill: a line of JSON an iteration.

The first line names the calibration (`headrace_calibration`: version and digest of its plan).
Iterations stand in the order in which they ended. A last line that is cut is no line: its
iteration runs again.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from headrace_calibration.core.course import Iteration
from headrace_model.errors import InvalidInput

VERSION: Final = 1


def first_line(digest: str) -> bytes:
    """The line that a record begins with."""
    return _line({"headrace_calibration": VERSION, "plan": digest})


def line_of(iteration: Iteration) -> bytes:
    """The line of an iteration."""
    return _line(
        {
            "number": iteration.number,
            "parameters": list(iteration.parameters),
            "score": iteration.score,
            "failure": iteration.failure,
            "seconds": iteration.seconds,
            "spent_s": iteration.spent_s,
        }
    )


def _line(plain: Mapping[str, Any]) -> bytes:
    return json.dumps(plain, allow_nan=False).encode() + b"\n"


def whole_lines(content: bytes) -> int:
    """How many bytes of a record are whole lines."""
    return content.rfind(b"\n") + 1


def read_record(content: bytes, digest: str) -> dict[int, Iteration]:
    """The iterations of a record, by number; raises `InvalidInput` for one of another plan."""
    lines = content[: whole_lines(content)].splitlines()
    if not lines:
        return {}
    try:
        head, *rest = map(json.loads, lines)
        found = [_iteration(each) for each in rest]
    except (ValueError, TypeError, KeyError) as error:
        raise InvalidInput(f"the record of the calibration is damaged: {error}") from None
    if head != {"headrace_calibration": VERSION, "plan": digest}:
        raise InvalidInput(
            "the checkpoint is of another calibration: its settings, or the version of Headrace, "
            "differ",
            hint="submit it as a new job",
        )
    return {each.number: each for each in found}


def _iteration(plain: Mapping[str, Any]) -> Iteration:
    score = plain["score"]
    return Iteration(
        number=int(plain["number"]),
        parameters=tuple(map(float, plain["parameters"])),
        score=None if score is None else float(score),
        failure=str(plain["failure"]),
        seconds=float(plain["seconds"]),
        spent_s=float(plain["spent_s"]),
    )
