"""Series of one location brought to one unit, one step and the same times. Pure."""

from dataclasses import dataclass
from functools import cache
from math import isfinite
from re import sub
from typing import Any, Final

import numpy as np

from headrace_evaluation.core.metrics import Array
from headrace_kinds.evaluation import Aggregate
from headrace_model.errors import InvalidInput

MOST_STEPS: Final = 5_000_000
_HOUR_MS: Final = 3_600_000


class EvaluationFailed(InvalidInput):
    """The data can't be scored: what is to blame, and what to do."""

    code = "EVALUATION_FAILED"


@dataclass(frozen=True, slots=True)
class Series:
    """Values of one location: `times` (n,) ms since 1970, rising, the begins of steps; `values`
    (n,), NaN where missing; `unit` empty where the files tell none."""

    times: Array
    values: Array
    unit: str

    @property
    def step_ms(self) -> int:
        """The lower median of the differences of times; 0 for fewer than two."""
        apart = np.sort(np.diff(self.times))
        return int(apart[(apart.size - 1) // 2]) if apart.size else 0

    def in_unit(self, unit: str) -> "Series":
        """The same in another unit; raises `EvaluationFailed` as `factor` does."""
        return Series(self.times, self.values * factor(self.unit, unit), unit)


@cache
def _units() -> Any:
    import pint

    units: Any = pint.UnitRegistry()
    units.define("cms = meter ** 3 / second")
    units.define("cfs = foot ** 3 / second")
    return units


@cache
def factor(
    unit: str, wanted: str, area_km2: float | None = None, step_ms: int | None = None
) -> float:
    """What a number in `unit` is multiplied with to be in `wanted`.

    With an area a depth of water over time becomes a flow; 1 kg/m2 of water is 1 mm. A depth
    without time is that of a step, `step_ms`. Raises `EvaluationFailed` for units that are none,
    of another kind, or of another zero (degC, K).
    """
    units = _units()
    found, target = _quantity(unit), _quantity(wanted)
    try:
        if found.check("[mass] / [length] ** 2 / [time]") or found.check("[mass] / [length] ** 2"):
            found = found / units.Quantity(1000.0, "kg/m**3")
        if area_km2 is not None:
            if step_ms and found.check("[length]"):
                found = found / units.Quantity(step_ms, "ms")
            found = found * units.Quantity(area_km2, "km**2")
        number = float(found.to(target.units).magnitude / target.magnitude)
        zero = float(units.Quantity(0.0, found.units).to(target.units).magnitude)
    except Exception as error:
        way = " over an area" if area_km2 is not None else ""
        raise EvaluationFailed(
            f"values in {unit!r}{way} can't be compared in {wanted!r}: {error}",
            hint="set observed_unit, simulated_unit or unit; a depth needs areas_km2",
        ) from None
    if zero != 0:
        raise EvaluationFailed(
            f"values in {unit!r} can't be compared in {wanted!r}: their zeros differ, so "
            "no factor converts them",
            hint=f"set unit to {unit!r} if both series have it",
        )
    if not isfinite(number) or number <= 0:
        raise EvaluationFailed(f"{unit!r} is no unit that {wanted!r} is a multiple of")
    return number


def _quantity(unit: str) -> Any:
    # UDUNITS writes m3 s-1 where pint reads m**3 s**-1.
    text = sub(r"(?<![\w*.^-])([A-Za-z]+)\^?(-?\d+)", r"\1**\2", unit.replace("·", " ").strip())
    if not text or len(text) > 60:
        raise EvaluationFailed(
            "the values have no unit", hint="set observed_unit or simulated_unit"
        )
    try:
        return _units().Quantity(1.0, _units().Unit(text))
    except Exception:  # pint raises errors of many kinds for what is no unit
        raise EvaluationFailed(
            f"{unit[:60]!r} is no unit", hint="write it as m3 s-1, ft3/s or mm/d"
        ) from None


@dataclass(slots=True)
class Flow:
    """The flow of catchments together: their depths, each over its area; missing where one is."""

    unit: str
    _times: Array | None = None
    _values: Array | None = None

    def add(self, name: str, depth: Series, area_km2: float) -> None:
        """Add the depth of one; raises `EvaluationFailed` for another unit, or other times."""
        values = depth.values * factor(depth.unit, self.unit, area_km2, depth.step_ms)
        if self._times is None or self._values is None:
            self._times, self._values = depth.times, values
        elif np.array_equal(depth.times, self._times):
            self._values = self._values + values
        else:
            raise EvaluationFailed(f"the catchment {name[:60]} has other times than the others")

    @property
    def series(self) -> Series:
        """The sum of what was added."""
        if self._times is None or self._values is None:
            return Series(np.empty(0, np.int64), np.empty(0), self.unit)
        return Series(self._times, self._values, self.unit)


def in_steps(
    series: Series, step_ms: int, phase_ms: int, how: Aggregate, least_share: float
) -> Series:
    """Aggregate to steps that begin at `phase_ms` plus multiples of `step_ms`.

    A step has a value where values cover at least `least_share` of it. Infinite ones are missing.
    A sum is divided by the share that is covered: what is missing counts as the mean of the rest.
    """
    there = np.isfinite(series.values)
    times, values = series.times[there], series.values[there]
    if not times.size:
        return Series(np.empty(0, np.int64), np.empty(0), series.unit)
    at = (times - phase_ms) // step_ms
    begins, which, counts = np.unique(at, return_inverse=True, return_counts=True)
    if how is Aggregate.MAX:
        made = np.full(begins.size, -np.inf)
        np.maximum.at(made, which, values)
    else:
        made = np.bincount(which, weights=values)
        made = made / counts if how is Aggregate.MEAN else made
    share = counts * min(series.step_ms or step_ms, step_ms) / step_ms
    if how is Aggregate.SUM:
        made = made / np.minimum(share, 1)
    kept = share >= least_share - 1e-9
    return Series(begins[kept] * step_ms + phase_ms, made[kept], series.unit)


@dataclass(frozen=True, slots=True)
class Aligned:
    """Values at the same times, both finite; `step_ms` is the step of both."""

    times: Array
    simulated: Array
    observed: Array
    step_ms: int


def aligned(
    simulated: Series,
    observed: Series,
    begin_ms: int,
    end_ms: int,
    step_ms: int | None,
    how: Aggregate,
    least_share: float,
) -> Aligned:
    """Bring both, of one unit, to the coarser step and the times in [begin, end) of both.

    Raises `EvaluationFailed` where no step can be told, or `step_ms` is finer than the coarser
    series: its values would be compared with a part of what they stand for.
    """
    if not simulated.times.size or not observed.times.size:
        return Aligned(np.empty(0, np.int64), np.empty(0), np.empty(0), step_ms or 0)
    coarser = max((simulated, observed), key=lambda each: each.step_ms)
    step = step_ms or coarser.step_ms
    if not step:
        raise EvaluationFailed("a series of a single time tells no step", hint="set step_hours")
    if step_ms is None and np.mean((coarser.times - coarser.times[0]) % step != 0) > 0.1:
        raise EvaluationFailed(
            "the steps of the coarser series differ in length", hint="set step_hours"
        )
    if step < coarser.step_ms:
        raise EvaluationFailed(
            f"a step of {step / _HOUR_MS:g} h is finer than the {coarser.step_ms / _HOUR_MS:g} h "
            "of the coarser series",
            hint=f"set step_hours to {coarser.step_ms / _HOUR_MS:g} or more, or leave it out",
        )
    phase = 0 if step_ms is not None else int(coarser.times[0]) % step
    s = in_steps(simulated, step, phase, how, least_share)
    o = in_steps(observed, step, phase, how, least_share)
    times, s_at, o_at = np.intersect1d(s.times, o.times, return_indices=True)
    kept = (times >= begin_ms) & (times + step <= end_ms)
    return Aligned(times[kept], s.values[s_at][kept], o.values[o_at][kept], step)
