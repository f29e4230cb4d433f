"""`hydrofabric-subset`: a part of a hydrofabric, or the whole in another format.

Which part: the catchments that are wanted, or what lies upstream or downstream of elements. The
latter is said by ELEMENT_ID, which the files of a fabric don't tell: `upstream/nex-26`,
`downstream/cat-27`, `upstream/gages-01073000` (docs/decisions/0037). The setting
`hydrofabric_id` may say of what it is cut: the HYDROFABRIC_ID of the whole.
"""

from collections.abc import Iterator
from typing import Final

from headrace_derivations.base import Derivation, Work
from headrace_derivations.hydrofabric_network import ELEMENT
from headrace_kinds.derivation import Recipe, Step
from headrace_kinds.ngen_run import SUBSET, WHOLE
from headrace_model.dataset import Category
from headrace_model.domain import Discrete, Domain, Index, Restriction, union
from headrace_model.requirement import Requirement, Shape

NAME: Final = SUBSET
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
    holding = _whole_of(wanted)
    if holding is None:
        return
    for source in _SOURCES[str(wanted.format)]:
        if source == wanted.format and not is_part:
            continue
        yield Step(
            NAME,
            (
                Requirement(
                    "hydrofabric", Category.HYDROFABRIC, source, _holding(holding, source), shape
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


def _whole_of(wanted: Requirement) -> Domain | None:
    """What is wanted, and the id of the whole where it is told; None for one that is none."""
    told = wanted.derived.settings if wanted.derived else {}
    if WHOLE not in told:
        return wanted.domain
    ids = told[WHOLE]
    texts = isinstance(ids, list | tuple) and ids and all(isinstance(each, str) for each in ids)
    if not texts or Index.HYDROFABRIC_ID in wanted.domain:
        return None
    whole = {Index.HYDROFABRIC_ID: Discrete(frozenset(ids))}
    return Domain.of(dict(wanted.domain.restrictions) | whole)


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
        settings=frozenset((WHOLE,)),
    ),
    _run,
)
