"""NWM_CONFIG: the namelists of the National Water Model (WRF-Hydro): Noah-MP and the routing.

`namelist.hrldas` (group NOAHLSM_OFFLINE) tells the period, `hydro.namelist` (HYDRO_nlist) the
rest. Built after WRF-Hydro's description of them; no real file was at hand.
"""

from pathlib import Path
from typing import Final

from headrace_formats.base import Field, FileDomain, Format, open_plain
from headrace_formats.errors import FormatError
from headrace_formats.namelist import Keys, read_keys
from headrace_formats.report import Report
from headrace_model.dataset import Category
from headrace_model.domain import Continuous, Domain, Index
from headrace_model.errors import InvalidInput
from headrace_model.times import Instant, checked_instant, parse_instant

_MOST_BYTES: Final = 4 << 20
_LAND, _HYDRO = "noahlsm_offline.", "hydro_nlist."
_GROUPS: Final = (b"&noahlsm_offline", b"&hydro_nlist")
_DATE: Final = ("start_year", "start_month", "start_day", "start_hour", "start_min")
_LENGTH_MS: Final = {"kday": 86_400_000, "khour": 3_600_000}


def _sniff(head: bytes) -> bool:
    lower = head.lower()
    return b"\0" not in head and any(group in lower for group in _GROUPS)


def _read(path: Path, report: Report) -> FileDomain:
    with open_plain(path) as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise FormatError(f"it is larger than {_MOST_BYTES:,} bytes")
    lines = data.decode("utf-8", "replace").splitlines()
    keys = {key.lower(): value for key, value in read_keys(lines, report).items()}
    if not any(key.startswith((_LAND, _HYDRO)) for key in keys):
        raise FormatError("it has neither the group NOAHLSM_OFFLINE nor HYDRO_nlist")
    if not any(key.startswith(_LAND) for key in keys):
        return FileDomain((("routing", Domain()),))
    time = _period(keys, report)
    if time is None:
        return FileDomain((("land", Domain()),), frozenset((Index.TIME,)))
    return FileDomain((("land", Domain(((Index.TIME, time),))),))


def _period(keys: Keys, report: Report) -> Continuous | None:
    date = [keys.get(_LAND + name) for name in _DATE]
    for name, value in zip(_DATE, date, strict=True):
        if value is None:
            report.error(f"key {name.upper()}", "it is missing")
    length = next((name for name in _LENGTH_MS if _LAND + name in keys), None)
    if length is None:
        report.error("key KHOUR", "neither KHOUR nor KDAY says how long it runs")
    told = [value for value in date if value is not None]
    if length is None or len(told) < len(date):
        return None
    year, month, day, hour, minute = (value[0].rstrip(",").strip() for value in told)
    count, _, line = keys[_LAND + length]
    try:
        begin = parse_instant(f"{year:0>4}-{month:0>2}-{day:0>2}T{hour:0>2}:{minute:0>2}Z")
    except InvalidInput as error:
        report.error(f"line {told[0][2]}", error.message)
        return None
    count = count.rstrip(",").strip()
    if not (count.isascii() and count.isdecimal() and 0 < int(count[:9]) == int(count)):
        report.error(f"line {line}", f"{count[:40]!r} is no length of a run")
        return None
    end = checked_instant(begin + int(count) * _LENGTH_MS[length])
    return Continuous(((begin, Instant(end)),))


FORMAT: Final = Format(
    name="NWM_CONFIG",
    summary="namelists of the National Water Model (WRF-Hydro)",
    categories=(Category.CONFIG,),
    indexes=((Index.TIME, "START_YEAR … START_MIN, and from there KHOUR hours or KDAY days"),),
    sniff=_sniff,
    read=_read,
    fields=(
        Field("START_YEAR, START_MONTH, START_DAY, START_HOUR, START_MIN", "UTC", "the begin"),
        Field("KHOUR", "h", "how long it runs"),
        Field("KDAY", "d", "how long it runs"),
    ),
    source="NCAR's WRF-Hydro, template/NoahMP and template/HYDRO",
)
