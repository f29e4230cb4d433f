"""The work of `hydrofabric-subset`: read where water flows, choose, write."""

from pathlib import Path

from headrace_derivations import hydrofabric_geojson as geojson
from headrace_derivations import hydrofabric_geopackage as geopackage
from headrace_derivations.base import DerivationFailed, Work, files_below
from headrace_derivations.hydrofabric_network import Network, Part
from headrace_formats.base import read_head
from headrace_formats.geojson_hydrofabric import FORMAT as GEOJSON
from headrace_formats.geopackage import is_geopackage


def derive(work: Work) -> None:
    """Write the chosen part of the fabric, file by file; raises `DerivationFailed`."""
    (folder,) = work.inputs.values()
    source = work.parameters["source"]
    is_of_fabric = geojson.is_geojson if source == GEOJSON.name else _is_geopackage
    paths = [path for path in files_below(folder) if is_of_fabric(path)]
    network = Network()
    for path in paths:
        if source == GEOJSON.name:
            geojson.add_network(path, network)
        else:
            geopackage.add_network(path, source, network)
    if source == GEOJSON.name:
        geojson.add_gauges(folder, network)
    part = network.part(work.parameters["elements"], work.parameters["catchments"])
    network.check_gauges(part, work.parameters["gauges"])
    written = sum(_write(path, folder, part, work, len(paths) > 1) for path in paths)
    if not written:
        raise DerivationFailed("the hydrofabric has no catchment")
    work.say(
        f"{len(part.catchments):,} of {len(network.catchments):,} catchments, "
        f"{len(part.nexuses):,} of {len(network.nexuses):,} nexuses"
    )


def _is_geopackage(path: Path) -> bool:
    return is_geopackage(read_head(path))


def _write(path: Path, folder: Path, part: Part, work: Work, is_one_of_many: bool) -> bool:
    source, wanted = work.parameters["source"], work.parameters["format"]
    below = path.relative_to(folder)
    if source == GEOJSON.name:
        return geojson.copy_part(path, part, work.output / below)
    if wanted == source:
        return geopackage.copy_part(path, part, work.output / below)
    into = work.output / below.with_suffix("") if is_one_of_many else work.output
    return geopackage.to_geojson(path, source, part, into)
