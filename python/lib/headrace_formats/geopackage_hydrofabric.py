"""What NOAA's hydrofabrics as GeoPackages have in common; `Layout` says where versions differ."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from headrace_formats.base import Field, FileDomain, checked_names
from headrace_formats.errors import FormatError
from headrace_formats.fabric import (
    CRS84,
    MOST_COUNTED,
    Crs,
    Fabric,
    check_area,
    file_domain,
)
from headrace_formats.geopackage import Tables, opened
from headrace_formats.report import Report
from headrace_formats.wkb import read_geometry
from headrace_model.domain import Index

_GAUGE: Final = re.compile(r"gages?-(\d{8,15})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a version keeps the id of a divide, and how it tells gauges, regions and itself."""

    divide_id: str
    gauges: tuple[tuple[str, str, str], ...]  # table, column of the kind or "", of the value
    regions: tuple[tuple[str, str], ...]  # table, column
    versions: tuple[tuple[str, str, str], ...]  # a table and column that only a version has
    version: str  # where none of those is there


FIELDS: Final = (
    Field("divides.toid", "", "the nexus that a catchment flows to"),
    Field("divides.areasqkm", "km2", "its area"),
    Field("nexus.toid", "", "the flowpath `wb-…` below, which is the catchment `cat-…`"),
)
WARNS: Final = (
    "an area is missing, not above 0, or not that of the shape (by more than a tenth; of the "
    "first 2,000, in longitude and latitude or EPSG:5070)",
    "a catchment flows to a nexus that is not there, or water flows in a circle",
)


def read_fabric(path: Path, layout: Layout, report: Report) -> FileDomain:
    """Read divides and nexuses; raises `FormatError` when they are not those of the layout."""
    with opened(path) as tables:
        _check_layout(tables, layout)
        fabric = Fabric()
        fabric.is_counted = tables.count("divides") <= MOST_COUNTED
        _divides(tables, layout, fabric, report)
        _nexuses(tables, fabric, report)
        fabric.flowpaths = int("flowpaths" in tables.columns)
        said = {
            "version": (Index.HYDROFABRIC_VERSION, frozenset((_version(tables, layout),))),
            "regions": (Index.HYDROFABRIC_REGION, frozenset(_regions(tables, layout))),
            "gauges": (Index.GAUGE_ID, frozenset(_gauges(tables, layout))),
        }
    if not fabric.catchments:
        raise FormatError("table divides: it is empty")
    return file_domain(fabric, said)


def _check_layout(tables: Tables, layout: Layout) -> None:
    for table, columns in (("divides", (layout.divide_id, "toid")), ("nexus", ("id", "toid"))):
        have = tables.columns.get(table)
        if have is None:
            raise FormatError(f"the table {table} is missing")
        for column in columns:
            if column not in have:
                raise FormatError(f"table {table}: the column {column} is missing")
    if layout.divide_id == "id" and "divide_id" in tables.columns["divides"]:
        raise FormatError("table divides: it has a column divide_id, as version 2 has")


def _divides(tables: Tables, layout: Layout, fabric: Fabric, report: Report) -> None:
    crs = _crs(tables, "divides")
    columns = (layout.divide_id, "toid", "areasqkm", "geom")
    for where, id_, to, (area, blob) in _features(tables, "divides", columns, report):
        try:
            counts = fabric.is_counted and blob is not None
            _, shape = read_geometry(blob) if counts else ([], [])
            area = None if area is None else float(area)
            check_area(where, area, fabric.drawn(shape), crs, report)
            fabric.add_catchment(id_, to, area, shape, crs)
        except FormatError as error:
            report.error(where, error.message)
        except (TypeError, ValueError, OverflowError):
            report.error(where, "its area or geometry is no number")


def _nexuses(tables: Tables, fabric: Fabric, report: Report) -> None:
    crs = _crs(tables, "nexus")
    for where, id_, to, (blob,) in _features(tables, "nexus", ("id", "toid", "geom"), report):
        try:
            points, _ = read_geometry(blob) if blob is not None else ([], [])
            fabric.add_nexus(id_, to, points, crs)
        except FormatError as error:
            report.error(where, error.message)
        except (TypeError, ValueError, OverflowError):
            report.error(where, "its geometry is no number")


def _features(
    tables: Tables, table: str, columns: tuple[str, ...], report: Report
) -> Iterator[tuple[str, str, str, tuple[Any, ...]]]:
    """Iterate over place, id, toid and the rest of the features of a table."""
    seen: list[str] = []
    for number, (id_, to, *rest) in enumerate(tables.rows(table, columns), start=1):
        if not isinstance(id_, str):
            report.error(f"table {table}, row {number}", f"its {columns[0]} is no text")
            continue
        seen.append(id_)
        where = f"table {table}, row {number} ({id_[:60]})"
        yield where, id_, "" if to is None else str(to), tuple(rest)
    if seen:
        checked_names(seen, f"table {table}")


def _crs(tables: Tables, table: str) -> Crs:
    name = tables.reference_system(table)
    return CRS84 if name in ("OGC:CRS84", "EPSG:4326") else Crs(name)


def _gauges(tables: Tables, layout: Layout) -> Iterator[str]:
    for table, kind_column, column in layout.gauges:
        if table not in tables.columns:
            continue
        for kind, value in tables.rows(table, (kind_column or column, column)):
            if isinstance(value, str):
                yield from gauges_in(f"{kind}-{value}" if kind_column else value)


def gauges_in(uri: object) -> Iterator[str]:
    """The gauges of the places at an outlet, such as `Gages-01073000,NID-NH00001`."""
    parts = uri.split(",") if isinstance(uri, str) else []
    yield from (found[1] for part in parts if (found := _GAUGE.fullmatch(part)))


def _regions(tables: Tables, layout: Layout) -> Iterator[str]:
    for table, column in layout.regions:
        if column in tables.columns.get(table, ()):
            for (value,) in tables.rows(table, (column,)):
                if isinstance(value, str) and value.strip():
                    yield value.strip()[:40]


def _version(tables: Tables, layout: Layout) -> str:
    for table, column, version in layout.versions:
        if column in tables.columns.get(table, ()):
            return version
    return layout.version
