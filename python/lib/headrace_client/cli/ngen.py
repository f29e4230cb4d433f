"""`headrace exec ngen`: a run of ngen, said as DMOD's users know it."""

from pathlib import Path
from typing import Any

import click

from headrace_client.cli.base import output_option
from headrace_client.cli.execute import follow_option, submit
from headrace_client.cli.ranges import period, texts
from headrace_wire.jobfile import load_jobfile


def _paradigm(_ctx: click.Context, _parameter: click.Parameter, given: str | None) -> str | None:
    return given.replace("-", "_").upper() if given else None


@click.command(name="ngen")
@click.argument("time_range", metavar="TIME_RANGE", callback=period)
@click.argument("hydrofabric_data_id", metavar="HYDROFABRIC_DATA_ID")
@click.argument("hydrofabric_uid", metavar="HYDROFABRIC_UID")
@click.argument("composite_config_data_id", metavar="COMPOSITE_CONFIG_DATA_ID")
@click.argument("cpus", metavar="CPUS", type=click.IntRange(1))
@click.argument("memory", metavar="MEMORY")
@click.option(
    *("--catchment-ids", "--catchment_ids", "--cat-ids", "catchments"),
    multiple=True,
    metavar="ID,…",
    callback=texts,
    help="Only these catchments: cat-27,cat-52. May be repeated.",
)
@click.option(
    *("--forcings-data-id", "--forcings_data_id"),
    metavar="DATA_ID",
    help="The forcing; else what covers time and catchments.",
)
@click.option(
    *("--partition-config-data-id", "--partition_config_data_id"),
    metavar="DATA_ID",
    help="The partition config of more than one CPU; else one is made.",
)
@click.option(
    *("--allocation-paradigm", "--allocation_paradigm"),
    metavar="PARADIGM",
    callback=_paradigm,
    help="How it may spread over nodes: SINGLE_NODE, FILL_NODES or ROUND_ROBIN.",
)
@click.option(
    *("--worker-version", "--worker_version"),
    metavar="TAG",
    help="The tag of the image of ngen that this Headrace has.",
)
@click.option("--image", metavar="IMAGE", help="The image of ngen, instead of Headrace's own.")
@click.option("--executable", metavar="PATH", help="The ngen, in the image or on every node.")
@click.option(
    *("--library-root", "--library_root"),
    metavar="PATH",
    help="From where relative paths of libraries count: /ngen.",
)
@click.option("--fabric", metavar="FORMAT", help="GEOJSON, GEOPACKAGE or GEOPACKAGE_V1.")
@click.option("--forcing", metavar="FORMAT", help="CSV or NETCDF.")
@click.option("--name", default="ngen", show_default=True, help="A name for people.")
@follow_option
@output_option
def ngen(
    time_range: list[str],
    hydrofabric_data_id: str,
    hydrofabric_uid: str,
    composite_config_data_id: str,
    cpus: int,
    memory: str,
    catchments: list[str],
    forcings_data_id: str | None,
    partition_config_data_id: str | None,
    allocation_paradigm: str | None,
    worker_version: str | None,
    image: str | None,
    executable: str | None,
    library_root: str | None,
    fabric: str | None,
    forcing: str | None,
    name: str,
    following: bool,
    form: str,
) -> int:
    """Run ngen, NOAA's NextGen framework.

    The hydrofabric is named by its HYDROFABRIC_DATA_ID and HYDROFABRIC_ID (`headrace dataset
    info`; `-` for one that needs no name), the composite config by its DATA_ID. A job file of
    `kind: ngen` needs none of the ids: `headrace init - --kind ngen` shows one.

    \b
    Example: headrace exec ngen 2015-12-01/2015-12-31 sugar-creek - cfe-configs 1 1GiB --follow
    """
    settings: dict[str, Any] = {
        "time": time_range,
        "hydrofabric_data_id": hydrofabric_data_id,
        "hydrofabric_uid": hydrofabric_uid,
        "config_data_id": composite_config_data_id,
        "catchments": catchments,
        "forcing_data_id": forcings_data_id,
        "partition_config_data_id": partition_config_data_id,
        "version": worker_version,
        "executable": executable,
        "library_root": library_root,
        "fabric": fabric and fabric.upper(),
        "forcing": forcing and forcing.upper(),
    }
    resources = {"cpus": cpus, "memory": memory, "paradigm": allocation_paradigm}
    job: dict[str, Any] = {
        "headrace": 1,
        "kind": "ngen",
        "name": name,
        "settings": {key: each for key, each in settings.items() if each not in (None, "-", [])},
        "resources": {key: each for key, each in resources.items() if each is not None},
    }
    if image:
        job["image"] = image
    return submit(load_jobfile(job), Path.cwd(), following, form)
