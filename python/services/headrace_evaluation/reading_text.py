"""Values of series in text: TIMESERIES_CSV, ngen's CSV, the JSON of the USGS."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from headrace_evaluation.core.aligning import Series
from headrace_evaluation.reading import Place, Readable, chosen, rising
from headrace_evaluation.reading_routed import is_routed, routed
from headrace_formats.delimited import first_line, name_and_unit, opened_rows, timed_rows
from headrace_formats.errors import FormatError
from headrace_formats.file_names import catchment_in, nexus_in
from headrace_formats.json_text import begins_as_json, load_json
from headrace_formats.report import Report
from headrace_formats.waterml_json import ZONED, zone_ms_of
from headrace_model.errors import InvalidInput
from headrace_model.times import parse_instant

_MOST_BYTES: Final = 256 << 20
_DISCHARGE: Final = "00060"
_TIME: Final = re.compile(r"time|date", re.IGNORECASE)
_TIME_ALONE: Final = frozenset(("time", "date", "datetime"))
_NEXUS_ROW: Final = re.compile(
    r"\s*\d{1,9}\s*,\s*\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\s*,[^,]*", re.ASCII
)


class Held:
    """Series that are held, of a file that is read as a whole."""

    def __init__(self, series: Mapping[str, Series], places: Mapping[str, Place]) -> None:
        self._series = series
        self.ids: Sequence[str] = list(series)
        self.places = places

    def read(self, ids: Sequence[str]) -> dict[str, Series]:
        """Those that are held."""
        return {id_: self._series[id_] for id_ in ids}


class NgenFile:
    """The file of one catchment or nexus, read when it is wanted."""

    def __init__(self, path: Path, id_: str, variable: str | None, wanted: str) -> None:
        self._path, self._variable, self._wanted = path, variable, wanted
        self.ids: Sequence[str] = [id_]
        self.places: Mapping[str, Place] = {}

    def read(self, ids: Sequence[str]) -> dict[str, Series]:
        """Read its column; a nexus's is a flow in m3/s."""
        with opened_rows(self._path) as rows:
            first = [cell.strip() for cell in next(rows, [])]
            is_nexus = first[:2] != ["Time Step", "Time"]
            header = ["step", "time", "flow"] if is_nexus else first

            def everything() -> Any:
                if is_nexus:
                    yield first
                yield from rows

            begin = 1 if is_nexus else 2
            times, columns = _columns(everything(), header, 1, first=begin)
        units = _units(header[2:])
        if is_nexus:
            name, units = "flow", {"flow": "m3 s-1"}
        else:
            name = chosen(units, self._variable, self._wanted)
        series = Series(times, columns[1 + list(units).index(name)], units[name])
        return dict.fromkeys(ids, series)


def open_text(path: Path, head: bytes, variable: str | None, wanted: str) -> Readable | None:
    """Open what is text; None for what holds no series."""
    line = first_line(head)
    if begins_as_json(head):
        return _waterml(path, variable) if b"timeSeries" in head else None
    if path.stat().st_size > _MOST_BYTES:
        raise FormatError(f"it is larger than {_MOST_BYTES:,} bytes", hint="write it as NetCDF")
    if line.startswith("Time Step,Time"):
        id_ = catchment_in(path.name)
    elif _NEXUS_ROW.fullmatch(line):
        id_ = nexus_in(path.name)
    elif is_routed(line):
        return Held(routed(path), {})
    elif "," in line and _TIME.search(line):
        return Held(_table(path, variable, wanted), {})
    else:
        return None
    if id_ is None:
        raise FormatError("its name holds no cat-<number> or nex-<number>")
    return NgenFile(path, id_, variable, wanted)


def id_in(path: Path) -> str:
    """The id that the name of a file tells, where the file itself does not."""
    return catchment_in(path.name) or nexus_in(path.name) or path.stem


def _columns(
    rows: Any, header: Sequence[str], time: int, *, first: int = 2
) -> tuple[Any, list[Any]]:
    """Times, and the numbers of the other columns in order."""
    times: list[int] = []
    numbers: list[list[float]] = [[] for _ in header[1:]]
    for some in timed_rows(rows, header, time, Report(), first=first):
        times += some.times
        for held, column in zip(numbers, some.numbers, strict=True):
            held += column
    return rising(times, f"column {header[time]}"), [np.array(each) for each in numbers]


def _units(header: Sequence[str]) -> dict[str, str]:
    """Of each column its unit, by its name without it."""
    found = dict(map(name_and_unit, header))
    if len(found) < len(header):
        raise FormatError("line 1: the columns need names, each its own")
    return found


def _table(path: Path, variable: str | None, wanted: str) -> dict[str, Series]:
    """A column a location. Where `variable` names a column, or the file is called after a
    catchment or nexus, that column is the series of the location that the name tells."""
    with opened_rows(path) as rows:
        header = [cell.strip() for cell in next(rows, [])]
        _units(header)
        named = [place for place, name in enumerate(header) if name.lower() in _TIME_ALONE]
        at = (named or [place for place, name in enumerate(header) if _TIME.search(name)])[0]
        times, columns = _columns(rows, header, at)
    units = _units([name for name in header if name != header[at]])
    found = {
        id_: Series(times, column, unit)
        for (id_, unit), column in zip(units.items(), columns, strict=True)
    }
    if variable not in found and not (catchment_in(path.name) or nexus_in(path.name)):
        return found
    return {id_in(path): found[chosen(units, variable, wanted)]}


def _waterml(path: Path, variable: str | None) -> Readable:
    parameter = variable or _DISCHARGE
    found: dict[str, Series] = {}
    places: dict[str, Place] = {}
    try:
        for each in load_json(path, _MOST_BYTES)["value"]["timeSeries"]:
            if each["variable"]["variableCode"][0]["value"] != parameter:
                continue
            site = each["sourceInfo"]
            id_ = str(site["siteCode"][0]["value"])
            found[id_] = _site(each, site)
            places[id_] = _site_place(site)
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise FormatError(f"it is no answer of the USGS: {error!r}") from None
    return Held(found, places)


def _site(each: Any, site: Any) -> Series:
    nothing = float(each["variable"].get("noDataValue", "nan"))
    zone_ms = zone_ms_of(site)
    values: dict[int, float] = {}
    for some in each["values"]:
        for one in some["value"]:
            try:
                time, number = parse_instant(one["dateTime"]), float(one["value"])
            except (InvalidInput, ValueError) as error:
                raise FormatError(f"a value needs a number and a dateTime: {error}") from None
            if not ZONED.search(one["dateTime"]):
                if zone_ms is None:
                    raise FormatError("times have no zone, and the site tells none")
                time = type(time)(time + zone_ms)
            values[time] = float("nan") if number == nothing else number
    times = sorted(values)
    unit = str(each["variable"]["unit"]["unitCode"])
    return Series(np.array(times, np.int64), np.array([values[t] for t in times]), unit)


def _site_place(site: Any) -> Place:
    at = site.get("geoLocation", {}).get("geogLocation", {})
    lon, lat = at.get("longitude"), at.get("latitude")
    name = str(site.get("siteName", ""))[:200]
    return Place(name, None if lon is None else float(lon), None if lat is None else float(lat))
