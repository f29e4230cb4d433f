"""The report of a calibration: a page of HTML that needs nothing else."""

from collections.abc import Iterator
from html import escape
from math import nan
from typing import Final

import numpy as np

from headrace_calibration.core.course import Course
from headrace_calibration.core.plan import Plan
from headrace_calibration.core.result import Tried, named_values
from headrace_calibration.core.svg import Band, Chart, Line, draw
from headrace_evaluation.core.aligning import Series
from headrace_model.times import Instant, format_instant

_STYLE: Final = """
body{font:15px/1.5 system-ui,sans-serif;max-width:960px;
margin:2em auto;padding:0 1em;color:#1c2530}
svg{font:11px system-ui,sans-serif;fill:#44505c}.grid{stroke:#e3e7eb}
.axis{stroke:#8a95a0;fill:none}.band{fill:#68727c}
table{border-collapse:collapse;margin:1em 0}
th,td{padding:.25em .8em;border-bottom:1px solid #dde2e7;text-align:right}
th:first-child,td:first-child{text-align:left}.legend span{margin-right:1.2em}
h2{margin-top:2em}.note{color:#5b6670}
"""
_OBSERVED: Final = 'stroke="#1c2530" stroke-width="1.2"'
_BEST: Final = 'stroke="#0b6fbf" stroke-width="1.4"'
_INITIAL: Final = 'stroke="#d98324" stroke-width="1" stroke-dasharray="3 2"'
_TRIED: Final = 'fill="#9db4c8" stroke="none"'


def page(
    title: str,
    plan: Plan,
    course: Course,
    initial: Tried | None,
    best: Tried,
    observed: dict[str, Series],
) -> str:
    """Make the page. `observed`: by location, as the series of `initial` and `best` are."""
    parts = [
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>',
        f"<style>{_STYLE}</style><h1>{escape(title)}</h1>",
        f"<p>{escape(_summary(plan, course, best))}</p>",
        _periods_note(plan),
        "<h2>Before and after</h2>",
        _scores(plan, initial, best),
        "<h2>The search</h2>",
        _objective(plan, course),
        "<h2>Parameters</h2>",
        _values(plan, initial, best),
        *_parameters(plan, course),
        "<h2>Hydrographs</h2>",
        *_hydrographs(plan, initial, best, observed),
    ]
    return "\n".join(parts) + "</html>\n"


def _summary(plan: Plan, course: Course, best: Tried) -> str:
    failed = sum(each.score is None for each in course.iterations)
    return (
        f"{plan.search.algorithm}, seed {plan.seed}: {len(course.iterations)} of at most "
        f"{plan.search.iterations} iterations, {failed} of them failed; "
        f"{course.over or 'all iterations are done'}. The best is iteration "
        f"{best.iteration.number}, by {plan.objective}."
    )


def _periods_note(plan: Plan) -> str:
    periods = plan.periods
    said = f"Calibrated in {_span(plan, 'train')}"
    if periods.validate:
        said += f", validated in {_span(plan, 'validate')}, which the search never saw"
    else:
        said += "; there is no validation, so nothing here says how good it is elsewhere"
    days = periods.warm_up_ms / 86_400_000
    return (
        f'<p class="note">{escape(said)}. The first {days:g} days of the run are warm-up and '
        "count nowhere.</p>"
    )


def _span(plan: Plan, name: str) -> str:
    span = plan.periods.train if name == "train" else plan.periods.validate
    assert span  # noqa: S101 - whoever asks has looked
    counted = plan.periods.counted(span)
    return f"{_day(counted.begin)} to {_day(counted.end)}"


def _day(ms: int) -> str:
    return format_instant(Instant(ms))


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"


def _scores(plan: Plan, initial: Tried | None, best: Tried) -> str:
    """A row a location and period, the metrics before and after."""
    rows = []
    for period, by_location in best.scores.items():
        before = initial.scores[period] if initial else {}
        was = initial.objective[period] if initial else None
        whole = f"{_number(was)} → <b>{_number(best.objective[period])}</b>"
        for where, after in by_location.items():
            cells = "".join(
                f"<td>{_number(before.get(where, {}).get(name))} → <b>{_number(value)}</b></td>"
                for name, value in after.items()
            )
            rows.append(f"<tr><td>{escape(where)}, {period}</td><td>{whole}</td>{cells}</tr>")
    names = "".join(
        f"<th>{escape(name)}</th>" for name in next(iter(best.scores["train"].values()))
    )
    head = (
        f"<tr><th>location, period</th><th>objective ({escape(plan.objective)})</th>{names}</tr>"
    )
    return f"<table>{head}{''.join(rows)}</table>"


def _objective(plan: Plan, course: Course) -> str:
    numbers = [float(each.number) for each in course.iterations]
    scores = [nan if each.score is None else each.score for each in course.iterations]
    so_far, best = Course(course.objective, plan.rules), []
    for each in course.iterations:
        so_far.add(each)
        best.append(so_far.best.score if so_far.best and so_far.best.score is not None else nan)
    return draw(
        Chart(
            f"{plan.objective} by iteration",
            "iteration",
            plan.objective,
            (
                Line("tried", numbers, scores, _TRIED, dots=True),
                Line("best so far", numbers, best, _BEST),
            ),
            y_range=_bulk(scores, best),
        )
    )


def _bulk(scores: list[float], best: list[float]) -> tuple[float, float] | None:
    """The range of nine tenths of the scores and of the best ones: some runs are far off."""
    some = np.array([each for each in scores if np.isfinite(each)])
    known = [each for each in best if np.isfinite(each)]
    if len(some) < 20:
        return None
    low, high = np.quantile(some, [0.1, 0.9])
    low, high = min(low, *known), max(high, *known)
    return (float(low), float(high)) if low < high else None


def _values(plan: Plan, initial: Tried | None, best: Tried) -> str:
    after = named_values(plan.space, best.iteration)
    before = named_values(plan.space, initial.iteration) if initial else {}
    rows = "".join(
        f"<tr><td>{escape(each.name)}</td><td>{each.low:.6g}</td><td>{each.high:.6g}</td>"
        f"<td>{before.get(each.name, nan):.6g}</td><td><b>{after[each.name]:.6g}</b></td></tr>"
        for each in plan.space
    )
    return (
        "<table><tr><th>parameter</th><th>min</th><th>max</th><th>initial</th><th>best</th></tr>"
        f"{rows}</table>"
    )


def _parameters(plan: Plan, course: Course) -> Iterator[str]:
    for place, each in enumerate(plan.space):
        ran = [one for one in course.iterations if one.score is not None]
        numbers = [float(one.number) for one in ran]
        values = [one.parameters[place] for one in ran]
        tried = Line(each.name, numbers, values, _TRIED, dots=True)
        yield draw(
            Chart(
                f"{each.name} by iteration", "iteration", each.name, (tried,),
                height=150, y_range=(each.low, each.high),
            )
        )  # fmt: skip


def _hydrographs(
    plan: Plan, initial: Tried | None, best: Tried, observed: dict[str, Series]
) -> Iterator[str]:
    periods = plan.periods
    bands = [Band(periods.begin, periods.begin + periods.warm_up_ms, "warm-up", "#eceff2")]
    for name, span, fill in (
        ("train", periods.train, "#eaf3fb"),
        ("validate", periods.validate, "#edf7ec"),
    ):
        if span:
            counted = periods.counted(span)
            bands.append(Band(counted.begin, counted.end, name, fill))
    for where, after in best.series.items():
        lines = [_series("observed", observed[where], plan, _OBSERVED)]
        if initial:
            lines.append(_series("initial parameters", initial.series[where], plan, _INITIAL))
        lines.append(_series("best parameters", after, plan, _BEST))
        yield f"<h3>{escape(where)}</h3>"
        yield draw(
            Chart(f"hydrograph of {where}", "", "flow", tuple(lines), tuple(bands), dates=True)
        )


def _series(name: str, series: Series, plan: Plan, style: str) -> Line:
    times, values = series.times, series.values
    inside = (plan.periods.begin <= times) & (times < plan.periods.end)
    return Line(
        name, [float(each) for each in times[inside]], [float(v) for v in values[inside]], style
    )
