"""`bmi-forcing`: what HBV and its like read, from the forcing and the parameters of PRMS.

Precipitation in mm d-1, the mean of the highest and the lowest temperature in degC, and potential
evaporation by Oudin (2005), a file a catchment. A hydrologic response unit is a catchment here:
`nhm_id` 5307 is cat-5307.
"""

import re
from collections.abc import Iterator
from typing import Final

from headrace_derivations.base import Derivation, Work
from headrace_derivations.bmi_forcing_parts import FORCING, NAME, PARAMETERS
from headrace_kinds.derivation import Recipe, Step
from headrace_model.dataset import Category
from headrace_model.domain import ALL, Discrete, Domain, Index, Restriction
from headrace_model.requirement import Requirement, Shape

FORMAT: Final = "BMI_FORCING_NETCDF"
PRMS: Final = "PRMS_NETCDF"
_ID: Final = re.compile(r"cat-([1-9]\d{0,14})", re.ASCII)


def _steps(wanted: Requirement) -> Iterator[Step]:
    domain: dict[Index, Restriction] = dict(wanted.domain.restrictions)
    catchments = domain.get(Index.CATCHMENT_ID)
    if catchments is ALL or Index.FILE_NAME in domain:
        return
    if isinstance(catchments, Discrete):
        units = [found[1] for each in catchments.values if (found := _ID.fullmatch(each))]
        if len(units) < len(catchments.values):
            return
        domain[Index.CATCHMENT_ID] = Discrete(frozenset(units))
    timeless: dict[Index, Restriction] = {
        index: of for index, of in domain.items() if index is not Index.TIME
    }
    yield Step(
        NAME,
        (
            Requirement(FORCING, Category.FORCING, PRMS, Domain.of(domain), Shape.ONE),
            Requirement(PARAMETERS, Category.CONFIG, PRMS, Domain.of(timeless), Shape.ONE),
        ),
        {"domain": wanted.domain.to_plain(), "exact": wanted.shape is Shape.EXACT},
    )


def _run(work: Work) -> None:
    from headrace_derivations.bmi_forcing_work import derive

    derive(work)


DERIVATION: Final = Derivation(
    Recipe(
        name=NAME,
        summary=(
            "forcing of HBV and its like from that of PRMS, with potential evaporation by Oudin "
            "(2005)"
        ),
        makes=((Category.FORCING, FORMAT),),
        steps=_steps,
    ),
    _run,
)
