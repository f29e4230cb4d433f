"""Series of the model and of observations, location by location."""

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from headrace_calibration.core.periods import Milliseconds
from headrace_formats.delimited import opened_rows, timed_rows
from headrace_formats.report import Report
from headrace_model.errors import InvalidInput

Series = tuple[Milliseconds, npt.NDArray[np.float64]]
_SHOWN: Final = 5


def read_columns(folder: Path) -> dict[str, Series]:
    """Read every column of numbers of the CSV files below a folder, by its name."""
    found: dict[str, Series] = {}
    for path in sorted(folder.rglob("*.csv")):
        for name, series in _table(path).items():
            if name in found:
                raise InvalidInput(f"two CSV files have a column {name}")
            found[name] = series
    if not found:
        raise InvalidInput("it has no CSV file with a column of times")
    return found


def pick(columns: dict[str, Series], name: str, whose: str) -> Series:
    """The column of that name; raises `InvalidInput` that names those there are."""
    if name not in columns:
        shown = ", ".join(sorted(columns)[:_SHOWN])
        raise InvalidInput(f"{whose} has no column {name}; it has {shown}")
    return columns[name]


def _table(path: Path) -> dict[str, Series]:
    with opened_rows(path) as rows:
        header = [name.strip() for name in next(rows, [])]
        at = next((place for place, each in enumerate(header) if "time" in each.lower()), None)
        if at is None:
            return {}
        parts = list(timed_rows(rows, header, at, Report()))
    times = np.array([time for part in parts for time in part.times], dtype=np.int64)
    names = [name for place, name in enumerate(header) if place != at]
    return {
        name: (times, np.array([value for part in parts for value in part.numbers[place]]))
        for place, name in enumerate(names)
    }
