"""TIMESERIES_CSV: a header line, one column of ISO 8601 times, columns of numbers.

The time column is the first whose name holds `time` or `date`; times without a zone are UTC.
Missing values are blank, NA or NaN. Columns are gauges if all their names look like USGS station
numbers (8 to 15 digits); other names say nothing about an index.
"""

import re
from pathlib import Path
from typing import Final

from headrace_formats.base import FileDomain, Format, checked_names, series_domain
from headrace_formats.delimited import check_columns, first_line, opened_rows, timed_rows
from headrace_formats.errors import FormatError
from headrace_formats.report import Report
from headrace_formats.series import cover
from headrace_model.dataset import Category
from headrace_model.domain import Index

_USGS: Final = re.compile(r"\d{8,15}", re.ASCII)
_BEGINS_AS_TIME: Final = re.compile(rb'\s*"?\d')
_TIME: Final = re.compile(r"time|date", re.IGNORECASE)


def _sniff(head: bytes) -> bool:
    """A header that names a time, and a row of as many cells with something like a time.

    Prose may begin with a comma and the word time; rows like that do not follow.
    """
    line = first_line(head)
    if "," not in line or line[0] in "{[":
        return False
    names = line.split(",")
    at = next((place for place, name in enumerate(names) if _TIME.search(name)), None)
    if at is None:
        return False
    rows = (row.split(b",") for row in head.splitlines()[1:])
    return any(len(row) == len(names) and _BEGINS_AS_TIME.match(row[at]) for row in rows)


def _read(path: Path, report: Report) -> FileDomain:
    with opened_rows(path) as rows:
        header = [name.strip() for name in next(rows, [])]
        at = _time_column(header, report)
        stamps = [time for some in timed_rows(rows, header, at, report) for time in some.times]
    columns = [name for place, name in enumerate(header) if place != at]
    ids: dict[Index, frozenset[str]] = {}
    if all(_USGS.fullmatch(name) for name in columns):
        # The name of the quantity is not in such a file; its columns are one variable.
        ids = {Index.GAUGE_ID: checked_names(columns, "line 1")}
        columns = ["values"]
    return series_domain(columns, ids, cover(stamps, f"column {header[at]}"), report)


def _time_column(header: list[str], report: Report) -> int:
    at = next((place for place, name in enumerate(header) if _TIME.search(name)), None)
    if at is None:
        raise FormatError("line 1 names no time column", hint="name it time")
    if len(header) < 2:
        raise FormatError("line 1 names no column beside the time")
    check_columns(header, report)
    return at


FORMAT: Final = Format(
    name="TIMESERIES_CSV",
    summary="a header line, a column of ISO 8601 times, columns of numbers",
    categories=(Category.FORCING, Category.OBSERVATION, Category.OUTPUT),
    indexes=(
        (Index.TIME, "the stamps of the first column whose name holds time or date"),
        (
            Index.GAUGE_ID,
            "the names of the other columns, if all look like USGS station numbers (8 to 15 "
            "digits)",
        ),
    ),
    sniff=_sniff,
    read=_read,
    source="Headrace",
)
