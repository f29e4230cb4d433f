"""The work of `bmi-forcing`: read PRMS's files, convert, add evaporation, write a file each."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from headrace_derivations.base import DerivationFailed, Work, files_below
from headrace_derivations.bmi_forcing_parts import FORCING, PARAMETERS
from headrace_derivations.evaporation import oudin
from headrace_derivations.forcing_read import Numbers, Series, Times
from headrace_derivations.forcing_work import cut
from headrace_formats.base import read_head
from headrace_formats.bmi_forcing import ID, QUANTITIES, TIME
from headrace_formats.netcdf import is_netcdf, opened, stamps_of, text_of, texts_of, time_name
from headrace_model.domain import Discrete, Domain, Index, describe

if TYPE_CHECKING:
    from netCDF4 import Dataset

_IDS: Final = "nhm_id"
_LATITUDE: Final = "hru_lat"
_DAY_MS: Final = 86_400_000
_HELD: Final = 4_000_000  # numbers of one variable that are held at a time
MOST_CATCHMENTS: Final = 500_000
_FAHRENHEIT: Final = (5 / 9, -32 * 5 / 9)
# To mm d-1 and degC: of each unit a factor and an offset.
_DEPTHS: Final = {
    **dict.fromkeys(("in", "inch", "inches", "in d-1", "inches/day"), (25.4, 0.0)),
    **dict.fromkeys(("mm", "mm d-1", "mm/day", "kg m-2", "kg m-2 d-1"), (1.0, 0.0)),
}
_DEGREES: Final = {
    **dict.fromkeys(("degree_fahrenheit", "degrees_fahrenheit", "degF", "F"), _FAHRENHEIT),
    **dict.fromkeys(("degree_celsius", "degrees_celsius", "degC", "C"), (1.0, 0.0)),
    **dict.fromkeys(("K", "kelvin"), (1.0, -273.15)),
}
_READ: Final = {"prcp": _DEPTHS, "tmax": _DEGREES, "tmin": _DEGREES}


@dataclass(frozen=True, slots=True)
class _Source:
    """A variable of PRMS's forcing: its file, times, and the column of each unit."""

    path: Path
    name: str
    times: Times
    columns: Mapping[str, int]


def derive(work: Work) -> None:
    """Write `cat-<nhm_id>.nc` for each unit that is wanted; raises `DerivationFailed`."""
    domain = Domain.from_plain(work.parameters["domain"])
    exact = bool(work.parameters["exact"])
    sources = {name: _source(work.inputs[FORCING], name) for name in _READ}
    latitudes = _latitudes(work.inputs[PARAMETERS])
    units = _wanted(domain, sources, latitudes)
    times = _common_times(sources)
    at_once = max(1, _HELD // len(times))
    for begin in range(0, len(units), at_once):
        some = units[begin : begin + at_once]
        for series in _series(sources, times, some, latitudes):
            _write(work.output, cut(series, domain.time, exact), latitudes)
        work.say(f"{begin + len(some):,} of {len(units):,} catchments")


def _netcdf_files(folder: Path) -> list[Path]:
    return [path for path in files_below(folder) if is_netcdf(read_head(path))]


def _source(folder: Path, name: str) -> _Source:
    for path in _netcdf_files(folder):
        with opened(path) as dataset:
            time = time_name(dataset)
            if name not in dataset.variables or time is None or _IDS not in dataset.variables:
                continue
            if dataset.variables[name].dimensions != (time, _IDS):
                raise DerivationFailed(f"{path.name}: {name} must run over {time} and {_IDS}")
            _change(dataset, name, path)
            ids = texts_of(dataset, _IDS)
            times = np.array(stamps_of(dataset, time), dtype=np.int64)
            if not len(times) or len(ids) != len(set(ids)):
                raise DerivationFailed(f"{path.name}: it has no time, or an {_IDS} twice")
            return _Source(path, name, times, {each: place for place, each in enumerate(ids)})
    raise DerivationFailed(
        f"the forcing has no file with {name}",
        hint=f"{', '.join(_READ)} are needed: precipitation, highest and lowest temperature",
    )


def _change(dataset: "Dataset", name: str, path: Path) -> tuple[float, float]:
    """The factor and offset of a variable's unit; raises `DerivationFailed`."""
    unit = text_of(dataset.variables[name], "units")
    if unit not in _READ[name]:
        raise DerivationFailed(
            f"{path.name}: the units of {name}, {unit[:40]!r}, can't be converted",
            hint=f"known are {', '.join(_READ[name])}",
        )
    return _READ[name][unit]


def _latitudes(folder: Path) -> dict[str, float]:
    """Degrees north of each unit; raises `DerivationFailed` where none or two are told."""
    found: dict[str, float] = {}
    for path in _netcdf_files(folder):
        with opened(path) as dataset:
            if _LATITUDE not in dataset.variables or _IDS not in dataset.variables:
                continue
            variable = dataset.variables[_LATITUDE]
            if variable.dimensions != dataset.variables[_IDS].dimensions:
                raise DerivationFailed(f"{path.name}: {_LATITUDE} must run over units as {_IDS}")
            values = np.ma.filled(np.ma.asarray(variable[:], dtype=np.float64), np.nan)
            for id_, value in zip(texts_of(dataset, _IDS), values.tolist(), strict=True):
                if not -90 <= value <= 90:
                    raise DerivationFailed(f"{path.name}: {_LATITUDE} of {id_} is {value:g}")
                if found.setdefault(id_, value) != value:
                    raise DerivationFailed(f"two files tell different {_LATITUDE} of {id_}")
    if not found:
        raise DerivationFailed(
            f"the parameters have no {_LATITUDE}, from which evaporation is computed",
            hint="add PRMS's file of the units' places, such as parameters_dis_hru.nc",
        )
    return found


def _wanted(
    domain: Domain, sources: Mapping[str, _Source], latitudes: Mapping[str, float]
) -> list[str]:
    asked = domain.get(Index.CATCHMENT_ID)
    told = {source.path.name: frozenset(source.columns) for source in sources.values()}
    told["the parameters"] = frozenset(latitudes)
    if isinstance(asked, Discrete):
        units = frozenset(each.removeprefix("cat-") for each in asked.values)
    else:
        units = frozenset(sources["prcp"].columns)
    for where, there in told.items():
        if missing := units - there:
            gone = Discrete(frozenset(f"cat-{each}" for each in missing))
            raise DerivationFailed(f"{where}: there is no {_IDS} of {describe(gone)}")
    if len(units) > MOST_CATCHMENTS:
        raise DerivationFailed(f"there would be more than {MOST_CATCHMENTS:,} files")
    return sorted(units, key=lambda each: (len(each), each))


def _common_times(sources: Mapping[str, _Source]) -> Times:
    times = sources["prcp"].times
    for source in sources.values():
        if not np.array_equal(source.times, times):
            raise DerivationFailed(f"{source.path.name} has other times than the precipitation")
    if (np.diff(times) != _DAY_MS).any():
        raise DerivationFailed(
            "the forcing is not daily, or a day is missing",
            hint="evaporation by Oudin is one of whole days, and HBV 1.5.2 steps by days",
        )
    return times


def _series(
    sources: Mapping[str, _Source],
    times: Times,
    units: Sequence[str],
    latitudes: Mapping[str, float],
) -> Iterator[Series]:
    read = {name: _columns(source, units) for name, source in sources.items()}
    mean = (read["tmax"] + read["tmin"]) / 2
    days = np.array(
        [datetime.fromtimestamp(each / 1000, UTC).timetuple().tm_yday for each in times.tolist()],
        dtype=np.float64,
    )
    north = np.array([latitudes[each] for each in units], dtype=np.float64)
    evaporation = oudin(mean, days[:, None], north[None, :])
    for place, unit in enumerate(units):
        columns = (read["prcp"][:, place], mean[:, place], evaporation[:, place])
        names = (each.name for each in QUANTITIES)
        yield Series(
            f"cat-{unit}", "PRMS's forcing", times, dict(zip(names, columns, strict=True))
        )


def _columns(source: _Source, units: Sequence[str]) -> Numbers:
    """Numbers in mm d-1 or degC, shape (time, unit); raises where one is missing."""
    places = [source.columns[each] for each in units]
    least, most = min(places), max(places) + 1
    with opened(source.path) as dataset:
        factor, offset = _change(dataset, source.name, source.path)
        block = dataset.variables[source.name][:, least:most]
    values = np.ma.filled(np.ma.asarray(block, dtype=np.float64), np.nan)
    numbers: Numbers = values[:, [place - least for place in places]] * factor + offset
    gone = ~np.isfinite(numbers)
    if gone.any():
        step, at = np.argwhere(gone)[0].tolist()
        day = datetime.fromtimestamp(int(source.times[step]) / 1000, UTC)
        raise DerivationFailed(
            f"cat-{units[at]}: {source.path.name} has no {source.name} on {day:%Y-%m-%d}",
            hint="fill it, or ask for a TIME without that day",
        )
    return numbers


def _write(folder: Path, series: Series, latitudes: Mapping[str, float]) -> None:
    """Write a file in classic NetCDF: the same numbers give the same bytes."""
    from netCDF4 import Dataset

    if len(series.times) < 2:
        raise DerivationFailed(
            f"{series.catchment}: a single day tells no step", hint="ask for two days or more"
        )
    first = datetime.fromtimestamp(int(series.times[0]) / 1000, UTC)
    path = folder / f"{series.catchment}.nc"
    with Dataset(str(path.absolute()), "w", format="NETCDF3_64BIT_OFFSET") as file:
        file.setncatts(
            {"Conventions": "CF-1.8", ID: series.catchment, "featureType": "timeSeries"}
        )
        file.createDimension(TIME, len(series.times))
        time: Any = file.createVariable(TIME, "f8", (TIME,))
        time.setncatts({"units": f"days since {first:%Y-%m-%d %H:%M:%S}", "calendar": "standard"})
        time[:] = (series.times - series.times[0]) / _DAY_MS
        latitude: Any = file.createVariable("lat", "f8", ())
        latitude.setncatts({"units": "degrees_north", "standard_name": "latitude"})
        latitude[...] = latitudes[series.catchment.removeprefix("cat-")]
        for quantity in QUANTITIES:
            variable: Any = file.createVariable(quantity.name, "f8", (TIME,))
            variable.setncatts({"units": quantity.unit, "long_name": quantity.about})
            variable[:] = series.columns[quantity.name]
