"""USGS_WATERML_JSON: observations as the USGS's water services answer them (format=json).

WaterML 1.1 written as JSON: `value.timeSeries`, each a site, a parameter and lists of values with
their times and qualifiers. Values that are `noDataValue` are not there: TIME has gaps for them.
Times without a zone, as those of daily values, are in the standard time of the site.
"""

import re
from collections import Counter
from pathlib import Path
from typing import Any, Final

from headrace_formats.base import Field, FileDomain, Format, checked_names
from headrace_formats.errors import FormatError
from headrace_formats.json_text import begins_as_json, listed, load_json, mapping
from headrace_formats.report import Report
from headrace_formats.series import cover
from headrace_model.dataset import Category
from headrace_model.domain import Continuous, Discrete, Domain, Index
from headrace_model.errors import InvalidInput
from headrace_model.times import Instant, checked_instant, parse_instant

_MOST_BYTES: Final = 128 << 20
_DISCHARGE: Final = "00060"
ZONED: Final = re.compile(r":\d\d.*(?:Z|[+-]\d\d(?::?\d\d)?)", re.IGNORECASE)
_MARK: Final = re.compile(rb"timeSeriesResponse|\"timeSeries\"\s*:", re.IGNORECASE)


def _sniff(head: bytes) -> bool:
    return begins_as_json(head) and bool(_MARK.search(head))


def _read(path: Path, report: Report) -> FileDomain:
    answer = mapping(load_json(path, _MOST_BYTES), "the file")
    series = listed(mapping(answer.get("value"), "value").get("timeSeries"), "value.timeSeries")
    if not series:
        raise FormatError("value.timeSeries is empty: the question found no observations")
    found: list[tuple[str, Domain]] = []
    unknown = False
    for place, each in enumerate(series):
        where = f"timeSeries[{place}]"
        try:
            gauge, parameter, time = _series(mapping(each, where), where, report)
        except (KeyError, IndexError, TypeError) as error:
            report.error(
                where, f"{error.args[0] if error.args else error} is missing or misplaced"
            )
            continue
        if time is None:
            unknown = True
        else:
            named = Discrete(frozenset((gauge,)))
            found.append((parameter, Domain.of({Index.GAUGE_ID: named, Index.TIME: time})))
    if unknown:
        return FileDomain(tuple(found), frozenset((Index.TIME,)))
    return FileDomain(tuple(found))


def _series(
    series: dict[str, Any], where: str, report: Report
) -> tuple[str, str, Continuous | None]:
    """Return the gauge, the parameter and the TIME of one series."""
    gauge = str(series["sourceInfo"]["siteCode"][0]["value"])
    variable = series["variable"]
    parameter = str(variable["variableCode"][0]["value"])
    checked_names([gauge, parameter], where)
    where = f"{where} ({gauge}, {parameter})"
    try:
        nothing = float(variable.get("noDataValue", "nan"))
    except (TypeError, ValueError):
        raise FormatError(f"{where}: noDataValue is not a number") from None
    lists = listed(series["values"], f"{where}.values")
    standard_ms = zone_ms_of(series["sourceInfo"])
    stamps: set[Instant] = set()
    told: Counter[str] = Counter()
    for number, each in enumerate(lists):
        values = listed(each["value"], f"{where}.values[{number}].value")
        at = f"{where}.values[{number}]"
        _values(values, at, nothing, standard_ms, stamps, told, report)
    for kind, count in told.items():
        if kind == "negative" and parameter == _DISCHARGE:
            report.warn(where, f"{count:,} discharges are below 0")
        elif kind == "provisional":
            report.warn(where, f"{count:,} values are provisional: they may be revised")
        elif kind == "missing":
            report.warn(where, f"{count:,} values are missing")
        elif kind == "zoneless":
            report.warn(
                where,
                f"{count:,} times have no zone, and sourceInfo.timeZoneInfo tells none: TIME is "
                "not detected",
            )
            return gauge, parameter, None
    coverage = cover(sorted(stamps), where)
    if coverage.warning:
        report.warn("", coverage.warning)
    return gauge, parameter, coverage.time


def zone_ms_of(site: dict[str, Any]) -> int | None:
    """What is added to a time without a zone; None where the site tells no standard time."""
    try:
        midnight = f"1970-01-01T00:00{site['timeZoneInfo']['defaultTimeZone']['zoneOffset']}"
        return parse_instant(midnight) if ZONED.search(midnight) else None
    except (KeyError, TypeError, InvalidInput):
        return None


def _values(
    values: list[Any],
    where: str,
    nothing: float,
    standard_ms: int | None,
    stamps: set[Instant],
    told: "Counter[str]",
    report: Report,
) -> None:
    for place, each in enumerate(values):
        at = f"{where}.value[{place}]"
        try:
            number = float(each["value"])
            stamp = parse_instant(each["dateTime"])
            if not ZONED.search(each["dateTime"]):
                if standard_ms is None:
                    told["zoneless"] += 1
                stamp = checked_instant(stamp + (standard_ms or 0))
        except (ValueError, TypeError, KeyError, InvalidInput) as error:
            report.error(at, f"it needs a number and a dateTime: {error}")
            continue
        if number == nothing:
            told["missing"] += 1
            continue
        stamps.add(stamp)
        if number < 0:
            told["negative"] += 1
        if "P" in each.get("qualifiers", ()):
            told["provisional"] += 1


FORMAT: Final = Format(
    name="USGS_WATERML_JSON",
    summary="observations of gauges, as the USGS's water services answer with format=json",
    categories=(Category.OBSERVATION,),
    indexes=(
        (
            Index.TIME,
            "dateTime of the values that are there, without a zone in the standard time of "
            "sourceInfo.timeZoneInfo; for several series what is common",
        ),
        (Index.GAUGE_ID, "sourceInfo.siteCode"),
    ),
    sniff=_sniff,
    read=_read,
    fields=(
        Field("value", "variable.unit.unitCode", "the observation; parameter 00060 is discharge"),
        Field("qualifiers", "", "A approved, P provisional, e estimated"),
    ),
    warns=(
        "values are missing (`noDataValue`), provisional, or discharges below 0",
        "a series is irregular or has gaps",
        "times have no zone, and the site tells no standard time",
    ),
    source="WaterML 1.1 as JSON, https://waterservices.usgs.gov",
)
