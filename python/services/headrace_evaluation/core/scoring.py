"""The metrics by name, and a location scored by those that are wanted."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from headrace_evaluation.core import metrics
from headrace_evaluation.core.contingency import Contingency, contingency
from headrace_evaluation.core.metrics import Array, Better, Value, none


@dataclass(frozen=True, slots=True)
class Pairs:
    """Aligned values of one location, each shape (n,): finite, of one unit, `times` rising (ms).

    `step_ms` is the length of a step, `window_ms` how far from an observed peak the simulated
    one is looked for.
    """

    times: Array
    simulated: Array
    observed: Array
    step_ms: int
    window_ms: int


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric as results and reports name it.

    `unit`: `{unit}` stands for that of the values. `digits` are shown to people.
    """

    name: str
    title: str
    unit: str
    best: float
    better: Better
    digits: int
    of: Callable[[Pairs], Value]


def _plain(function: Callable[[Array, Array], Value]) -> Callable[[Pairs], Value]:
    return lambda pairs: function(pairs.simulated, pairs.observed)


def _volume(pairs: Pairs) -> Value:
    return metrics.volume_error(pairs.simulated, pairs.observed, pairs.step_ms)


def _peak(pairs: Pairs) -> metrics.Peak:
    return metrics.peak(pairs.simulated, pairs.observed, pairs.times, pairs.window_ms)


_HIGHER, _LOWER, _NEARER = Better.HIGHER, Better.LOWER, Better.NEARER
_ALL: Final = (
    Metric("nse", "NSE", "", 1.0, _HIGHER, 3, _plain(metrics.nse)),
    Metric("log_nse", "log NSE", "", 1.0, _HIGHER, 3, _plain(metrics.log_nse)),
    Metric("kge", "KGE 2009", "", 1.0, _HIGHER, 3, _plain(metrics.kge)),
    Metric("kge_2012", "KGE 2012", "", 1.0, _HIGHER, 3, _plain(metrics.kge_2012)),
    Metric("r", "r", "", 1.0, _HIGHER, 3, _plain(metrics.correlation)),
    Metric("kge_alpha", "KGE alpha", "", 1.0, _NEARER, 3, _plain(metrics.kge_alpha)),
    Metric("kge_beta", "KGE beta", "", 1.0, _NEARER, 3, _plain(metrics.kge_beta)),
    Metric("kge_gamma", "KGE gamma", "", 1.0, _NEARER, 3, _plain(metrics.kge_gamma)),
    Metric("pbias", "PBIAS", "%", 0.0, _NEARER, 1, _plain(metrics.pbias)),
    Metric("rmse", "RMSE", "{unit}", 0.0, _LOWER, 3, _plain(metrics.rmse)),
    Metric("mae", "MAE", "{unit}", 0.0, _LOWER, 3, _plain(metrics.mae)),
    Metric("r2", "R²", "", 1.0, _HIGHER, 3, _plain(metrics.r2)),
    Metric("volume_error", "volume error", "{unit} s", 0.0, _NEARER, 0, _volume),
    Metric("peak_error", "peak error", "%", 0.0, _NEARER, 1, lambda pairs: _peak(pairs).size),
    Metric("peak_timing", "peak timing", "h", 0.0, _NEARER, 1, lambda pairs: _peak(pairs).timing),
)
METRICS: Final = {each.name: each for each in _ALL}


@dataclass(frozen=True, slots=True)
class EventMetric:
    """A metric of the exceedances of a threshold."""

    name: str
    title: str
    best: float
    better: Better
    of: Callable[[Contingency], Value]


_EVENTS: Final = (
    EventMetric("pod", "POD", 1.0, _HIGHER, lambda table: table.pod),
    EventMetric("far", "FAR", 0.0, _LOWER, lambda table: table.far),
    EventMetric("csi", "CSI", 1.0, _HIGHER, lambda table: table.csi),
    EventMetric("frequency_bias", "bias", 1.0, _NEARER, lambda table: table.frequency_bias),
)
EVENT_METRICS: Final = {each.name: each for each in _EVENTS}


def described(names: Sequence[str], thresholds: Sequence[str]) -> dict[str, Metric | EventMetric]:
    """The metrics that a score holds, in order: those asked, and each of each threshold.

    Those of a threshold are named `pod@high`. Raises `KeyError` for an unknown name.
    """
    found: dict[str, Metric | EventMetric] = {name: METRICS[name] for name in names}
    for threshold in thresholds:
        found |= {f"{name}@{threshold}": event for name, event in EVENT_METRICS.items()}
    return found


def score(pairs: Pairs, names: Sequence[str], thresholds: Mapping[str, Value]) -> dict[str, Value]:
    """Compute metrics by name, and the events of thresholds, as `described` names them.

    A threshold without a value leaves its metrics without one, for its reason.
    """
    found = {name: METRICS[name].of(pairs) for name in names}
    for threshold, level in thresholds.items():
        found |= _events(pairs, threshold, level)
    return found


def _events(pairs: Pairs, threshold: str, level: Value) -> dict[str, Value]:
    if not level.is_there or not pairs.observed.size:
        why = none(level.reason or "there is no pair of values")
        return {f"{name}@{threshold}": why for name in EVENT_METRICS}
    table = contingency(pairs.simulated, pairs.observed, level.value)
    return {f"{name}@{threshold}": event.of(table) for name, event in EVENT_METRICS.items()}


def is_better(one: float, other: float, metric: Metric | EventMetric) -> bool:
    """Tell whether `one` is better than `other`, both finite."""
    match metric.better:
        case Better.HIGHER:
            return one > other
        case Better.LOWER:
            return one < other
        case Better.NEARER:
            return abs(one - metric.best) < abs(other - metric.best)
