"""The work of `hydrofabric-subset`: read where water flows, choose, write."""

from pathlib import Path

from headrace_derivations import hydrofabric_geojson as geojson
from headrace_derivations import hydrofabric_geopackage as geopackage
from headrace_derivations.base import DerivationFailed, Work
from headrace_derivations.hydrofabric_network import Network, Part
from headrace_derivations.hydrofabric_read import Files, files_of
from headrace_formats.geojson_hydrofabric import FORMAT as GEOJSON


def derive(work: Work) -> None:
    """Write the chosen part of the fabric, file by file; raises `DerivationFailed`."""
    (folder,) = work.inputs.values()
    files = files_of(folder, work.parameters["source"])
    network = files.network()
    part = network.part(work.parameters["elements"], work.parameters["catchments"])
    network.check_gauges(part, work.parameters["gauges"])
    write_part(files, part, work.output, work.parameters["format"])
    work.say(said_of(network, part))


def said_of(network: Network, part: Part) -> str:
    """Say for people how much of a fabric a part is."""
    return (
        f"{len(part.catchments):,} of {len(network.catchments):,} catchments, "
        f"{len(part.nexuses):,} of {len(network.nexuses):,} nexuses"
    )


def write_part(files: Files, part: Part, output: Path, wanted: str) -> None:
    """Write the part of each file below a folder, in the format that is wanted.

    Raises `DerivationFailed` where there is no catchment.
    """
    is_one_of_many = len(files.paths) > 1
    written = 0
    for folder, path in files.paths:
        below = path.relative_to(folder)
        if files.format == GEOJSON.name:
            written += geojson.copy_part(path, part, output / below)
        elif wanted == files.format:
            written += geopackage.copy_part(path, part, output / below)
        else:
            into = output / below.with_suffix("") if is_one_of_many else output
            written += geopackage.to_geojson(path, files.format, part, into)
    if not written:
        raise DerivationFailed("the hydrofabric has no catchment")
