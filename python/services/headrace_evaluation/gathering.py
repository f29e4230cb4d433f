"""The series of some locations in one unit, and why others have none."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from headrace_evaluation.core.aligning import EvaluationFailed, Flow, Series
from headrace_evaluation.datasets import Dataset
from headrace_kinds.evaluation import Location

_CATCHMENTS_AT_ONCE: Final = 64  # whose series are held

Gathered = tuple[dict[str, Series], dict[str, str]]
"""By the ids of locations: series, reasons."""


def gathered(
    data: Dataset, some: Sequence[Location], id_of: Callable[[Location], str], to: "Units"
) -> Gathered:
    """The series that `data` has of each."""
    read, failed = data.read([id_of(each) for each in some])
    found: dict[str, Series] = {}
    reasons: dict[str, str] = {}
    for each in some:
        if id_of(each) in failed:
            reasons[each.id] = failed[id_of(each)]
            continue
        try:
            found[each.id] = to.told(read[id_of(each)]).in_unit(to.unit)
        except EvaluationFailed as error:
            reasons[each.id] = note(each.id, error)
    return found, reasons


def simulated(data: Dataset, some: Sequence[Location], to: "Units") -> Gathered:
    """What a run says of each: its series, or the flow of all its catchments."""
    alone = [each for each in some if each.areas_km2 is None]
    found, reasons = gathered(data, alone, lambda each: each.simulated or each.id, to)
    flows = {each.id: Flow(to.unit) for each in some if each.areas_km2 is not None}
    for id_, depth in _depths(data, some):
        for each in some:
            area = (each.areas_km2 or {}).get(id_)
            if area is None or each.id in reasons:
                continue
            try:
                if isinstance(depth, str):
                    raise EvaluationFailed(depth)
                flows[each.id].add(id_, to.told(depth), float(area))
            except EvaluationFailed as error:
                reasons[each.id] = note(each.id, error)
    sums = {id_: flow.series for id_, flow in flows.items() if id_ not in reasons}
    return found | sums, reasons


def _depths(data: Dataset, some: Sequence[Location]) -> Iterator[tuple[str, Series | str]]:
    """The series of all catchments of some locations, some at a time; or why there is none."""
    ids = sorted({id_ for each in some for id_ in each.areas_km2 or ()})
    for begin in range(0, len(ids), _CATCHMENTS_AT_ONCE):
        found, failed = data.read(ids[begin : begin + _CATCHMENTS_AT_ONCE])
        yield from found.items()
        yield from failed.items()


class Units:
    """What values are brought into, and the unit that was told of them, whatever files say."""

    def __init__(self, unit: str, of_values: str | None) -> None:
        self.unit, self._of_values = unit, of_values

    def told(self, series: Series) -> Series:
        """With the unit that was told."""
        return Series(series.times, series.values, self._of_values or series.unit)


def note(location: str, error: EvaluationFailed) -> str:
    """Why a location is not scored."""
    hint = f"; {error.hint}" if error.hint else ""
    return f"{location[:60]}: {error.message}{hint}"
