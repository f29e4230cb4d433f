"""Which files make up a hydrofabric, of which format, and where its water flows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from headrace_derivations import hydrofabric_geojson as geojson
from headrace_derivations import hydrofabric_geopackage as geopackage
from headrace_derivations.base import DerivationFailed, files_below
from headrace_derivations.hydrofabric_network import Network
from headrace_formats.base import read_head
from headrace_formats.geojson_hydrofabric import FORMAT as GEOJSON
from headrace_formats.geopackage import is_geopackage, opened
from headrace_formats.geopackage_v1 import FORMAT as V1
from headrace_formats.geopackage_v2 import FORMAT as V2


@dataclass(frozen=True, slots=True)
class Files:
    """The files of a hydrofabric, each with the folder that it is told relative to."""

    format: str
    paths: tuple[tuple[Path, Path], ...]

    def network(self) -> Network:
        """Read where water flows; raises `DerivationFailed` or `FormatError`."""
        network = Network()
        for _, path in self.paths:
            if self.format == GEOJSON.name:
                geojson.add_network(path, network)
            else:
                geopackage.add_network(path, self.format, network)
        if self.format == GEOJSON.name:
            for folder in dict.fromkeys(folder for folder, _ in self.paths):
                geojson.add_gauges(folder, network)
        return network


def files_of(folder: Path, format_: str) -> Files:
    """The files of a format below a folder."""
    is_of_fabric = geojson.is_geojson if format_ == GEOJSON.name else _is_geopackage
    return Files(
        format_, tuple((folder, path) for path in files_below(folder) if is_of_fabric(path))
    )


def files_at(places: Sequence[Path]) -> Files:
    """The files of the one hydrofabric at these places, each a file or a folder of files.

    Raises `DerivationFailed` where there is none, or there are several formats.
    """
    found: dict[str, list[tuple[Path, Path]]] = {}
    for place, path in _each(places):
        format_ = _format_of(path)
        if format_ is not None:
            found.setdefault(format_, []).append((place, path))
        elif path in places:
            raise DerivationFailed(
                f"{path} is no hydrofabric", hint="it should be a GeoPackage, or GeoJSON"
            )
    if not found:
        raise DerivationFailed(
            f"there is no hydrofabric in {', '.join(map(str, places))}",
            hint="name a GeoPackage, or the GeoJSON files of catchments and nexuses",
        )
    if len(found) > 1:
        one, other = (str(paths[0][1]) for paths in list(found.values())[:2])
        raise DerivationFailed(
            f"{one} and {other} are of different formats: {' and '.join(found)}",
            hint="name the files of one hydrofabric",
        )
    ((format_, paths),) = found.items()
    return Files(format_, tuple(paths))


def _each(places: Sequence[Path]) -> Iterable[tuple[Path, Path]]:
    for place in places:
        if place.is_dir():
            yield from ((place, path) for path in files_below(place))
        else:
            yield place.parent, place


def _format_of(path: Path) -> str | None:
    if geojson.is_geojson(path):
        return GEOJSON.name
    if not _is_geopackage(path):
        return None
    with opened(path) as tables:
        return V2.name if "divide_id" in tables.columns.get("divides", ()) else V1.name


def _is_geopackage(path: Path) -> bool:
    return is_geopackage(read_head(path))
