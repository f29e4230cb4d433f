"""Forcing for BMI models, a file a catchment, as small as a test wants it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from netCDF4 import Dataset

UNITS = {"pr": "mm d-1", "tas": "degC", "evspsblpot": "mm d-1"}


def write_bmi_forcing(
    path: Path,
    columns: Mapping[str, Sequence[float]],
    *,
    id_: str | None = None,
    days: Sequence[float] | None = None,
    units: Mapping[str, str] = UNITS,
) -> None:
    """Write daily series from 1979-01-01; the catchment is the file's name unless it is said."""
    path.parent.mkdir(parents=True, exist_ok=True)
    length = len(next(iter(columns.values())))
    with Dataset(path, "w") as file:
        file.setncattr("catchment_id", path.stem if id_ is None else id_)
        file.createDimension("time", length)
        time: Any = file.createVariable("time", "f8", ("time",))
        time.units = "days since 1979-01-01"
        time[:] = range(length) if days is None else days
        for name, numbers in columns.items():
            variable: Any = file.createVariable(name, "f8", ("time",))
            variable.units = units[name]
            variable[:] = numbers
