"""TIMESERIES_CSV: a header line, one column of ISO 8601 times, columns of numbers.

The time column is the first whose name holds `time` or `date`; times without a zone are UTC.
Missing values are blank, NA or NaN. Columns are gauges if all their names look like USGS station
numbers (8 to 15 digits); other names say nothing about an index.
"""

import codecs
import csv
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, Final

from headrace_formats.base import FileDomain, Format, checked_names, open_plain, series_domain
from headrace_formats.errors import FormatError
from headrace_formats.series import cover
from headrace_model.dataset import Category
from headrace_model.domain import Index
from headrace_model.errors import InvalidInput
from headrace_model.times import Instant, parse_instant

_LINE_BYTES: Final = 1 << 20
_MOST_STAMPS: Final = 5_000_000
_USGS: Final = re.compile(r"\d{8,15}", re.ASCII)
_TIME: Final = re.compile(r"time|date", re.IGNORECASE)
_MISSING: Final = frozenset(("", "na", "nan", "null"))
# The files of one dataset mostly share their stamps, and reading a stamp is the slow part.
_instant = lru_cache(maxsize=200_000)(parse_instant)


def _sniff(head: bytes, _path: Path) -> bool:
    line = head.splitlines()[0] if head.strip() else b""
    return b"," in line and b"\0" not in head and bool(_TIME.search(line.decode("latin-1")))


def _lines(file: BinaryIO) -> Iterator[str]:
    number = 0
    while line := file.readline(_LINE_BYTES):
        number += 1
        if len(line) == _LINE_BYTES:
            raise FormatError(f"line {number} is longer than {_LINE_BYTES:,} bytes")
        try:
            yield line.removeprefix(codecs.BOM_UTF8 if number == 1 else b"").decode()
        except UnicodeDecodeError:
            raise FormatError(f"line {number} is not valid UTF-8") from None


def _read(path: Path) -> FileDomain:
    with open_plain(path) as file:
        rows = csv.reader(_lines(file), strict=True)
        try:
            header = [name.strip() for name in next(rows, [])]
            at = _time_column(header)
            stamps = _stamps(rows, header, at)
        except csv.Error as error:
            raise FormatError(f"line {rows.line_num}: {error}") from None
    columns = [name for place, name in enumerate(header) if place != at]
    ids: dict[Index, frozenset[str]] = {}
    if all(_USGS.fullmatch(name) for name in columns):
        # The name of the quantity is not in such a file; its columns are one variable.
        ids = {Index.GAUGE_ID: checked_names(columns, "line 1")}
        columns = ["values"]
    return series_domain(columns, ids, cover(stamps, f"column {header[at]}"))


def _time_column(header: list[str]) -> int:
    at = next((place for place, name in enumerate(header) if _TIME.search(name)), None)
    if at is None:
        raise FormatError("line 1 names no time column", hint="name it time")
    if len(header) < 2:
        raise FormatError("line 1 names no column beside the time")
    if len(set(header)) < len(header) or "" in header:
        raise FormatError("line 1: the columns need names, each its own")
    return at


def _stamps(rows: Iterator[list[str]], header: list[str], at: int) -> list[Instant]:
    """Check all rows and return their times. Rows are counted as lines: quotes hold no breaks."""
    stamps: list[Instant] = []
    names = header[:at] + header[at + 1 :]
    for line, row in enumerate(rows, start=2):
        if not row:
            continue
        if len(row) != len(header):
            raise FormatError(f"line {line} has {len(row)} columns, line 1 has {len(header)}")
        try:
            stamps.append(_instant(row.pop(at).strip()))
        except InvalidInput as error:
            raise FormatError(f"line {line}, column {header[at]}: {error.message}") from None
        if len(stamps) > _MOST_STAMPS:
            raise FormatError(f"it has more than {_MOST_STAMPS:,} lines")
        _check_numbers(row, names, line)
    return stamps


def _check_numbers(cells: list[str], names: list[str], line: int) -> None:
    try:
        list(map(float, cells))
    except ValueError:
        for place, cell in enumerate(cells):
            if cell.strip().lower() not in _MISSING and not _is_number(cell):
                raise FormatError(
                    f"line {line}, column {names[place]}: {cell[:60]!r} is not a number"
                ) from None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


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
)
