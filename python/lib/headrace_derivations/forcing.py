"""`forcing`: ngen's forcing from other forcing.

One derivation subsets in time and by catchment, joins what lies in several datasets, and converts
among AORC_CSV, NETCDF_AORC_DEFAULT and NETCDF_FORCING_CANONICAL. Numbers are kept as they are,
but for their units where the source names others. A number that two parts tell differently, and a
time that none tells, end it: nothing is guessed or filled in.
"""

from collections.abc import Iterator
from typing import Final

from headrace_derivations.base import Derivation, Work
from headrace_derivations.forcing_formats import FORMATS, ROLE
from headrace_kinds.derivation import Recipe, Step
from headrace_model.dataset import Category
from headrace_model.domain import ALL, Index
from headrace_model.requirement import Requirement, Shape


def _steps(wanted: Requirement) -> Iterator[Step]:
    if wanted.domain.get(Index.CATCHMENT_ID) is ALL:
        return  # nobody can tell from files that they hold all
    sources = sorted(FORMATS, key=lambda each: each != wanted.format)
    for source in sources:
        if source == wanted.format and wanted.shape is Shape.ANY:
            continue  # it would have been matched
        yield Step(
            "forcing",
            (Requirement(ROLE, Category.FORCING, source, wanted.domain),),
            {
                "format": str(wanted.format),
                "domain": wanted.domain.to_plain(),
                "exact": wanted.shape is Shape.EXACT,
            },
        )


def _run(work: Work) -> None:
    from headrace_derivations.forcing_work import derive

    derive(work)


DERIVATION: Final = Derivation(
    Recipe(
        name="forcing",
        summary="ngen's forcing from larger, from several, or from another format of it",
        makes=tuple((Category.FORCING, each) for each in FORMATS),
        steps=_steps,
    ),
    _run,
)
