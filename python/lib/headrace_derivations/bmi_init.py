"""`bmi-init`: init configs of BMI models from the attributes of a hydrofabric and templates.

A template makes one file a catchment: `CFE/cfe.ini` makes `CFE/cat-27_cfe.ini`.
"""

from collections.abc import Iterator
from typing import Final

from headrace_derivations.base import Derivation, Work
from headrace_kinds.derivation import Recipe, Step
from headrace_model.dataset import Category
from headrace_model.domain import Discrete, Domain, Index
from headrace_model.requirement import Requirement, Shape

NAME: Final = "bmi-init"
CONFIG: Final = "BMI_CONFIG"
TEMPLATE: Final = "BMI_CONFIG_TEMPLATE"
FABRICS: Final = ("NGEN_GEOPACKAGE_HYDROFABRIC_V2", "NGEN_GEOPACKAGE_HYDROFABRIC_V1")
_OF_FABRIC: Final = (
    *(Index.CATCHMENT_ID, Index.HYDROFABRIC_ID, Index.HYDROFABRIC_VERSION),
    *(Index.HYDROFABRIC_REGION, Index.HYDROFABRIC_DATA_ID, Index.GAUGE_ID),
)


def _steps(wanted: Requirement) -> Iterator[Step]:
    catchments = wanted.domain.get(Index.CATCHMENT_ID)
    if not isinstance(catchments, Discrete) or Index.GLOBAL_CHECKSUM in wanted.domain:
        return  # the checksum of what is to be made nobody knows
    of_fabric = [pair for pair in wanted.domain.restrictions if pair[0] in _OF_FABRIC]
    others = [pair for pair in wanted.domain.restrictions if pair[0] not in _OF_FABRIC]
    for source in FABRICS:
        fabric = Domain(tuple(of_fabric))
        yield Step(
            NAME,
            (
                Requirement("hydrofabric", Category.HYDROFABRIC, source, fabric, Shape.ONE),
                Requirement(
                    "templates", Category.CONFIG, TEMPLATE, Domain(tuple(others)), Shape.ONE
                ),
            ),
            {"catchments": sorted(catchments.values)},
        )


def _run(work: Work) -> None:
    from headrace_derivations.bmi_init_work import derive

    derive(work)


DERIVATION: Final = Derivation(
    Recipe(
        name=NAME,
        summary="init configs of BMI models from a hydrofabric's attributes and templates",
        makes=((Category.CONFIG, CONFIG),),
        steps=_steps,
    ),
    _run,
)
