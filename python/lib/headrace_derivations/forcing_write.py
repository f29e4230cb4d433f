"""Writes forcing: one CSV file a catchment, or one NetCDF file in either set of names."""

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol

import numpy as np

from headrace_derivations.base import DerivationFailed
from headrace_derivations.forcing_formats import CANONICAL
from headrace_derivations.forcing_read import Numbers, Series
from headrace_formats.file_names import catchment_in
from headrace_formats.ngen_forcing import (
    AORC_QUANTITIES,
    DEPTH,
    NWM_QUANTITIES,
    RATE,
)
from headrace_model.times import Instant, format_instant

_FILE: Final = "forcing.nc"
_SECOND_MS: Final = 1000
_CHUNK_STEPS: Final = 1024
_ALIKE: Final = 0.2  # what `check_rain` of the readers lets pass


class Writer(Protocol):
    """Takes one catchment after the other."""

    notes: list[str]

    def begin(self, catchments: Sequence[str]) -> None:
        """Get ready for these, which then come in this order."""

    def prepare(self, series: Series) -> Series:
        """Make of a whole series, before it is cut, what the format has a name for."""

    def write(self, series: Series) -> None:
        """Write one; raises `DerivationFailed` for what the format can't hold."""


class CsvWriter:
    """AORC_CSV: `cat-27.csv`, with the times that ngen reads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.notes: list[str] = []

    def __enter__(self) -> "CsvWriter":
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""

    def begin(self, catchments: Sequence[str]) -> None:
        """The name of a file is that of its catchment: nothing else may stand in it."""
        for each in catchments:
            if catchment_in(f"{each}.csv") != each:
                raise DerivationFailed(
                    f"the catchment {each[:80]!r} can't stand in a file name: AORC_CSV knows "
                    "cat-<number> alone",
                    hint="ask for a NetCDF format",
                )

    def prepare(self, series: Series) -> Series:
        """Nothing has to be made."""
        return series

    def write(self, series: Series) -> None:
        """One file; numbers as short as they can be read back exactly."""
        names = _ordered(series)
        with (self._folder / f"{series.catchment}.csv").open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow(("time", *names))
            table = np.column_stack([series.columns[name] for name in names]).tolist()
            for time, row in zip(series.times.tolist(), table, strict=True):
                file.write(",".join((_clock(time, series), *map(repr, row))) + "\n")


class NetcdfWriter:
    """NETCDF_AORC_DEFAULT or NETCDF_FORCING_CANONICAL: all catchments with the same times."""

    def __init__(self, folder: Path, format_: str) -> None:
        self._path = folder / _FILE
        self._canonical = format_ == CANONICAL
        self._dataset: Any = None
        self._first: Series | None = None
        self._count = 0
        self._place = 0
        self.notes: list[str] = []

    def __enter__(self) -> "NetcdfWriter":
        from netCDF4 import Dataset

        self._dataset = Dataset(self._path, "w", format="NETCDF4")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._dataset.close()

    def begin(self, catchments: Sequence[str]) -> None:
        """Write the ids."""
        self._count = len(catchments)
        self._dataset.createDimension("catchment-id", self._count)
        ids = self._dataset.createVariable("ids", str, ("catchment-id",))
        for place, catchment in enumerate(catchments):
            ids[place] = catchment

    def prepare(self, series: Series) -> Series:
        """For the names of the National Water Model: the rate of rain, in place of its depth."""
        if not self._canonical or DEPTH.name not in series.columns:
            return series
        columns = dict(series.columns)
        depths = columns.pop(DEPTH.name)
        steps_s = (series.step_ends - series.times) / _SECOND_MS
        if RATE.name in columns:
            _check_alike(series, columns[RATE.name], depths, steps_s)
        else:
            columns[RATE.name] = depths / steps_s
        return replace(series, columns=columns)

    def write(self, series: Series) -> None:
        """Write one row of each variable."""
        columns = self._columns(series)
        if self._first is None:
            self._first = series
            self._create(series, list(columns))
        self._check_like_the_first(series)
        self._dataset.variables["Time"][self._place] = series.times / _SECOND_MS
        for name, numbers in columns.items():
            if name not in self._dataset.variables:
                raise DerivationFailed(
                    f"{series.catchment} tells {name}, {self._first.catchment} does not"
                )
            self._dataset.variables[name][self._place] = numbers
        self._place += 1

    def _create(self, series: Series, names: Sequence[str]) -> None:
        steps = len(series.times)
        self._dataset.createDimension("time", steps)
        over = ("catchment-id", "time")
        options = {"zlib": True, "complevel": 1, "shuffle": True}
        chunks = (1, min(steps, _CHUNK_STEPS))
        time = self._dataset.createVariable("Time", "f8", over, chunksizes=chunks, **options)
        time.units = "s"
        quantities = NWM_QUANTITIES if self._canonical else AORC_QUANTITIES
        for name in names:
            variable = self._dataset.createVariable(
                name, "f8", over, chunksizes=chunks, fill_value=np.nan, **options
            )
            if name in quantities:
                variable.units = quantities[name].unit
                variable.long_name = quantities[name].about

    def _check_like_the_first(self, series: Series) -> None:
        first = self._first
        if first is None or series is first:
            return
        if not np.array_equal(series.times, first.times):
            raise DerivationFailed(
                f"{series.catchment} has other times than {first.catchment}: one NetCDF file of "
                "forcing has the same for all",
                hint="ask for a TIME that all have, or for AORC_CSV",
            )
        if missing := first.columns.keys() - series.columns.keys():
            raise DerivationFailed(
                f"{series.catchment} does not tell {', '.join(sorted(missing))}, "
                f"{first.catchment} does"
            )

    def _columns(self, series: Series) -> dict[str, Any]:
        if not self._canonical:
            return {name: series.columns[name] for name in _ordered(series)}
        columns = dict(series.columns)
        found = {
            name: columns.pop(quantity.name)
            for name, quantity in NWM_QUANTITIES.items()
            if quantity.name in columns
        }
        self._note_dropped(columns)
        return found

    def _note_dropped(self, columns: dict[str, Any]) -> None:
        note = f"left out, as the format has no name for it: {', '.join(sorted(columns))}"
        if columns and note not in self.notes:
            self.notes.append(note)


def _ordered(series: Series) -> list[str]:
    """Quantities in the order of AORC, then the others by name."""
    known = [name for name in AORC_QUANTITIES if name in series.columns]
    return known + sorted(series.columns.keys() - set(known))


def _check_alike(series: Series, rates: Numbers, depths: Numbers, steps_s: Numbers) -> None:
    """Refuse to drop the depths where the rates tell another rain: only both show that."""
    told = np.isfinite(rates) & np.isfinite(depths)
    by_rate = float((rates * steps_s)[told].sum())
    by_depth = float(depths[told].sum())
    if abs(by_rate - by_depth) > _ALIKE * max(by_rate, by_depth):
        raise DerivationFailed(
            f"{series.catchment}: {RATE.name} tells {by_rate:.4g} mm of rain in all and "
            f"{DEPTH.name} {by_depth:.4g} mm, and the format has a name for the rate alone",
            hint="correct the forcing, or ask for NETCDF_AORC_DEFAULT, which keeps both",
        )


def _clock(time_ms: int, series: Series) -> str:
    if time_ms % _SECOND_MS:
        raise DerivationFailed(
            f"{series.catchment}: {format_instant(Instant(time_ms))} is no whole second, as "
            "ngen's CSV needs it"
        )
    return str(np.datetime64(time_ms // _SECOND_MS, "s")).replace("T", " ")
