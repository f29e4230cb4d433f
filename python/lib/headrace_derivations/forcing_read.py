"""Forcing as the files of a folder hold it, catchment by catchment, in the units of ngen."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from headrace_derivations.base import DerivationFailed, files_below
from headrace_derivations.units import to_unit
from headrace_formats import aorc_csv
from headrace_formats.base import checked_names, read_head
from headrace_formats.delimited import name_and_unit, opened_rows, timed_rows
from headrace_formats.errors import FormatError
from headrace_formats.file_names import catchment_in, is_documentation, is_prose
from headrace_formats.forcing_netcdf import (
    MOST_CHUNK_BYTES,
    ForcingLayout,
    chunk_bytes,
    forcing_layout,
)
from headrace_formats.netcdf import is_netcdf, opened, text_of
from headrace_formats.ngen_forcing import QUANTITIES
from headrace_formats.report import Report
from headrace_formats.series import cover
from headrace_model.domain import Continuous
from headrace_model.times import Instant

if TYPE_CHECKING:
    from netCDF4 import Dataset

Numbers: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"
_CLOSE: Final = 4  # rows that are read for each one that is wanted
Times: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"  # milliseconds since 1970


@dataclass(frozen=True)
class Series:
    """What one file tells of a catchment: for each time a number of each quantity.

    Columns are named as AORC names the quantities; others keep the name that they have. Not
    slotted, so that what its times cover is found once.
    """

    catchment: str
    source: str
    times: Times
    columns: dict[str, Numbers]

    @property
    def size_bytes(self) -> int:
        """What its numbers take."""
        return self.times.nbytes * (1 + len(self.columns))

    @cached_property
    def covered(self) -> Continuous:
        """The TIME that it covers; raises `DerivationFailed` where its stamps don't tell."""
        found = cover([Instant(each) for each in self.times.tolist()], self.source)
        if found.time is None:
            raise DerivationFailed(f"{self.catchment}: {found.warning}")
        return found.time

    @cached_property
    def step_ends(self) -> Times:
        """Where each step ends: where the next one begins, or before a gap."""
        intervals = self.covered.intervals
        begins = np.array([begin for begin, _ in intervals], dtype=np.int64)
        ends = np.array([end for _, end in intervals], dtype=np.int64)
        of_interval = ends[np.searchsorted(begins, self.times, side="right") - 1]
        following = np.append(self.times[1:], ends[-1])
        ended: Times = np.minimum(following, of_interval)
        return ended


@dataclass(frozen=True, slots=True)
class _Row:
    """Where a catchment lies in a NetCDF file."""

    path: Path
    place: int


class ForcingFiles:
    """The forcing in a folder; only where each catchment lies is held."""

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        self._folder = folder
        self._say = say
        self._places: dict[str, list[Path | _Row]] = {}
        self._layouts: dict[Path, ForcingLayout] = {}
        for path in files_below(folder):
            if not is_documentation(path.name) and not is_prose(path.name):
                self._find(path)

    @property
    def catchments(self) -> list[str]:
        """All catchments, in the order of their numbers."""
        return sorted(self._places, key=lambda each: (len(each), each))

    def file_of(self, catchment: str) -> PurePosixPath:
        """The first file that has a catchment, below the folder."""
        place = self._places[catchment][0]
        path = place.path if isinstance(place, _Row) else place
        return PurePosixPath(path.relative_to(self._folder).as_posix())

    def read(self, catchments: Sequence[str]) -> Iterator[list[Series]]:
        """Yield the parts of each of some catchments; a NetCDF file is opened once for all."""
        rows: dict[Path, dict[str, int]] = {}
        for catchment in catchments:
            for place in self._places[catchment]:
                if isinstance(place, _Row):
                    rows.setdefault(place.path, {})[catchment] = place.place
        read: dict[Path, dict[str, Series]] = {}
        for path, these in rows.items():
            with self._blaming(path):
                read[path] = _netcdf_rows(path, self._layouts[path], these)
        for catchment in catchments:
            parts = []
            for place in self._places[catchment]:
                if isinstance(place, _Row):
                    parts.append(read[place.path][catchment])
                else:
                    with self._blaming(place):
                        parts.append(_csv(place, catchment))
            yield parts

    def _find(self, path: Path) -> None:
        head = read_head(path)
        if is_netcdf(head):
            with self._blaming(path):
                layout = self._layouts[path] = _layout(path)
            for place, each in enumerate(layout.ids):
                self._places.setdefault(each, []).append(_Row(path, place))
            return
        if not aorc_csv.FORMAT.sniff(head):
            raise DerivationFailed(f"{self._name(path)} is no forcing of ngen")
        catchment = catchment_in(path.name)
        if catchment is None:
            raise DerivationFailed(f"{self._name(path)}: its name holds no cat-<number>")
        self._places.setdefault(catchment, []).append(path)

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self._folder))

    @contextmanager
    def _blaming(self, path: Path) -> Iterator[None]:
        """Name the file in what is said of it."""
        try:
            yield
        except FormatError as error:
            raise DerivationFailed(
                f"{self._name(path)}: {error.message}", hint=error.hint
            ) from None


def _csv(path: Path, catchment: str) -> Series:
    with opened_rows(path) as rows:
        header = [cell.strip() for cell in next(rows, [])]
        at = aorc_csv.time_column(header)
        others = [cell for place, cell in enumerate(header) if place != at]
        times: list[Instant] = []
        numbers: list[list[float]] = [[] for _ in others]
        for some in timed_rows(rows, header, at, Report()):
            times += some.times
            for column, more in zip(numbers, some.numbers, strict=True):
                column += more
    columns: dict[str, Numbers] = {}
    for cell, column in zip(others, numbers, strict=True):
        name, unit = name_and_unit(cell)
        _put(columns, name, unit, np.array(column, dtype=np.float64), f"column {cell}")
    return Series(catchment, path.name, np.array(times, dtype=np.int64), columns)


def _layout(path: Path) -> ForcingLayout:
    with opened(path) as dataset:
        layout = forcing_layout(dataset, Report())
        checked_names(layout.ids, "variable ids")
        if cover(layout.stamps, "its times").time != layout.coverage.time:
            raise FormatError("its times are not the begins of their steps")
        for name in layout.variables:
            if chunk_bytes(dataset.variables[name]) > MOST_CHUNK_BYTES:
                raise FormatError(f"variable {name}: its chunks are too large to read")
        return layout


def _netcdf_rows(path: Path, layout: ForcingLayout, places: dict[str, int]) -> dict[str, Series]:
    """The series of some catchments, by their places."""
    with opened(path) as dataset:
        times = np.array(layout.stamps, dtype=np.int64)
        columns: dict[str, dict[str, Numbers]] = {each: {} for each in places}
        for name in layout.variables:
            rows = _rows(dataset, name, layout.catchments, list(places.values()))
            unit = text_of(dataset.variables[name], "units")
            for catchment, numbers in zip(places, rows, strict=True):
                _put(columns[catchment], name, unit, numbers, f"variable {name}")
    return {each: Series(each, path.name, times, columns[each]) for each in places}


def _rows(dataset: "Dataset", name: str, catchments: str, places: list[int]) -> list[Numbers]:
    """The numbers of some catchments: those that lie close are read at one time."""
    variable = dataset.variables[name]
    first = variable.dimensions[0] == catchments
    low, high = min(places), max(places) + 1
    if high - low > _CLOSE * len(places):
        return [row for each in places for row in _rows(dataset, name, catchments, [each])]
    values = variable[low:high, :] if first else variable[:, low:high].T
    filled: Numbers = np.ma.filled(np.ma.asarray(values, dtype=np.float64), np.nan)
    return [filled[place - low] for place in places]


def _put(columns: dict[str, Numbers], name: str, unit: str, numbers: Numbers, where: str) -> None:
    """Add a column under its quantity's name, in the quantity's unit."""
    quantity = QUANTITIES.get(name)
    key = quantity.name if quantity else name
    if key in columns:
        raise FormatError(f"{where}: {key} is there twice")
    columns[key] = to_unit(numbers, unit, quantity.unit, where) if quantity and unit else numbers
