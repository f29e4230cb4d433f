"""`realization`: a realization config of ngen from a partial one, for a period.

Filled in are the period, and the forcing or its path where there is none. Of the catchments that
the partial config names only the wanted ones stay; if exactly some are wanted, and the
formulations are for all, each of these gets them.
"""

from collections.abc import Iterator
from typing import Final

from headrace_derivations.base import Derivation, Work
from headrace_kinds.derivation import Recipe, Step
from headrace_model.dataset import Category
from headrace_model.domain import Discrete, Domain, Index
from headrace_model.requirement import Requirement, Shape

NAME: Final = "realization"
PARTIAL: Final = "NGEN_PARTIAL_REALIZATION_CONFIG"
WHOLE: Final = "NGEN_REALIZATION_CONFIG"


def _steps(wanted: Requirement) -> Iterator[Step]:
    time = wanted.domain.time
    if time is None or len(time.intervals) != 1:
        return
    catchments = wanted.domain.get(Index.CATCHMENT_ID)
    of = Domain(tuple(pair for pair in wanted.domain.restrictions if pair[0] is not Index.TIME))
    yield Step(
        NAME,
        (Requirement("partial", Category.CONFIG, PARTIAL, of, Shape.ONE),),
        {
            "period": Domain(((Index.TIME, time),)).to_plain(),
            "catchments": sorted(catchments.values) if isinstance(catchments, Discrete) else None,
            "exact": wanted.shape is Shape.EXACT,
        },
    )


def _run(work: Work) -> None:
    from headrace_derivations.realization_work import derive

    derive(work)


DERIVATION: Final = Derivation(
    Recipe(
        name=NAME,
        summary="a realization config for a period, from a partial one",
        makes=((Category.CONFIG, WHOLE),),
        steps=_steps,
    ),
    _run,
)
