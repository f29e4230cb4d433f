"""The way of a job as phases, as the REST API shows them beside its history."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headrace_model.phases import Phase, Step, phases
from headrace_model.status import Status
from headrace_wire.api import iso, read_view


@dataclass(frozen=True, slots=True)
class PhaseView:
    """How long a job was in a status in one attempt; `ended` is null while it is."""

    attempt: int
    status: Status
    began: str
    ended: str | None
    seconds: float


def phases_view(lines: Sequence[str], attempt: int, now_ms: int) -> list[dict[str, Any]]:
    """Show the phases that a history (JSON texts, oldest first) tells."""
    return [_view(each, now_ms) for each in phases([_step(line) for line in lines], attempt)]


def run_ms_of(lines: Sequence[str], attempt: int) -> int | None:
    """How long an attempt was RUNNING; None where it has not run, or runs still."""
    for each in phases([_step(line) for line in lines], attempt):
        if (each.attempt, each.status) == (attempt, Status.RUNNING):
            return None if each.ended_ms is None else each.ended_ms - each.began_ms
    return None


def read_phase(plain: Mapping[str, Any]) -> PhaseView:
    """Read what `phases_view` wrote."""
    return read_view(PhaseView, plain)


def _step(line: str) -> Step:
    entry = json.loads(line)
    before = Status(entry["from"]) if entry["from"] else None
    return Step(int(entry["at"]), int(entry["attempt"]), before, Status(entry["to"]))


def _view(phase: Phase, now_ms: int) -> dict[str, Any]:
    ended_ms = now_ms if phase.ended_ms is None else phase.ended_ms
    return {
        "attempt": phase.attempt,
        "status": phase.status,
        "began": iso(phase.began_ms),
        "ended": None if phase.ended_ms is None else iso(phase.ended_ms),
        "seconds": max(0, ended_ms - phase.began_ms) / 1000,
    }
