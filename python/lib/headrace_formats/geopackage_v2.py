"""NGEN_GEOPACKAGE_HYDROFABRIC_V2: NOAA's hydrofabric 2.x as a GeoPackage.

The id of a divide is `divide_id`; the table `network` tells regions (`vpu`, from 2.2 on `vpuid`)
and gauges (`hl_uri`: `Gages-01073000`).
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
    divide_id="divide_id",
    gauges=(("nexus", "", "hl_uri"), ("network", "", "hl_uri"), ("hydrolocations", "", "hl_uri")),
    regions=(("network", "vpu"), ("network", "vpuid"), ("divides", "vpuid")),
    versions=(("network", "vpuid", "2.2"), ("divides", "vpuid", "2.2")),
    version="2",
)


def _read(path: Path, report: Report) -> FileDomain:
    return read_fabric(path, _LAYOUT, report)


FORMAT: Final = Format(
    name="NGEN_GEOPACKAGE_HYDROFABRIC_V2",
    summary="NOAA's hydrofabric, version 2.x, as a GeoPackage",
    categories=(Category.HYDROFABRIC,),
    indexes=(
        (Index.CATCHMENT_ID, "`divides.divide_id`"),
        (Index.HYDROFABRIC_ID, "the content of all divides and nexuses of the dataset"),
        (Index.HYDROFABRIC_VERSION, "2.2 where there is a column `vpuid`, else 2 (2.0, 2.1)"),
        (Index.HYDROFABRIC_REGION, "`network.vpu` or `vpuid`"),
        (
            Index.GAUGE_ID,
            "`hl_uri` that begins with Gages, in `nexus`, `network`, `hydrolocations`",
        ),
    ),
    sniff=is_geopackage,
    read=_read,
    fields=FIELDS,
    warns=WARNS,
    source="NOAA/Lynker hydrofabric 2.x; OGC 12-128r18 (GeoPackage)",
    whole=whole_fabric,
)
