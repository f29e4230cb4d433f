"""CALIBRATION_RESULT: what a job of the kind `calibration` found.

`best.json` tells the initial and the best parameters with their scores, `iterations.csv` has a row
an iteration, `report.html` shows both, and `parameters.zip` holds the files of the model with the
best parameters, of whatever format they are: its comment is `PARAMETERS_MARK`.
"""

import csv
from collections.abc import Sequence
from io import StringIO
from math import isfinite
from pathlib import Path
from typing import Any, Final

from headrace_formats.base import (
    HEAD_BYTES,
    Field,
    FileDomain,
    Format,
    Whole,
    checked_names,
    open_plain,
)
from headrace_formats.delimited import first_line
from headrace_formats.errors import FormatError
from headrace_formats.json_text import begins_as_json, load_json, mapping
from headrace_formats.report import Report
from headrace_model.dataset import Category
from headrace_model.domain import Continuous, Discrete, Domain, Index
from headrace_model.errors import HeadraceError
from headrace_model.times import parse_instant

VERSION: Final = 1
_KEY: Final = b'"headrace_calibration_result"'
PARAMETERS_MARK: Final = b"headrace_calibration_result"
_HEADER: Final = "iteration,"
_ZIP: Final = b"PK\x03\x04"
_HTML: Final = b"<!doctype html>"
_TITLE: Final = b"<title>Calibration of "


def _sniff(head: bytes) -> bool:
    if begins_as_json(head):
        return _KEY in head
    if head.startswith((_ZIP, _HTML)):
        return True
    header = first_line(head)
    return header.startswith(_HEADER) and ",best_" in header


def _read(path: Path, report: Report) -> FileDomain:
    with open_plain(path) as file:
        head = file.read(HEAD_BYTES)
        if head.startswith(_ZIP):
            file.seek(0, 2)
            file.seek(max(0, file.tell() - len(PARAMETERS_MARK)))
            if file.read() != PARAMETERS_MARK:
                raise FormatError("it is no archive of a calibration's parameter files")
            return FileDomain()
    if head.startswith(_HTML):
        if _TITLE not in head:
            raise FormatError("it is no report of a calibration")
        return FileDomain()
    if not _sniff(head):
        raise FormatError("it is none of the files of a calibration's result")
    return _best(path, report) if begins_as_json(head) else _iterations(path, report)


def _best(path: Path, report: Report) -> FileDomain:
    found = mapping(load_json(path), "the file")
    if found.get("headrace_calibration_result") != VERSION:
        raise FormatError("it is of another version of Headrace")
    best = mapping(found.get("best"), "best")
    for name, value in mapping(best.get("parameters"), "best.parameters").items():
        if not isinstance(value, int | float) or isinstance(value, bool) or not isfinite(value):
            report.error(f"best.parameters.{name[:60]}", "it must be a number")
    scores = mapping(best.get("scores"), "best.scores")
    gauges = Discrete(
        checked_names(list(mapping(scores.get("train"), "best.scores.train")), "best")
    )
    time = _scored(mapping(found.get("scored"), "scored"))
    domain = Domain.of({Index.GAUGE_ID: gauges, Index.TIME: time})
    return FileDomain((("calibration", domain),), content=path.name)


def _scored(periods: dict[str, Any]) -> Continuous:
    try:
        return Continuous.of(
            (parse_instant(begin), parse_instant(end)) for begin, end in periods.values()
        )
    except (HeadraceError, TypeError, ValueError, AttributeError):
        raise FormatError("scored: it must tell periods, each a list of begin and end") from None


def _iterations(path: Path, report: Report) -> FileDomain:
    with open_plain(path) as file:
        text = file.read().decode("utf-8", "replace")
    header, *rows = csv.reader(StringIO(text, newline=""))
    for place, row in enumerate(rows):
        if len(row) != len(header):
            report.error(f"line {place + 2}", f"it has {len(row)} columns, not {len(header)}")
        elif row[0] != str(place):
            report.error(f"line {place + 2}", f"it is iteration {row[0][:20]}, not {place}")
    return FileDomain()


def _whole(files: Sequence[FileDomain]) -> Whole:
    if any(each.content for each in files):
        return Whole()
    return Whole(notes=("there is no best.json that tells what was found",))


FORMAT: Final = Format(
    name="CALIBRATION_RESULT",
    summary="what a calibration found: parameters and scores before and after, each iteration",
    categories=(Category.OUTPUT,),
    indexes=(
        (Index.TIME, "`best.json`: the periods that were scored"),
        (Index.GAUGE_ID, "`best.json`: the locations"),
    ),
    sniff=_sniff,
    read=_read,
    fields=(
        Field(
            "best.json", "", "initial and best parameters, objective and metrics of each period"
        ),
        Field("iterations.csv", "", "iteration, objective, the best so far, parameters, failure"),
        Field("report.html", "", "both as charts and tables, with hydrographs"),
        Field("parameters.zip", "", "the files of the model with the best parameters"),
    ),
    source="Headrace",
    whole=_whole,
)
