"""NETCDF_FORCING_CANONICAL: ngen's forcing as NetCDF, in the names of the National Water Model.

`RAINRATE`, `T2D` and so on, over (catchment-id, time) in either order. Built after DMOD's list of
fields and what ngen reads; no real file of it was at hand.
"""

from pathlib import Path
from typing import Final

from headrace_formats.base import FileDomain, Format
from headrace_formats.forcing_netcdf import ID_SOURCE, TIME_SOURCE, read_forcing
from headrace_formats.netcdf import is_netcdf, opened
from headrace_formats.ngen_forcing import NWM_FIELDS, NWM_QUANTITIES, WARNS
from headrace_formats.report import Report
from headrace_model.dataset import Category
from headrace_model.domain import Index


def _read(path: Path, report: Report) -> FileDomain:
    with opened(path) as dataset:
        return read_forcing(dataset, NWM_QUANTITIES, report)


FORMAT: Final = Format(
    name="NETCDF_FORCING_CANONICAL",
    summary="ngen's forcing as NetCDF, in the names of the National Water Model",
    categories=(Category.FORCING,),
    indexes=((Index.TIME, TIME_SOURCE), (Index.CATCHMENT_ID, ID_SOURCE)),
    sniff=is_netcdf,
    read=_read,
    fields=NWM_FIELDS,
    warns=WARNS,
    source="NOAA-OWP/ngen, NetCDFPerFeatureDataProvider; DMOD's format of that name",
)
