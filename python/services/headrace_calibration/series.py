"""Series of the model and of observations, location by location, in one unit."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from headrace_calibration.core.periods import Milliseconds
from headrace_evaluation.core.aligning import EvaluationFailed, factor
from headrace_evaluation.reading import begins, rising
from headrace_formats.delimited import name_and_unit, opened_rows, timed_rows
from headrace_formats.file_names import catchment_in, nexus_in
from headrace_formats.netcdf import (
    data_variables,
    id_dimensions,
    load,
    opened,
    sized,
    text_of,
    texts_of,
    time_name,
)
from headrace_formats.report import Report
from headrace_model.errors import InvalidInput

if TYPE_CHECKING:
    from netCDF4 import Dataset

Series = tuple[Milliseconds, npt.NDArray[np.float64]]
_SHOWN: Final = 5
_MOST_UNIT: Final = 64


@dataclass(frozen=True, slots=True)
class Column:
    """A series and its unit, "" where the file tells none."""

    series: Series
    unit: str


def read_columns(folder: Path, variable: str | None) -> dict[str, Column]:
    """Read what the files below a folder tell of each location; raises `InvalidInput`.

    CSV: a column of times, and one a location, its name perhaps with a unit (`flow [m3 s-1]`);
    of a catchment's file (`cat-27.csv`) the column `variable`, of a nexus's its flow.
    NetCDF: `variable` over time and locations, whose ids are texts; None where a file has one such
    variable only.
    """
    found: dict[str, Column] = {}
    load()
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        for name, column in _read(path, variable).items():
            if name in found:
                raise InvalidInput(f"{name} stands in two files, one of them {path.name}")
            found[name] = column
    return found


def pick(columns: dict[str, Column], name: str, unit: str | None, whose: str) -> Series:
    """The series of a location in a unit; what tells no unit, or where None is asked, as it is.

    Raises `InvalidInput` that names what there is.
    """
    if name not in columns:
        shown = ", ".join(sorted(columns)[:_SHOWN]) or "nothing"
        raise InvalidInput(f"{whose} tells nothing of {name}; it tells of {shown}")
    column = columns[name]
    if unit is None or not column.unit or column.unit == unit:
        return column.series
    times, values = column.series
    return times, values * factor_between(column.unit, unit, f"{whose}, {name}")


def factor_between(unit: str, wanted: str, where: str) -> float:
    """What numbers in `unit` are multiplied with; raises `InvalidInput`."""
    if max(len(unit), len(wanted)) > _MOST_UNIT:
        raise InvalidInput(f"{where}: a unit has at most {_MOST_UNIT} characters")
    try:
        return factor(unit, wanted)
    except EvaluationFailed as error:
        raise InvalidInput(
            f"{where}: {unit} can't be brought into {wanted}: {error.message}"
        ) from None


def _read(path: Path, variable: str | None) -> dict[str, Column]:
    match path.suffix.lower():
        case ".csv":
            nexus = nexus_in(path.name)
            return {nexus: _nexus(path)} if nexus else _table(path, variable)
        case ".nc" | ".nc4":
            with opened(path) as dataset:
                return _grid(dataset, path.name, variable)
    return {}


def _nexus(path: Path) -> Column:
    """What ngen writes of a nexus: step, time and flow (m3/s), without a header."""
    with opened_rows(path) as rows:
        parts = list(timed_rows(rows, ("step", "time", "flow"), 1, Report(), first=1))
    times = rising([time for part in parts for time in part.times], path.name)
    flow = np.array([value for part in parts for value in part.numbers[1]])
    return Column((times, flow), "m3 s-1")


def _table(path: Path, variable: str | None) -> dict[str, Column]:
    with opened_rows(path) as rows:
        header = [name.strip() for name in next(rows, [])]
        at = next((n for n, each in enumerate(header) if each.lower() in ("time", "date")), None)
        if at is None:
            at = next((n for n, each in enumerate(header) if "time" in each.lower()), None)
        if at is None:
            return {}
        parts = list(timed_rows(rows, header, at, Report()))
    times = rising([time for part in parts for time in part.times], path.name)
    found: dict[str, Column] = {}
    for place, title in enumerate(each for n, each in enumerate(header) if n != at):
        name, unit = name_and_unit(title)
        values = np.array([value for part in parts for value in part.numbers[place]])
        found[name] = Column((times, values), unit)
    catchment = catchment_in(path.name)
    if catchment is None:
        return found
    return {catchment: found[variable]} if variable in found else {}


def _grid(dataset: "Dataset", file: str, variable: str | None) -> dict[str, Column]:
    time = time_name(dataset)
    if time is None:
        return {}
    for ids in dataset.variables:
        over = id_dimensions(dataset.variables[ids])
        is_text = getattr(dataset.variables[ids].dtype, "kind", "") not in tuple("iuf")
        if len(over) != 1 or not is_text:
            continue
        names = data_variables(dataset, frozenset((time, over[0])))
        name = variable if variable in names else names[0] if len(names) == 1 else None
        if name is None:
            if names:
                raise InvalidInput(f"{file} has {', '.join(names)}: say which as `variable`")
            continue
        if ids != over[0] and over[0] in dataset.variables:
            continue  # names of the locations, not their ids
        return _columns(dataset, time, texts_of(dataset, ids), name, over[0])
    return {}


def _columns(
    dataset: "Dataset", time: str, ids: list[str], name: str, over: str
) -> dict[str, Column]:
    times = begins(dataset, time)
    data = sized(dataset.variables[name], f"variable {name}")
    values = np.ma.filled(np.ma.asarray(data[...], dtype=np.float64), np.nan)
    if data.dimensions[0] != over:
        values = values.T
    unit = text_of(data, "units")
    return {id_: Column((times, row), unit) for id_, row in zip(ids, values, strict=True)}
