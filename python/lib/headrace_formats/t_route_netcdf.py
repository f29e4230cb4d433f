"""T_ROUTE_NETCDF: flows as t-route writes them to NetCDF: flow, velocity, depth, nudge.

`feature_id` and `type` run over the features, or stand alone for a single one; t-route marks the
file by the attribute TITLE. Its times are those at which flows are given; as in every series, a
stamp counts as the begin of its step.
"""

from pathlib import Path
from typing import Final

from headrace_formats.base import Field, FileDomain, Format, checked_names, series_domain
from headrace_formats.errors import FormatError
from headrace_formats.netcdf import (
    is_netcdf,
    opened,
    text_of,
    texts_of,
    time_coverage,
    time_name,
)
from headrace_formats.report import Report
from headrace_model.dataset import Category
from headrace_model.domain import Index

TITLE: Final = "OUTPUT FROM T-ROUTE"
_FIELDS: Final = (
    Field("flow", "m3 s-1", "flow"),
    Field("velocity", "m/s", "velocity"),
    Field("depth", "m", "depth"),
    Field("nudge", "m3 s-1", "what observations added"),
)


def _read(path: Path, report: Report) -> FileDomain:
    with opened(path) as dataset:
        if text_of(dataset, "TITLE") != TITLE:
            raise FormatError(f"its attribute TITLE is not {TITLE!r}")
        time = time_name(dataset)
        for name in ("feature_id", "flow"):
            if name not in dataset.variables:
                raise FormatError(f"the variable {name} is missing")
        if time is None:
            raise FormatError("it has no time: no coordinate variable with units '... since ...'")
        ids = texts_of(dataset, "feature_id")
        kinds = texts_of(dataset, "type") if "type" in dataset.variables else []
        if kinds and len(kinds) != len(ids):
            raise FormatError("variable type: it must have one for each feature_id")
        named = [f"{kind}-{id_}" for kind, id_ in zip(kinds, ids, strict=True)] if kinds else ids
        over = set(dataset.variables["feature_id"].dimensions) | {time}
        names = []
        for field in _FIELDS:
            if field.name not in dataset.variables:
                continue
            variable = dataset.variables[field.name]
            if set(variable.dimensions) != over:
                report.error(f"variable {field.name}", f"it must run over {sorted(over)}")
            unit = text_of(variable, "units")
            if unit and unit != field.unit:
                report.warn(
                    f"variable {field.name}", f"its unit is {unit[:40]!r}, not {field.unit}"
                )
            names.append(field.name)
        elements = {Index.ELEMENT_ID: checked_names(named, "variable feature_id")}
        return series_domain(names, elements, time_coverage(dataset, time), report)


FORMAT: Final = Format(
    name="T_ROUTE_NETCDF",
    summary="flows as t-route writes them to NetCDF",
    categories=(Category.OUTPUT,),
    indexes=(
        (Index.TIME, "the stamps of the time dimension"),
        (Index.ELEMENT_ID, "`feature_id`, behind its `type`: `wb-2420800`"),
    ),
    sniff=is_netcdf,
    read=_read,
    fields=_FIELDS,
    warns=("a unit is not the one that t-route writes",),
    source="NOAA-OWP/t-route",
)
