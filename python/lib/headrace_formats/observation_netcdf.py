"""OBSERVATION_NETCDF: observed discharge(poi_id, time), as the PRMS tools exchange it.

The ids are USGS gauges in poi_id, text or an array of characters with padding.
"""

from pathlib import Path
from typing import Final

from headrace_formats.base import Field, FileDomain, Format, series_domain
from headrace_formats.errors import FormatError
from headrace_formats.netcdf import (
    id_dimensions,
    ids_of,
    is_netcdf,
    opened,
    time_coverage,
    time_name,
)
from headrace_formats.report import Report
from headrace_model.dataset import Category
from headrace_model.domain import Index

_IDS: Final = "poi_id"
_DATA: Final = "discharge"


def _read(path: Path, report: Report) -> FileDomain:
    with opened(path) as dataset:
        time = time_name(dataset)
        for name in (_IDS, _DATA):
            if name not in dataset.variables:
                raise FormatError(f"the variable {name} is missing")
        if time is None:
            raise FormatError("it has no time: no coordinate variable with units '... since ...'")
        if id_dimensions(dataset.variables[_IDS]) != (_IDS,):
            raise FormatError(f"variable {_IDS}: its ids must run over the dimension {_IDS}")
        if sorted(dataset.variables[_DATA].dimensions) != sorted((_IDS, time)):
            raise FormatError(f"variable {_DATA}: it must run over {_IDS} and {time}")
        ids = {Index.GAUGE_ID: ids_of(dataset, _IDS)}
        return series_domain([_DATA], ids, time_coverage(dataset, time), report)


FORMAT: Final = Format(
    name="OBSERVATION_NETCDF",
    summary="observed discharge(poi_id, time) at gauges",
    categories=(Category.OBSERVATION,),
    indexes=(
        (Index.TIME, "the stamps of the time dimension, or their CF bounds"),
        (Index.GAUGE_ID, "the variable poi_id"),
    ),
    sniff=is_netcdf,
    read=_read,
    fields=(Field("discharge", "as the file says", "observed discharge"),),
    source="the discharge files that the PRMS tools exchange (pywatershed)",
)
