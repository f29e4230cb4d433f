"""A catchment's forcing, cut to the times of the run.

A model may run from the first to the last time of its forcing, whatever it is told (HBV does). So
it gets a file that holds exactly the run's steps, a copy where the forcing has more.
"""

import csv
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from headrace_bmi.clock import EPOCH, read_units
from headrace_bmi.config import TIME_FORMAT, RunConfig
from headrace_bmi.errors import BmiFailed

if TYPE_CHECKING:
    from netCDF4 import Dataset, Variable

Stored = np.ndarray[Any, np.dtype[Any]]
Numbers = np.ndarray[Any, np.dtype[np.float64]]
Seconds = np.ndarray[Any, np.dtype[np.int64]]
_MOST_VALUES: Final = 50_000_000


def cut_to_run(config: RunConfig, catchment: str, path: Path, scratch: Path) -> Path:
    """The file that the model gets: the forcing itself, or a copy with the run's times only.

    NetCDF is cut, and refused where a step or a number is missing; a CSV file is given as it is.
    Raises `BmiFailed`.
    """
    if path.suffix != ".nc":
        return path
    from netCDF4 import Dataset

    where = f"catchment {catchment}: its forcing, {path.name},"
    try:
        with Dataset(str(path.absolute()), "r") as source:
            steps = _steps_of_run(config, times_of(source, where), where)
            _check_numbers(config, source, steps, where)
            if len(steps) == len(source.dimensions["time"]):
                return path.absolute()
            target = scratch.absolute() / f"{catchment}.nc"
            with Dataset(str(target), "w", format=source.data_model) as copy:
                copy_of(source, copy, len(steps), _at(source, steps))
            return target
    except (OSError, RuntimeError) as error:
        raise BmiFailed(f"{where} can't be read as NetCDF: {error}") from None


def series(config: RunConfig, catchment: str, path: Path) -> Mapping[str, Numbers]:
    """What the model is given step by step: of each BMI name in `inputs` a number a step.

    Shape (steps,), in the unit of the forcing. Raises `BmiFailed`.
    """
    where = f"catchment {catchment}: its forcing, {path.name},"
    names = [of for _, of in config.inputs]
    if not names:
        return {}
    read = _netcdf_series if path.suffix == ".nc" else _csv_series
    try:
        times, columns = read(path, names, where)
    except (OSError, RuntimeError, ValueError) as error:
        raise BmiFailed(f"{where} can't be read: {error}") from None
    steps = _steps_of_run(config, times, where)
    found = {}
    for bmi_name, name in config.inputs:
        numbers = columns[name][steps]
        _check_finite(config, numbers, name, where)
        found[bmi_name] = numbers
    return found


def times_of(source: "Dataset", where: str) -> Seconds:
    """Seconds since 1970 of each step, shape (time,)."""
    variable = source.variables.get("time")
    if variable is None or variable.dimensions != ("time",):
        raise BmiFailed(f"{where} has no variable time over the dimension time")
    if not 0 < variable.shape[0] <= _MOST_VALUES:
        raise BmiFailed(f"{where} has {variable.shape[0]:,} times")
    units = str(getattr(variable, "units", ""))
    unit_s, reference = read_units(units) or (0, None)
    if reference is None:
        raise BmiFailed(f"{where} has a time in {units[:60]!r}: write days since 1979-01-01")
    numbers = np.ma.filled(np.ma.asarray(variable[:], dtype=np.float64), np.nan)
    if not np.isfinite(numbers).all():
        raise BmiFailed(f"{where} has a time that is missing")
    since_s = np.rint(numbers * unit_s).astype(np.int64)
    seconds: Seconds = since_s + int((reference - EPOCH).total_seconds())
    return seconds


def _steps_of_run(config: RunConfig, times: Seconds, where: str) -> Seconds:
    """The places of the run's steps among the times; raises `BmiFailed` where one is missing."""
    step_s = int(config.step.total_seconds())
    first = int((config.begin - EPOCH).total_seconds())
    wanted = first + step_s * np.arange(config.steps, dtype=np.int64)
    if (np.diff(times) <= 0).any():
        raise BmiFailed(f"{where} has times that do not rise")
    places: Seconds = np.searchsorted(times, wanted)
    there = np.zeros(len(wanted), dtype=bool)
    inside = places < len(times)
    there[inside] = times[places[inside]] == wanted[inside]
    if not there.all():
        gone = config.time(int(np.argmin(there)))
        raise BmiFailed(
            f"{where} has no {gone:{TIME_FORMAT}}, which is a step of the run from "
            f"{config.begin:{TIME_FORMAT}} to {config.end:{TIME_FORMAT}}; shorten the run, or "
            "complete the forcing"
        )
    last = first + step_s * config.steps
    between = int(np.searchsorted(times, last)) - int(places[0])
    if between != config.steps:
        raise BmiFailed(f"{where} has steps shorter than the run's {step_s} s: aggregate it first")
    return places


def _check_numbers(config: RunConfig, source: "Dataset", steps: Seconds, where: str) -> None:
    for name, variable in source.variables.items():
        if variable.dimensions == ("time",) and variable.dtype.kind == "f" and name != "time":
            numbers = np.ma.filled(np.ma.asarray(variable[:], dtype=np.float64), np.nan)[steps]
            _check_finite(config, numbers, name, where)


def _check_finite(config: RunConfig, numbers: Numbers, name: str, where: str) -> None:
    missing = ~np.isfinite(numbers)
    if missing.any():
        at = config.time(int(np.argmax(missing)))
        raise BmiFailed(
            f"{where} has no {name} at {at:{TIME_FORMAT}} ({int(missing.sum()):,} are missing): "
            "complete the forcing"
        )


def _at(source: "Dataset", steps: Seconds) -> dict[str, Stored]:
    """What is stored of these steps, by variable."""
    found = {}
    for name, variable in source.variables.items():
        if "time" in variable.dimensions:
            variable.set_auto_maskandscale(False)
            found[name] = np.take(variable[...], steps, axis=variable.dimensions.index("time"))
    return found


def copy_of(
    source: "Dataset", copy: "Dataset", length: int, over_time: Mapping[str, Stored]
) -> None:
    """Make a copy of another length in time, with what is stored of the variables over time."""
    copy.setncatts({name: source.getncattr(name) for name in source.ncattrs()})
    for name, dimension in source.dimensions.items():
        copy.createDimension(name, length if name == "time" else len(dimension))
    for name, variable in source.variables.items():
        variable.set_auto_maskandscale(False)
        attributes = {each: variable.getncattr(each) for each in variable.ncattrs()}
        fill = attributes.pop("_FillValue", None)
        made: Variable[Any] = copy.createVariable(
            name, variable.dtype, variable.dimensions, fill_value=fill
        )
        made.set_auto_maskandscale(False)
        made.setncatts(attributes)
        made[...] = over_time[name] if name in over_time else variable[...]


def _netcdf_series(
    path: Path, names: Sequence[str], where: str
) -> tuple[Seconds, dict[str, Numbers]]:
    from netCDF4 import Dataset

    with Dataset(str(path.absolute()), "r") as source:
        columns = {}
        for name in names:
            variable = source.variables.get(name)
            if variable is None or variable.dimensions != ("time",):
                raise BmiFailed(
                    f"{where} has no {name} over time; it has {_few(source.variables)}"
                )
            columns[name] = np.ma.filled(np.ma.asarray(variable[:], dtype=np.float64), np.nan)
        return times_of(source, where), columns


def _csv_series(
    path: Path, names: Sequence[str], where: str
) -> tuple[Seconds, dict[str, Numbers]]:
    """ngen's forcing: the first column holds times as 2015-12-01 00:00:00."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.reader(file)
        header = [each.strip() for each in next(rows, [])]
        for name in names:
            if name not in header[1:]:
                raise BmiFailed(f"{where} has no column {name}; it has {_few(header[1:])}")
        places = [header.index(name) for name in names]
        times: list[int] = []
        columns: list[list[float]] = [[] for _ in names]
        for row in rows:
            if not row:
                continue
            if len(row) != len(header):
                raise BmiFailed(f"{where} has a line {rows.line_num} without all columns")
            time = datetime.strptime(row[0].strip(), TIME_FORMAT).replace(tzinfo=UTC)
            times.append(int((time - EPOCH).total_seconds()))
            for column, place in zip(columns, places, strict=True):
                column.append(float(row[place] or "nan"))
    numbers = [np.array(column, dtype=np.float64) for column in columns]
    return np.array(times, dtype=np.int64), dict(zip(names, numbers, strict=True))


def _few(names: Sequence[str] | Mapping[str, object]) -> str:
    return ", ".join([*names][:20]) or "none"
