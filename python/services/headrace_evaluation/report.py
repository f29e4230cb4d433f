"""The report: one HTML file that needs nothing beside it, no script and no network."""

from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Final

import numpy as np

from headrace_evaluation.core.metrics import Better
from headrace_evaluation.core.result import (
    LocationScore,
    Result,
    aggregated,
    ordered,
    plotted,
    unit_of,
    values_of,
)
from headrace_evaluation.core.scoring import EventMetric, Metric
from headrace_evaluation.core.svg import (
    Dot,
    Line,
    duration_curve,
    hydrograph,
    map_of,
    scatter,
)
from headrace_evaluation.worker import Evaluation

_MOST_ROWS: Final = 2000  # of the table of locations; scores.csv holds all
_MOST_DOTS: Final = 5000  # of the map
_COLOURS: Final = 4  # of runs; a fifth has the first one's


def write_report(path: Path, result: Result, evaluation: Evaluation, most_plots: int) -> None:
    """Write it; the series of plotted locations are read again, some at a time."""
    style = files("headrace_evaluation").joinpath("report.css").read_text(encoding="utf-8")
    with path.open("w", encoding="utf-8") as file:
        file.write(
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width,initial-scale=1">'
            f"<title>Evaluation of {escape(', '.join(result.runs))}</title>"
            f"<style>{style}</style></head><body><main>\n"
        )
        file.write(_head(result))
        file.write(_summary(result))
        file.write(_map(result))
        ids = plotted(result, most_plots)
        file.write(_said_of_plots(result, ids))
        by_id = {each.id: each for each in result.scored}
        wanted = [each for each in evaluation.locations if each.id in set(ids)]
        drawn = {}
        for some in evaluation.series(wanted):
            each = by_id[some.location.id]
            scored = [name for name in some.simulated if each.runs[name].scores]
            pairs = {n: evaluation.align(some.simulated[n], some.observed) for n in scored}
            drawn[each.id] = _plots(each, pairs, result)
        file.writelines(drawn[id_] for id_ in ids)
        file.write(_table(result))
        file.write(_unscored(result))
        file.write("</main></body></html>\n")


def _head(result: Result) -> str:
    begin, end = result.settings["period"]
    warm_up = result.settings["warm_up_days"]
    return (
        f"<h1>Evaluation of {escape(', '.join(result.runs))}</h1>"
        f"<p>{len(result.scored):,} of {len(result.locations):,} locations are scored, from "
        f"{escape(begin)} to {escape(end)}, without the first {warm_up:g} days. Values in "
        f"{escape(result.unit)}.</p>\n"
    )


def _shown(value: float | int | None, metric: Metric | EventMetric) -> str:
    digits = metric.digits if isinstance(metric, Metric) else 3
    return "none" if value is None else f"{value:,.{digits}f}"


def _title(metric: Metric | EventMetric, name: str, unit: str) -> str:
    threshold = f" {name.partition('@')[2]}" if "@" in name else ""
    of = unit_of(metric, unit)
    return escape(f"{metric.title}{threshold}" + (f", {of}" if of else ""))


def _summary(result: Result) -> str:
    rows = []
    for run in result.runs:
        for name, metric in result.metrics.items():
            found = aggregated(result, run, name)
            cells = "".join(
                f"<td>{_shown(found[key], metric)}</td>"
                for key in ("median", "q1", "q3", "mean", "weighted_mean")
            )
            rows.append(
                f'<tr><th scope="row">{escape(run)}</th>'
                f'<td class="t">{_title(metric, name, result.unit)}</td>'
                f"<td>{found['count']:,}</td>{cells}</tr>"
            )
    heads = (
        "run",
        "metric",
        "locations",
        "median",
        "lower quartile",
        "upper quartile",
        "mean",
        "weighted mean",
    )
    head = "".join(
        f'<th scope="col"{" class=t" if at < 2 else ""}>{h}</th>' for at, h in enumerate(heads)
    )
    return (
        '<h2>Summary</h2><div class="wide"><table><caption>Over the locations where a metric has '
        f"a value</caption><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
        "</div>\n"
    )


def _map(result: Result) -> str:
    name, metric = next(iter(result.metrics.items()))
    run = result.runs[0]
    values, _ = values_of(result, run, name)
    if not values.size:
        return ""
    limits = np.quantile(_goodness(values, metric), (0.2, 0.4, 0.6, 0.8))
    dots = []
    for each in result.scored:
        value = each.runs[run].scores.get(name)
        if each.lon is None or each.lat is None or value is None or not value.is_there:
            continue
        good = _goodness(np.array([value.value]), metric)[0]
        text = f"{each.id} {each.name}: {_shown(value.value, metric)}"
        dots.append(Dot(each.lon, each.lat, int(np.searchsorted(limits, good, "right")), text))
    if not dots:
        return '<h2>Map</h2><p class="note">No location tells where it lies.</p>\n'
    title = f"{_title(metric, name, result.unit)} of {escape(run)}"
    more = (
        f" Of {len(dots):,} locations {_MOST_DOTS:,} are shown." if len(dots) > _MOST_DOTS else ""
    )
    keys = "".join(
        f'<span class="key level{at}"></span>{text}'
        for at, text in enumerate(("worst fifth", "", "middle", "", "best fifth"))
    )
    return (
        f"<h2>Map</h2><figure>{map_of(f'Map: {metric.title}', dots[:_MOST_DOTS])}<figcaption>"
        f"{title}, by fifths of the locations:{keys}.{more}</figcaption></figure>\n"
    )


def _goodness(
    values: "np.ndarray[tuple[int], np.dtype[np.float64]]", metric: Metric | EventMetric
) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """Larger where better."""
    if metric.better is Better.HIGHER:
        return values
    return -values if metric.better is Better.LOWER else -np.abs(values - metric.best)


def _said_of_plots(result: Result, ids: list[str]) -> str:
    if not ids:
        return ""
    metric = next(iter(result.metrics.values()))
    which = (
        "All locations"
        if len(ids) == len(result.scored)
        else f"{len(ids)} of {len(result.scored):,} locations, evenly chosen"
    )
    keys = '<span class="key obs"></span>observed' + "".join(
        f'<span class="key s{at % _COLOURS}"></span>{escape(run)}'
        for at, run in enumerate(result.runs)
    )
    return (
        f'<h2>Locations</h2><p class="note">{which} from the best to the worst by '
        f"{escape(metric.title)} of {escape(result.runs[0])}.</p><p>{keys}</p>\n"
    )


def _plots(each: LocationScore, pairs: dict, result: Result) -> str:  # type: ignore[type-arg]
    observed = next(iter(pairs.values()))
    curves = [Line("obs", *_with_gaps(observed.times, observed.observed, observed.step_ms))]
    dots, spans = [], [Line("obs", observed.times, observed.observed)]
    for at, run in enumerate(result.runs):
        if run not in pairs or not pairs[run].times.size:
            continue
        found, style = pairs[run], f"s{at % _COLOURS}"
        curves.append(Line(style, *_with_gaps(found.times, found.simulated, found.step_ms)))
        dots.append(Line(style, found.observed, found.simulated))
        spans.append(Line(style, found.times, found.simulated))
    said = []
    for run in result.runs:
        values = (
            f"{_title(result.metrics[name], name, result.unit)} "
            f"{_shown(value.value if value.is_there else None, result.metrics[name])}"
            for name, value in each.runs[run].scores.items()
        )
        said.append(f"{escape(run)}: n {each.runs[run].n:,}, {', '.join(values)}")
    drawn = (
        hydrograph(f"Hydrograph of {each.id}", curves, result.unit),
        scatter(f"Scatter of {each.id}", dots, result.unit),
        duration_curve(f"Flow-duration curve of {each.id}", spans, result.unit),
    )
    figures = "".join(f"<figure>{one}</figure>" for one in drawn)
    return (
        f"<section><h3>{escape(each.id)} {escape(each.name)}</h3>"
        f"<p>{'<br>'.join(said)}</p>{figures}</section>\n"
    )


def _with_gaps(times, values, step_ms: int):  # type: ignore[no-untyped-def]
    """Put a missing value into each gap, so that no line goes over it."""
    after = np.flatnonzero(np.diff(times) > step_ms) + 1
    return np.insert(times, after, times[after - 1] + step_ms), np.insert(values, after, np.nan)


def _table(result: Result) -> str:
    heads = "".join(
        f'<th scope="col">{_title(metric, name, result.unit)}</th>'
        for name, metric in result.metrics.items()
    )
    by_id = {each.id: each for each in result.scored}
    rows = []
    ids = ordered(result)
    for id_ in ids[:_MOST_ROWS]:
        each = by_id[id_]
        for run in result.runs:
            of = each.runs[run]
            cells = "".join(
                f"<td>{_shown(v.value if v is not None and v.is_there else None, metric)}</td>"
                for name, metric in result.metrics.items()
                for v in (of.scores.get(name),)
            )
            rows.append(
                f'<tr><th scope="row">{escape(id_)}</th><td class="t">{escape(each.name)}</td>'
                f'<td class="t">{escape(run)}</td><td>{of.n:,}</td>{cells}</tr>'
            )
    more = f" The first {_MOST_ROWS:,}; scores.csv holds all." if len(ids) > _MOST_ROWS else ""
    return (
        '<h2>All scored locations</h2><div class="wide"><table><caption>From the best to the '
        f"worst.{more}</caption><thead><tr>"
        '<th scope="col" class="t">location</th><th scope="col" class="t">name</th>'
        f'<th scope="col" class="t">run</th><th scope="col">pairs</th>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>\n"
    )


def _unscored(result: Result) -> str:
    """Why locations have no scores, and which files were passed over."""
    said = [
        *(("Can't be read", "", each) for each in result.unreadable),
        *(("Not scored", *each) for each in result.unscored.items()),
    ]
    if not said:
        return ""
    rows = "".join(
        f'<tr><td class="t">{what}</td><th scope="row">{escape(id_)}</th>'
        f'<td class="t">{escape(why)}</td></tr>'
        for what, id_, why in said[:_MOST_ROWS]
    )
    more = f"The first {_MOST_ROWS:,}; scores.json holds all." if len(said) > _MOST_ROWS else ""
    return (
        f'<h2>Not scored</h2><div class="wide"><table><caption>{more}</caption><thead><tr>'
        '<th scope="col" class="t"></th><th scope="col" class="t">location</th>'
        f'<th scope="col" class="t">why</th></tr></thead><tbody>{rows}</tbody></table></div>\n'
    )
