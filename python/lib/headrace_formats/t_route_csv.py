"""T_ROUTE_CSV: flows as t-route writes them to CSV, and as it reads them a file a time.

Three forms: `,,current_time,flow,velocity,depth,nudge` with an element and a time in each row;
`flowveldepth`, an element in each row and columns `(step, 'q')`, `(step, 'v')`, `(step, 'd')`,
which tells no time; and `feature_id,201512010000`, a file a time (CHRTOUT, NEXOUT).
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from headrace_formats.base import (
    Field,
    FileDomain,
    Format,
    Whole,
    checked_names,
)
from headrace_formats.delimited import (
    Numbers,
    first_line,
    opened_rows,
    series_by_id,
    timed_rows,
)
from headrace_formats.errors import FormatError
from headrace_formats.report import Report
from headrace_formats.series import one_stamp_each
from headrace_model.dataset import Category
from headrace_model.domain import Discrete, Domain, Index
from headrace_model.errors import InvalidInput
from headrace_model.times import Instant, parse_instant

_ROWS: Final = ["", "", "current_time", "flow", "velocity", "depth"]
_STEP: Final = re.compile(r"\((\d{1,9}), '([qvd])'\)", re.ASCII)
_STAMP: Final = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)", re.ASCII)
_MISSING: Final = -9999.0
_MOST_ELEMENTS: Final = 5_000_000
_HIGHEST_M3_S: Final = 500_000.0


def _sniff(head: bytes) -> bool:
    line = first_line(head)
    return line.startswith((",,current_time,flow", ",\"(0, 'q')\"", "feature_id,"))


def _read(path: Path, report: Report) -> FileDomain:
    with opened_rows(path) as rows:
        header = [cell.strip() for cell in next(rows, [])]
        if header[: len(_ROWS)] == _ROWS:
            return _by_rows(rows, header, report)
        if len(header) > 1 and header[0] == "" and _STEP.fullmatch(header[1]):
            return _by_steps(rows, header, report)
        if len(header) == 2 and header[0] == "feature_id":
            return _at_one_time(rows, header[1], report)
    raise FormatError("line 1 is none of the headers that t-route writes")


def _by_rows(rows: Iterator[list[str]], header: list[str], report: Report) -> FileDomain:
    """An element, its type and a time in each row."""
    stamps: dict[str, list[Instant]] = {}
    flow = Numbers()
    for some in timed_rows(rows, header, 2, report, text=(0, 1)):
        for id_, kind, time in zip(*some.texts, some.times, strict=True):
            stamps.setdefault(f"{kind}-{id_}" if kind else id_, []).append(time)
        for number, line in zip(some.numbers[0], some.lines, strict=True):
            if number != _MISSING:
                flow.add(number, line)
    _check_flow(flow, report)
    names = [name for name in header[3:] if name]
    return series_by_id(stamps, names, Index.ELEMENT_ID, "column current_time", report)


def _by_steps(rows: Iterator[list[str]], header: list[str], report: Report) -> FileDomain:
    """An element in each row, and three columns a step."""
    for place, cell in enumerate(header[1:]):
        found = _STEP.fullmatch(cell)
        if found is None or (int(found[1]), found[2]) != (place // 3, "qvd"[place % 3]):
            wanted = f"({place // 3}, '{'qvd'[place % 3]}')"
            report.error(f"line 1, column {place + 2}", f"it is {cell[:40]!r}, not {wanted}")
            break
    report.warn("", "it tells steps, not times: TIME is not detected")
    return _elements(rows, len(header), report)


def _at_one_time(rows: Iterator[list[str]], stamp: str, report: Report) -> FileDomain:
    """Flows of all elements at one time; the files of a dataset tell the step together."""
    found = _STAMP.fullmatch(stamp)
    try:
        year, month, day, hour, minute = found.groups() if found else ("",) * 5
        time = parse_instant(f"{year}-{month}-{day}T{hour}:{minute}Z")
    except InvalidInput:
        raise FormatError(f"line 1: {stamp[:40]!r} is no time such as 201512010000") from None
    of = _elements(rows, 2, report)
    return FileDomain(of.variables, content=time)


def _elements(rows: Iterator[list[str]], width: int, report: Report) -> FileDomain:
    ids: list[str] = []
    flow = Numbers()
    for line, row in enumerate(rows, start=2):
        if len(ids) > _MOST_ELEMENTS:
            raise FormatError(f"it has more than {_MOST_ELEMENTS:,} elements")
        if not row:
            continue
        if len(row) != width:
            report.error(f"line {line}", f"it has {len(row)} columns, not {width}")
            continue
        ids.append(row[0].strip())
        try:
            for number in map(float, row[1::3]):
                flow.add(number, line)
        except ValueError:
            report.error(f"line {line}", "a flow is not a number")
    _check_flow(flow, report)
    names = checked_names(ids, "the first column")
    domain = Domain(((Index.ELEMENT_ID, Discrete(names)),))
    return FileDomain((("flow", domain),), frozenset((Index.TIME,)))


def _check_flow(flow: Numbers, report: Report) -> None:
    if flow.missing:
        report.warn(f"line {flow.first_missing}", "a flow is no finite number")
    if flow.count and flow.least < 0:
        report.warn("", f"a flow is {flow.least:g} m3/s, below 0")
    if flow.count and flow.most > _HIGHEST_M3_S:
        report.warn("", f"a flow is {flow.most:,.6g} m3/s, more than any river has")


def _whole(files: Sequence[FileDomain]) -> Whole:
    """The TIME of files that each hold one time."""
    if not any(isinstance(each.content, int) for each in files):
        return Whole()
    time, notes = one_stamp_each([each.content for each in files])
    return Whole(((Index.TIME, time),) if time else (), notes)


FORMAT: Final = Format(
    name="T_ROUTE_CSV",
    summary="flows as t-route writes them to CSV, or reads them a file a time",
    categories=(Category.OUTPUT, Category.FORCING),
    indexes=(
        (
            Index.TIME,
            "the column `current_time`; the second column's name, over all files; not told by "
            "`flowveldepth`",
        ),
        (Index.ELEMENT_ID, "the first column, behind the type in the second one: `wb-2420800`"),
    ),
    sniff=_sniff,
    read=_read,
    fields=(
        Field("flow, q", "m3 s-1", "flow"),
        Field("velocity, v", "m s-1", "velocity"),
        Field("depth, d", "m", "depth"),
        Field("nudge", "m3 s-1", "what observations added; -9999 where nothing"),
    ),
    warns=("a flow is below 0, above 500,000 m3/s (more than any river has), or no number",),
    source="NOAA-OWP/t-route",
    whole=_whole,
)
