"""Hydrofabrics as GeoPackages: rows are read one at a time; tables are copied, or made GeoJSON.

Tables, columns and rows are copied, and no code of the file is: its indexes, triggers and spatial
indexes stay behind, and the extents in `gpkg_contents`, which are those of the whole.
"""

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from math import isfinite
from pathlib import Path
from typing import Any, Final

from headrace_derivations.base import DerivationFailed
from headrace_derivations.hydrofabric_geojson import write
from headrace_derivations.hydrofabric_network import Network, Part
from headrace_formats.errors import FormatError
from headrace_formats.geopackage import Tables, opened
from headrace_formats.geopackage_hydrofabric import gauges_in
from headrace_formats.geopackage_v1 import FORMAT as V1
from headrace_formats.wkb import read_geometry, read_lines
from headrace_model.drainage import as_catchment

_NAMED_BY: Final = ("divide_id", "id", "nex_id", "link")  # the first with a value counts
_TYPE: Final = re.compile(r"[\w ]{0,60}(\(\d{1,9}(, ?\d{1,9})?\))?")
_GEOPACKAGE: Final = 0x47504B47  # the application id, GPKG
_GEOPACKAGE_VERSION: Final = 10300
_SYSTEM: Final = (
    "CREATE TABLE gpkg_spatial_ref_sys (srs_name TEXT NOT NULL, srs_id INTEGER PRIMARY KEY, "
    "organization TEXT NOT NULL, organization_coordsys_id INTEGER NOT NULL, "
    "definition TEXT NOT NULL, description TEXT)",
    "CREATE TABLE gpkg_contents (table_name TEXT NOT NULL PRIMARY KEY, data_type TEXT NOT NULL, "
    "identifier TEXT UNIQUE, description TEXT DEFAULT '', last_change DATETIME NOT NULL, "
    "min_x DOUBLE, min_y DOUBLE, max_x DOUBLE, max_y DOUBLE, srs_id INTEGER)",
    "CREATE TABLE gpkg_geometry_columns (table_name TEXT NOT NULL, column_name TEXT NOT NULL, "
    "geometry_type_name TEXT NOT NULL, srs_id INTEGER NOT NULL, z TINYINT NOT NULL, "
    "m TINYINT NOT NULL, CONSTRAINT pk_geom_cols PRIMARY KEY (table_name, column_name), "
    "CONSTRAINT uk_gc_table_name UNIQUE (table_name))",
)
_SYSTEM_COLUMNS: Final = {
    "gpkg_contents": (
        *("table_name", "data_type", "identifier", "description", "last_change", "srs_id"),
    ),
    "gpkg_geometry_columns": (
        *("table_name", "column_name", "geometry_type_name", "srs_id", "z", "m"),
    ),
    "gpkg_spatial_ref_sys": (
        *("srs_name", "srs_id", "organization", "organization_coordsys_id", "definition"),
        "description",
    ),
}
_LAYERS: Final = (("divides", "catchment"), ("nexus", "nexus"), ("flowpaths", "flowpath"))


def add_network(path: Path, source: str, network: Network) -> None:
    """Add what flows where in a file, and its gauges."""
    with opened(path) as tables:
        columns: tuple[str, ...] = (_divide_id(source), "toid", "areasqkm")
        for id_, to, area in tables.rows("divides", columns):
            network.add_catchment(str(id_), "" if to is None else str(to), area)
            network.check_size()
        for id_, to in tables.rows("nexus", ("id", "toid")):
            network.nexuses[str(id_)] = "" if to is None else str(to)
            network.check_size()
        for table in ("network", "hydrolocations", "nexus"):  # the last one that tells counts
            columns = ("hl_uri", "poi_type", "poi_value", "nex_id", "id")
            if table not in tables.columns:
                continue
            for uri, kind, value, *places in tables.rows(table, columns):
                place = next((each for each in places if isinstance(each, str)), None)
                for gauge in gauges_in(f"{kind}-{value}" if source == V1.name else uri):
                    if place is not None:
                        network.gauges[gauge] = place


def _divide_id(source: str) -> str:
    return "id" if source == V1.name else "divide_id"


def copy_part(path: Path, part: Part, target: Path) -> bool:
    """Write the chosen rows of all tables to a new GeoPackage; False: it has no catchment."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with opened(path) as tables, closing(sqlite3.connect(target)) as made:
        made.execute("PRAGMA journal_mode = OFF")
        made.execute("PRAGMA page_size = 4096")
        made.execute(f"PRAGMA application_id = {_GEOPACKAGE}")
        made.execute(f"PRAGMA user_version = {_GEOPACKAGE_VERSION}")
        try:
            copied = _copy(tables, part, made)
            made.commit()
        except sqlite3.Error as error:
            raise DerivationFailed(f"{path.name}: it can't be copied: {error}") from None
    if not copied.get("divides"):
        target.unlink()
        return False
    return True


def _copy(tables: Tables, part: Part, made: sqlite3.Connection) -> dict[str, int]:
    """Copy system tables and all others that `gpkg_contents` names; count the rows of each."""
    for statement in _SYSTEM:
        made.execute(statement)
    contents = list(tables.rows("gpkg_contents", ("table_name", "data_type")))
    names = [str(name) for name, kind in contents if kind in ("features", "attributes")]
    taken = sorted({name for name in names if name in tables.columns and _is_data(name)})
    for system, columns in _SYSTEM_COLUMNS.items():
        rows = tables.rows(system, columns)
        if columns[0] == "table_name":
            rows = (row for row in rows if row[0] in taken)
        _insert(made, system, columns, rows)
    return {name: _copy_table(tables, name, part, made) for name in taken}


def _is_data(table: str) -> bool:
    return not table.lower().startswith(("gpkg_", "rtree_", "sqlite_"))


def _copy_table(tables: Tables, table: str, part: Part, made: sqlite3.Connection) -> int:
    declared = tables.declared(table)
    keys = [name for name, _, is_key in declared if is_key]
    columns = []
    for name, type_, _ in declared:
        if '"' in name or not _TYPE.fullmatch(type_):
            raise DerivationFailed(f"table {table}: the column {name[:60]!r} can't be copied")
        is_only_key = keys == [name] and type_.upper() == "INTEGER"
        columns.append(f'"{name}" {type_}' + (" PRIMARY KEY" if is_only_key else ""))
    # The names are checked to be plain; types are words.
    made.execute(f'CREATE TABLE "{table}" ({", ".join(columns)})')
    names = tuple(name for name, _, _ in declared)
    named_by = [names.index(each) for each in _NAMED_BY if each in names]
    rows = (
        row
        for row in tables.rows(table, names)
        if part.is_whole or not named_by or _is_chosen([row[at] for at in named_by], part)
    )
    return _insert(made, table, names, rows)


def _is_chosen(names: list[Any], part: Part) -> bool:
    first = next((each for each in names if each is not None), None)
    return isinstance(first, str) and part.has(first)


def _insert(
    made: sqlite3.Connection,
    table: str,
    columns: tuple[str, ...],
    rows: Iterator[tuple[Any, ...]],
) -> int:
    named = ", ".join(f'"{name}"' for name in columns)
    places = ", ".join("?" * len(columns))
    # The names are checked to be plain.
    statement = f'INSERT INTO "{table}" ({named}) VALUES ({places})'  # noqa: S608
    return made.executemany(statement, rows).rowcount


def to_geojson(path: Path, source: str, part: Part, folder: Path) -> bool:
    """Write the chosen rows as GeoJSON, a file a layer, in the reference system that they have.

    The files are named as ngen's samples are. False: it has no catchment.
    """
    found = False
    with opened(path) as tables:
        for table, layer in _LAYERS:
            if table not in tables.columns:
                continue
            name = f"{layer}_data"
            head = {"type": "FeatureCollection", "name": name, "crs": _crs(tables, table)}
            features = _features(tables, table, source, part)
            found |= write(folder / f"{name}.geojson", head, features) and table == "divides"
    return found


def _crs(tables: Tables, table: str) -> dict[str, Any]:
    name = tables.reference_system(table)
    authority, _, code = name.partition(":")
    if name in ("OGC:CRS84", "EPSG:4326"):
        urn = "urn:ogc:def:crs:OGC:1.3:CRS84"
    elif authority == "EPSG" and code.isdecimal():
        urn = f"urn:ogc:def:crs:EPSG::{code}"
    else:
        raise DerivationFailed(f"table {table}: GeoJSON can't name its reference system, {name}")
    return {"type": "name", "properties": {"name": urn}}


def _features(tables: Tables, table: str, source: str, part: Part) -> Iterator[str]:
    columns = tables.columns[table]
    own = _divide_id(source) if table == "divides" else "id"
    for row in tables.rows(table, columns):
        given = dict(zip(columns, row, strict=True))
        id_, blob = str(given[own]), given.get("geom")
        if not part.has(id_):
            continue
        try:
            shape = None if blob is None else _geometry(table, blob)
        except FormatError as error:
            raise DerivationFailed(f"table {table}, {id_[:60]}: {error.message}") from None
        properties = {
            name: value
            for name, value in given.items()
            if name not in ("fid", "geom", "id", "divide_id") and not isinstance(value, bytes)
        }
        if table == "flowpaths" and "divide_id" in given:
            properties["realized_catchment"] = given["divide_id"]
        if table == "nexus" and isinstance(given["toid"], str):
            properties["toid"] = as_catchment(given["toid"])  # as ngen's own GeoJSON has it
        feature = {"type": "Feature", "id": id_, "properties": _finite(properties)}
        yield json.dumps(feature | {"geometry": shape}, allow_nan=False)


def _finite(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        name: None if isinstance(value, float) and not isfinite(value) else value
        for name, value in properties.items()
    }


def _geometry(table: str, blob: bytes) -> dict[str, Any] | None:
    if table == "flowpaths":
        return _simplest("LineString", read_lines(blob))
    points, polygons = read_geometry(blob)
    if table == "nexus":
        if len(points) > 1:
            raise FormatError("it lies at several places")
        return _simplest("Point", points)
    return _simplest("Polygon", polygons)


def _simplest(kind: str, parts: list[Any]) -> dict[str, Any] | None:
    if not parts:
        return None
    if len(parts) == 1:
        return {"type": kind, "coordinates": parts[0]}
    return {"type": f"Multi{kind}", "coordinates": parts}
