"""NGEN_GEOPACKAGE_HYDROFABRIC_V1: NOAA's hydrofabric of 2022 as a GeoPackage.

The id of a divide is `id`; gauges are nexuses whose `poi_type` is Gages; there is no table
`network` and no region.
"""

from pathlib import Path
from typing import Final

from headrace_formats.base import FileDomain, Format
from headrace_formats.fabric import whole_fabric
from headrace_formats.geopackage import is_geopackage
from headrace_formats.geopackage_hydrofabric import FIELDS, WARNS, Layout, read_fabric
from headrace_formats.report import Report
from headrace_model.dataset import Category
from headrace_model.domain import Index

_LAYOUT: Final = Layout(
    divide_id="id",
    gauges=(("nexus", "poi_type", "poi_value"),),
    regions=(),
    versions=(),
    version="1",
)


def _read(path: Path, report: Report) -> FileDomain:
    return read_fabric(path, _LAYOUT, report)


FORMAT: Final = Format(
    name="NGEN_GEOPACKAGE_HYDROFABRIC_V1",
    summary="NOAA's hydrofabric, version 1, as a GeoPackage",
    categories=(Category.HYDROFABRIC,),
    indexes=(
        (Index.CATCHMENT_ID, "`divides.id`"),
        (Index.HYDROFABRIC_ID, "the content of all divides and nexuses of the dataset"),
        (Index.HYDROFABRIC_VERSION, "1, where divides have no `divide_id`"),
        (Index.GAUGE_ID, "`nexus.poi_value` where `poi_type` is Gages"),
    ),
    sniff=is_geopackage,
    read=_read,
    fields=FIELDS,
    warns=WARNS,
    source="NOAA/Lynker hydrofabric 1.x; OGC 12-128r18 (GeoPackage)",
    whole=whole_fabric,
)
