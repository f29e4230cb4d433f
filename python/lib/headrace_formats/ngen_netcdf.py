"""NGEN_NETCDF_OUTPUT: the flows of all nexuses of a formulation in one NetCDF file.

As ngen writes it with `output.nexus: {format: netcdf, grouping: per_formulation}`
(PerFormulationNexusOutputMgr): `runoff_rate(feature_id, time)`; `feature_id` holds ids as
characters (`nex-26`), or, in its first versions, their numbers. Built after ngen's source; no
real file was at hand. ngen writes no output of catchments to NetCDF.
"""

from pathlib import Path
from typing import Final

from headrace_formats.base import Field, FileDomain, Format, checked_names, series_domain
from headrace_formats.errors import FormatError
from headrace_formats.netcdf import (
    id_dimensions,
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

_IDS, _FLOW = "feature_id", "runoff_rate"
_UNITS: Final = ("", "m3 s-1", "m3/s", "m3 s^-1", "m^3 s^-1")


def _read(path: Path, report: Report) -> FileDomain:
    with opened(path) as dataset:
        for name in (_IDS, _FLOW):
            if name not in dataset.variables:
                raise FormatError(f"the variable {name} is missing")
        time = time_name(dataset)
        if time is None:
            raise FormatError("it has no time: no coordinate variable with units '... since ...'")
        if id_dimensions(dataset.variables[_IDS]) != (_IDS,):
            raise FormatError(f"variable {_IDS}: its ids must run over the dimension {_IDS}")
        flow = dataset.variables[_FLOW]
        if sorted(flow.dimensions) != sorted((_IDS, time)):
            report.error(f"variable {_FLOW}", f"it must run over {_IDS} and {time}")
        unit = text_of(flow, "units")
        if unit not in _UNITS:
            report.warn(f"variable {_FLOW}", f"its unit is {unit[:40]!r}, not m3 s-1")
        ids = [f"nex-{id_}" if id_.isdecimal() else id_ for id_ in texts_of(dataset, _IDS)]
        named = {Index.ELEMENT_ID: checked_names(ids, f"variable {_IDS}")}
        return series_domain([_FLOW], named, time_coverage(dataset, time), report)


FORMAT: Final = Format(
    name="NGEN_NETCDF_OUTPUT",
    summary="the flows of all nexuses of one formulation of ngen as NetCDF",
    categories=(Category.OUTPUT, Category.FORCING),
    indexes=(
        (Index.TIME, "the stamps of the time dimension"),
        (Index.ELEMENT_ID, "`feature_id`: the nexuses; `nex-26` where it is the number 26"),
    ),
    sniff=is_netcdf,
    read=_read,
    fields=(Field(_FLOW, "m3 s-1", "flow at a nexus"),),
    warns=(f"the unit of `{_FLOW}` is not m3 s-1",),
    source="NOAA-OWP/ngen, PerFormulationNexusOutputMgr",
)
