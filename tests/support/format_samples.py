"""A small good file of each format that is read in the tests' own process, to be damaged."""

import json
import sqlite3
import struct
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

SQUARE = [[0.0, 0.0], [0.01, 0.0], [0.01, 0.01], [0.0, 0.01], [0.0, 0.0]]
SQUARE_KM2 = 1.2364  # of that square at the equator


def aorc_csv() -> bytes:
    return (
        b"time,APCP_surface,TMP_2maboveground,precip_rate\n"
        b"2015-12-01 00:00:00,3.6,285.8,0.001\n"
        b"2015-12-01 01:00:00,0.0,285.3,0.0\n"
    )


def waterml() -> bytes:
    values = [
        {"value": "46.1", "qualifiers": ["A"], "dateTime": f"2015-11-30T20:{minute:02}:00-05:00"}
        for minute in (0, 5, 10)
    ]
    series = {
        "sourceInfo": {"siteCode": [{"value": "0214655255"}]},
        "variable": {
            "variableCode": [{"value": "00060"}],
            "unit": {"unitCode": "ft3/s"},
            "noDataValue": -999999.0,
        },
        "values": [{"value": values}],
    }
    answer = {"name": "ns1:timeSeriesResponseType", "value": {"timeSeries": [series]}}
    return json.dumps(answer).encode()


def catchment(number: int, to: int, ring: Any = SQUARE, **more: Any) -> dict[str, Any]:
    """A feature of a GeoJSON hydrofabric."""
    east = [[x + number, y] for x, y in ring]
    return {
        "type": "Feature",
        "id": f"cat-{number}",
        "properties": {"areasqkm": SQUARE_KM2, "toid": f"nex-{to}"} | more,
        "geometry": {"type": "Polygon", "coordinates": [east]},
    }


def nexus(number: int, to: int) -> dict[str, Any]:
    return {
        "type": "Feature",
        "id": f"nex-{number}",
        "properties": {"toid": f"wb-{to}"},
        "geometry": {"type": "Point", "coordinates": [number, 0.5]},
    }


def collection(features: Sequence[dict[str, Any]], **more: Any) -> bytes:
    return json.dumps({"type": "FeatureCollection", **more, "features": list(features)}).encode()


def features() -> list[dict[str, Any]]:
    """A fabric: cat-1 and cat-2 into nex-3, that into cat-3, that into nex-4."""
    return [catchment(1, 3), catchment(2, 3), catchment(3, 4), nexus(3, 3), nexus(4, 0)]


def polygon_blob(rings: Any, srs: int = 4326) -> bytes:
    """A polygon as a GeoPackage keeps it."""
    body = struct.pack("<BII", 1, 3, len(rings))
    for ring in rings:
        body += struct.pack("<I", len(ring))
        body += b"".join(struct.pack("<2d", x, y) for x, y in ring)
    return b"GP\0\x01" + struct.pack("<i", srs) + body


def point_blob(x: float, y: float, srs: int = 4326) -> bytes:
    return b"GP\0\x01" + struct.pack("<iBI2d", srs, 1, 1, x, y)


def geopackage_of(found: Sequence[dict[str, Any]], version: int = 2) -> bytes:
    """The same fabric as features as a GeoPackage of a version."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "fabric.gpkg")
        with closing(sqlite3.connect(path)) as file:
            file.execute("PRAGMA page_size = 512")
            file.execute(f"PRAGMA application_id = {0x47504B47}")
            code = "organization_coordsys_id"
            file.execute(f"CREATE TABLE gpkg_spatial_ref_sys (srs_id, organization, {code})")
            file.execute("INSERT INTO gpkg_spatial_ref_sys VALUES (4326, 'EPSG', 4326)")
            file.execute("CREATE TABLE gpkg_geometry_columns (table_name, srs_id)")
            file.execute(
                "INSERT INTO gpkg_geometry_columns VALUES ('divides', 4326), ('nexus', 4326)"
            )
            id_name = "id" if version == 1 else "divide_id"
            file.execute(f"CREATE TABLE divides (fid, geom, {id_name}, toid, areasqkm)")
            file.execute("CREATE TABLE nexus (fid, geom, id, toid, poi_type, poi_value, hl_uri)")
            if version > 1:
                file.execute("CREATE TABLE network (id, vpu, hl_uri)")
                file.execute("INSERT INTO network VALUES ('wb-1', '01', 'Gages-01073000')")
            for number, each in enumerate(found):
                place, said = each["geometry"]["coordinates"], each["properties"]
                if each["id"].startswith("cat-"):
                    row = (number, polygon_blob(place), each["id"], said["toid"], said["areasqkm"])
                    file.execute("INSERT INTO divides VALUES (?, ?, ?, ?, ?)", row)
                else:
                    gauge = ("Gages", "01073000", "Gages-01073000")
                    point = (number, point_blob(*place), each["id"], said["toid"], *gauge)
                    file.execute("INSERT INTO nexus VALUES (?, ?, ?, ?, ?, ?, ?)", point)
            file.commit()
        return path.read_bytes()


SAMPLES = {
    "AORC_CSV": ("cat-27.csv", aorc_csv()),
    "TIMESERIES_CSV": ("flow.csv", b"time,01234567\n2015-01-01,1\n2015-01-02,3\n"),
    "USGS_WATERML_JSON": ("flow.json", waterml()),
    "PIP_LOCK": ("lock", b"numpy==2.1.0 --hash=sha256:" + b"a" * 64 + b"\n"),
    "NGEN_GEOJSON_HYDROFABRIC": ("fabric.geojson", collection(features())),
    "NGEN_GEOPACKAGE_HYDROFABRIC_V1": ("fabric.gpkg", geopackage_of(features(), 1)),
    "NGEN_GEOPACKAGE_HYDROFABRIC_V2": ("fabric.gpkg", geopackage_of(features(), 2)),
}
"""Of each format, the name of a file and its bytes."""
