"""How well a run of the model fits what was observed."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headrace_calibration.core.objective import Objective
from headrace_calibration.core.periods import Span, told
from headrace_calibration.core.plan import Plan
from headrace_calibration.metrics import REPORTED, computed, objective_named, paired
from headrace_calibration.series import Series, pick, read_columns
from headrace_evaluation.core.aligning import Aligned
from headrace_model.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Location:
    """A place that is observed, what the model calls it, and how much it counts."""

    observed: str
    simulated: str
    weight: float


class Scorer:
    """Reads the observations once; raises `InvalidInput` where they hold too little."""

    def __init__(self, plan: Plan, observations: Path) -> None:
        self._plan = plan
        self.locations = tuple(Location(**each) for each in plan.evaluation["locations"])
        self.objective: Objective = objective_named(plan.objective)
        self._unit: str | None = plan.evaluation["unit"]
        self._variable: str | None = plan.evaluation["variable"]
        columns = read_columns(observations, None)
        self.observed: dict[str, Series] = {
            each.observed: pick(columns, each.observed, self._unit, "the dataset of observations")
            for each in self.locations
        }
        for name, (times, values) in self.observed.items():
            counted = plan.periods.counted(plan.periods.train)
            if np.count_nonzero(counted.holds(times) & np.isfinite(values)) < 2:
                raise InvalidInput(
                    f"{name} has fewer than two observations in {told(counted)}, the train period "
                    "without the warm-up: nothing can be calibrated against them"
                )

    def read(self, output: Path) -> dict[str, Series]:
        """What the model says of each location; raises `InvalidInput`."""
        columns = read_columns(output, self._variable)
        return {
            each.observed: pick(columns, each.simulated, self._unit, "the model's output")
            for each in self.locations
        }

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
