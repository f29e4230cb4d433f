"""`hydrofabric-subset`: a part of a hydrofabric, or the whole in another format.

Which part: the catchments that are wanted, or what lies upstream or downstream of elements. The
latter is said by ELEMENT_ID, which the files of a fabric don't tell: `upstream/nex-26`,
`downstream/cat-27`, `upstream/gages-01073000` (docs/decisions/0037).
"""

from collections.abc import Iterator
from typing import Final

from headrace_derivations.base import Derivation, Work
from headrace_derivations.hydrofabric_network import ELEMENT
from headrace_kinds.derivation import Recipe, Step
from headrace_model.dataset import Category
from headrace_model.domain import Discrete, Domain, Index, Restriction, union
from headrace_model.requirement import Requirement, Shape

NAME: Final = "hydrofabric-subset"
GEOJSON: Final = "NGEN_GEOJSON_HYDROFABRIC"
V1: Final = "NGEN_GEOPACKAGE_HYDROFABRIC_V1"
V2: Final = "NGEN_GEOPACKAGE_HYDROFABRIC_V2"
_SOURCES: Final = {GEOJSON: (GEOJSON, V2, V1), V2: (V2,), V1: (V1,)}


def _steps(wanted: Requirement) -> Iterator[Step]:
    domain = wanted.domain
    names = {
        index: restriction.values if isinstance(restriction, Discrete) else None
        for index, restriction in domain.restrictions
    }
    elements = names.get(Index.ELEMENT_ID, frozenset())
    catchments = names.get(Index.CATCHMENT_ID)
    if elements is None or not all(ELEMENT.fullmatch(each) for each in elements):
        return
    if elements and Index.HYDROFABRIC_ID in domain:
        return  # nobody knows the content of the part before it is made
    is_part = bool(elements or catchments) and Index.HYDROFABRIC_ID not in domain
    gauges = names.get(Index.GAUGE_ID) or ()
    shape = wanted.shape if wanted.shape is Shape.EXACT and not is_part else Shape.ONE
    for source in _SOURCES[str(wanted.format)]:
        if source == wanted.format and not is_part:
            continue
        yield Step(
            NAME,
            (
                Requirement(
                    "hydrofabric", Category.HYDROFABRIC, source, _holding(domain, source), shape
                ),
            ),
            {
                "format": str(wanted.format),
                "source": source,
                "elements": sorted(elements),
                "gauges": sorted(gauges) if source != GEOJSON else [],
                "catchments": sorted(catchments or ()) if is_part and not elements else [],
            },
        )


def _holding(domain: Domain, source: str) -> Domain:
    """What the larger fabric must cover: all that is wanted, and the elements."""
    elements = domain.get(Index.ELEMENT_ID)
    found: dict[Index, Restriction] = dict(domain.restrictions)
    found.pop(Index.ELEMENT_ID, None)
    for element in elements.values if isinstance(elements, Discrete) else ():
        said = ELEMENT.fullmatch(element)
        if said is None:
            continue
        more: tuple[Index, str] | None = None
        if said["catchment"]:
            more = (Index.CATCHMENT_ID, f"cat-{said['catchment']}")
        elif said["gauge"] and source != GEOJSON:
            more = (Index.GAUGE_ID, said["gauge"])
        if more is not None:
            index, only = more[0], Discrete(frozenset((more[1],)))
            found[index] = union(found[index], only) if index in found else only
    return Domain.of(found)


def _run(work: Work) -> None:
    from headrace_derivations.hydrofabric_work import derive

    derive(work)


DERIVATION: Final = Derivation(
    Recipe(
        name=NAME,
        summary=(
            "some catchments of a larger hydrofabric, or all upstream or downstream of a "
            "catchment, nexus or gauge; a GeoPackage as GeoJSON"
        ),
        makes=tuple((Category.HYDROFABRIC, each) for each in _SOURCES),
        steps=_steps,
    ),
    _run,
)
