"""What a run of ngen is made from, as the requirement for its checked config says it.

The kind `ngen` asks for an NGEN_RUN_CONFIG, and the derivation `ngen-run` makes it from three
datasets: the composite config, the hydrofabric, and the forcing. TIME and CATCHMENT_ID say what is
run; the settings of the derivation say of which datasets, and how.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from headrace_model.dataset import Category
from headrace_model.domain import Discrete, Domain, Index, Restriction, check_format
from headrace_model.errors import InvalidInput
from headrace_model.requirement import Derived, Requirement, Shape

NAME: Final = "ngen-run"  # the derivation
SUBSET: Final = "hydrofabric-subset"  # the derivation that cuts the fabric
WHOLE: Final = "hydrofabric_id"  # its setting: of what it is cut
RUN_CONFIG: Final = "NGEN_RUN_CONFIG"
COMPOSITE_CONFIG: Final = "NGEN_JOB_COMPOSITE_CONFIG"
CONFIG, FABRIC, FORCING = "config", "fabric", "forcing"  # the parts
CATEGORIES: Final = {
    CONFIG: Category.CONFIG,
    FABRIC: Category.HYDROFABRIC,
    FORCING: Category.FORCING,
}
_FORMAT: Final = "format"
_OWN: Final = frozenset((Index.TIME, Index.CATCHMENT_ID))
_TYPES: Final = {
    "netcdf": bool,
    "routing": bool,
    "doubtful": bool,
    "library_root": str,
    "output": str,
}
SETTINGS: Final = frozenset((*CATEGORIES, *_TYPES))


@dataclass(frozen=True, slots=True)
class Part:
    """One of the datasets: its format, and what else tells which; never TIME or CATCHMENT_ID."""

    format: str
    domain: Domain = field(default_factory=Domain)


@dataclass(frozen=True, slots=True)
class NgenRun:
    """A run: its domain (TIME, and CATCHMENT_ID where it is of some catchments only), its parts
    by name, and how the realization is to be written.

    `netcdf`: nexuses are written to NetCDF, and catchments not at all. `routing`: t-route follows.
    `library_root`: from where relative paths of libraries count. `doubtful`: forcing that is
    physically doubtful is only warned of. `output`: the folder for ngen's, below the output root.
    """

    domain: Domain
    parts: Mapping[str, Part]
    netcdf: bool = False
    routing: bool = False
    doubtful: bool = False
    library_root: str | None = None
    output: str = ""

    def requirement(self, name: str) -> Requirement:
        """The requirement that an input has for the config of this run."""
        settings: dict[str, Any] = {
            part: {_FORMAT: of.format, **of.domain.to_plain()} for part, of in self.parts.items()
        }
        for key, value in (
            ("netcdf", self.netcdf),
            ("routing", self.routing),
            ("doubtful", self.doubtful),
            ("library_root", self.library_root),
            ("output", self.output),
        ):
            if value:
                settings[key] = value
        derived = Derived(NAME, settings)
        return Requirement(name, Category.CONFIG, RUN_CONFIG, self.domain, Shape.ONE, derived)

    @classmethod
    def of(cls, wanted: Requirement) -> "NgenRun | None":
        """Read back what `requirement` wrote; None for one that asks for none of these."""
        own = {index for index, _ in wanted.domain.restrictions}
        if wanted.derived is None or wanted.derived.by != NAME or not own <= _OWN:
            return None
        told = dict(wanted.derived.settings)
        try:
            parts = {part: _part(told.pop(part)) for part in CATEGORIES}
        except (InvalidInput, KeyError, TypeError, ValueError):
            return None
        fits = all(isinstance(each, _TYPES.get(key, ())) for key, each in told.items())
        return cls(wanted.domain, parts, **told) if fits else None

    def asked_of(self, part: str) -> Requirement:
        """The requirement for a part, which the config is checked against and the job reads.

        It covers the run; but a dataset that is named by its DATA_ID is taken as it is, so that it
        is said what of the run it lacks. A hydrofabric has exactly the catchments of the run, as
        ngen runs all that it finds there; where HYDROFABRIC_ID names the whole one, that is what
        they are cut from.
        """
        of = self.parts[part]
        asked: dict[Index, Restriction] = dict(of.domain.restrictions)
        if Index.DATA_ID not in asked:
            own = self.domain.restrictions
            asked |= {index: each for index, each in own if _tells(part, index)}
        shape, derived = Shape.ONE, None
        if part == FABRIC and Index.CATCHMENT_ID in asked:
            shape = Shape.EXACT
            whole = asked.pop(Index.HYDROFABRIC_ID, None)
            derived = cut_from(whole) if isinstance(whole, Discrete) else None
        domain = Domain.of(asked)
        return Requirement(part, CATEGORIES[part], of.format, domain, shape, derived)


def cut_from(whole: Discrete) -> Derived:
    """How a part of the hydrofabric of that HYDROFABRIC_ID has to be made."""
    return Derived(SUBSET, {WHOLE: sorted(whole.values)})


def _tells(part: str, index: Index) -> bool:
    return part != FABRIC or index is not Index.TIME


def _part(plain: Mapping[str, Any]) -> Part:
    domain = dict(plain)
    return Part(check_format(domain.pop(_FORMAT)), Domain.from_plain(domain))
