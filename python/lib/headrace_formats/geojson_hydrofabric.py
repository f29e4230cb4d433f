"""NGEN_GEOJSON_HYDROFABRIC: catchments, nexuses and flowpaths as GeoJSON, mostly a file a layer.

As ngen reads it: a FeatureCollection; the id of a feature is its member `id`, or the property
`divide_id`, `id` or `ID`; where it flows to is `toid`. A `crs` member (GeoJSON of 2008) names
another reference system than longitude and latitude.
"""

import re
from math import isfinite
from pathlib import Path
from typing import Any, Final

from headrace_formats.base import Field, FileDomain, Format, checked_names
from headrace_formats.errors import FormatError
from headrace_formats.fabric import (
    CRS84,
    Crs,
    Fabric,
    Polygon,
    check_area,
    file_domain,
    whole_fabric,
)
from headrace_formats.json_text import begins_as_json, listed, load_json, mapping
from headrace_formats.report import Report
from headrace_model.dataset import Category
from headrace_model.domain import Index

_MOST_BYTES: Final = 128 << 20
_CRS: Final = re.compile(r"urn:ogc:def:crs:(OGC|EPSG):[\d.]*:(\w{1,12})|EPSG:(\d{4,6})")
_NEXUS: Final = re.compile(r"(nex|tnx|cnx|inx)-")
_FLOWPATH: Final = re.compile(r"(wb|fp)-")
_AREAS: Final = ("areasqkm", "area_sqkm")


def _sniff(head: bytes) -> bool:
    return begins_as_json(head) and b'"FeatureCollection"' in head


def _read(path: Path, report: Report) -> FileDomain:
    found = mapping(load_json(path, _MOST_BYTES), "the file")
    if found.get("type") != "FeatureCollection":
        raise FormatError("type must be FeatureCollection")
    features = listed(found.get("features"), "features")
    crs = _crs(found.get("crs"))
    fabric = Fabric()
    ids: list[str] = []
    for place, feature in enumerate(features):
        where = f"features[{place}]"
        id_ = id_of(feature, where, report)
        if id_ is None:
            continue
        ids.append(id_)
        try:
            _add(fabric, feature, id_, crs, f"{where} ({id_[:60]})", report)
        except (TypeError, ValueError, IndexError, OverflowError):
            report.error(f"{where} ({id_[:60]})", "its coordinates are not those of its type")
    if not ids:
        raise FormatError("no feature has an id and flows anywhere: it is no hydrofabric")
    checked_names(ids, "features")
    return file_domain(fabric)


def _crs(value: object) -> Crs:
    if value is None:
        return CRS84
    name = mapping(mapping(value, "crs").get("properties"), "crs.properties").get("name")
    found = _CRS.fullmatch(name) if isinstance(name, str) else None
    if found is None:
        raise FormatError(f"crs: the reference system {str(name)[:80]!r} can't be read")
    code = found[2] or found[3]
    if found[1] == "OGC":
        if code not in ("CRS84", "84"):
            raise FormatError(f"crs: the reference system {code!r} can't be read")
        return CRS84
    return Crs(f"EPSG:{code}")


def id_of(feature: object, where: str, report: Report) -> str | None:
    """The id of a feature that has one and flows somewhere; says why not."""
    if not isinstance(feature, dict) or not isinstance(feature.get("properties"), dict):
        report.error(where, "it must be a feature with properties")
        return None
    properties = feature["properties"]
    given = (properties.get("divide_id"), feature.get("id"), properties.get("id"))
    id_ = next((each for each in (*given, properties.get("ID")) if each is not None), None)
    if not isinstance(id_, str | int) or isinstance(id_, bool):
        report.error(where, "it has no id")
        return None
    if "toid" not in properties and "toID" not in properties:
        report.error(f"{where} ({str(id_)[:60]})", "it has no toid: where does it flow to?")
        return None
    return str(id_)


def toid_of(feature: dict[str, Any]) -> str:
    """Where a feature with an id flows to; empty: nowhere."""
    to = feature["properties"].get("toid", feature["properties"].get("toID"))
    return "" if to is None else str(to)


def area_of(feature: dict[str, Any]) -> Any:
    """What a catchment says of its area, in km2; None: nothing."""
    properties = feature["properties"]
    return next((properties[name] for name in _AREAS if name in properties), None)


def layer_of(kind: object, id_: str) -> str | None:
    """The layer of a feature, by the type of its geometry and its id; None: of no hydrofabric."""
    if kind in ("LineString", "MultiLineString") or _FLOWPATH.match(id_):
        return "flowpaths"
    if kind == "Point" or (kind is None and _NEXUS.match(id_)):
        return "nexuses"
    return "catchments" if kind in ("Polygon", "MultiPolygon", None) else None


def _add(
    fabric: Fabric, feature: dict[str, Any], id_: str, crs: Crs, where: str, report: Report
) -> None:
    to = toid_of(feature)
    geometry = mapping(feature.get("geometry") or {"type": None}, "geometry")
    kind, coordinates = geometry.get("type"), geometry.get("coordinates")
    layer = layer_of(kind, id_)
    if layer == "flowpaths":
        fabric.flowpaths += 1
    elif layer == "nexuses":
        points = [_point(coordinates)] if kind else []
        _check_place(points, crs, where, report)
        fabric.add_nexus(id_, to, points, crs)
    elif layer == "catchments":
        polygons = _polygons(kind, coordinates)
        _check_place([ring[0] for each in polygons for ring in each if ring], crs, where, report)
        area = area_of(feature)
        area = None if area is None else float(area)
        check_area(where, area, fabric.drawn(polygons), crs, report)
        fabric.add_catchment(id_, to, area, polygons, crs)
    else:
        report.error(where, f"a geometry of the type {str(kind)[:40]!r} is in no hydrofabric")


def _point(pair: Any) -> tuple[float, float]:
    x, y = float(pair[0]), float(pair[1])
    if not (isfinite(x) and isfinite(y)):
        raise ValueError("not finite")
    return x, y


def _polygons(kind: str | None, coordinates: Any) -> list[Polygon]:
    if kind is None:
        return []
    polygons = [coordinates] if kind == "Polygon" else coordinates
    found = [[[_point(pair) for pair in ring] for ring in polygon] for polygon in polygons]
    return [polygon for polygon in found if any(polygon)]


def _check_place(points: list[tuple[float, float]], crs: Crs, where: str, report: Report) -> None:
    if crs.is_geographic and any(abs(x) > 180 or abs(y) > 90 for x, y in points):
        report.warn(
            where,
            "it lies outside of longitude and latitude",
            "does the file lack the member crs of its projection?",
        )


FORMAT: Final = Format(
    name="NGEN_GEOJSON_HYDROFABRIC",
    summary="ngen's hydrofabric as GeoJSON: catchments, nexuses, flowpaths",
    categories=(Category.HYDROFABRIC,),
    indexes=(
        (Index.CATCHMENT_ID, "the ids of features with a polygon"),
        (Index.HYDROFABRIC_ID, "the content of all catchments and nexuses of the dataset"),
    ),
    sniff=_sniff,
    read=_read,
    fields=(
        Field("id", "", "the member `id`, or the property `divide_id`, `id` or `ID`"),
        Field("toid", "", "where it flows to; also `toID`"),
        Field("areasqkm", "km2", "the area of a catchment; also `area_sqkm`"),
    ),
    warns=(
        "an area is missing, not above 0, or not that of the shape (by more than a tenth)",
        "a feature lies outside of longitude and latitude",
        "a catchment flows to a nexus that is not there, or water flows in a circle",
    ),
    source="NOAA-OWP/ngen, FeatureBuilder; RFC 7946, and the GeoJSON of 2008 for `crs`",
    whole=whole_fabric,
)
