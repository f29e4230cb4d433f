"""What a run of ngen is made from, as the requirement for its checked config says it.

The kind `ngen` asks for an NGEN_RUN_CONFIG, and the derivation `ngen-run` makes it from three
datasets: the composite config, the hydrofabric, and the forcing. A requirement has nothing but a
domain to say which: TIME and CATCHMENT_ID say what is run, and COMPOSITE_SOURCE_ID holds a word
for everything else, `<part>/<index or key>/<value>`, such as `forcing/DATA_ID/aorc-2015`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from headrace_model.dataset import Category
from headrace_model.domain import ALL, Discrete, Domain, Index, Restriction
from headrace_model.errors import InvalidInput
from headrace_model.requirement import Requirement, Shape

RUN_CONFIG: Final = "NGEN_RUN_CONFIG"
COMPOSITE_CONFIG: Final = "NGEN_JOB_COMPOSITE_CONFIG"
CONFIG, FABRIC, FORCING = "config", "fabric", "forcing"  # the parts
CATEGORIES: Final = {
    CONFIG: Category.CONFIG,
    FABRIC: Category.HYDROFABRIC,
    FORCING: Category.FORCING,
}
_FORMAT, _RUN = "format", "run"
_OWN: Final = (Index.TIME, Index.CATCHMENT_ID)


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
        words = set()
        for part, of in self.parts.items():
            words.add(f"{part}/{_FORMAT}/{of.format}")
            for index, restriction in of.domain.restrictions:
                words.update(f"{part}/{index}/{each}" for each in _values(restriction))
        for key, is_on in (
            ("netcdf", self.netcdf),
            ("routing", self.routing),
            ("doubtful", self.doubtful),
        ):
            if is_on:
                words.add(f"{_RUN}/{key}/true")
        for key, value in (("library_root", self.library_root), ("output", self.output)):
            if value:
                words.add(f"{_RUN}/{key}/{value}")
        told = {Index.COMPOSITE_SOURCE_ID: Discrete(frozenset(words))}
        return Requirement(
            name,
            Category.CONFIG,
            RUN_CONFIG,
            Domain.of(dict(self.domain.restrictions) | told),
            Shape.ONE,
        )

    @classmethod
    def of(cls, wanted: Requirement) -> "NgenRun | None":
        """Read back what `requirement` wrote; None for a domain that is none of these."""
        words = wanted.domain.get(Index.COMPOSITE_SOURCE_ID)
        if not isinstance(words, Discrete):
            return None
        told: dict[str, dict[str, set[str]]] = {}
        for word in words.values:
            part, _, rest = word.partition("/")
            key, _, value = rest.partition("/")
            told.setdefault(part, {}).setdefault(key, set()).add(value)
        run = told.pop(_RUN, {})
        if set(told) != set(CATEGORIES):
            return None
        try:
            parts = {part: _part(keys) for part, keys in told.items()}
        except (InvalidInput, KeyError, ValueError):
            return None
        own: dict[Index, Restriction] = {
            index: of for index, of in wanted.domain.restrictions if index in _OWN
        }
        return cls(
            Domain.of(own),
            parts,
            netcdf="netcdf" in run,
            routing="routing" in run,
            doubtful="doubtful" in run,
            library_root=next(iter(run.get("library_root", ())), None),
            output=next(iter(run.get("output", ())), ""),
        )

    def asked_of(self, part: str, *, of_run: bool = True) -> Requirement:
        """The requirement for a part; `of_run`: it must cover the run too.

        A dataset that is named by its DATA_ID is taken as it is, so that it is said what of the
        run it lacks.
        """
        of = self.parts[part]
        asked: dict[Index, Restriction] = dict(of.domain.restrictions)
        if of_run and Index.DATA_ID not in asked:
            own = self.domain.restrictions
            asked |= {index: each for index, each in own if _tells(part, index)}
        return Requirement(part, CATEGORIES[part], of.format, Domain.of(asked), Shape.ONE)


def _tells(part: str, index: Index) -> bool:
    return part != FABRIC or index is not Index.TIME


def _values(restriction: Restriction) -> Iterable[str]:
    if restriction is ALL:
        return (ALL.value,)
    if isinstance(restriction, Discrete):
        return restriction.values
    raise InvalidInput("TIME is the run's own, not that of one of its parts")


def _part(keys: Mapping[str, set[str]]) -> Part:
    (name,) = keys[_FORMAT]
    restrictions: dict[Index, Restriction] = {
        Index(key): ALL if values == {ALL.value} else Discrete(frozenset(values))
        for key, values in keys.items()
        if key != _FORMAT
    }
    return Part(name, Domain.of(restrictions))
