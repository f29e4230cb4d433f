"""`composite`: the config of a whole run of ngen from a realization config and what it names.

COMPOSITE_SOURCE_ID says which: the DATA_ID of the realization config, of one or more sets of init
configs, of a config of t-route and of ngen-cal, in any order. Without it, the realization config
and the init configs that cover what is wanted.
"""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Final

from headrace_derivations.base import Derivation, Work
from headrace_derivations.composite_parts import FORMATS, INIT, NGEN_CAL, REALIZATION, T_ROUTE
from headrace_kinds.derivation import Recipe, Step
from headrace_model.dataset import Category
from headrace_model.domain import ALL, Discrete, Domain, Index, Restriction
from headrace_model.requirement import Requirement, Shape

NAME: Final = "composite"
COMPOSITE: Final = "NGEN_JOB_COMPOSITE_CONFIG"
MOST_SOURCES: Final = 4  # each may be any of the formats: the ways to tell them apart multiply
_OWN: Final = {
    Index.TIME: (REALIZATION, T_ROUTE),
    Index.CATCHMENT_ID: (REALIZATION, INIT),
    Index.GLOBAL_CHECKSUM: (INIT,),
}
_TOLD: Final = (Index.COMPOSITE_SOURCE_ID, Index.REALIZATION_CONFIG_DATA_ID)

Sources = Sequence[tuple[str, str | None]]
"""Of each source its part and its DATA_ID."""


def _steps(wanted: Requirement) -> Iterator[Step]:
    domain = wanted.domain
    if Index.FILE_NAME in domain:
        return  # how the files are called is decided here
    catchments = domain.get(Index.CATCHMENT_ID)
    of_realization: list[Restriction | None] = [catchments]
    if wanted.shape is Shape.EXACT and isinstance(catchments, Discrete):
        of_realization.insert(0, ALL)  # what is exact is then said by the init configs
    for sources in _ways(domain):
        for ids in of_realization:
            yield Step(
                NAME,
                tuple(_inputs(wanted, sources, ids)),
                {
                    "catchments": (
                        sorted(catchments.values) if isinstance(catchments, Discrete) else []
                    )
                },
            )


def _ways(domain: Domain) -> Iterator[Sources]:
    """The ways to take the sources for parts."""
    named = domain.get(Index.COMPOSITE_SOURCE_ID)
    realization = domain.get(Index.REALIZATION_CONFIG_DATA_ID)
    only = sorted(realization.values) if isinstance(realization, Discrete) else []
    if named is None and len(only) < 2:
        yield ((REALIZATION, only[0] if only else None), (INIT, None))
    if not isinstance(named, Discrete) or len(named.values) > MOST_SOURCES:
        return
    ids = sorted(named.values)
    for first in ids:
        others = [id_ for id_ in ids if id_ != first]
        if only and only != [first]:
            continue
        for parts in product((INIT, T_ROUTE, NGEN_CAL), repeat=len(others)):
            if INIT in parts and parts.count(T_ROUTE) < 2 and parts.count(NGEN_CAL) < 2:
                found = ((REALIZATION, first), *zip(parts, others, strict=True))
                yield sorted(found, key=_cheapest_first)


def _cheapest_first(source: tuple[str, str | None]) -> int:
    """What nothing derives is looked for first: a wrong way then ends at once."""
    return (T_ROUTE, NGEN_CAL, REALIZATION, INIT).index(source[0])


def _inputs(
    wanted: Requirement, sources: Sources, of_realization: Restriction | None
) -> Iterator[Requirement]:
    seen: dict[str, int] = {}
    for part, data_id in sources:
        asked: dict[Index, Restriction] = {
            index: of
            for index, of in wanted.domain.restrictions
            if index not in _TOLD and part in _OWN.get(index, (REALIZATION, INIT))
        }
        if part == REALIZATION and of_realization is not None:
            asked[Index.CATCHMENT_ID] = of_realization
        if data_id is not None:
            asked[Index.DATA_ID] = Discrete(frozenset((data_id,)))
        seen[part] = seen.get(part, 0) + 1
        shape = wanted.shape if wanted.shape is Shape.EXACT else Shape.ONE
        yield Requirement(
            part if seen[part] == 1 else f"{part}-{seen[part]}",
            Category.CONFIG,
            FORMATS[part],
            Domain.of(asked),
            shape,
        )


def _run(work: Work) -> None:
    from headrace_derivations.composite_work import derive

    derive(work)


DERIVATION: Final = Derivation(
    Recipe(
        name=NAME,
        summary="the config of a whole run from a realization config and what it names",
        makes=((Category.CONFIG, COMPOSITE),),
        steps=_steps,
    ),
    _run,
)
