"""Reading strangers' CSV files row by row: bounded lines, a time and numbers in each row."""

import codecs
import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from io import StringIO
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
_PIECE_BYTES: Final = 1 << 16
_MISSING: Final = frozenset(("", "na", "nan", "null"))
# The files of one dataset mostly share their stamps, and reading a stamp is the slow part.
_instant = lru_cache(maxsize=200_000)(parse_instant)


class Readable(Protocol):
    """What bytes can be read from: a file, or one within an archive."""

    def read(self, size: int, /) -> bytes:
        """Read up to so many bytes; nothing at the end."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows, by columns: their lines and times, the numbers (NaN where none is), the texts."""

    lines: Sequence[int]
    times: Sequence[Instant]
    numbers: Sequence[Sequence[float]]
    texts: Sequence[Sequence[str]] = ()


@contextmanager
def opened_rows(path: Path) -> Iterator[Iterator[list[str]]]:
    """Open a CSV file and iterate over its rows; raises `FormatError` that names the line."""
    with open_plain(path) as file:
        yield rows_of(file)


def rows_of(file: Readable) -> Iterator[list[str]]:
    """Iterate over the rows of an open CSV file; raises `FormatError` that names the line."""
    for text, count in _pieces(file):
        if '"' not in text and "\r" not in text:
            # What a CSV reader finds here too, in half its time.
            lines = text.split("\n")
            if not lines[-1]:
                del lines[-1]
            yield from [line.split(",") if line else [] for line in lines]
            continue
        rows = csv.reader(StringIO(text, newline="\n"), strict=True, skipinitialspace=True)
        try:
            for number, row in enumerate(rows, start=1):
                if rows.line_num != number:
                    raise csv.Error("a quote goes over the end of a line")
                yield row
        except csv.Error as error:
            raise FormatError(f"line {count + rows.line_num}: {error}") from None


def _pieces(file: Readable) -> Iterator[tuple[str, int]]:
    """Whole lines, many at once, and how many lines are before them."""
    before, count = b"", 0
    while piece := file.read(_PIECE_BYTES):
        if not count and not before:
            piece = piece.removeprefix(codecs.BOM_UTF8)
        end = piece.rfind(b"\n") + 1
        if end:
            whole = before + piece[:end]
            yield from _decoded(whole, count)
            count += whole.count(b"\n")
            before = piece[end:]
        else:
            before += piece
        if len(before) >= _LINE_BYTES:
            raise FormatError(f"line {count + 1} is longer than {_LINE_BYTES:,} bytes")
    if before:
        yield from _decoded(before, count)


def _decoded(data: bytes, count: int) -> Iterator[tuple[str, int]]:
    """Lines as text, behind `count` others; those before a wrong one come before it."""
    try:
        yield data.decode(), count
    except UnicodeDecodeError as error:
        good = data[: data.rfind(b"\n", 0, error.start) + 1]
        yield good.decode(), count
        line = count + good.count(b"\n") + 1
        raise FormatError(f"line {line} is not valid UTF-8") from None


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
    text: Sequence[int] = (),
) -> Iterator[Rows]:
    """Check the rows below a header, `time` being the place of the column of times.

    Columns in `text` hold texts, which come apart from the numbers. Rows are counted as lines,
    from `first`: quotes hold no breaks. Wrong rows are told to `report` and left out. They come
    many at once, by columns: one by one they would take several times as long.
    """
    columns = [place for place in range(len(header)) if place != time and place not in text]
    line, ended = first, False
    while not ended:
        some: list[list[str]] = []
        failed: FormatError | None = None
        try:
            some.extend(islice(rows, _ROWS_AT_ONCE))  # keeps those before what is wrong
        except FormatError as error:
            failed = error
        ended = len(some) < _ROWS_AT_ONCE
        lines: Sequence[int] = range(line, line + len(some))
        line += len(some)
        if line - first > MOST_ROWS:  # blank lines too: they take time
            raise FormatError(f"it has more than {MOST_ROWS:,} lines")
        if not all(some):
            lines = [at for at, row in zip(lines, some, strict=True) if row]
            some = [row for row in some if row]
        if some:
            found = _by_columns(lines, some, header, time, columns, text)
            yield found or _one_by_one(lines, some, header, time, columns, text, report)
        if failed is not None:
            raise failed


def _by_columns(
    lines: Sequence[int],
    rows: Sequence[Sequence[str]],
    header: Sequence[str],
    time: int,
    columns: Sequence[int],
    text: Sequence[int],
) -> Rows | None:
    """Read rows that are all right; None where one is not."""
    try:
        cells = list(zip(*rows, strict=True))
        if len(cells) != len(header):
            return None
        return Rows(
            lines,
            list(map(_instant, map(str.strip, cells[time]))),
            [list(map(float, cells[place])) for place in columns],
            [list(map(str.strip, cells[place])) for place in text],
        )
    except (ValueError, InvalidInput):
        return None


def _one_by_one(
    lines: Sequence[int],
    rows: Sequence[Sequence[str]],
    header: Sequence[str],
    time: int,
    columns: Sequence[int],
    text: Sequence[int],
    report: Report,
) -> Rows:
    """Read rows of which one is wrong, or lacks a number."""
    right: list[int] = []
    times: list[Instant] = []
    numbers: list[list[float]] = [[] for _ in columns]
    texts: list[list[str]] = [[] for _ in text]
    for line, row in zip(lines, rows, strict=True):
        if len(row) != len(header):
            report.error(f"line {line}", f"it has {len(row)} columns, not {len(header)}")
            continue
        try:
            times.append(_instant(row[time].strip()))
        except InvalidInput as error:
            report.error(f"line {line}, column {header[time] or 'time'}", error.message)
            continue
        right.append(line)
        for place, found in zip(columns, numbers, strict=True):
            found.append(_number(row[place], f"line {line}, column {header[place]}", report))
        for place, said in zip(text, texts, strict=True):
            said.append(row[place].strip())
    return Rows(right, times, numbers, texts)


def _number(cell: str, where: str, report: Report) -> float:
    try:
        return float(cell)
    except ValueError:
        if cell.strip().lower() not in _MISSING:
            report.error(where, f"{cell[:60]!r} is not a number")
        return nan


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


def count_columns(
    counted: Sequence[Numbers], columns: Sequence[Sequence[float]], lines: Sequence[int]
) -> None:
    """Count the numbers of columns, each in its place."""
    for each, column in zip(counted, columns, strict=True):
        each.add_all(column, lines)


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
