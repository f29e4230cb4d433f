"""What ngen's forcing as NetCDF has in common, in either set of names.

As ngen reads it (NetCDFPerFeatureDataProvider): `ids(catchment)` and `Time(catchment, time)`,
every row the same, its unit one of h, m, s, ms, us, ns since 1970 or since the attribute
`epoch_start` (MM/DD/YY HH:MM:SS); or a coordinate variable of time by CF. Quantities run over both
dimensions.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from headrace_formats.base import Coverage, FileDomain, checked_names, series_domain
from headrace_formats.delimited import Numbers
from headrace_formats.errors import FormatError
from headrace_formats.netcdf import (
    data_variables,
    stamps_of,
    text_of,
    texts_of,
    time_coverage,
    time_name,
)
from headrace_formats.ngen_forcing import (
    DEPTH,
    RATE,
    Quantity,
    check_rain,
    check_range,
    check_unit,
)
from headrace_formats.report import Report
from headrace_formats.series import cover
from headrace_model.domain import Index
from headrace_model.errors import InvalidInput
from headrace_model.times import Instant, checked_instant, parse_instant

if TYPE_CHECKING:
    import numpy as np
    from netCDF4 import Dataset, Variable

    Array = np.ndarray[Any, np.dtype[Any]]

TIME_SOURCE: Final = "`Time(catchment-id, time)`: a number of `units` since 1970 or `epoch_start`"
ID_SOURCE: Final = "`ids(catchment-id)`"
_UNIT_MS: Final = {
    **dict.fromkeys(("h", "hours"), 3_600_000.0),
    **dict.fromkeys(("m", "minutes"), 60_000.0),
    **dict.fromkeys(("s", "seconds", ""), 1000.0),
    **dict.fromkeys(("ms", "milliseconds"), 1.0),
    **dict.fromkeys(("us", "microseconds"), 1e-3),
    **dict.fromkeys(("ns", "nanoseconds"), 1e-6),
}
_EPOCH: Final = re.compile(r"(\d\d)/(\d\d)/(\d\d|\d{4}) (\d\d:\d\d:\d\d)", re.ASCII)
_FARTHEST_MS: Final = 4e14
_MOST_VALUES: Final = 2_000_000  # of a variable that are looked at for physics
MOST_CHUNK_BYTES: Final = 64 << 20
_MOST_STEPS: Final = 5_000_000
_MOST_TIMES: Final = 1_000_000_000  # in all rows: a minute
_COMPARED: Final = 10  # catchments whose rain is compared hour by hour


@dataclass(frozen=True, slots=True)
class ForcingLayout:
    """Where a file has what: its ids in order, the dimension that they run over, the variables
    over catchments and times, and what the times cover.

    `stamps` are the times one by one.
    """

    ids: list[str]
    catchments: str
    variables: list[str]
    coverage: Coverage
    stamps: list[Instant]
    time: str


def forcing_layout(dataset: "Dataset", report: Report) -> ForcingLayout:
    """Find ids, times and variables; raises `FormatError` where it is no forcing of ngen."""
    if "ids" not in dataset.variables or len(dataset.variables["ids"].dimensions) != 1:
        raise FormatError("the variable ids, over one dimension of catchments, is missing")
    [catchments] = dataset.variables["ids"].dimensions
    time, coverage, stamps = _times(dataset, catchments, report)
    names = data_variables(dataset, frozenset((time, catchments)))
    names = [name for name in names if name != "Time"]
    return ForcingLayout(texts_of(dataset, "ids"), catchments, names, coverage, stamps, time)


def read_forcing(
    dataset: "Dataset", quantities: Mapping[str, Quantity], report: Report
) -> FileDomain:
    """Read the ids, the times and, for physics, some of the numbers."""
    known = [name for name in quantities if name in dataset.variables]
    if not known:
        raise FormatError(f"it has none of the variables {', '.join(quantities)}")
    layout = forcing_layout(dataset, report)
    names, catchments = layout.variables, layout.catchments
    for name in sorted(set(known) - set(names)):
        report.error(f"variable {name}", f"it must run over {catchments} and {layout.time}")
    found = {name: quantities[name] for name in names if name in quantities}
    for name, quantity in found.items():
        unit = text_of(dataset.variables[name], "units")
        check_unit(f"variable {name}", quantity, unit, report)
    _check_numbers(dataset, found, catchments, layout.stamps, report)
    keys = [quantities[name].name if name in quantities else name for name in names]
    ids = {Index.CATCHMENT_ID: checked_names(layout.ids, "variable ids")}
    return series_domain(keys, ids, layout.coverage, report)


def _times(
    dataset: "Dataset", catchments: str, report: Report
) -> tuple[str, Coverage, list[Instant]]:
    """The dimension of time, what it covers, and its stamps where they are ngen's."""
    variable = dataset.variables.get("Time")
    if variable is None or variable.dimensions[:1] != (catchments,) or variable.ndim != 2:
        name = time_name(dataset)
        if name is None:
            raise FormatError("it has neither Time(catchment-id, time) nor a time by CF")
        return name, time_coverage(dataset, name), stamps_of(dataset, name)

    first = _one_for_all(variable, report)
    stamps = _instants(first, text_of(variable, "units"), text_of(variable, "epoch_start"))
    return variable.dimensions[1], cover(stamps, "variable Time"), stamps


def _one_for_all(variable: "Variable[Any]", report: Report) -> "Array":
    """The first row of ngen's `Time`, which all others repeat; read in blocks of rows."""
    import numpy as np

    count, steps = variable.shape
    if not count * steps:
        raise FormatError("variable Time is empty")
    if steps > _MOST_STEPS or count * steps > _MOST_TIMES:
        raise FormatError(
            f"variable Time claims {count:,} rows of {steps:,} times: too many to read"
        )
    if chunk_bytes(variable) > MOST_CHUNK_BYTES:
        raise FormatError("variable Time: its chunks are too large to read")
    at_once = max(1, _MOST_VALUES // steps)
    first = np.asarray(variable[0], dtype=np.float64)
    for begin in range(0, count, at_once):
        rows = np.asarray(variable[begin : begin + at_once], dtype=np.float64)
        if not np.isfinite(rows).all():
            raise FormatError("variable Time: a time is missing or not a number")
        if (rows != first).any():
            at = begin + int(np.argmax((rows != first).any(axis=1)))
            report.error(f"variable Time, row {at}", "its times are not those of the first row")
    return first


def _instants(row: "Array", units: str, epoch: str) -> list[Instant]:
    import numpy as np

    unit_ms = _UNIT_MS.get(units)
    if unit_ms is None:
        raise FormatError(
            f"variable Time: the units {units[:60]!r} are none that ngen knows",
            hint=f"it knows {', '.join(unit for unit in _UNIT_MS if unit)}",
        )
    since = _epoch(epoch)
    wanted = row * unit_ms
    if np.abs(wanted).max() > _FARTHEST_MS:
        raise FormatError("variable Time: a time lies outside the years 0001 to 9999")
    whole = np.rint(wanted)
    if np.abs(wanted - whole).max() > max(0.1, float(np.spacing(np.abs(row).max())) * unit_ms):
        raise FormatError("variable Time: a time is finer than a millisecond")
    return [checked_instant(since + each) for each in whole.astype(np.int64).tolist()]


def _epoch(text: str) -> Instant:
    if not text:
        return Instant(0)
    found = _EPOCH.fullmatch(text.strip())
    if found is None:
        raise FormatError(f"variable Time: epoch_start {text[:60]!r} is not MM/DD/YY HH:MM:SS")
    month, day, year, clock = found.groups()
    if len(year) == 2:
        year = f"{'19' if int(year) > 68 else '20'}{year}"  # as C's get_time
    try:
        return parse_instant(f"{year}-{month}-{day}T{clock}Z")
    except InvalidInput as error:
        raise FormatError(f"variable Time: epoch_start: {error.message}") from None


def _check_numbers(
    dataset: "Dataset",
    found: Mapping[str, Quantity],
    catchments: str,
    stamps: list[Instant],
    report: Report,
) -> None:
    """Point out what no weather has, in as many catchments as are looked at."""
    import numpy as np

    rain: dict[str, Array] = {}
    for name, quantity in found.items():
        values = _looked_at(dataset, name, catchments, report)
        if values is None or not values.size:
            continue
        there = values[np.isfinite(values)]
        missing = int(values.size - there.size)
        if missing:
            report.warn(f"variable {name}", f"{missing:,} numbers are missing")
        if there.size:
            least, most = float(there.min()), float(there.max())
            numbers = Numbers(count=int(there.size), least=least, most=most)
            check_range(f"variable {name}", quantity, numbers, report)
        if quantity in (RATE, DEPTH):
            rain[quantity.name] = np.nan_to_num(values)
    if RATE.name in rain and len(stamps) > 1:
        step_s = (stamps[1] - stamps[0]) / 1000
        depths = rain.get(DEPTH.name)
        for place in range(min(_COMPARED, len(rain[RATE.name]))):
            row = depths[place].tolist() if depths is not None and place < len(depths) else None
            check_rain(rain[RATE.name][place].tolist(), row, step_s, report)


def chunk_bytes(variable: "Variable[Any]") -> int:
    """What opening one chunk of a variable takes."""
    import numpy as np

    chunks = variable.chunking()
    return int(np.prod(chunks)) * variable.dtype.itemsize if isinstance(chunks, list) else 0


def _looked_at(dataset: "Dataset", name: str, catchments: str, report: Report) -> "Array | None":
    """Some rows of a variable, one a catchment; None where its chunks are too large to open."""
    import numpy as np

    variable = dataset.variables[name]
    if chunk_bytes(variable) > MOST_CHUNK_BYTES:
        report.warn(f"variable {name}", "its chunks are too large to look at the numbers")
        return None
    first = variable.dimensions[0] == catchments
    count, steps = variable.shape if first else variable.shape[::-1]
    most = min(count, max(1, _MOST_VALUES // max(1, steps)))
    if steps > _MOST_VALUES:
        return None
    values = variable[:most, :] if first else variable[:, :most].T
    filled: Array = np.ma.filled(np.ma.asarray(values, dtype=np.float64), np.nan)
    return filled
