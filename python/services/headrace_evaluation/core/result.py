"""What an evaluation comes to: locations with their scores of each run, and sums over them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headrace_evaluation.core.metrics import Value
from headrace_evaluation.core.scoring import EventMetric, Metric
from headrace_model.times import instant_text


@dataclass(frozen=True, slots=True)
class RunScore:
    """One run at one location: `n` pairs in [begin, end); `note` says why it is not scored.
    `series`: which bytes of series.csv hold the pairs, None: none."""

    n: int
    begin_ms: int | None
    end_ms: int | None
    scores: Mapping[str, Value]
    note: str = ""
    series: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class LocationScore:
    """A location with its runs, by name; degrees, or None. `areas_km2` are the catchments whose
    runoff is summed for it."""

    id: str
    name: str
    lon: float | None
    lat: float | None
    weight: float
    runs: Mapping[str, RunScore]
    areas_km2: Mapping[str, float] | None = None

    @property
    def is_scored(self) -> bool:
        """Tell whether any run has scores."""
        return any(each.scores for each in self.runs.values())


@dataclass(frozen=True, slots=True)
class Result:
    """All of it; `metrics` by name as `scoring.described` gives them, `unreadable` the files that
    were passed over, each with the reason."""

    settings: Mapping[str, Any]
    unit: str
    runs: tuple[str, ...]
    metrics: Mapping[str, Metric | EventMetric]
    locations: tuple[LocationScore, ...]
    unreadable: tuple[str, ...] = ()

    @property
    def unscored(self) -> dict[str, str]:
        """Why a location or one of its runs (`id, run`) has no scores."""
        several = len(self.runs) > 1
        return {
            f"{each.id}, {name}" if several else each.id: run.note
            for each in self.locations
            for name, run in each.runs.items()
            if not run.scores
        }

    @property
    def scored(self) -> list[LocationScore]:
        """The locations with scores."""
        return [each for each in self.locations if each.is_scored]


def values_of(result: Result, run: str, metric: str) -> tuple[Any, Any]:
    """The finite values of a metric over locations, and the weights of these, shapes (k,)."""
    found, weights = [], []
    for each in result.scored:
        value = each.runs[run].scores.get(metric)
        if value is not None and value.is_there:
            found.append(value.value)
            weights.append(each.weight)
    return np.array(found), np.array(weights)


def aggregated(result: Result, run: str, metric: str) -> dict[str, float | int | None]:
    """Over the locations where a metric has a value: how many, median, quartiles, mean, and the
    mean by the locations' weights. None where there is none."""
    values, weights = values_of(result, run, metric)
    if not values.size:
        return {
            "count": 0,
            "median": None,
            "q1": None,
            "q3": None,
            "mean": None,
            "weighted_mean": None,
        }
    q1, median, q3 = (float(each) for each in np.quantile(values, (0.25, 0.5, 0.75)))
    total = float(weights.sum())
    return {
        "count": int(values.size),
        "median": median,
        "q1": q1,
        "q3": q3,
        "mean": float(values.mean()),
        "weighted_mean": float(np.dot(values, weights)) / total if total else None,
    }


def ordered(result: Result) -> list[str]:
    """Ids of scored locations from the best to the worst, by the first metric of the first run."""
    name, metric = next(iter(result.metrics.items()))

    def key(each: LocationScore) -> tuple[bool, float, str]:
        value = each.runs[result.runs[0]].scores.get(name)
        if value is None or not value.is_there:
            return True, 0.0, each.id
        match metric.better:
            case "higher":
                return False, -value.value, each.id
            case "lower":
                return False, value.value, each.id
            case _:
                return False, abs(value.value - metric.best), each.id

    return [each.id for each in sorted(result.scored, key=key)]


def plotted(result: Result, most: int) -> list[str]:
    """Which locations are plotted: all, or evenly from the best to the worst, both included."""
    ids = ordered(result)
    if len(ids) <= most:
        return ids
    at: Sequence[int] = sorted({round(each) for each in np.linspace(0, len(ids) - 1, most)})
    return [ids[each] for each in at]


def to_plain(result: Result) -> dict[str, Any]:
    """The result as JSON's types; a value that is none is null, its reason beside it."""
    return {
        "headrace_evaluation": 1,
        "settings": dict(result.settings),
        "unit": result.unit,
        "runs": list(result.runs),
        "metrics": {
            name: {
                "title": each.title,
                "unit": unit_of(each, result.unit),
                "best": each.best,
                "better": str(each.better),
            }
            for name, each in result.metrics.items()
        },
        "counts": {"locations": len(result.locations), "scored": len(result.scored)},
        "aggregated": {
            run: {name: aggregated(result, run, name) for name in result.metrics}
            for run in result.runs
        },
        "unreadable": list(result.unreadable),
        "locations": [_location(each) for each in result.locations],
    }


def unit_of(metric: Metric | EventMetric, unit: str) -> str:
    """The unit of a metric's values, of series in `unit`."""
    return metric.unit.format(unit=unit) if isinstance(metric, Metric) else ""


def _location(each: LocationScore) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": each.id,
        "name": each.name,
        "lon": each.lon,
        "lat": each.lat,
        "weight": each.weight,
        "runs": {run: _run(score) for run, score in each.runs.items()},
    }
    if each.areas_km2 is not None:
        areas = each.areas_km2.values()
        found["catchments"] = {"count": len(areas), "area_km2": round(sum(areas), 6)}
    return found


def _run(score: RunScore) -> dict[str, Any]:
    found: dict[str, Any] = {
        "n": score.n,
        "begin": None if score.begin_ms is None else instant_text(score.begin_ms),
        "end": None if score.end_ms is None else instant_text(score.end_ms),
        "scores": {
            name: each.value if each.is_there else None for name, each in score.scores.items()
        },
    }
    reasons = {name: each.reason for name, each in score.scores.items() if not each.is_there}
    if reasons:
        found["reasons"] = reasons
    if score.note:
        found["note"] = score.note
    if score.series:
        found["series"] = list(score.series)
    return found
