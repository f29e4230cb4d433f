"""Values of series in the files of a dataset, some locations at a time; those in NetCDF.

What a file is, its ids and times, are read by the pieces of `headrace_formats`; here are values.
Evaluations and calibrations read by it.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from headrace_evaluation.core.aligning import EvaluationFailed, Series, factor
from headrace_formats.cf_time import parse_units, to_instants
from headrace_formats.errors import FormatError
from headrace_formats.netcdf import (
    data_variables,
    id_dimensions,
    opened,
    sized,
    stamps_of,
    text_of,
    texts_of,
    time_name,
)
from headrace_formats.t_route_netcdf import TITLE as T_ROUTE_TITLE
from headrace_model.nearest import did_you_mean

_IDS: Final = ("poi_id", "feature_id")
_NAMES: Final = ("poi_name", "station_name", "name")
_MOST_VALUES: Final = 50_000_000  # of one block of locations: 400 MB


@dataclass(frozen=True, slots=True)
class Place:
    """What a file tells of a location beside its values; degrees, or None."""

    name: str = ""
    lon: float | None = None
    lat: float | None = None


class Readable(Protocol):
    """A file with series of one or more locations."""

    @property
    def ids(self) -> Sequence[str]:
        """The ids of its series."""

    @property
    def places(self) -> Mapping[str, Place]:
        """What it tells of them."""

    def read(self, ids: Sequence[str]) -> dict[str, Series]:
        """Read the series of some of its ids; raises `FormatError`."""


class NetcdfFile:
    """Series over time and stations: OBSERVATION_, TIMESERIES_ and T_ROUTE_NETCDF.

    Ids are marked by `cf_role`, else called `poi_id` or `feature_id`, else the texts that run over
    a dimension of their own name, or the only texts over stations.
    """

    def __init__(self, path: Path, variable: str | None, wanted: str) -> None:
        self._path = path
        with _read(path) as dataset:
            time = time_name(dataset)
            if time is None:
                raise FormatError("it has no time: no variable with units '... since ...'")
            self._time = time
            named = _ids_name(dataset, time)
            over = id_dimensions(dataset.variables[named])
            if len(over) > 1:
                raise FormatError(f"variable {named}: ids must run over one dimension")
            self._station = over[0] if over else None
            self.ids = _ids(dataset, named)
            self._at = {id_: at for at, id_ in enumerate(self.ids)}
            names = [
                each
                for each in data_variables(dataset, frozenset((time, *over)))
                if each not in (time, named)
            ]
            units = {each: text_of(dataset.variables[each], "units") for each in names}
            if text_of(dataset, "TITLE") == T_ROUTE_TITLE and "flow" in units:
                units["flow"] = units["flow"] or "m3 s-1"
                variable = variable or "flow"  # nudge has its unit
            self._variable = chosen(units, variable, wanted)
            self._unit = units[self._variable]
            self._times = begins(dataset, time)
            self.places = _places(dataset, self.ids, over)

    def read(self, ids: Sequence[str]) -> dict[str, Series]:
        """Read a slice that holds the ids, which mostly stand together."""
        places = [self._at[id_] for id_ in ids]
        low, high = min(places), max(places) + 1
        if (high - low) * self._times.size > _MOST_VALUES:
            found: dict[str, Series] = {}
            for id_ in ids:  # far apart: one by one
                found |= self._slice([id_], self._at[id_], self._at[id_] + 1)
            return found
        return self._slice(ids, low, high)

    def _slice(self, ids: Sequence[str], low: int, high: int) -> dict[str, Series]:
        with _read(self._path) as dataset:
            variable = dataset.variables[self._variable]
            if self._station is None:
                values = _numbers(variable[...])[None, :]
            elif variable.dimensions[0] == self._station:
                values = _numbers(variable[low:high, :])
            else:
                values = _numbers(variable[:, low:high]).T
        return {id_: Series(self._times, values[self._at[id_] - low], self._unit) for id_ in ids}


@contextmanager
def _read(path: Path) -> Iterator[Any]:
    with opened(path) as dataset:
        try:
            yield dataset
        except (OSError, RuntimeError, IndexError) as error:  # a chunk that is damaged
            raise FormatError(f"it can't be read: {error}", hint="is it complete?") from None


def _numbers(values: Any) -> Any:
    return np.ma.filled(np.ma.asarray(values, dtype=np.float64), np.nan)


def _ids_name(dataset: Any, time: str) -> str:
    variables = dataset.variables
    marked: list[str] = [
        n for n, each in variables.items() if text_of(each, "cf_role") == "timeseries_id"
    ]
    texts = [
        name
        for name, each in variables.items()
        if len(over := id_dimensions(each)) == 1
        and over != (time,)
        and getattr(each.dtype, "kind", "") not in tuple("iuf")
    ]
    own = [name for name in texts if id_dimensions(variables[name]) == (name,)]
    found = marked or [name for name in _IDS if name in variables] or own or texts
    if len(found) != 1:
        raise FormatError(
            f"{len(found) or 'no'} variables hold ids", hint="mark one by cf_role = timeseries_id"
        )
    return found[0]


def _ids(dataset: Any, named: str) -> list[str]:
    ids = texts_of(dataset, named)
    if named == "feature_id" and "type" in dataset.variables:  # t-route's: wb-2420800
        kinds = texts_of(dataset, "type")
        ids = [f"{kind}-{id_}" for kind, id_ in zip(kinds, ids, strict=True)]
    if len(set(ids)) < len(ids):
        raise FormatError(f"variable {named}: an id stands there twice")
    return ids


def begins(dataset: Any, time: str) -> Any:
    """The begins of steps, ms since 1970: of the bounds where a file has some."""
    variable = dataset.variables[time]
    bounds = text_of(variable, "bounds")
    if bounds and bounds in dataset.variables:
        calendar = text_of(variable, "calendar") or "standard"
        unit = parse_units(text_of(variable, "units"), calendar, f"variable {time}")
        cells = np.ma.getdata(sized(dataset.variables[bounds], f"variable {bounds}")[:, 0])
        return rising(to_instants(cells, unit, f"variable {bounds}"), f"variable {bounds}")
    return rising(stamps_of(dataset, time), f"variable {time}")


def rising(times: Sequence[int], where: str) -> Any:
    """Times as an array; raises `FormatError` where they do not rise."""
    found = np.asarray(times, dtype=np.int64)
    if np.any(np.diff(found) <= 0):
        raise FormatError(f"{where}: a time is not after the one before it")
    return found


def _places(dataset: Any, ids: Sequence[str], over: tuple[str, ...]) -> dict[str, Place]:
    lon = _degrees(dataset, ("lon", "longitude"), over)
    lat = _degrees(dataset, ("lat", "latitude"), over)
    named = next(
        (
            each
            for each in _NAMES
            if each in dataset.variables and id_dimensions(dataset.variables[each]) == over
        ),
        None,
    )
    names = texts_of(dataset, named) if named else [""] * len(ids)
    found = {}
    for at, id_ in enumerate(ids):
        x, y = (
            None if each is None or not np.isfinite(each[at]) else float(each[at])
            for each in (lon, lat)
        )
        found[id_] = Place(names[at][:200] if at < len(names) else "", x, y)
    return found


def _degrees(dataset: Any, names: tuple[str, ...], over: tuple[str, ...]) -> Any:
    for name in names:
        if name in dataset.variables and dataset.variables[name].dimensions == over:
            return np.atleast_1d(_numbers(sized(dataset.variables[name], name)[...]))
    return None


def chosen(units: Mapping[str, str], variable: str | None, wanted: str) -> str:
    """The variable that is asked for; else the only one, or the only one of the wanted unit."""
    if variable is not None:
        if variable not in units:
            raise FormatError(
                f"it has no variable {variable[:60]}; {did_you_mean(variable, units)}"
            )
        return variable
    fitting = list(units) if len(units) == 1 else [n for n, u in units.items() if _fits(u, wanted)]
    if len(fitting) != 1:
        said = ", ".join(sorted(units)[:10])
        raise FormatError(
            f"which variable is compared? It has {said or 'none'}",
            hint="say which: variable, in an evaluation observed_variable or simulated_variable",
        )
    return fitting[0]


def _fits(unit: str, wanted: str) -> bool:
    try:
        return bool(factor(unit, wanted))
    except EvaluationFailed:
        return False
