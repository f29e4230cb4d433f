"""`unpack` and `pack`: ngen's output out of archives, and into one; `ngen-output`: a part of it.

Unpacked or packed, files stay as they are. A part has the rows of the catchments, nexuses and
times that are wanted.
"""

from collections.abc import Iterator
from typing import Final

from headrace_derivations.base import Derivation, Work
from headrace_kinds.derivation import Recipe, Step
from headrace_model.dataset import Category
from headrace_model.domain import Domain, Index, Restriction
from headrace_model.requirement import Requirement, Shape

PLAIN: Final = "NGEN_CSV_OUTPUT"
ARCHIVED: Final = "ARCHIVED_NGEN_CSV_OUTPUT"
CUT: Final = (Index.TIME, Index.CATCHMENT_ID, Index.ELEMENT_ID)
_CATEGORIES: Final = (Category.OUTPUT, Category.FORCING)


def _unpack_steps(wanted: Requirement) -> Iterator[Step]:
    yield Step("unpack", (_source(wanted, ARCHIVED, wanted.shape),), {})


def _pack_steps(wanted: Requirement) -> Iterator[Step]:
    yield Step("pack", (_source(wanted, PLAIN, wanted.shape),), {})


def _part_steps(wanted: Requirement) -> Iterator[Step]:
    only: dict[Index, Restriction] = {at: of for at, of in wanted.domain.restrictions if at in CUT}
    if wanted.shape is Shape.EXACT and only:
        told = {"only": Domain.of(only).to_plain()}
        yield Step("ngen-output", (_source(wanted, PLAIN, Shape.ONE),), told)


def _source(wanted: Requirement, format: str, shape: Shape) -> Requirement:
    shape = Shape.ONE if shape is Shape.ANY else shape
    return Requirement("output", wanted.category, format, wanted.domain, shape)


def _run_unpack(work: Work) -> None:
    from headrace_derivations.ngen_output_work import unpack

    unpack(work)


def _run_pack(work: Work) -> None:
    from headrace_derivations.ngen_output_work import pack

    pack(work)


def _run_part(work: Work) -> None:
    from headrace_derivations.ngen_output_work import take_part

    take_part(work)


UNPACK: Final = Derivation(
    Recipe(
        name="unpack",
        summary="ngen's output out of archives of it",
        makes=tuple((each, PLAIN) for each in _CATEGORIES),
        steps=_unpack_steps,
    ),
    _run_unpack,
)
PACK: Final = Derivation(
    Recipe(
        name="pack",
        summary="ngen's output as one archive, `output.tar.gz`",
        makes=tuple((each, ARCHIVED) for each in _CATEGORIES),
        steps=_pack_steps,
    ),
    _run_pack,
)
PART: Final = Derivation(
    Recipe(
        name="ngen-output",
        summary="a time, some catchments or nexuses of a larger output of ngen",
        makes=tuple((each, PLAIN) for each in _CATEGORIES),
        steps=_part_steps,
    ),
    _run_part,
)
