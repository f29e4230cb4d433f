"""T_ROUTE_PARQUET: flows as t-route writes them to Parquet: a row an element, time and variable.

Columns `location_id`, `value`, `value_time`, `variable_name`, `units`, and others that are not
read (`reference_time`, `configuration`). t-route writes every element at every time, so that a
row that is missing means damage.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from headrace_formats.base import Field, FileDomain, Format, checked_names, series_domain
from headrace_formats.errors import FormatError
from headrace_formats.parquet import batches, is_parquet, milliseconds, opened
from headrace_formats.report import Report
from headrace_formats.series import cover
from headrace_model.dataset import Category
from headrace_model.domain import Domain, Index
from headrace_model.errors import InvalidInput
from headrace_model.times import Instant, checked_instant, format_instant

if TYPE_CHECKING:
    from headrace_formats.parquet import Array

_TEXTS: Final = ("location_id", "variable_name", "units")
_COLUMNS: Final = (*_TEXTS, "value", "value_time")
_UNITS: Final = {"streamflow": "m3/s", "velocity": "m/s", "depth": "m"}
_MOST_ELEMENTS: Final = 5_000_000
_MOST_VARIABLES: Final = 100
_MOST_STAMPS: Final = 5_000_000
_HIGHEST_M3_S: Final = 500_000.0
_NONE: Final = -(1 << 63)


@dataclass(slots=True)
class _Names:
    """Texts of one column and their numbers, over all batches."""

    column: str
    most: int
    numbers: dict[str, int] = field(default_factory=dict)
    _last: Any = None
    _of_last: Any = None

    def of(self, column: Any) -> "Array":
        """Number the texts of a batch; raises `FormatError` where one is missing."""
        import numpy as np

        if column.null_count:
            raise FormatError(f"column {self.column}: {column.null_count:,} are missing")
        if self._last is None or not column.dictionary.equals(self._last):
            words = column.dictionary.to_pylist()
            if None in words:
                raise FormatError(f"column {self.column}: one is missing")
            self._of_last = np.array(
                [self.numbers.setdefault(each, len(self.numbers)) for each in words], "i8"
            )
            self._last = column.dictionary
            if len(self.numbers) > self.most:
                raise FormatError(f"column {self.column} holds more than {self.most:,} names")
        found: Array = self._of_last[column.indices.to_numpy(zero_copy_only=False)]
        return found


@dataclass(slots=True)
class _Series:
    """What the rows of one variable come to, element by element."""

    last: "Array"
    counts: "Array"
    stamps: set[int] = field(default_factory=set)

    @classmethod
    def empty(cls) -> "_Series":
        import numpy as np

        return cls(np.empty(0, "i8"), np.empty(0, "i8"))

    def add(self, elements: "Array", times: "Array", names: _Names) -> None:
        """Take rows; raises `FormatError` where the times of an element do not rise."""
        import numpy as np

        more = len(names.numbers) - len(self.last)
        if more > 0:
            self.last = np.append(self.last, np.full(more, _NONE, "i8"))
            self.counts = np.append(self.counts, np.zeros(more, "i8"))
        order = np.argsort(elements, kind="stable")
        element, time = elements[order], times[order]
        first = np.append(True, element[1:] != element[:-1])
        before = np.append(_NONE, time[:-1])
        before[first] = self.last[element[first]]
        wrong = np.flatnonzero(time <= before)
        if wrong.size:
            name = list(names.numbers)[element[wrong[0]]]
            at = format_instant(_instant(int(time[wrong[0]])))
            raise FormatError(
                f"column value_time: {at} of {name[:60]} is not after the one before"
            )
        self.last[element[np.append(first[1:], True)]] = time[np.append(first[1:], True)]
        self.counts += np.bincount(element, minlength=len(self.counts))
        self.stamps.update(np.unique(times).tolist())
        if len(self.stamps) > _MOST_STAMPS:
            raise FormatError(f"it has more than {_MOST_STAMPS:,} times")


def _instant(milliseconds: int) -> Instant:
    try:
        return checked_instant(milliseconds)
    except InvalidInput as error:
        raise FormatError(f"column value_time: {error.message}") from None


def _read(path: Path, report: Report) -> FileDomain:
    names = _Names("location_id", _MOST_ELEMENTS)
    variables = _Names("variable_name", _MOST_VARIABLES)
    units = _Names("units", _MOST_VARIABLES)
    series: dict[int, _Series] = {}
    with opened(path, _TEXTS) as file:
        for batch in batches(file, _COLUMNS, _TEXTS):
            elements = names.of(batch.column("location_id"))
            which = variables.of(batch.column("variable_name"))
            said = units.of(batch.column("units"))
            times = milliseconds(batch.column("value_time"), "column value_time")
            values = _values(batch.column("value"))
            for number in sorted(set(which.tolist())):
                rows = which == number
                variable = list(variables.numbers)[number]
                series.setdefault(number, _Series.empty()).add(elements[rows], times[rows], names)
                _check_unit(variable, said[rows], units, report)
                if variable == "streamflow":
                    _check_flow(values[rows], report)
    if not series:
        raise FormatError("it holds no row")
    return _domain(series, list(variables.numbers), names, report)


def _domain(
    series: dict[int, _Series], variables: list[str], names: _Names, report: Report
) -> FileDomain:
    found: list[tuple[str, Domain]] = []
    unknown: frozenset[Index] = frozenset()
    elements = checked_names(list(names.numbers), "column location_id")
    for number, each in series.items():
        variable = variables[number]
        if len(each.counts) < len(elements) or (each.counts != len(each.stamps)).any():
            report.error(
                f"variable {variable[:60]}",
                f"not each of {len(elements):,} elements has each of {len(each.stamps):,} times",
                "is it complete?",
            )
        stamps = [_instant(stamp) for stamp in sorted(each.stamps)]
        of = series_domain(
            [variable],
            {Index.ELEMENT_ID: elements},
            cover(stamps, "column value_time"),
            report,
        )
        found += of.variables
        unknown |= of.unknown
    return FileDomain(tuple(found), unknown)


def _values(column: Any) -> "Array":
    import pyarrow as pa

    if not pa.types.is_floating(column.type):
        raise FormatError(f"column value: it must hold numbers, not {column.type}")
    found: Array = column.to_numpy(zero_copy_only=False)  # NaN where none is
    return found


def _check_unit(variable: str, said: "Array", units: _Names, report: Report) -> None:
    wanted = _UNITS.get(variable)
    if wanted is None:
        return
    by_number = list(units.numbers)
    for number in sorted(set(said.tolist())):
        if by_number[number] != wanted:
            unit = by_number[number][:40]
            report.warn(f"variable {variable}", f"its unit is {unit!r}, not {wanted}")


def _check_flow(flow: "Array", report: Report) -> None:
    import numpy as np

    finite = flow[np.isfinite(flow)]
    if finite.size < flow.size:
        report.warn("variable streamflow", "a flow is no finite number")
    if finite.size and finite.min() < 0:
        report.warn("variable streamflow", "a flow is below 0")
    if finite.size and finite.max() > _HIGHEST_M3_S:
        said = f"a flow is above {_HIGHEST_M3_S:,.0f} m3/s, more than any river has"
        report.warn("variable streamflow", said)


FORMAT: Final = Format(
    name="T_ROUTE_PARQUET",
    summary="flows as t-route writes them to Parquet",
    categories=(Category.OUTPUT,),
    indexes=(
        (Index.TIME, "the column `value_time`"),
        (Index.ELEMENT_ID, "the column `location_id`: `wb-2420800`"),
    ),
    sniff=is_parquet,
    read=_read,
    fields=(
        Field("streamflow", "m3/s", "flow"),
        Field("velocity", "m/s", "velocity"),
        Field("depth", "m", "depth"),
    ),
    warns=(
        "a flow is below 0, above 500,000 m3/s (more than any river has), or no number",
        "a unit is not the one that t-route writes",
    ),
    source="NOAA-OWP/t-route, its output `parquet_output`; read with `headrace[parquet]`",
)
