"""`partition`: the partition config for a parallel run of ngen, from a hydrofabric.

How many partitions is said by LENGTH, which catchments by CATCHMENT_ID, or by what names the
fabric: then it is for all. Partitions have about the same number of catchments, or the same area
where a requirement tells `balance: area` (docs/decisions/0053).
"""

from collections.abc import Iterator
from typing import Final

from headrace_derivations.base import Derivation, Work
from headrace_kinds.derivation import Recipe, Step
from headrace_kinds.partition import BALANCE, Balance
from headrace_kinds.partition import DERIVATION as NAME
from headrace_model.dataset import Category
from headrace_model.domain import Discrete, Domain, Index
from headrace_model.requirement import Requirement, Shape

CONFIG: Final = "NGEN_PARTITION_CONFIG"
_SOURCES: Final = (
    "NGEN_GEOJSON_HYDROFABRIC",
    "NGEN_GEOPACKAGE_HYDROFABRIC_V2",
    "NGEN_GEOPACKAGE_HYDROFABRIC_V1",
)
_FABRIC: Final = frozenset(
    {
        Index.CATCHMENT_ID,
        Index.ELEMENT_ID,
        Index.HYDROFABRIC_ID,
        Index.HYDROFABRIC_DATA_ID,
        Index.HYDROFABRIC_REGION,
        Index.HYDROFABRIC_VERSION,
    }
)
MOST: Final = 1_000_000


def _steps(wanted: Requirement) -> Iterator[Step]:
    length = wanted.domain.get(Index.LENGTH)
    parts = _number(length.values) if isinstance(length, Discrete) else None
    of = Domain(tuple(pair for pair in wanted.domain.restrictions if pair[0] in _FABRIC))
    if parts is None or not of.restrictions:
        return
    if len(of.restrictions) != len(wanted.domain.restrictions) - 1:
        return  # a name that people gave, say: no fabric tells it
    catchments = wanted.domain.get(Index.CATCHMENT_ID)
    if catchments is not None and not isinstance(catchments, Discrete):
        return  # nobody can tell from files that they hold all
    told = wanted.derived.settings if wanted.derived else {}
    if told.get(BALANCE, Balance.COUNT) not in tuple(Balance):
        return
    for source in _SOURCES:
        yield Step(
            NAME,
            (Requirement("hydrofabric", Category.HYDROFABRIC, source, of, Shape.ONE),),
            {
                "source": source,
                "partitions": parts,
                "catchments": sorted(catchments.values) if catchments is not None else [],
                **told,
            },
        )


def _number(values: frozenset[str]) -> int | None:
    """The number of partitions that LENGTH says; None: no one number."""
    if len(values) != 1:
        return None
    (text,) = values
    if not text.isascii() or not text.isdecimal() or text.startswith("0") or len(text) > 7:
        return None
    return int(text) if int(text) <= MOST else None


def _run(work: Work) -> None:
    from headrace_partitioner.work import derive

    derive(work)


DERIVATION: Final = Derivation(
    Recipe(
        name=NAME,
        summary=(
            "a partition config of ngen with the wanted number of partitions, from a hydrofabric"
        ),
        makes=((Category.CONFIG, CONFIG),),
        steps=_steps,
        settings=frozenset((BALANCE,)),
    ),
    _run,
)
