"""Where water flows in a hydrofabric, and which part of it is chosen. Pure.

A part is its catchments, the nexuses that these flow to, and their flowpaths. Where each flows to
stays as it is: the nexus at an outlet names a catchment that is not there, which ngen takes for
the end of the network. Nexuses that only others flow to go.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from headrace_derivations.base import DerivationFailed
from headrace_derivations.hydrofabric_loop import check_loops
from headrace_model.drainage import ELEMENT_PATTERN, as_catchment
from headrace_model.nearest import did_you_mean

ELEMENT: Final = re.compile(
    rf"(?P<way>upstream|downstream)/{ELEMENT_PATTERN}", re.IGNORECASE | re.ASCII
)
"""An element up or down from which a part is wanted, as ELEMENT_ID says it."""

MOST_FEATURES: Final = 2_000_000  # the contiguous US has 1.7 million; they take 0.6 GB
_MOST_COMPARED: Final = 20_000  # names among which the nearest is looked for


@dataclass(slots=True)
class Network:
    """What flows where, by id: a catchment to a nexus, a nexus to a catchment.

    `gauges` tells by number the nexus or flowpath at which a gauge stands, `areas_km2` the area of
    a catchment that has one.
    """

    catchments: dict[str, str] = field(default_factory=dict)
    nexuses: dict[str, str] = field(default_factory=dict)
    gauges: dict[str, str] = field(default_factory=dict)
    areas_km2: dict[str, float] = field(default_factory=dict)

    def add_catchment(self, id_: str, to: str, area_km2: object) -> None:
        """Add a catchment; an area that is no number is none."""
        self.catchments[id_] = to
        if isinstance(area_km2, int | float) and not isinstance(area_km2, bool):
            self.areas_km2[id_] = float(area_km2)

    def check_size(self) -> None:
        """Refuse what would fill the memory; raises `DerivationFailed`."""
        if len(self.catchments) + len(self.nexuses) > MOST_FEATURES:
            raise DerivationFailed(
                f"the hydrofabric has more than {MOST_FEATURES:,} catchments and nexuses",
                hint="take one of a region",
            )

    def part(self, elements: Collection[str], catchments: Collection[str]) -> "Part":
        """Choose; with neither elements nor catchments, all. Raises `DerivationFailed`."""
        chosen = set(catchments)
        astray = sorted(chosen - self.catchments.keys())
        if astray:
            raise DerivationFailed(
                f"the hydrofabric has no catchment {astray[0][:60]}"
                + (f", and {len(astray) - 1:,} more are missing" if len(astray) > 1 else ""),
                hint=_near(astray[0], self.catchments),
            )
        chosen |= self._along(elements)
        if elements and not chosen:
            raise DerivationFailed(f"nothing lies {', '.join(sorted(elements))}")
        if not elements and not catchments:
            chosen = set(self.catchments)
        part = Part.of(self, chosen)
        check_loops(self, part.catchments)
        return part

    def check_gauges(self, part: "Part", gauges: Iterable[str]) -> None:
        """Check that gauges stand in a part: GeoJSON would not tell."""
        for gauge in gauges:
            if gauge not in self.gauges or not part.has(self.gauges[gauge]):
                raise DerivationFailed(f"the gauge {gauge} stands nowhere in the part")

    def _along(self, elements: Collection[str]) -> set[str]:
        """The catchments upstream and downstream of elements."""
        starts: dict[str, list[str]] = {"upstream": [], "downstream": []}
        for element in sorted(elements):
            way, _, name = element.partition("/")
            starts[way.lower()].append(self._place(element, name))
        down = self._down()
        found = _reached(starts["downstream"], lambda id_: [down[id_]] if id_ in down else [])
        if starts["upstream"]:
            found |= _reached(starts["upstream"], self._up())
        return found & self.catchments.keys()

    def upstream(self) -> Callable[[str], set[str]]:
        """Give what finds the catchments upstream of an element, as `part` does, by its name.

        It raises `DerivationFailed` for one that is not there, and checks no loops.
        """
        up = self._up()
        return lambda name: (
            _reached([self._place(f"upstream/{name}", name)], up) & self.catchments.keys()
        )

    def _down(self) -> dict[str, str]:
        return self.catchments | {id_: as_catchment(to) for id_, to in self.nexuses.items()}

    def _up(self) -> Callable[[str], list[str]]:
        up: dict[str, list[str]] = {}
        for id_, to in self._down().items():
            up.setdefault(to, []).append(id_)
        return lambda id_: up.get(id_, [])

    def _place(self, element: str, name: str) -> str:
        """The catchment or nexus that an element is, or at which it stands."""
        said = ELEMENT.fullmatch(element)
        gauge = said["gauge"] if said else None
        if gauge is not None:
            if gauge not in self.gauges:
                raise DerivationFailed(
                    f"{element}: the hydrofabric has no gauge {gauge}; {_near(gauge, self.gauges)}"
                )
            return as_catchment(self.gauges[gauge])
        place = as_catchment(name)
        known = self.catchments if place.startswith("cat-") else self.nexuses
        if place not in known:
            raise DerivationFailed(
                f"{element}: the hydrofabric has no {place[:60]}; {_near(place, known)}",
                hint="name the hydrofabric that has it, a job by HYDROFABRIC_DATA_ID or DATA_ID",
            )
        return place


@dataclass(frozen=True, slots=True)
class Part:
    """The chosen catchments and nexuses; `is_whole`: nothing is left out."""

    catchments: frozenset[str]
    nexuses: frozenset[str]
    is_whole: bool

    @classmethod
    def of(cls, network: Network, chosen: Iterable[str]) -> "Part":
        """The part with the chosen catchments."""
        catchments = frozenset(chosen)
        if len(catchments) == len(network.catchments):
            return cls(catchments, frozenset(network.nexuses), is_whole=True)
        nexuses = {network.catchments[id_] for id_ in catchments}
        return cls(catchments, frozenset(nexuses & network.nexuses.keys()), is_whole=False)

    def has(self, id_: str) -> bool:
        """Tell whether a catchment, nexus or flowpath, by its id, belongs to it."""
        return self.is_whole or as_catchment(id_) in self.catchments or id_ in self.nexuses


def _reached(starts: Iterable[str], onward: Callable[[str], list[str]]) -> set[str]:
    found: set[str] = set()
    left = list(starts)
    while left:
        id_ = left.pop()
        if id_ not in found:
            found.add(id_)
            left.extend(onward(id_))
    return found


def _near(name: str, known: Mapping[str, str]) -> str:
    if len(known) > _MOST_COMPARED:
        return f"it has {len(known):,} others"
    return did_you_mean(name, known)
