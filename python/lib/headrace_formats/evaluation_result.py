"""EVALUATION_RESULT: scores of simulations against observations, as `headrace_evaluation` writes.

`scores.json` holds all of it; `scores.nc` and `scores.csv` hold the same scores, `report.html`
shows them to people. `series.csv` holds the pairs that were compared.
"""

import re
from pathlib import Path
from typing import Any, Final

from headrace_formats.base import Field, FileDomain, Format, checked_names, open_plain
from headrace_formats.delimited import first_line, opened_rows
from headrace_formats.errors import FormatError
from headrace_formats.json_text import begins_as_json, listed, load_json, mapping
from headrace_formats.netcdf import is_netcdf, opened, text_of, texts_of
from headrace_formats.report import Report
from headrace_model.dataset import Category
from headrace_model.domain import Continuous, Discrete, Domain, Index, Restriction
from headrace_model.errors import InvalidInput
from headrace_model.times import parse_instant

_MOST_BYTES: Final = 256 << 20
_MARK: Final = b'"headrace_evaluation"'
_CSV: Final = "run,location,name,n,"
_SERIES: Final = "location,run,time,observed,simulated"
_TITLE: Final = "scores of an evaluation"
_HTML: Final = b"<!doctype html>\n"
_GAUGE: Final = re.compile(r"\d{8,15}", re.ASCII)


def _sniff(head: bytes) -> bool:
    return (
        (begins_as_json(head) and _MARK in head)
        or first_line(head).startswith((_CSV, _SERIES))
        or head.startswith(_HTML)
        or is_netcdf(head)
    )


def _read(path: Path, report: Report) -> FileDomain:
    with open_plain(path) as file:
        head = file.read(8192)
    if is_netcdf(head):
        with opened(path) as dataset:
            if text_of(dataset, "title") != _TITLE:
                raise FormatError(f"its title is not {_TITLE!r}")
            texts_of(dataset, "location")
        return FileDomain((("scores.nc", Domain()),))
    if head.startswith(_HTML):
        if b"<title>Evaluation of " not in head:
            raise FormatError("it is no report of an evaluation")
        return FileDomain((("report", Domain()),))
    if first_line(head).startswith((_CSV, _SERIES)):
        with opened_rows(path) as rows:
            width = len(next(rows))
            for line, row in enumerate(rows, start=2):
                if len(row) != width:
                    report.error(f"line {line}", f"it has {len(row)} columns, not {width}")
        part = "series.csv" if first_line(head).startswith(_SERIES) else "scores.csv"
        return FileDomain(((part, Domain()),))
    return _whole_result(mapping(load_json(path, _MOST_BYTES), "the file"))


def _whole_result(said: dict[str, Any]) -> FileDomain:
    if said.get("headrace_evaluation") != 1:
        raise FormatError("headrace_evaluation is not 1: it is of another version of Headrace")
    locations = [
        mapping(each, "a location") for each in listed(said.get("locations"), "locations")
    ]
    scored = [
        each
        for each in locations
        if any(mapping(run, "a run").get("scores") for run in _runs(each).values())
    ]
    ids = [str(each.get("id", "")) for each in scored]
    found: dict[Index, Restriction] = {}
    if ids and all(_GAUGE.fullmatch(each) for each in ids):
        found[Index.GAUGE_ID] = Discrete(checked_names(ids, "locations"))
    try:
        begins = [
            parse_instant(run["begin"])
            for each in scored
            for run in _runs(each).values()
            if run.get("begin")
        ]
        ends = [
            parse_instant(run["end"])
            for each in scored
            for run in _runs(each).values()
            if run.get("end")
        ]
    except (InvalidInput, TypeError, KeyError) as error:
        raise FormatError(f"a begin or end is no time: {error}") from None
    if begins and ends:
        found[Index.TIME] = Continuous(((min(begins), max(ends)),))
    return FileDomain((("scores", Domain.of(found)),))


def _runs(location: dict[str, Any]) -> dict[str, Any]:
    return mapping(location.get("runs"), "runs")


FORMAT: Final = Format(
    name="EVALUATION_RESULT",
    summary="scores of simulations against observations, with a report",
    categories=(Category.OUTPUT,),
    indexes=(
        (Index.TIME, "from the first scored begin to the last scored end in `scores.json`"),
        (Index.GAUGE_ID, "the scored locations, if all look like USGS station numbers"),
    ),
    sniff=_sniff,
    read=_read,
    fields=(
        Field("scores.json", "as it says", "settings, metrics, sums, a score or a reason each"),
        Field("scores.csv", "as scores.json", "a line a run and location"),
        Field(
            "series.csv",
            "as scores.json",
            "the pairs compared, a line a location, run and step: at most 256 MiB; `series` in "
            "scores.json tells the bytes of each",
        ),
        Field("scores.nc", "as it says", "metrics over run and location"),
        Field("report.html", "", "summary, map, hydrographs, scatter, flow-duration curves"),
    ),
    source="Headrace (headrace_evaluation)",
)
