"""Metrics of a simulated against an observed series, each with its formula and source.

S is simulated, O observed, both of shape (n,), the same unit, finite, of the same times; m is the
mean, s the standard deviation, r Pearson's correlation. Where a formula has no value the result
is NaN with the reason in words; nothing raises or warns. `headrace_evaluation.core.scoring` knows
the metrics by name.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite, nan, sqrt
from typing import Any, Final

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

_HOUR_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class Value:
    """A metric's value; NaN where it has none, with the reason."""

    value: float
    reason: str = ""

    @property
    def is_there(self) -> bool:
        """Tell whether there is one."""
        return isfinite(self.value)


class Better(StrEnum):
    """Which of two values of a metric is the better one."""

    HIGHER = "higher"
    LOWER = "lower"
    NEARER = "nearer"  # to the metric's best


def none(reason: str) -> Value:
    """No value, for a reason."""
    return Value(nan, reason)


_NO_VALUES: Final = none("there is no pair of values")
_CONSTANT: Final = none("the observations never change")
_CONSTANT_SIMULATION: Final = none("the simulated values never change")
_MEAN_ZERO: Final = none("the mean of the observations is 0")
_TOO_LARGE: Final = none("the numbers are too large or too small to compute it")


def _is_constant(values: Array) -> bool:
    return bool(values.min() == values.max())


def _value(compute: Callable[[], float]) -> Value:
    """The number that is computed; a reason where it overflows."""
    with np.errstate(all="ignore"):
        try:
            number = float(compute())
        except (OverflowError, ZeroDivisionError):
            return _TOO_LARGE
    return Value(number) if isfinite(number) else _TOO_LARGE


def nse(simulated: Array, observed: Array) -> Value:
    """NSE = 1 - sum (S - O)^2 / sum (O - m(O))^2; 1 is perfect, 0 as good as the mean of O.

    Nash, Sutcliffe 1970, Journal of Hydrology 10, 282-290.
    """
    if not observed.size:
        return _NO_VALUES
    if _is_constant(observed):
        return _CONSTANT

    def compute() -> float:
        off = simulated - observed
        around = observed - observed.mean()
        return 1.0 - float(np.dot(off, off)) / float(np.dot(around, around))

    return _value(compute)


def log_nse(simulated: Array, observed: Array) -> Value:
    """NSE of the natural logarithms, which weighs low flows; none where a value is 0 or below.

    Krause, Boyle, Base 2005, Advances in Geosciences 5, 89-97.
    """
    if not observed.size:
        return _NO_VALUES
    for what, values in (("observed", observed), ("simulated", simulated)):
        if count := int(np.count_nonzero(values <= 0)):
            return none(f"{count:,} {what} values are not above 0 and have no logarithm")
    return nse(np.log(simulated), np.log(observed))


@dataclass(frozen=True, slots=True)
class KgeParts:
    """The parts of the Kling-Gupta efficiency, and both of its forms."""

    kge: Value
    kge_2012: Value
    r: Value
    alpha: Value
    beta: Value
    gamma: Value


def kge_parts(simulated: Array, observed: Array) -> KgeParts:
    """The Kling-Gupta efficiency of 2009 and of 2012 with its parts.

    r      Pearson's correlation of S and O
    alpha  s(S) / s(O), variability (2009)
    beta   m(S) / m(O), bias
    gamma  (s(S) / m(S)) / (s(O) / m(O)), variability (2012)
    KGE 2009  1 - sqrt((r - 1)^2 + (alpha - 1)^2 + (beta - 1)^2)
    KGE 2012  1 - sqrt((r - 1)^2 + (gamma - 1)^2 + (beta - 1)^2)

    1 is perfect; 1 - sqrt(2) = -0.41 is the mean of O. Gupta et al. 2009, Journal of Hydrology
    377, 80-91; Kling, Fuchs, Paulin 2012, Journal of Hydrology 424-425, 264-277.
    """
    if not observed.size:
        return KgeParts(*(_NO_VALUES for _ in range(6)))
    r = correlation(simulated, observed)
    alpha = _CONSTANT if _is_constant(observed) else _ratio(simulated.std, observed.std)
    beta = _ratio(simulated.mean, observed.mean) if _mean(observed) else _MEAN_ZERO
    gamma = _gamma(simulated, alpha, beta)
    return KgeParts(_kge(r, alpha, beta), _kge(r, gamma, beta), r, alpha, beta, gamma)


def _mean(values: Array) -> float:
    with np.errstate(all="ignore"):
        return float(values.mean())


def _ratio(above: Callable[[], Any], below: Callable[[], Any]) -> Value:
    return _value(lambda: float(above()) / float(below()))


def _gamma(simulated: Array, alpha: Value, beta: Value) -> Value:
    if not alpha.is_there or not beta.is_there:
        return alpha if not alpha.is_there else beta
    if not _mean(simulated) or not beta.value:
        return none("the mean of the simulated values is 0")
    return _value(lambda: alpha.value / beta.value)


def _kge(*parts: Value) -> Value:
    missing = next((part for part in parts if not part.is_there), None)
    if missing is not None:
        return missing
    return _value(lambda: 1.0 - sqrt(sum((part.value - 1.0) ** 2 for part in parts)))


def kge(simulated: Array, observed: Array) -> Value:
    """KGE of 2009: see `kge_parts`."""
    return kge_parts(simulated, observed).kge


def kge_2012(simulated: Array, observed: Array) -> Value:
    """KGE of 2012: see `kge_parts`."""
    return kge_parts(simulated, observed).kge_2012


def kge_alpha(simulated: Array, observed: Array) -> Value:
    """s(S) / s(O): see `kge_parts`."""
    return kge_parts(simulated, observed).alpha


def kge_beta(simulated: Array, observed: Array) -> Value:
    """m(S) / m(O): see `kge_parts`."""
    return kge_parts(simulated, observed).beta


def kge_gamma(simulated: Array, observed: Array) -> Value:
    """Ratio of the coefficients of variation: see `kge_parts`."""
    return kge_parts(simulated, observed).gamma


def correlation(simulated: Array, observed: Array) -> Value:
    """Pearson's r = sum (S - m(S)) (O - m(O)) / (n s(S) s(O)).

    Pearson 1896, Philosophical Transactions of the Royal Society A 187, 253-318.
    """
    if not observed.size:
        return _NO_VALUES
    if _is_constant(observed):
        return _CONSTANT
    if _is_constant(simulated):
        return _CONSTANT_SIMULATION

    def compute() -> float:
        s, o = simulated - simulated.mean(), observed - observed.mean()
        found = float(np.dot(s, o)) / sqrt(float(np.dot(s, s))) / sqrt(float(np.dot(o, o)))
        return min(1.0, max(-1.0, found)) if isfinite(found) else found

    return _value(compute)


def r2(simulated: Array, observed: Array) -> Value:
    """R^2 = r^2, the square of Pearson's correlation: blind to bias and scale.

    Legates, McCabe 1999, Water Resources Research 35, 233-241, who warn of just that.
    """
    r = correlation(simulated, observed)
    return Value(r.value**2) if r.is_there else r


def pbias(simulated: Array, observed: Array) -> Value:
    """PBIAS = 100 sum (S - O) / sum O, in %; positive: too much is simulated.

    Yilmaz, Gupta, Wagener 2008, Water Resources Research 44, W09417, whose sign this is; Moriasi
    et al. 2007, Transactions of the ASABE 50, 885-900, use the opposite one.
    """
    if not observed.size:
        return _NO_VALUES
    mean = _mean(observed)
    if not mean:
        return _MEAN_ZERO
    return _value(lambda: 100.0 * float((simulated - observed).mean()) / mean)


def rmse(simulated: Array, observed: Array) -> Value:
    """RMSE = sqrt(m((S - O)^2)), in the unit of the values.

    Willmott 1982, Bulletin of the American Meteorological Society 63, 1309-1313.
    """
    if not observed.size:
        return _NO_VALUES
    return _value(lambda: sqrt(float(np.mean((simulated - observed) ** 2))))


def mae(simulated: Array, observed: Array) -> Value:
    """MAE = m(|S - O|), in the unit of the values.

    Willmott, Matsuura 2005, Climate Research 30, 79-82.
    """
    if not observed.size:
        return _NO_VALUES
    return _value(lambda: float(np.mean(np.abs(simulated - observed))))


def volume_error(simulated: Array, observed: Array, step_ms: int) -> Value:
    """sum (S - O) times the step in seconds: of flows in m3/s the m3 that are too much.

    `step_ms` is the length of one step. Steps without a pair are not counted.
    """
    if not observed.size:
        return _NO_VALUES
    return _value(lambda: float((simulated - observed).sum()) * step_ms / 1000.0)


@dataclass(frozen=True, slots=True)
class Peak:
    """How the highest observed value is met: its size in %, its time in hours."""

    size: Value
    timing: Value


def peak(simulated: Array, observed: Array, times: Array, window_ms: int) -> Peak:
    """Errors of the highest observed value, O* at t(O*) (the first where several are as high).

    S* is the highest S within `window_ms` before and after t(O*), the nearest one where several
    are as high. size = 100 (S* - O*) / O*, in %; timing = t(S*) - t(O*), in hours, positive:
    simulated too late. After Ehret, Zehe 2011, Hydrology and Earth System Sciences 15, 877-896,
    who compare matching events. `times`: (n,), ms, rising.
    """
    if not observed.size:
        return Peak(_NO_VALUES, _NO_VALUES)
    if _is_constant(observed):
        return Peak(_CONSTANT, _CONSTANT)
    at = int(np.argmax(observed))
    near = np.flatnonzero(np.abs(times - times[at]) <= window_ms)
    highest = near[simulated[near] == simulated[near].max()]
    when = int(highest[np.argmin(np.abs(times[highest] - times[at]))])
    late_h = float(times[when] - times[at]) / _HOUR_MS
    most = float(observed[at])
    if most <= 0:
        size = none("the highest observed value is not above 0")
    else:
        size = _value(lambda: 100.0 * (float(simulated[when]) - most) / most)
    if simulated[near].size > 1 and _is_constant(simulated[near]):
        return Peak(size, none("the simulated values never change around the observed peak"))
    return Peak(size, Value(late_h))
