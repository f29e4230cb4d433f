"""What a calibration comes to, as its files say it. Nothing in them depends on when or where it
ran, so that the same seed gives the same bytes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from headrace_calibration.core.course import Course, Iteration
from headrace_calibration.core.periods import Span
from headrace_calibration.core.plan import Plan
from headrace_calibration.core.space import Parameter
from headrace_evaluation.core.aligning import Series
from headrace_model.times import Instant, format_instant

VERSION: Final = 1

Scores = Mapping[str, Mapping[str, float | None]]
"""By location, by metric."""


@dataclass(frozen=True, slots=True)
class Tried:
    """An iteration that was run once more over both periods.

    `objective` and `scores` by period (`train`, `validate`); `series` by location.
    """

    iteration: Iteration
    objective: Mapping[str, float | None]
    scores: Mapping[str, Scores]
    series: Mapping[str, Series]


def named_values(space: tuple[Parameter, ...], iteration: Iteration) -> dict[str, float]:
    """The parameters of an iteration, by name."""
    return {each.name: value for each, value in zip(space, iteration.parameters, strict=True)}


def best_file(plan: Plan, course: Course, initial: Tried | None, best: Tried) -> dict[str, Any]:
    """What `best.json` holds."""
    periods = {"train": plan.periods.train, "validate": plan.periods.validate}
    return {
        "headrace_calibration_result": VERSION,
        "objective": plan.objective,
        "algorithm": plan.search.algorithm,
        "seed": plan.seed,
        "iterations": len(course.iterations),
        "failed": sum(each.score is None for each in course.iterations),
        "ended": course.over or "all iterations are done",
        "scored": {
            name: _told(plan.periods.counted(span)) for name, span in periods.items() if span
        },
        "initial": initial and _tried(plan, initial),
        "best": _tried(plan, best),
    }


def _tried(plan: Plan, tried: Tried) -> dict[str, Any]:
    return {
        "iteration": tried.iteration.number,
        "parameters": named_values(plan.space, tried.iteration),
        "objective": dict(tried.objective),
        "scores": {
            period: {where: dict(values) for where, values in scores.items()}
            for period, scores in tried.scores.items()
        },
    }


def _told(span: Span) -> list[str]:
    return [format_instant(Instant(span.begin)), format_instant(Instant(span.end))]


def iteration_rows(plan: Plan, course: Course) -> list[list[object]]:
    """What `iterations.csv` holds: a header, and a row an iteration, the best so far in each."""
    names = [each.name for each in plan.space]
    rows: list[list[object]] = [
        ["iteration", plan.objective, f"best_{plan.objective}", *names, "failure"]
    ]
    so_far = Course(course.objective, plan.rules)
    for each in course.iterations:
        so_far.add(each)
        best = so_far.best.score if so_far.best else None
        failure = each.failure.splitlines()[0] if each.failure else ""
        rows.append([each.number, each.score, best, *each.parameters, failure])
    return rows
