"""HBV over units of the Delaware, as jobs of `kind: bmi`, and the real data that they are made of.

What PRMS reads, and the river network as a fabric.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from netCDF4 import Dataset

from headrace_client.api import AsyncClient
from headrace_model.status import Status
from tests.support.format_samples import SQUARE, catchment, collection, nexus

_PREPARE = Path(__file__).parents[2] / "examples" / "delaware" / "prepare.py"
_PACKAGE = "pywatershed==2.0.4"  # nothing of its code is run, so that it fits any Python


def fetch(folder: Path) -> Path:
    """Fetch the package with the data; returns the folder with `forcing` and `parameters`."""
    package, data = folder / "package", folder / "data"
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *("--no-deps", "--ignore-requires-python", "--target", package, _PACKAGE),
        ],
        check=True,
        timeout=300,
    )
    subprocess.run(
        [sys.executable, _PREPARE, data],
        env={**os.environ, "PYTHONPATH": str(package)},
        check=True,
        timeout=60,
        stdout=subprocess.DEVNULL,
    )
    return data


def units(data: Path, count: int) -> list[str]:
    """The first units of the basin, as catchments."""
    with Dataset(data / "parameters" / "parameters_dis_hru.nc") as file:
        return [f"cat-{int(each)}" for each in file["nhm_id"][:count]]


def fabric(data: Path, count: int) -> bytes:
    """The first units by the stream segments that they drain to, as GeoJSON.

    A segment is a nexus; it drains to the first unit of the segment below, or out of the fabric.
    """
    ids = units(data, count)
    with Dataset(data / "parameters" / "parameters_PRMSChannel.nc") as file:
        of_unit = [int(each) for each in file["hru_segment"][:count]]
    with Dataset(data / "parameters" / "parameters_dis_both.nc") as file:
        below = {n + 1: int(to) for n, to in enumerate(file["tosegment"][...])}
    first: dict[int, int] = {}
    for id_, segment in zip(ids, of_unit, strict=True):
        if segment:  # 0 drains to the sea
            first.setdefault(segment, int(id_[4:]))
    found = [catchment(int(id_[4:]), to) for id_, to in zip(ids, of_unit, strict=True)]
    for each in found:
        each["geometry"]["coordinates"] = [SQUARE]  # where they lie matters to nobody here
    found += [
        nexus(segment, first.get(below.get(segment, 0), 0)) for segment in sorted({*of_unit})
    ]
    for each in found[len(ids) :]:
        each["geometry"]["coordinates"] = [0.5, 0.5]
    return collection(found)


def put(said: Callable[..., Any], data: Path, count: int) -> None:
    """Make the datasets of which the inputs of jobs over `count` units are derived."""
    (data / "fabric").mkdir()
    (data / "fabric" / "fabric.geojson").write_bytes(fabric(data, count))
    for name, category in (
        ("forcing", "FORCING"), ("parameters", "CONFIG"), ("fabric", "HYDROFABRIC"),
    ):  # fmt: skip
        said(
            *("dataset", "create", f"drb-{name}", "--category", category),
            *("--upload", str(data / name), "--domain", '{"HYDROFABRIC_DATA_ID": "drb"}'),
        )


def job(image: str, ranks: int, catchments: list[str], end: str) -> dict[str, Any]:
    """A run from 1979 to `end`; several ranks by a partition config, which is derived too."""
    length = {"CATCHMENT_ID": catchments, "LENGTH": str(ranks), "HYDROFABRIC_DATA_ID": "drb"}
    config = {"category": "CONFIG", "format": "NGEN_PARTITION_CONFIG", "domain": length}
    hbv = {
        **dict.fromkeys(
            ("precipitation_file", "potential_evaporation_file", "mean_temperature_file"),
            "{{forcing}}",
        ),
        "parameters": "2,0.9,250,2,1,2,0.1,0.01,3",
        "initial_storage": "0,100,0,10,0",
    }
    return {
        "headrace": 1,
        "kind": "bmi",
        "name": f"hbv-{ranks}",
        "image": image,
        "settings": {
            "model": "HBV:HBV",
            "time": ["1979-01-01", end],
            "hydrofabric_data_id": "drb",
            "catchments": catchments,
            "config": json.dumps(hbv),
            "variables": {"Q_OUT": "Q", "SNOW": "Sp"},
        },
        "inputs": {"partitions": {**config, "shape": "EXACT"}} if ranks > 1 else {},
        "resources": {"cpus": ranks, "memory": "1GiB", "paradigm": "ROUND_ROBIN"},
        "retry": {"limit": 0},
    }


async def run(client: AsyncClient, wanted: dict[str, Any]) -> tuple[str, str, list[str]]:
    """Run such a job to its end; returns it, its output, and the node of each rank."""
    ranks = wanted["resources"]["cpus"]
    id_ = (await client.submit(wanted)).id
    view = await client.ended(id_)
    log = b"".join([part async for part in client.log(id_, stream="out")]).decode()
    assert view.status is Status.COMPLETED, (view, log)
    nodes = dict(re.findall(rf"rank (\d) of {ranks} on (\w+): ", log))
    return id_, view.outputs["model"], [nodes[str(rank)] for rank in range(ranks)]
