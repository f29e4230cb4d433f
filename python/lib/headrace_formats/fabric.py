"""The id of a hydrofabric: what it is, not how it is kept (docs/decisions/0029).

A fabric is its catchments and nexuses: the id of each, where it flows to, the area of a catchment,
and where it lies. Not part of it: the container, the order of features, of layers, of parts and
rings, the vertex at which a ring begins and its direction, a vertex written twice, and attributes
that only some containers hold. Pure.
"""

import hashlib
import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, groupby
from math import cos, isfinite, radians, sin
from operator import eq
from typing import Final

from headrace_formats.base import FileDomain, Whole
from headrace_formats.report import Report
from headrace_model.domain import Discrete, Domain, Index
from headrace_model.drainage import loop_text, loops

Ring = Sequence[tuple[float, float]]
Polygon = Sequence[Ring]

_SCHEME: Final = "hf1"
_ID_LETTERS: Final = 40
MOST_COUNTED: Final = 300_000  # catchments of one file; each takes about 0.15 ms
_EARTH_M: Final = 6_371_007.2  # radius of the sphere with the area of the WGS 84 ellipsoid
_EQUAL_AREA: Final = "EPSG:5070"  # CONUS Albers, in which NOAA's hydrofabrics are published
_SHOWN: Final = 5
_AREAS_DRAWN: Final = 2000  # of one file: a country has a million


@dataclass(frozen=True, slots=True)
class Crs:
    """A coordinate reference system: `EPSG:5070`; longitude and latitude are `EPSG:4326`."""

    name: str

    @property
    def is_geographic(self) -> bool:
        """Tell whether coordinates are degrees. EPSG keeps 4001 to 4999 for such systems."""
        code = self.name.removeprefix("EPSG:")
        return code.isdecimal() and (4000 < int(code) < 5000 or code == "6318")

    @property
    def per_unit(self) -> float:
        """Into how many steps a unit is cut: to 1e-7 degree (1 cm), or a millimetre."""
        return 1e7 if self.is_geographic else 1e3


CRS84: Final = Crs("EPSG:4326")


@dataclass(slots=True)
class Fabric:
    """What one file holds of a fabric: flows by id, and a digest for each feature."""

    catchments: dict[str, str] = field(default_factory=dict)
    nexuses: dict[str, str] = field(default_factory=dict)
    flowpaths: int = 0
    is_counted: bool = True  # whether there are few enough for `digests` to be made of shapes
    digests: list[bytes] = field(default_factory=list)

    def drawn(self, shape: Sequence[Polygon]) -> Sequence[Polygon]:
        """The shape for `check_area`, of the first catchments of a file."""
        return shape if len(self.catchments) < _AREAS_DRAWN else ()

    def add_catchment(
        self, id_: str, to: str, area_km2: float | None, shape: Iterable[Polygon], crs: Crs
    ) -> None:
        """Add a catchment, whose shape is one polygon or several."""
        self.catchments[id_] = to
        area = "" if area_km2 is None else str(round(area_km2 * 1e6))
        shapes = sorted(_polygon(each, crs) for each in shape)
        self.digests.append(_digest(["catchment", id_, to, area, crs.name], shapes))

    def add_nexus(
        self, id_: str, to: str, points: Iterable[tuple[float, float]], crs: Crs
    ) -> None:
        """Add a nexus. ngen takes the flowpath `wb-7` and the catchment `cat-7` for the same."""
        to = f"cat-{to.removeprefix('wb-')}" if to.startswith("wb-") else to
        self.nexuses[id_] = to
        places = sorted(_packed(_steps([point], crs)) for point in points)
        self.digests.append(_digest(["nexus", id_, to, crs.name], places))


def _digest(said: list[str], shapes: Sequence[bytes]) -> bytes:
    """The SHA-256 of what a feature says, as JSON on a line, and of its shapes in order."""
    head = json.dumps([*said, *(len(each) for each in shapes)])
    return hashlib.sha256(b"\n".join((head.encode(), *shapes))).digest()


def _steps(points: Iterable[tuple[float, float]], crs: Crs) -> list[tuple[int, int]]:
    flat = list(map(round, map(crs.per_unit.__mul__, chain.from_iterable(points))))
    return list(zip(flat[::2], flat[1::2], strict=True))


def _packed(points: Sequence[tuple[int, int]]) -> bytes:
    """Steps as 64-bit numbers, little end first; raises `ValueError` for what lies farther."""
    flat = list(chain.from_iterable(points))
    try:
        return struct.pack(f"<{len(flat)}q", *flat)
    except struct.error:
        raise ValueError("a place lies too far away") from None


def _polygon(polygon: Polygon, crs: Crs) -> bytes:
    """Write a polygon in its one way: the outer ring, then the holes in order, each by length."""
    rings = [_packed(_ring(_steps(ring, crs))) for ring in polygon]
    ordered = (*rings[:1], *sorted(rings[1:]))
    return b"".join(struct.pack("<q", len(ring)) + ring for ring in ordered)


def _ring(points: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Open a ring without repeated vertices; of all ways to write it the least is taken."""
    if any(map(eq, points, points[1:])):
        points = [point for point, _ in groupby(points)]
    if len(points) > 1 and points[0] == points[-1]:
        points = points[:-1]
    if not points:
        return points
    least = min(points)
    if points.count(least) > 1:
        return min(_turned(way, _least_turn(way)) for way in (points, points[::-1]))
    there = _turned(points, points.index(least))
    return min(there, [least, *reversed(there[1:])])


def _turned(points: list[tuple[int, int]], begin: int) -> list[tuple[int, int]]:
    return points[begin:] + points[:begin]


def _least_turn(points: list[tuple[int, int]]) -> int:
    """The least rotation: two candidates race, and the loser skips all that it lost with."""
    size = len(points)
    one, other, same = 0, 1, 0
    while one < size and other < size and same < size:
        a, b = points[(one + same) % size], points[(other + same) % size]
        if a == b:
            same += 1
            continue
        if a > b:
            one += same + 1
        else:
            other += same + 1
        other += one == other
        same = 0
    return min(one, other)


def fabric_id(digests: Iterable[bytes]) -> str:
    """The content id of features, in whatever order they come."""
    whole = hashlib.sha256()
    for digest in sorted(digests):
        whole.update(digest)
    return f"{_SCHEME}-{whole.hexdigest()[:_ID_LETTERS]}"


def file_domain(
    fabric: Fabric, more: Mapping[str, tuple[Index, frozenset[str]]] | None = None
) -> FileDomain:
    """What a file of a fabric covers; `more`: by name, what else it tells of an index.

    Each stands for itself, so that the regions of two files unite beside their catchments.
    """
    variables = [("nexuses", Domain())] if fabric.nexuses else []
    if fabric.flowpaths:
        variables.append(("flowpaths", Domain()))
    catchments = {"catchments": (Index.CATCHMENT_ID, frozenset(fabric.catchments))}
    for name, (index, names) in (catchments | dict(more or {})).items():
        if names:
            variables.append((name, Domain(((index, Discrete(names)),))))
    return FileDomain(tuple(variables), content=fabric)


def whole_fabric(files: Sequence[FileDomain]) -> Whole:
    """Put the files of a dataset together: the id, and what does not fit together."""
    parts = [each.content for each in files if isinstance(each.content, Fabric)]
    catchments = {id_: to for part in parts for id_, to in part.catchments.items()}
    nexuses = {id_: to for part in parts for id_, to in part.nexuses.items()}
    if not catchments or not nexuses:
        lacks = "catchments" if not catchments else "nexuses"
        return Whole(notes=(f"there are no {lacks}: HYDROFABRIC_ID is not detected",))
    notes = []
    if sum(len(part.catchments) + len(part.nexuses) for part in parts) > (
        len(catchments) + len(nexuses)
    ):
        notes.append("some catchments or nexuses stand in several files")
    astray = sorted(id_ for id_, to in catchments.items() if to not in nexuses)
    if astray:
        notes.append(
            f"{len(astray):,} catchments flow to a nexus that is not there: {_some(astray)}"
        )
    circles = [loop_text(loop) for loop in loops(catchments, nexuses)]
    if circles:
        notes.append(f"water flows in a circle: {_some(circles)}")
    if not all(part.is_counted for part in parts):
        said = f"more than {MOST_COUNTED:,} catchments in a file: HYDROFABRIC_ID is not detected"
        return Whole(notes=(*notes, said))
    digests = {digest for part in parts for digest in part.digests}
    id_ = Discrete(frozenset((fabric_id(digests),)))
    return Whole(((Index.HYDROFABRIC_ID, id_),), tuple(notes))


def _some(ids: Sequence[str]) -> str:
    more = len(ids) - _SHOWN
    return ", ".join(ids[:_SHOWN]) + (f" and {more:,} more" if more > 0 else "")


def check_area(
    where: str, area_km2: float | None, shape: Iterable[Polygon], crs: Crs, report: Report
) -> None:
    """Point out an area that is none, or not that of the shape; `shape` may be left empty."""
    if area_km2 is None:
        report.warn(where, "it has no area: ngen takes it from areasqkm")
        return
    if not isfinite(area_km2) or area_km2 <= 0:
        report.warn(where, f"its area, {area_km2:g} km2, is none")
        return
    drawn = sum(_area_km2(polygon, crs) for polygon in shape)
    if drawn and not 0.9 < area_km2 / drawn < 1.1:
        report.warn(where, f"its area is {area_km2:,.6g} km2, that of its shape {drawn:,.6g} km2")


def _area_km2(polygon: Polygon, crs: Crs) -> float:
    """The area of a polygon, where the reference system tells it; else 0."""
    if crs.is_geographic:
        rings = [_on_sphere(ring) for ring in polygon]
    elif crs.name == _EQUAL_AREA:
        rings = [_in_plane(ring) for ring in polygon]
    else:
        return 0.0
    return (rings[0] - sum(rings[1:])) / 1e6 if rings else 0.0


def _in_plane(ring: Ring) -> float:
    closed = zip(ring, (*ring[1:], *ring[:1]), strict=True)
    return abs(sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in closed)) / 2


def _on_sphere(ring: Ring) -> float:
    """Project to equal area (longitude by the sine of latitude), then as in the plane."""
    if not ring:
        return 0.0
    west, south = ring[0]
    scale = _EARTH_M * cos(radians(south)) or _EARTH_M
    plane = [
        (
            radians(x - west) * scale,
            (sin(radians(y)) - sin(radians(south))) * _EARTH_M**2 / scale,
        )
        for x, y in ring
    ]
    return _in_plane(plane)
