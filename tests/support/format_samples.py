"""A small good file of each format that is read in the tests' own process, to be damaged."""

import io
import json
import sqlite3
import struct
import tarfile
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
            system = ("srs_name", "srs_id", "organization", "organization_coordsys_id")
            file.execute(f"CREATE TABLE gpkg_spatial_ref_sys ({', '.join(system)}, definition)")
            file.execute("INSERT INTO gpkg_spatial_ref_sys VALUES ('x', 4326, 'EPSG', 4326, '')")
            columns = "table_name, column_name, geometry_type_name, srs_id, z, m"
            file.execute(f"CREATE TABLE gpkg_geometry_columns ({columns})")
            file.execute("CREATE TABLE gpkg_contents (table_name, data_type, last_change)")
            for layer in ("divides", "nexus"):
                row = (layer, "geom", "GEOMETRY", 4326, 0, 0)
                file.execute("INSERT INTO gpkg_geometry_columns VALUES (?, ?, ?, ?, ?, ?)", row)
                file.execute("INSERT INTO gpkg_contents VALUES (?, 'features', '')", (layer,))
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


PARTITIONS: dict[str, Any] = {
    "partitions": [
        {
            "id": 0,
            "cat-ids": ["cat-1", "wb-TERMINAL_SENTINEL-nex-4"],
            "nex-ids": ["nex-3", "nex-4"],
            "remote-connections": [
                {
                    "mpi-rank": 1,
                    "nex-id": "nex-3",
                    "cat-id": "cat-2",
                    "cat-direction": "orig_cat-to-nex",
                }
            ],
        },
        {
            "id": "1",
            "cat-ids": ["cat-2"],
            "nex-ids": ["nex-3"],
            "remote-connections": [
                {
                    "mpi-rank": "0",
                    "nex-id": "nex-3",
                    "cat-id": "cat-1",
                    "cat-direction": "nex-to-dest_cat",
                }
            ],
        },
    ]
}


def module(name: str, **params: Any) -> dict[str, Any]:
    """A formulation of a realization config."""
    given = {"model_type_name": name, "init_config": "/dev/null", "main_output_variable": "Q_OUT"}
    return {"name": name, "params": given | params}


REALIZATION: dict[str, Any] = {
    "global": {
        "formulations": [module("bmi_multi", modules=[module("bmi_c", library_file="./cfe.so")])],
        "forcing": {
            "file_pattern": ".*{{id}}.*.csv",
            "path": "./forcing/",
            "provider": "CsvPerFeature",
        },
    },
    "time": {
        "start_time": "2015-12-01 00:00:00",
        "end_time": "2015-12-30 23:00:00",
        "output_interval": 3600,
    },
}

CFE = """forcing_file=BMI
surface_partitioning_scheme=Schaake
soil_params.depth=2.0[m]
soil_params.b=4.2[]
soil_params.satdk=2.2e-07[m s-1]
soil_params.satpsi=0.2[m]
soil_params.slop=0.4[m/m]
soil_params.smcmax=0.6[m/m]
soil_params.wltsmc=0.066[m/m]
max_gw_storage=0.04[m]
Cgw=1.05e-05[m h-1]
expon=3.0[]
gw_storage=0.3[m/m]
alpha_fc=0.33
soil_storage=0.5[m/m]
K_nash=0.4[]
K_lf=0.3[]
nash_storage=0.0,0.0
giuh_ordinates=0.6,0.4
"""

CATCHMENT_CSV = "Time Step,Time,Q_OUT\n0,2015-12-01 00:00:00,0.1\n1,2015-12-01 01:00:00,0.2\n"
NEXUS_CSV = "0, 2015-12-01 00:00:00, 0.0812\n1, 2015-12-01 01:00:00, 1.5e-2\n"


def tar_of(files: dict[str, str], mode: Any = "w", **more: Any) -> bytes:
    """A tar of some files; `more`: other members, as TarInfo."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode) as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
        for entry in more.values():
            archive.addfile(entry)
    return made.getvalue()


OUTPUTS = {"out/cat-27.csv": CATCHMENT_CSV, "out/nex-26_output.csv": NEXUS_CSV}

T_ROUTE = """network_topology_parameters:
  supernetwork_parameters:
    geo_file_path: fabric.gpkg
compute_parameters:
  restart_parameters:
    start_datetime: "2015-12-01_00:00:00"
  forcing_parameters:
    qts_subdivisions: 12
    dt: 300 # [sec]
    qlat_input_folder: ./
    qlat_file_pattern_filter: "nex-*"
    binary_nexus_file_folder: ./
    nts: 8640
"""

T_ROUTE_ROWS = (
    ",,current_time,flow,velocity,depth,nudge\n"
    "7,wb,2023-04-02 01:00:00,0.5,0.1,0.2,-9999.0\n"
    "7,wb,2023-04-02 02:00:00,0.6,0.1,0.2,-9999.0\n"
)

NGEN_CAL = """general:
  strategy: {type: estimation, algorithm: dds}
  iterations: 100
cfe: &cfe
  - {name: satdk, min: 0.0, max: 0.0007, init: 3.3e-06}
model:
  type: ngen
  realization: realization.json
  strategy: independent
  params: {CFE: *cfe}
  eval_params:
    evaluation_start: '2015-12-15 12:00:00'
    evaluation_stop: '2015-12-30 23:00:00'
"""

OBJECTIVE = "0, 1.25\n1, 0.75\n2, 0.875\n"

NWM_NAMELIST = """&NOAHLSM_OFFLINE
 START_YEAR  = 2018
 START_MONTH = 06
 START_DAY   = 01
 START_HOUR  = 00
 START_MIN   = 00
 KHOUR = 24
 soil_thick_input(1) = 0.10 ! m
/
"""

CALIBRATED = {
    "headrace_calibration_result": 1,
    "scored": {"train": ["1979-06-30", "1980-01-01"], "validate": ["1980-01-01", "1981-01-01"]},
    "best": {"parameters": {"fast": 0.5}, "scores": {"train": {"01434000": {"kge": 0.7}}}},
}

EVALUATED = {
    "headrace_evaluation": 1,
    "locations": [
        {
            "id": "01434000",
            "runs": {
                "run": {
                    "begin": "1979-06-30",
                    "end": "1980-01-01",
                    "scores": {"nse": 0.7},
                }
            },
        }
    ],
}

SAMPLES = {
    "EVALUATION_RESULT": ("scores.json", json.dumps(EVALUATED).encode()),
    "T_ROUTE_CONFIG": ("route.yaml", T_ROUTE.encode()),
    "T_ROUTE_CSV": ("flows.csv", T_ROUTE_ROWS.encode()),
    "NGEN_CAL_CONFIG": ("cal.yaml", NGEN_CAL.encode()),
    "NGEN_CAL_OUTPUT": ("ngen_objective.txt", OBJECTIVE.encode()),
    "CALIBRATION_RESULT": ("best.json", json.dumps(CALIBRATED).encode()),
    "NWM_CONFIG": ("namelist.hrldas", NWM_NAMELIST.encode()),
    "NGEN_PARTITION_CONFIG": ("partitions.json", json.dumps(PARTITIONS).encode()),
    "NGEN_PARTIAL_REALIZATION_CONFIG": (
        "realization.json",
        json.dumps({"global": REALIZATION["global"], "time": {"output_interval": 3600}}).encode(),
    ),
    "NGEN_REALIZATION_CONFIG": ("realization.json", json.dumps(REALIZATION).encode()),
    "BMI_CONFIG_TEMPLATE": ("cfe.ini", CFE.replace("=4.2[]", "={{bexp}}[]").encode()),
    "BMI_CONFIG": ("cat-27.ini", CFE.encode()),
    "NGEN_CSV_OUTPUT": ("nex-26_output.csv", NEXUS_CSV.encode()),
    "ARCHIVED_NGEN_CSV_OUTPUT": ("out.tar.gz", tar_of(OUTPUTS, "w:gz")),
    "AORC_CSV": ("cat-27.csv", aorc_csv()),
    "TIMESERIES_CSV": ("flow.csv", b"time,01234567\n2015-01-01,1\n2015-01-02,3\n"),
    "USGS_WATERML_JSON": ("flow.json", waterml()),
    "PIP_LOCK": ("lock", b"numpy==2.1.0 --hash=sha256:" + b"a" * 64 + b"\n"),
    "NGEN_GEOJSON_HYDROFABRIC": ("fabric.geojson", collection(features())),
    "NGEN_GEOPACKAGE_HYDROFABRIC_V1": ("fabric.gpkg", geopackage_of(features(), 1)),
    "NGEN_GEOPACKAGE_HYDROFABRIC_V2": ("fabric.gpkg", geopackage_of(features(), 2)),
}
"""Of each format, the name of a file and its bytes."""
