"""The run of an evaluation: location by location, some held at a time."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from headrace_evaluation.core import frequency
from headrace_evaluation.core.aligning import (
    Aligned,
    EvaluationFailed,
    Series,
    aligned,
    in_steps,
)
from headrace_evaluation.core.metrics import Value
from headrace_evaluation.core.result import LocationScore, Result, RunScore
from headrace_evaluation.core.scoring import Pairs, described, score
from headrace_evaluation.crosswalk import Crosswalk
from headrace_evaluation.datasets import Dataset
from headrace_evaluation.gathering import Units, gathered, note, simulated
from headrace_evaluation.reading import Place
from headrace_kinds.evaluation import EvaluationSettings, Location, Threshold, plain

_AT_ONCE: Final = 32  # locations whose series are held
_DAY_MS: Final = 86_400_000
_FIRST_MONTH: Final = 10  # of the years of the U.S. Geological Survey
_WHOLE_YEAR: Final = 0.9
_NOTHING: Final = Series(np.empty(0, np.int64), np.empty(0), "")

Keep = Callable[[str, str, Aligned], tuple[int, int] | None]
"""Keeps the pairs of a location and run; which bytes of series.csv they are."""


@dataclass(frozen=True, slots=True)
class Compared:
    """The series of a location in the unit of the comparison: those of runs by name, and of each
    run that has none the reason."""

    location: Location
    observed: Series
    simulated: Mapping[str, Series]
    reasons: Mapping[str, str]


class Evaluation:
    """One evaluation over open datasets; `say` tells people a line."""

    def __init__(
        self,
        said: EvaluationSettings,
        observations: Dataset,
        runs: Mapping[str, Dataset],
        say: Callable[[str], None],
        crosswalk: Crosswalk | None = None,
        keep: Keep = lambda location, run, found: None,
    ) -> None:
        self._said, self._observations, self._runs, self._say = said, observations, runs, say
        self._keep = keep
        self._begin = said.counts_from
        self._step = None if said.step_hours is None else round(said.step_hours * 3_600_000)
        self._astray: dict[str, str] = {}  # locations that stand nowhere, with the reason
        self.locations = self._locate(crosswalk)

    def run(self) -> Result:
        """Score every location; raises `EvaluationFailed` where none can be."""
        thresholds = [each.name for each in self._said.thresholds]
        names = [str(each) for each in self._said.metrics]
        found = []
        for each in self.series(self.locations):
            found.append(self._location(each))
            self._tell(found[-1], len(found))
        data = (self._observations, *self._runs.values())
        result = Result(
            plain(self._said),
            self._said.unit,
            tuple(self._runs),
            described(names, thresholds),
            tuple(found),
            tuple(dict.fromkeys(why for each in data for why in each.unreadable.values())),
        )
        if not result.scored:
            notes = [run.note for each in found for run in each.runs.values() if run.note]
            raise EvaluationFailed(
                f"no location could be scored; of the first: {notes[0] if notes else 'no values'}",
                hint="is the period too short, or least_values too many?",
            )
        return result

    def series(self, locations: Sequence[Location]) -> Iterator[Compared]:
        """Iterate over locations with their series in the unit of the comparison."""
        said = self._said
        for begin in range(0, len(locations), _AT_ONCE):
            some = locations[begin : begin + _AT_ONCE]
            there = [each for each in some if each.id not in self._astray]
            seen, failed = gathered(
                self._observations, there, _observed, Units(said.unit, said.observed_unit)
            )
            failed |= self._astray
            units = Units(said.unit, said.simulated_unit)
            by_run = {name: simulated(data, there, units) for name, data in self._runs.items()}
            for each in some:
                reasons = {
                    name: failed.get(each.id) or run[1][each.id]
                    for name, run in by_run.items()
                    if each.id in failed or each.id in run[1]
                }
                series = {
                    name: run[0][each.id] for name, run in by_run.items() if name not in reasons
                }
                yield Compared(each, seen.get(each.id, _NOTHING), series, reasons)

    def align(self, simulated: Series, observed: Series) -> Aligned:
        """Pairs of the period behind the warm-up."""
        said = self._said
        end = said.period.end
        return aligned(
            simulated, observed, self._begin, end, self._step, said.aggregate, said.least_share
        )

    def _locate(self, crosswalk: Crosswalk | None) -> list[Location]:
        """All locations, those upstream of which runoff is summed with their catchments."""
        told = list(self._said.locations)
        if not told:
            told = [Location(id_) for id_ in sorted(self._common(crosswalk))]
        elements = {each.id: at for each in told if (at := self._said.element(each))}
        for each in told:
            _check(each, [_observed(each)], self._observations)
            if each.id not in elements:
                for run in self._runs.values():
                    _check(each, list(each.areas_km2 or (each.simulated or each.id,)), run)
        if not elements:
            return told
        if crosswalk is None:
            raise EvaluationFailed("it was given no hydrofabric", hint="hydrofabric=FOLDER")
        areas, reasons = crosswalk.areas_km2(dict.fromkeys(elements.values()))
        self._astray = {id_: reasons[at] for id_, at in elements.items() if at in reasons}
        return [
            replace(each, upstream=None, areas_km2=areas[elements[each.id]])
            if elements.get(each.id) in areas
            else each
            for each in told
        ]

    def _common(self, crosswalk: Crosswalk | None) -> set[str]:
        """The ids of both sides: of the gauges of the fabric where runoff is summed."""
        there = self._observations.ids
        if self._said.upstream and crosswalk is not None:
            other, whose = crosswalk.gauges, "the gauges of the hydrofabric"
            hint = "set locations: [{id: …, upstream: nex-26}]"
        else:
            other = {id_ for run in self._runs.values() for id_ in run.ids}
            whose, hint = "simulations", "set locations: [{id: …, simulated: …}]"
        if not there & other:
            raise EvaluationFailed(
                f"observations and {whose} have no id in common: {_some(there)}; {_some(other)}",
                hint=hint,
            )
        return there & other

    def _location(self, compared: Compared) -> LocationScore:
        location = compared.location
        place = self._observations.places.get(_observed(location), Place())
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
            {name: self._score(compared, name) for name in self._runs},
            location.areas_km2,
        )

    def _score(self, compared: Compared, run: str) -> RunScore:
        if run in compared.reasons:
            return RunScore(0, None, None, {}, compared.reasons[run])
        location, observed = compared.location.id, compared.observed
        try:
            found = self.align(compared.simulated[run], observed)
        except EvaluationFailed as error:  # one bad series must not end the others' scores
            return RunScore(0, None, None, {}, note(location, error))
        n = int(found.times.size)
        if n < self._said.least_values:
            return RunScore(n, None, None, {}, f"{n:,} pairs, fewer than least_values")
        window = round(self._said.peak_window_days * _DAY_MS)
        pairs = Pairs(found.times, found.simulated, found.observed, found.step_ms, window)
        levels = {each.name: self._level(each, found, observed) for each in self._said.thresholds}
        scores = score(pairs, [str(each) for each in self._said.metrics], levels)
        begin, end = int(found.times[0]), int(found.times[-1]) + found.step_ms
        return RunScore(n, begin, end, scores, series=self._keep(location, run, found))

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


def _observed(location: Location) -> str:
    return location.observed or location.id


def _check(location: Location, ids: Sequence[str], data: Dataset) -> None:
    """Refuse an id that is nowhere: a wrong word. What can't be read may hold it."""
    missing = [id_ for id_ in ids if id_ not in data.files]
    if missing and not data.unreadable:
        why = f"{data.lack(missing[0])}; {data.near(missing[0])}"
        raise EvaluationFailed(f"location {location.id}: {why}")


def _some(ids: set[str]) -> str:
    return ", ".join(sorted(ids)[:3]) + (" …" if len(ids) > 3 else "")
