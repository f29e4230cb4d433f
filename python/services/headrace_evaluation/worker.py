"""The run of an evaluation: location by location, some held at a time."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from headrace_evaluation.core import frequency
from headrace_evaluation.core.aligning import (
    Aligned,
    EvaluationFailed,
    Series,
    aligned,
    factor,
    in_steps,
    summed,
)
from headrace_evaluation.core.metrics import Value
from headrace_evaluation.core.result import LocationScore, Result, RunScore
from headrace_evaluation.core.scoring import Pairs, described, score
from headrace_evaluation.datasets import Dataset
from headrace_evaluation.reading import Place
from headrace_kinds.evaluation import EvaluationSettings, Location, Threshold, plain
from headrace_model.nearest import did_you_mean

_AT_ONCE: Final = 32  # locations whose series are held
_DAY_MS: Final = 86_400_000
_FIRST_MONTH: Final = 10  # of the years of the U.S. Geological Survey
_WHOLE_YEAR: Final = 0.9

Series_ = tuple[Location, Series, dict[str, Series]]


class Evaluation:
    """One evaluation over open datasets; `say` tells people a line."""

    def __init__(
        self,
        said: EvaluationSettings,
        observations: Dataset,
        runs: Mapping[str, Dataset],
        say: Callable[[str], None],
    ) -> None:
        self._said, self._observations, self._runs, self._say = said, observations, runs, say
        self._begin = said.period.begin + round(said.warm_up_days * _DAY_MS)
        self._step = None if said.step_hours is None else round(said.step_hours * 3_600_000)
        self.locations = self._locate()

    def run(self) -> Result:
        """Score every location; raises `EvaluationFailed` where none can be."""
        thresholds = [each.name for each in self._said.thresholds]
        names = [str(each) for each in self._said.metrics]
        found = []
        for location, observed, simulated in self.series(self.locations):
            found.append(self._location(location, observed, simulated))
            self._tell(found[-1], len(found))
        result = Result(
            plain(self._said),
            self._said.unit,
            tuple(self._runs),
            described(names, thresholds),
            tuple(found),
        )
        if not result.scored:
            notes = [run.note for each in found for run in each.runs.values() if run.note]
            raise EvaluationFailed(
                f"no location could be scored; of the first: {notes[0] if notes else 'no values'}",
                hint="is the period too short, or least_values too many?",
            )
        return result

    def series(self, locations: Sequence[Location]) -> Iterator[Series_]:
        """Iterate over locations with their series in the unit of the comparison."""
        for begin in range(0, len(locations), _AT_ONCE):
            some = locations[begin : begin + _AT_ONCE]
            observed = self._observations.read([each.observed or each.id for each in some])
            by_run = {
                name: _simulated(data, some, self._said.unit) for name, data in self._runs.items()
            }
            for each in some:
                yield (
                    each,
                    _in_unit(observed[each.observed or each.id], self._said.unit),
                    {name: of[each.id] for name, of in by_run.items() if each.id in of},
                )

    def align(self, simulated: Series, observed: Series) -> Aligned:
        """Pairs of the period behind the warm-up."""
        said = self._said
        end = said.period.end
        return aligned(
            simulated, observed, self._begin, end, self._step, said.aggregate, said.least_share
        )

    def _locate(self) -> list[Location]:
        told = list(self._said.locations)
        if not told:
            there = set(self._observations.files)
            common = there & {id_ for run in self._runs.values() for id_ in run.files}
            if not common:
                simulated = {id_ for run in self._runs.values() for id_ in run.files}
                raise EvaluationFailed(
                    "observations and simulations have no id in common: "
                    f"{_some(there)}; {_some(simulated)}",
                    hint="set locations: [{id: …, simulated: …}]",
                )
            return [Location(id_) for id_ in sorted(common)]
        for each in told:
            _check("observations", each.id, [each.observed or each.id], self._observations)
            for name, run in self._runs.items():
                _check(name, each.id, _members(each), run)
        return told

    def _location(
        self, location: Location, observed: Series, simulated: Mapping[str, Series]
    ) -> LocationScore:
        place = self._observations.places.get(location.observed or location.id, Place())
        if place.lon is None:
            for run in self._runs.values():
                other = run.places.get(location.simulated or location.id)
                if other and other.lon is not None:
                    place = Place(place.name or other.name, other.lon, other.lat)
                    break
        return LocationScore(
            location.id,
            place.name,
            place.lon,
            place.lat,
            location.weight,
            {name: self._score(location.id, simulated.get(name), observed) for name in self._runs},
        )

    def _score(self, location: str, simulated: Series | None, observed: Series) -> RunScore:
        if simulated is None:
            return RunScore(0, None, None, {}, "it is not in the simulation")
        try:
            found = self.align(simulated, observed)
        except EvaluationFailed as error:  # one bad series must not end the others' scores
            return RunScore(0, None, None, {}, _note(location, error))
        n = int(found.times.size)
        if n < self._said.least_values:
            return RunScore(n, None, None, {}, f"{n:,} pairs, fewer than least_values")
        window = round(self._said.peak_window_days * _DAY_MS)
        pairs = Pairs(found.times, found.simulated, found.observed, found.step_ms, window)
        levels = {each.name: self._level(each, found, observed) for each in self._said.thresholds}
        scores = score(pairs, [str(each) for each in self._said.metrics], levels)
        begin, end = int(found.times[0]), int(found.times[-1]) + found.step_ms
        return RunScore(n, begin, end, scores)

    def _level(self, threshold: Threshold, found: Aligned, observed: Series) -> Value:
        if threshold.value is not None:
            return Value(threshold.value)
        if threshold.quantile is not None:
            return Value(float(np.quantile(found.observed, threshold.quantile)))
        said = self._said
        steps = in_steps(
            observed,
            found.step_ms,
            int(found.times[0]) % found.step_ms,
            said.aggregate,
            said.least_share,
        )
        maxima = frequency.yearly_maxima(
            steps.times, steps.values, found.step_ms, _FIRST_MONTH, _WHOLE_YEAR
        )
        return frequency.return_level(
            maxima, threshold.years or 0.0, frequency.Fit(str(threshold.fit))
        )

    def _tell(self, found: LocationScore, done: int) -> None:
        for name, run in found.runs.items():
            values = " ".join(
                f"{metric}={value.value:.3f}" if value.is_there else f"{metric}=none"
                for metric, value in run.scores.items()
            )
            run_of = f" {name}" if len(found.runs) > 1 else ""
            self._say(f"SCORE {found.id}{run_of} n={run.n} {values or run.note}")
        self._say(f"HEADRACE_PROGRESS {done}/{len(self.locations)}")


def _note(location: str, error: EvaluationFailed) -> str:
    hint = f"; {error.hint}" if error.hint else ""
    return f"{location[:60]}: {error.message}{hint}"


def _members(location: Location) -> list[str]:
    return list(location.areas_km2 or (location.simulated or location.id,))


def _check(what: str, location: str, ids: Sequence[str], data: Dataset) -> None:
    missing = [id_ for id_ in ids if id_ not in data.files]
    if missing:
        near = did_you_mean(missing[0], list(data.files)[:20_000])
        raise EvaluationFailed(f"location {location}: {what} has no {missing[0][:60]}; {near}")


def _some(ids: set[str]) -> str:
    return ", ".join(sorted(ids)[:3]) + (" …" if len(ids) > 3 else "")


def _in_unit(series: Series, unit: str) -> Series:
    return Series(series.times, series.values * factor(series.unit, unit), unit)


def _simulated(data: Dataset, some: Sequence[Location], unit: str) -> dict[str, Series]:
    """The series of locations of one run, by the locations' ids."""
    wanted = {id_ for each in some for id_ in _members(each) if id_ in data.files}
    read = data.read(sorted(wanted))
    found = {}
    for each in some:
        if each.areas_km2 is not None:
            parts = {id_: read[id_] for id_ in each.areas_km2}
            found[each.id] = summed(parts, each.areas_km2, unit)
        elif (each.simulated or each.id) in read:
            found[each.id] = _in_unit(read[each.simulated or each.id], unit)
    return found
