"""The metrics of the evaluation service, as objectives: the one place that imports them."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from headrace_calibration.core.objective import Objective
from headrace_calibration.core.periods import Milliseconds
from headrace_evaluation.core.metrics import Better
from headrace_evaluation.core.scoring import METRICS, Pairs, score
from headrace_model.errors import InvalidInput
from headrace_model.nearest import did_you_mean

REPORTED: Final = ("nse", "log_nse", "kge", "pbias", "rmse", "r2")
"""What reports tell beside the objective."""
_DAY_MS: Final = 86_400_000
_PEAK_WINDOW_STEPS: Final = 3


def objective_named(name: str) -> Objective:
    """Find a metric; raises `InvalidInput` for an unknown one."""
    if name not in METRICS:
        raise InvalidInput(f"{name[:40]!r} is not an objective; {did_you_mean(name, METRICS)}")
    metric = METRICS[name]
    return Objective(name, metric.best, metric.better is Better.HIGHER)


def computed(
    names: tuple[str, ...],
    times: Milliseconds,
    simulated: npt.NDArray[np.float64],
    observed: npt.NDArray[np.float64],
) -> Mapping[str, tuple[float, str]]:
    """Compute metrics of aligned series: each value, NaN with the reason where there is none."""
    step = int(np.min(np.diff(times))) if len(times) > 1 else _DAY_MS
    pairs = Pairs(times, simulated, observed, step, _PEAK_WINDOW_STEPS * step)
    return {name: (float(v.value), v.reason) for name, v in score(pairs, names, {}).items()}
