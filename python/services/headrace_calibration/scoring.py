"""How well a run of the model fits what was observed."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from headrace_calibration.core.objective import Objective
from headrace_calibration.core.periods import Span, told
from headrace_calibration.core.plan import Plan
from headrace_calibration.metrics import REPORTED, computed, objective_named, paired
from headrace_evaluation.core.aligning import Aligned, EvaluationFailed, Flow, Series
from headrace_evaluation.datasets import open_dataset
from headrace_model.errors import InvalidInput

_FLOW: Final = "m3 s-1"  # what is compared where several variables are and nothing is said


@dataclass(frozen=True, slots=True)
class Location:
    """A place that is observed, what the model calls it, and how much it counts.

    With `areas_km2` it is what runs off these catchments of the model together.
    """

    observed: str
    simulated: str
    weight: float
    areas_km2: Mapping[str, float] | None = None


class Scorer:
    """Reads the observations once; raises `InvalidInput` where they hold too little."""

    def __init__(self, plan: Plan, observations: Path) -> None:
        self._plan = plan
        self.locations = tuple(Location(**each) for each in plan.evaluation["locations"])
        self.objective: Objective = objective_named(plan.objective)
        self._unit: str | None = plan.evaluation["unit"]
        self._variable: str | None = plan.evaluation["variable"]
        self._simulated_unit: str = plan.evaluation.get("simulated_unit") or ""
        # netCDF's library must not be in two threads at once.
        self._reading = threading.Lock()
        seen = self._read(
            "the dataset of observations", observations, None, [e.observed for e in self.locations]
        )
        self.observed = {name: _brought(each, self._unit, name) for name, each in seen.items()}
        for name, each in self.observed.items():
            counted = plan.periods.counted(plan.periods.train)
            if np.count_nonzero(counted.holds(each.times) & np.isfinite(each.values)) < 2:
                raise InvalidInput(
                    f"{name} has fewer than two observations in {told(counted)}, the train period "
                    "without the warm-up: nothing can be calibrated against them"
                )

    def read(self, output: Path) -> dict[str, Series]:
        """What the model says of each location; raises `InvalidInput`."""
        names = [name for each in self.locations for name in each.areas_km2 or (each.simulated,)]
        found = {
            name: Series(each.times, each.values, each.unit or self._simulated_unit)
            for name, each in self._read(
                "the model's output", output, self._variable, names
            ).items()
        }
        return {each.observed: self._simulated(each, found) for each in self.locations}

    def _simulated(self, where: Location, found: Mapping[str, Series]) -> Series:
        unit = self._unit or self.observed[where.observed].unit
        if where.areas_km2 is None:
            return _brought(found[where.simulated], unit, where.observed)
        try:
            flow = Flow(unit)
            for name, area in where.areas_km2.items():
                flow.add(name, found[name], area)
            return flow.series
        except EvaluationFailed as error:
            raise InvalidInput(f"{where.observed}: {error.message}") from None

    def _read(
        self, whose: str, folder: Path, variable: str | None, names: Sequence[str]
    ) -> Mapping[str, Series]:
        """The series that files call by `names`; raises `InvalidInput`."""
        with self._reading:
            data = open_dataset(whose, folder, variable, self._unit or _FLOW)
            found, reasons = data.read(sorted(set(names)))
        for name, why in reasons.items():
            raise InvalidInput(f"{why}; {data.near(name)}" if name not in data.ids else why)
        return found

    def score(self, simulated: Mapping[str, Series], span: Span) -> float:
        """The objective in a period: of all locations together; raises `InvalidInput`."""
        name = self._plan.objective
        scores: list[tuple[float, float]] = []
        for each in self.locations:
            value, reason = computed((name,), self._pairs(each, simulated, span))[name]
            if reason:
                raise InvalidInput(f"{each.observed} has no {name}: {reason}")
            scores.append((value, each.weight))
        return self.objective.together(scores)

    def scores(
        self, simulated: Mapping[str, Series], span: Span
    ) -> dict[str, dict[str, float | None]]:
        """The usual metrics in a period, by location; None where one has no value."""
        found: dict[str, dict[str, float | None]] = {}
        for each in self.locations:
            pairs = self._pairs(each, simulated, span)
            found[each.observed] = {
                name: None if reason else value
                for name, (value, reason) in computed(REPORTED, pairs).items()
            }
        return found

    def _pairs(self, where: Location, simulated: Mapping[str, Series], span: Span) -> Aligned:
        name = where.observed
        try:
            pairs = paired(simulated[name], self.observed[name], span)
        except InvalidInput as error:
            raise InvalidInput(f"{name}: {error.message}") from None
        if pairs.times.size < 2:
            raise InvalidInput(
                f"{name}: simulated and observed share fewer than two steps in {told(span)}"
            )
        return pairs


def _brought(series: Series, unit: str | None, name: str) -> Series:
    """In a unit; what tells no unit is taken to be in it. Raises `InvalidInput`."""
    if not unit or not series.unit:
        return Series(series.times, series.values, unit or series.unit)
    try:
        return series.in_unit(unit)
    except EvaluationFailed as error:
        raise InvalidInput(f"{name}: {error.message}") from None
