"""NGEN_CSV_OUTPUT: what ngen writes, one CSV file a catchment and one a nexus.

A catchment's file (`cat-27.csv`) has the header `Time Step,Time,…` and a column for each output
variable; a nexus's (`nex-26_output.csv`) has none: step, time, flow in m3/s. Which catchment or
nexus it is stands in the file's name only. t-route reads the files of nexuses. With the grouping
`per_formulation` all catchments stand in one file, in a first column `catchment_id`.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from headrace_formats.base import Field, FileDomain, Format, open_plain, series_domain
from headrace_formats.delimited import (
    Numbers,
    Readable,
    Rows,
    check_columns,
    count_columns,
    first_line,
    rows_of,
    series_by_id,
    timed_rows,
)
from headrace_formats.errors import FormatError
from headrace_formats.file_names import catchment_in, nexus_in
from headrace_formats.report import Report
from headrace_formats.series import cover
from headrace_model.dataset import Category
from headrace_model.domain import Index
from headrace_model.times import Instant

INDEXES: Final = (
    (Index.TIME, "the column `Time`; of a nexus the second column"),
    (Index.CATCHMENT_ID, "the file's name: `cat-27` in `cat-27.csv`; or `catchment_id`"),
    (Index.ELEMENT_ID, "the file's name: `nex-26` in `nex-26_output.csv`"),
)
FIELDS: Final = (
    Field("Time Step", "", "the number of the step, from 0"),
    Field("Time", "UTC", "the begin of the step"),
    Field("(others)", "as the model's output variable", "the outputs of a catchment's models"),
    Field("(third column)", "m3 s-1", "flow at a nexus"),
)
WARNS: Final = (
    "a flow is below 0, above 500,000 m3/s (more than any river has), or no number",
    "steps are not numbered 0, 1, 2, …: the file may be cut or mixed",
)
_HEADER: Final = ["Time Step", "Time"]
_TOGETHER: Final = ["catchment_id", *_HEADER]
_BEGINNINGS: Final = ("Time Step,Time", "catchment_id,Time Step,Time")
_STEP: Final = re.compile(r"\s*\d{1,9}\s*,\s*\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\s*,[^,]*", re.ASCII)
_HIGHEST_M3_S: Final = 500_000.0


def is_output(head: bytes) -> bool:
    """Tell whether a CSV file begins as one of a catchment or a nexus does."""
    line = first_line(head)
    return line.startswith(_BEGINNINGS) or bool(_STEP.fullmatch(line))


def read_output(file: Readable, name: str, report: Report) -> FileDomain:
    """Read a file of a catchment or of a nexus, called `name`."""
    rows = rows_of(file)
    first = next(rows, [])
    header = [cell.strip() for cell in first]
    if header[:3] == _TOGETHER:
        check_columns(header, report)
        return _together(rows, header, report)
    if header[:2] == _HEADER:
        if len(header) < 3:
            raise FormatError("line 1 names no output variable")
        check_columns(header, report)
        found = timed_rows(rows, header, 1, report)
        return _series(found, header[2:], name, report)
    if len(first) != 3:
        raise FormatError("line 1 is neither 'Time Step,Time,…' nor step, time, flow")
    header = ["step", "time", "flow"]
    found = timed_rows(_again(first, rows), header, 1, report, first=1)
    return _series(found, header[2:], name, report)


def _together(rows: Iterator[list[str]], header: list[str], report: Report) -> FileDomain:
    """Read the file of all catchments, whose rows come step by step."""
    if len(header) < 4:
        raise FormatError("line 1 names no output variable")
    stamps: dict[str, list[Instant]] = {}
    numbers = [Numbers() for _ in header[3:]]
    for some in timed_rows(rows, header, 2, report, text=(0,)):
        for id_, time in zip(some.texts[0], some.times, strict=True):
            stamps.setdefault(id_, []).append(time)
        count_columns(numbers, some.numbers[1:], some.lines)
    for column, each in zip(header[3:], numbers, strict=True):
        _check(column, each, False, report)
    return series_by_id(stamps, header[3:], Index.CATCHMENT_ID, "column Time", report)


def _again(first: list[str], rows: Iterator[list[str]]) -> Iterator[list[str]]:
    yield first
    yield from rows


def _series(rows: Iterator[Rows], names: list[str], name: str, report: Report) -> FileDomain:
    stamps: list[Instant] = []
    numbers = [Numbers() for _ in names]
    out_of_step = 0
    for some in rows:
        steps = zip(some.numbers[0], some.lines, strict=True)
        apart = (line for at, (step, line) in enumerate(steps, len(stamps)) if step != at)
        out_of_step = out_of_step or next(apart, 0)
        stamps += some.times
        count_columns(numbers, some.numbers[1:], some.lines)
    if out_of_step:
        report.warn(f"line {out_of_step}", "steps are not numbered 0, 1, 2, … from there")
    for column, each in zip(names, numbers, strict=True):
        _check(column, each, names == ["flow"], report)
    index, id_ = _whose(names, name, report)
    found = series_domain(
        names, {index: frozenset((id_,))} if id_ else {}, cover(stamps, "column Time"), report
    )
    return found if id_ else FileDomain(found.variables, found.unknown | {index})


def _check(column: str, numbers: Numbers, is_flow: bool, report: Report) -> None:
    where = f"column {column}"
    if numbers.missing:
        report.warn(
            where,
            f"{numbers.missing:,} are no finite numbers; the first: line {numbers.first_missing}",
        )
    if is_flow and numbers.count and numbers.least < 0:
        report.warn(where, f"a flow is {numbers.least:g} m3/s, below 0")
    if is_flow and numbers.count and numbers.most > _HIGHEST_M3_S:
        report.warn(where, f"a flow is {numbers.most:,.6g} m3/s, more than any river has")


def _whose(names: list[str], name: str, report: Report) -> tuple[Index, str | None]:
    if names == ["flow"]:
        nexus = nexus_in(name)
        if nexus is None:
            report.warn("", "its name holds no nex-<number>: ELEMENT_ID is not detected")
        return Index.ELEMENT_ID, nexus
    catchment = catchment_in(name)
    if catchment is None:
        report.warn("", "its name holds no cat-<number>: CATCHMENT_ID is not detected")
    return Index.CATCHMENT_ID, catchment


def _read(path: Path, report: Report) -> FileDomain:
    with open_plain(path) as file:
        return read_output(file, path.name, report)


FORMAT: Final = Format(
    name="NGEN_CSV_OUTPUT",
    summary="ngen's output, one CSV file a catchment and one a nexus",
    categories=(Category.OUTPUT, Category.FORCING),
    indexes=INDEXES,
    sniff=is_output,
    read=_read,
    fields=FIELDS,
    warns=WARNS,
    source="NOAA-OWP/ngen; DMOD's format of that name",
)
