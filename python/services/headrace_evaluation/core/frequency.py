"""The value that is reached once in T years: from the highest values of years.

The exceedance probability of a return period of T years is 1 / T. Years may begin in any month;
the years of the U.S. Geological Survey begin in October.
"""

from datetime import UTC, date, datetime
from enum import StrEnum
from math import exp, gamma, isfinite, log
from typing import Any, Final

import numpy as np

from headrace_evaluation.core.metrics import Array, Value, none

LEAST_YEARS: Final = 5
"""Fewer highest values of years give no threshold: it would be chance."""
_EULER: Final = 0.5772156649015329
_DAY_MS: Final = 86_400_000
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()


class Fit(StrEnum):
    """How a return period becomes a value."""

    GEV = "gev"
    GUMBEL = "gumbel"
    WEIBULL = "weibull"


def yearly_maxima(
    times: Array, values: Array, step_ms: int, first_month: int, least_share: float
) -> Array:
    """The highest value of each year that has at least a `least_share` of its steps.

    `times`: (n,) ms since 1970, the begins of steps; `values`: (n,), NaN where missing.
    """
    there = np.isfinite(values)
    found = []
    for year, members in _years(times[there], first_month).items():
        length_ms = _begin(year + 1, first_month) - _begin(year, first_month)
        if members.size * step_ms >= least_share * length_ms:
            found.append(float(values[there][members].max()))
    return np.array(found, dtype=np.float64)


def _years(times: Array, first_month: int) -> dict[int, Any]:
    """Which times are in which year; a year is named by the calendar year in which it begins."""
    if not times.size:
        return {}
    first = datetime.fromtimestamp(int(times[0]) / 1000, UTC).year - 1
    last = datetime.fromtimestamp(int(times[-1]) / 1000, UTC).year
    begins = np.array([_begin(year, first_month) for year in range(first, last + 2)])
    which = np.searchsorted(begins, times, side="right") - 1
    return {first + int(at): np.flatnonzero(which == at) for at in np.unique(which)}


def _begin(year: int, month: int) -> int:
    return (date(year, month, 1).toordinal() - _EPOCH_DAY) * _DAY_MS


def l_moments(values: Array) -> tuple[float, float, float]:
    """The first two L-moments and the L-skewness of a sample, by the unbiased estimators.

    Hosking 1990, Journal of the Royal Statistical Society B 52, 105-124, eq. 2.3 and 3.1.
    """
    x = np.sort(values)
    n = x.size
    rank = np.arange(1, n + 1)
    b0 = float(x.mean())
    b1 = float(np.sum((rank - 1) * x)) / (n * (n - 1))
    b2 = float(np.sum((rank - 1) * (rank - 2) * x)) / (n * (n - 1) * (n - 2))
    l2 = 2 * b1 - b0
    l3 = 6 * b2 - 6 * b1 + b0
    return b0, l2, l3 / l2 if l2 else 0.0


def return_level(maxima: Array, years: float, fit: Fit) -> Value:
    """The value with a return period of `years` (above 1), of highest values of years.

    `gev`: the generalised extreme value distribution by L-moments, Hosking, Wallis, Wood 1985,
    Technometrics 27, 251-261 (shape k of their sign); `gumbel`: that with k = 0, by L-moments;
    `weibull`: no distribution, between the ordered values at plotting positions i / (n + 1),
    Weibull 1939, which tells nothing beyond n + 1 years.
    """
    n = maxima.size
    if n < LEAST_YEARS:
        return none(f"{LEAST_YEARS} whole years of observations are needed, and there are {n}")
    if years <= 1:
        return none("a return period must be longer than a year")
    if fit is Fit.WEIBULL:
        return _by_rank(maxima, years)
    mean, l2, skew = l_moments(maxima)
    if not l2 > 0:
        return none("the highest values of all years are the same")
    level = _gev(mean, l2, skew, years) if fit is Fit.GEV else _gumbel(mean, l2, years)
    return Value(level) if isfinite(level) else none("the distribution can't be fitted")


def _by_rank(maxima: Array, years: float) -> Value:
    n = maxima.size
    if not (n + 1) / n <= years <= n + 1:
        return none(f"{n} years tell return periods from {(n + 1) / n:.2f} to {n + 1} years only")
    positions = np.arange(1, n + 1) / (n + 1)
    return Value(float(np.interp(1 - 1 / years, positions, np.sort(maxima))))


def _gumbel(mean: float, l2: float, years: float) -> float:
    scale = l2 / log(2)
    place = mean - _EULER * scale
    return place - scale * log(-log(1 - 1 / years))


def _gev(mean: float, l2: float, skew: float, years: float) -> float:
    c = 2 / (3 + skew) - log(2) / log(3)
    k = 7.8590 * c + 2.9554 * c * c
    if abs(k) < 1e-6:
        return _gumbel(mean, l2, years)
    if k <= -1:
        return float("nan")
    scale = l2 * k / ((1 - 2**-k) * gamma(1 + k))
    place = mean - scale * (1 - gamma(1 + k)) / k
    return place + scale * (1 - exp(k * log(-log(1 - 1 / years)))) / k
