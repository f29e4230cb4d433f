"""Reading strangers' CSV files row by row: bounded lines, a time and numbers in each row."""

import codecs
import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from math import isfinite, nan
from pathlib import Path
from typing import Final, Protocol

from headrace_formats.base import FileDomain, checked_names, open_plain, series_domain
from headrace_formats.errors import FormatError
from headrace_formats.report import Report
from headrace_formats.series import cover
from headrace_model.domain import Domain, Index
from headrace_model.errors import InvalidInput
from headrace_model.times import Instant, parse_instant

MOST_ROWS: Final = 5_000_000
_ROWS_AT_ONCE: Final = 4096
_LINE_BYTES: Final = 1 << 20
_MISSING: Final = frozenset(("", "na", "nan", "null"))
# The files of one dataset mostly share their stamps, and reading a stamp is the slow part.
_instant = lru_cache(maxsize=200_000)(parse_instant)


class Readable(Protocol):
    """What bytes of a line can be read from: a file, or one within an archive."""

    def readline(self, size: int, /) -> bytes:
        """Read to the end of a line, and no more than `size` bytes."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its line, its time, a number for each other column (NaN where none is), texts."""

    line: int
    time: Instant
    values: Sequence[float]
    texts: tuple[str, ...] = ()


@contextmanager
def opened_rows(path: Path) -> Iterator[Iterator[list[str]]]:
    """Open a CSV file and iterate over its rows; raises `FormatError` that names the line."""
    with open_plain(path) as file, rows_of(file) as rows:
        yield rows


@contextmanager
def rows_of(file: Readable) -> Iterator[Iterator[list[str]]]:
    """Iterate over the rows of an open CSV file, as `opened_rows`."""
    rows = csv.reader(_lines(file), strict=True, skipinitialspace=True)
    try:
        yield rows
    except csv.Error as error:
        raise FormatError(f"line {rows.line_num}: {error}") from None


def _lines(file: Readable) -> Iterator[str]:
    number = 0
    while line := file.readline(_LINE_BYTES):
        number += 1
        if len(line) == _LINE_BYTES:
            raise FormatError(f"line {number} is longer than {_LINE_BYTES:,} bytes")
        try:
            yield line.removeprefix(codecs.BOM_UTF8 if number == 1 else b"").decode()
        except UnicodeDecodeError:
            raise FormatError(f"line {number} is not valid UTF-8") from None


def first_line(head: bytes) -> str:
    """The first line of a file's head, or nothing where it is no text."""
    if b"\0" in head or not head.strip():
        return ""
    return head.removeprefix(codecs.BOM_UTF8).splitlines()[0].decode("latin-1")


def timed_rows(
    rows: Iterator[list[str]],
    header: Sequence[str],
    time: int,
    report: Report,
    *,
    first: int = 2,
    text: frozenset[int] = frozenset(),
) -> Iterator[Row]:
    """Check the rows below a header, `time` being the place of the column of times.

    Columns in `text` hold texts, which come apart from the numbers. Rows are counted as lines,
    from `first`: quotes hold no breaks. Wrong rows are told to `report` and left out.
    """
    columns = [place for place in range(len(header)) if place != time and place not in text]
    count = 0
    for line, row in enumerate(rows, start=first):
        count += 1  # blank lines too: they take time
        if count > MOST_ROWS:
            raise FormatError(f"it has more than {MOST_ROWS:,} lines")
        if not row:
            continue
        if len(row) != len(header):
            report.error(f"line {line}", f"it has {len(row)} columns, not {len(header)}")
            continue
        try:
            stamp = _instant(row[time].strip())
        except InvalidInput as error:
            report.error(f"line {line}, column {header[time] or 'time'}", error.message)
            continue
        texts = tuple(row[place].strip() for place in sorted(text))
        yield Row(line, stamp, _numbers(row, columns, header, line, report), texts)


def _numbers(
    row: list[str], columns: list[int], header: Sequence[str], line: int, report: Report
) -> Sequence[float]:
    try:
        return [float(row[place]) for place in columns]
    except ValueError:
        found = []
        for place in columns:
            try:
                found.append(float(row[place]))
            except ValueError:
                if row[place].strip().lower() not in _MISSING:
                    message = f"{row[place][:60]!r} is not a number"
                    report.error(f"line {line}, column {header[place]}", message)
                found.append(nan)
        return found


def check_columns(header: Sequence[str], report: Report) -> None:
    """Say where columns have no name, or two have the same."""
    if len(set(header)) < len(header) or "" in header:
        report.error("line 1", "the columns need names, each its own")


@dataclass(slots=True)
class Numbers:
    """What the numbers of one column come to."""

    count: int = 0
    missing: int = 0
    least: float = 0.0
    most: float = 0.0
    first_missing: int = 0

    def add(self, value: float, line: int) -> None:
        """Count one more number."""
        if not isfinite(value):
            self.missing += 1
            self.first_missing = self.first_missing or line
        else:
            self._fold(1, value, value)

    def add_all(self, values: Sequence[float], lines: Sequence[int]) -> None:
        """Count many numbers, those of `lines`; far faster than one by one."""
        if values and isfinite(sum(values)):
            self._fold(len(values), min(values), max(values))
            return
        for value, line in zip(values, lines, strict=True):
            self.add(value, line)

    def _fold(self, count: int, least: float, most: float) -> None:
        self.least = min(self.least, least) if self.count else least
        self.most = max(self.most, most) if self.count else most
        self.count += count


def in_pieces(rows: Iterator[Row]) -> Iterator[list[Row]]:
    """Rows in lists, so that their columns can be counted at once."""
    while some := list(islice(rows, _ROWS_AT_ONCE)):
        yield some


def count_columns(numbers: Sequence[Numbers], rows: Sequence[Row], first: int = 0) -> None:
    """Count the columns of rows, from the first one on that is counted."""
    lines = [row.line for row in rows]
    for place, each in enumerate(numbers, start=first):
        each.add_all([row.values[place] for row in rows], lines)


_UNIT_IN_NAME: Final = re.compile(r"(?P<name>[^\[(]*?)\s*[\[(](?P<unit>[^\])]*)[\])]\s*")


def name_and_unit(column: str) -> tuple[str, str]:
    """Split `T2D (K)` or `T2D [K]`; without brackets the unit is empty."""
    found = _UNIT_IN_NAME.fullmatch(column)
    return (found["name"].strip(), found["unit"].strip()) if found else (column.strip(), "")


def series_by_id(
    stamps: Mapping[str, list[Instant]],
    names: Sequence[str],
    index: Index,
    where: str,
    report: Report,
) -> FileDomain:
    """What a file covers that tells the times of several ids; mostly they are the same for all."""
    checked_names(list(stamps), where)
    if len({tuple(each) for each in stamps.values()}) == 1:
        times = next(iter(stamps.values()))
        return series_domain(names, {index: frozenset(stamps)}, cover(times, where), report)
    found: list[tuple[str, Domain]] = []
    unknown: frozenset[Index] = frozenset()
    for id_, times in stamps.items():
        coverage = cover(times, f"{where} of {id_}")
        of = series_domain(names, {index: frozenset((id_,))}, coverage, report)
        found += of.variables
        unknown |= of.unknown
    return FileDomain(tuple(found), unknown)
