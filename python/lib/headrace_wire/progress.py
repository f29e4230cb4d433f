"""How far a worker is: the lines of `<rank>.progress`, and how the REST API shows them.

A line is `<ms since 1970> <thousandths of a percent> <step> <of> <model time, ms since 1970>`; `-`
stands for what its log did not tell.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from headrace_model.array import TaskCounts
from headrace_model.progress import Mark, Pace
from headrace_wire.api import iso

PROGRESS: Final = "progress"
LIMIT: Final = 400
"""Most marks in a file: some 20 kB, which an agent sends in one piece."""
LIMIT_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class RankProgressView:
    """How far one worker is."""

    rank: int
    node: str
    at: str
    percent: float | None
    step: int | None
    of: int | None
    model_time: str | None
    percent_per_s: float | None
    steps_per_s: float | None
    seconds_left: float | None


@dataclass(frozen=True, slots=True)
class ProgressView:
    """How far an attempt is. `source`: "log", what its workers write; "tasks" of an array; null:
    nothing tells. `percent` is the mean over the workers that tell it, `seconds_left` the most;
    `ranks` are the workers that tell something, of the first 32."""

    job: str
    attempt: int
    source: str | None
    percent: float | None
    seconds_left: float | None
    ranks: tuple[RankProgressView, ...]


def progress_name(rank: int) -> str:
    """The file with the marks of a rank, beside its logs."""
    return f"{rank}.{PROGRESS}"


def write_mark(mark: Mark) -> str:
    """Write one line."""
    thousandths = None if mark.percent is None else round(mark.percent * 1000)
    numbers = (mark.at_ms, thousandths, mark.step, mark.of, mark.model_ms)
    return " ".join("-" if number is None else str(number) for number in numbers) + "\n"


def read_marks(text: str) -> tuple[Mark, ...]:
    """Read lines; torn and damaged ones are passed over, and what does not go on in time."""
    found: list[Mark] = []
    for line in text.splitlines(keepends=True):
        words = line.split()
        if not line.endswith("\n") or len(words) != 5 or not all(map(_fits, words)):
            continue
        at, *rest = (None if word == "-" else int(word) for word in words)
        if at is None or (found and at <= found[-1].at_ms):
            continue
        thousandths, step, of, model_ms = rest
        percent = None if thousandths is None else thousandths / 1000
        found.append(Mark(at, percent, step, of, model_ms))
    return tuple(found)


def _fits(word: str) -> bool:
    digits = word.removeprefix("-")
    return word == "-" or (digits.isascii() and digits.isdigit() and len(digits) < 18)


def rank_view(rank: int, node: str, last: Mark, pace: Pace) -> dict[str, Any]:
    """Show how far a worker is."""
    return {
        "rank": rank,
        "node": node,
        "at": iso(last.at_ms),
        "percent": last.percent,
        "step": last.step,
        "of": last.of,
        "model_time": None if last.model_ms is None else iso(last.model_ms),
        "percent_per_s": pace.percent_per_s,
        "steps_per_s": pace.steps_per_s,
        "seconds_left": pace.left_s,
    }


def progress_view(job: str, attempt: int, ranks: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Show how far an attempt is by what its workers write."""
    percents = [each["percent"] for each in ranks if each["percent"] is not None]
    left = [each["seconds_left"] for each in ranks if each["seconds_left"] is not None]
    return {
        "job": job,
        "attempt": attempt,
        "source": "log" if ranks else None,
        "percent": sum(percents) / len(percents) if percents else None,
        "seconds_left": max(left) if left else None,
        "ranks": list(ranks),
    }


def tasks_view(job: str, attempt: int, tasks: TaskCounts) -> dict[str, Any]:
    """Show how far an array is by its tasks."""
    over = tasks.done + tasks.failed
    return {
        "job": job,
        "attempt": attempt,
        "source": "tasks",
        "percent": 100.0 * over / tasks.total,
        "seconds_left": None,
        "ranks": [],
    }
