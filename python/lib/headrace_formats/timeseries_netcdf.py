"""TIMESERIES_NETCDF: CF discrete sampling geometry `timeSeries`, orthogonal form.

CF 1.8, appendix H.2.1: variables run over time and one dimension of stations (in any order), or
over time alone for one station; the variable with the attribute cf_role = timeseries_id names
the stations.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from headrace_formats.base import FileDomain, Format, series_domain
from headrace_formats.errors import FormatError
from headrace_formats.netcdf import (
    data_variables,
    id_dimensions,
    ids_of,
    is_netcdf,
    opened,
    text_of,
    time_coverage,
    time_name,
)
from headrace_formats.report import Report
from headrace_model.dataset import Category
from headrace_model.domain import Index

if TYPE_CHECKING:
    from netCDF4 import Dataset

_GAUGES: Final = re.compile(r"gauge|gage|usgs|\bpoi_id\b", re.IGNORECASE)


def _read(path: Path, report: Report) -> FileDomain:
    with opened(path) as dataset:
        time = time_name(dataset)
        if time is None:
            raise FormatError("it has no time: no coordinate variable with units '... since ...'")
        ids_name = _ids_name(dataset)
        stations = id_dimensions(dataset.variables[ids_name])
        if len(stations) > 1:
            raise FormatError(f"variable {ids_name}: ids must run over one dimension of stations")
        names = data_variables(dataset, frozenset((time, *stations)))
        names = [name for name in names if name != time]
        if not names:
            raise FormatError(f"no variable runs over {' and '.join((time, *stations))}")
        index = Index.GAUGE_ID if _are_gauges(dataset, ids_name) else Index.CATCHMENT_ID
        return series_domain(
            names, {index: ids_of(dataset, ids_name)}, time_coverage(dataset, time), report
        )


def _ids_name(dataset: "Dataset") -> str:
    found = [
        name
        for name, variable in dataset.variables.items()
        if text_of(variable, "cf_role") == "timeseries_id"
    ]
    if len(found) != 1:
        raise FormatError(
            f"{len(found) or 'no'} variables have the attribute cf_role = timeseries_id",
            hint="give it to the one variable that holds the ids of the stations",
        )
    return found[0]


def _are_gauges(dataset: "Dataset", name: str) -> bool:
    variable = dataset.variables[name]
    texts = (name, *(text_of(variable, each) for each in ("standard_name", "long_name")))
    return any(_GAUGES.search(text) for text in texts)


FORMAT: Final = Format(
    name="TIMESERIES_NETCDF",
    summary="CF timeSeries: variables (time, station), ids marked by cf_role = timeseries_id",
    categories=(Category.OUTPUT, Category.FORCING, Category.OBSERVATION),
    indexes=(
        (Index.TIME, "the stamps of the time dimension, or their CF bounds"),
        (
            Index.GAUGE_ID,
            "the ids, where the name, long_name or standard_name of their variable says gauge, "
            "gage, USGS or poi_id",
        ),
        (Index.CATCHMENT_ID, "the ids otherwise"),
    ),
    sniff=is_netcdf,
    read=_read,
    source="CF conventions 1.8, appendix H.2.1 (orthogonal multidimensional array)",
)
