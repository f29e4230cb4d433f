"""Series compared as the evaluation service compares them: its steps, its metrics."""

from collections.abc import Mapping
from typing import Final

from headrace_calibration.core.objective import Objective
from headrace_calibration.core.periods import Span
from headrace_evaluation.core.aligning import Aligned, EvaluationFailed, Series, aligned
from headrace_evaluation.core.metrics import Better
from headrace_evaluation.core.scoring import METRICS, Pairs, score
from headrace_kinds.evaluation import Aggregate
from headrace_model.errors import InvalidInput
from headrace_model.nearest import did_you_mean

REPORTED: Final = ("nse", "log_nse", "kge", "pbias", "rmse", "r2")
"""What reports tell beside the objective."""
_HOUR_MS: Final = 3_600_000
_LEAST_SHARE: Final = 0.8  # of a coarser step, as an evaluation asks where nothing else is said
_PEAK_WINDOW_STEPS: Final = 3


def objective_named(name: str) -> Objective:
    """Find a metric; raises `InvalidInput` for an unknown one."""
    if name not in METRICS:
        raise InvalidInput(f"{name[:40]!r} is not an objective; {did_you_mean(name, METRICS)}")
    metric = METRICS[name]
    return Objective(name, metric.best, metric.better is Better.HIGHER)


def paired(simulated: Series, observed: Series, span: Span) -> Aligned:
    """Bring both to the coarser of their steps, and to the times of a period that both have.

    A coarser step has the mean of what is finer, where that fills enough of it. Raises
    `InvalidInput` that names both steps where one does not fit into the other.
    """
    ours, theirs = simulated.step_ms, observed.step_ms
    finer, coarser = sorted((ours, theirs))
    steps = f"the step simulated is {_hours(ours)}, the one observed {_hours(theirs)}"
    if finer and coarser % finer:
        raise InvalidInput(f"{steps}: whole steps of one do not fill a step of the other")
    try:
        return aligned(
            simulated, observed, span.begin, span.end, None, Aggregate.MEAN, _LEAST_SHARE
        )
    except EvaluationFailed as error:
        raise InvalidInput(f"{steps}: {error.message}") from None


def _hours(step_ms: int) -> str:
    return f"{step_ms / _HOUR_MS:g} h" if step_ms else "unknown (a single time)"


def computed(names: tuple[str, ...], pairs: Aligned) -> Mapping[str, tuple[float, str]]:
    """Compute metrics of aligned series: each value, NaN with the reason where there is none."""
    step = pairs.step_ms
    of = Pairs(pairs.times, pairs.simulated, pairs.observed, step, _PEAK_WINDOW_STEPS * step)
    return {name: (float(v.value), v.reason) for name, v in score(of, names, {}).items()}
