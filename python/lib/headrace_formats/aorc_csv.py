"""AORC_CSV: ngen's forcing as one CSV file a catchment.

As ngen reads it (CsvPerFeatureForcingProvider). Four headers are in use, each with and without
units in brackets after the names: a blank name over the times, then the names of AORC (what
pandas writes for an index); `time`, then those names with `APCP_surface`; `time`, `precip_rate`
and those names without it; and `Time` with the names of the National Water Model. The catchment
stands in the file's name only. Times are UTC.
"""

from pathlib import Path
from typing import Final

from headrace_formats.base import FileDomain, Format, series_domain
from headrace_formats.delimited import first_line, name_and_unit, opened_rows, timed_rows
from headrace_formats.errors import FormatError
from headrace_formats.file_names import catchment_in
from headrace_formats.ngen_forcing import (
    AORC_FIELDS,
    NWM_FIELDS,
    QUANTITIES,
    WARNS,
    Columns,
    Quantity,
    check_unit,
)
from headrace_formats.report import Report
from headrace_formats.series import cover
from headrace_model.dataset import Category
from headrace_model.domain import Index
from headrace_model.times import Instant

_LEAST_KNOWN: Final = 2


def _sniff(head: bytes) -> bool:
    names = [name_and_unit(cell)[0].strip('"') for cell in first_line(head).split(",")]
    known = sum(name in QUANTITIES for name in names)
    return known >= _LEAST_KNOWN and any(_is_time(name) for name in names)


def _is_time(name: str) -> bool:
    return name.lower() in ("", "time")


def _read(path: Path, report: Report) -> FileDomain:
    with opened_rows(path) as rows:
        header = [cell.strip() for cell in next(rows, [])]
        at = time_column(header)
        others = [cell for place, cell in enumerate(header) if place != at]
        columns = Columns(_known(others, report))
        stamps: list[Instant] = []
        for some in timed_rows(rows, header, at, report):
            stamps += some.times
            columns.add(some.numbers, some.lines)
    coverage = cover(stamps, f"column {header[at] or 'time'}")
    columns.check(others, _step_s(stamps), report)
    catchment = catchment_in(path.name)
    names = [_quantity(cell) for cell in others]
    ids = {Index.CATCHMENT_ID: frozenset((catchment,))} if catchment else {}
    found = series_domain(names, ids, coverage, report)
    if catchment:
        return found
    report.warn("", "its name holds no cat-<number>: CATCHMENT_ID is not detected")
    return FileDomain(found.variables, found.unknown | {Index.CATCHMENT_ID})


def time_column(header: list[str]) -> int:
    """The place of the column of times; raises `FormatError` where it is not forcing."""
    found = [place for place, cell in enumerate(header) if _is_time(name_and_unit(cell)[0])]
    if len(found) != 1:
        raise FormatError(f"line 1: {len(found) or 'no'} columns are named time, or not at all")
    known = sum(name_and_unit(cell)[0] in QUANTITIES for cell in header)
    if known < _LEAST_KNOWN:
        raise FormatError("line 1 names no quantities of ngen's forcing, such as precip_rate")
    return found[0]


def _known(others: list[str], report: Report) -> dict[int, Quantity]:
    """The known quantities by their places, each once; says which units are others."""
    found: dict[int, Quantity] = {}
    if len(set(others)) < len(others):
        report.error("line 1", "two columns have the same name")
    for place, cell in enumerate(others):
        name, unit = name_and_unit(cell)
        quantity = QUANTITIES.get(name)
        if quantity is None:
            continue
        if quantity in found.values():
            report.warn(
                f"line 1, column {cell}", f"{quantity.about} is there twice: ngen mixes the two"
            )
            continue
        check_unit(f"line 1, column {cell}", quantity, unit, report)
        found[place] = quantity
    return found


def _quantity(cell: str) -> str:
    name = name_and_unit(cell)[0]
    return QUANTITIES[name].name if name in QUANTITIES else name


def _step_s(stamps: list[Instant]) -> float | None:
    return (stamps[1] - stamps[0]) / 1000 if len(stamps) > 1 else None


FORMAT: Final = Format(
    name="AORC_CSV",
    summary="ngen's forcing, one CSV file a catchment",
    categories=(Category.FORCING,),
    indexes=(
        (Index.TIME, "the stamps of the column `time`, `Time` or without a name"),
        (Index.CATCHMENT_ID, "the file's name: `cat-27` in `cat-27_2015-12-01.csv`"),
    ),
    sniff=_sniff,
    read=_read,
    fields=(*AORC_FIELDS, *NWM_FIELDS),
    warns=WARNS,
    source="NOAA-OWP/ngen, CsvPerFeatureForcingProvider; DMOD's format of that name",
)
