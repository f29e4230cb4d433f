"""NETCDF_AORC_DEFAULT: ngen's forcing as NetCDF, in the names of AORC.

`precip_rate`, `TMP_2maboveground` and so on, over (catchment-id, time).
"""

from pathlib import Path
from typing import Final

from headrace_formats.base import FileDomain, Format
from headrace_formats.forcing_netcdf import ID_SOURCE, TIME_SOURCE, read_forcing
from headrace_formats.netcdf import is_netcdf, opened
from headrace_formats.ngen_forcing import AORC_FIELDS, AORC_QUANTITIES, WARNS
from headrace_formats.report import Report
from headrace_model.dataset import Category
from headrace_model.domain import Index


def _read(path: Path, report: Report) -> FileDomain:
    with opened(path) as dataset:
        return read_forcing(dataset, AORC_QUANTITIES, report)


FORMAT: Final = Format(
    name="NETCDF_AORC_DEFAULT",
    summary="ngen's forcing as NetCDF, in the names of AORC",
    categories=(Category.FORCING,),
    indexes=((Index.TIME, TIME_SOURCE), (Index.CATCHMENT_ID, ID_SOURCE)),
    sniff=is_netcdf,
    read=_read,
    fields=AORC_FIELDS,
    warns=WARNS,
    source="NOAA-OWP/ngen, NetCDFPerFeatureDataProvider; DMOD's format of that name",
)
