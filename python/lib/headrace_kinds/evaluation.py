"""The kind `evaluation`: simulations are scored against observations.

Its settings are the evaluation's whole spec; the worker (`headrace_evaluation`) reads them from a
file in its working folder by the same dataclasses.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import StrEnum
from typing import Any, Final

from headrace_kinds.base import Wrong, filled, naming
from headrace_kinds.command import CommandKind
from headrace_kinds.settings import Period, told
from headrace_model.dataset import Category
from headrace_model.domain import Continuous, Domain, Index
from headrace_model.drainage import ELEMENT_PATTERN
from headrace_model.errors import InvalidSpec
from headrace_model.ids import check_name
from headrace_model.requirement import Requirement
from headrace_model.spec import JobSpec, OutputSpec
from headrace_model.times import Instant, format_instant

SPEC_FILE: Final = "evaluation.json"
OBSERVATIONS: Final = "observations"
HYDROFABRIC: Final = "hydrofabric"
RESULT_FORMAT: Final = "EVALUATION_RESULT"
_ELEMENT: Final = re.compile(ELEMENT_PATTERN, re.IGNORECASE | re.ASCII)
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")


class MetricName(StrEnum):
    """The metrics; formulas and sources stand in `headrace_evaluation.core.metrics`."""

    NSE = "nse"
    LOG_NSE = "log_nse"
    KGE = "kge"
    KGE_2012 = "kge_2012"
    R = "r"
    KGE_ALPHA = "kge_alpha"
    KGE_BETA = "kge_beta"
    KGE_GAMMA = "kge_gamma"
    PBIAS = "pbias"
    RMSE = "rmse"
    MAE = "mae"
    R2 = "r2"
    VOLUME_ERROR = "volume_error"
    PEAK_ERROR = "peak_error"
    PEAK_TIMING = "peak_timing"


class Aggregate(StrEnum):
    """What becomes of the values in a coarser step."""

    MEAN = "mean"
    SUM = "sum"
    MAX = "max"


class ThresholdFit(StrEnum):
    """How a return period becomes a value."""

    GEV = "gev"
    GUMBEL = "gumbel"
    WEIBULL = "weibull"


@dataclass(frozen=True, slots=True)
class Location:
    """Where both are compared."""

    id: str = told("Its id in the results.", "'01472000'", most=1024)
    observed: str | None = told("Its id in the observations. Its own.", "'01472000'", default=None)
    simulated: str | None = told("Its id in the simulations. Its own.", "cat-27", default=None)
    areas_km2: Mapping[str, Any] | None = told(
        "Catchments by the area in km2 with which each counts: their depths of runoff add up to a "
        "flow.",
        "{cat-27: 12.5, cat-52: 3.1}",
        default=None,
    )
    upstream: str | None = told(
        "A catchment, flowpath, nexus or gauge of the input hydrofabric: the depths of runoff of "
        "all catchments upstream add up to a flow.",
        "gages-01073000",
        default=None,
        most=1024,
    )
    weight: float = told("How much it counts in weighted means.", "1", default=1.0)

    def __post_init__(self) -> None:
        said = [
            name
            for name in ("simulated", "areas_km2", "upstream")
            if getattr(self, name) is not None
        ]
        if len(said) > 1:
            raise InvalidSpec(f"say {' or '.join(said)}, not both", path=said[0])
        if self.upstream is not None and not _ELEMENT.fullmatch(self.upstream):
            raise InvalidSpec(
                f"{self.upstream[:60]!r} is no element: write cat-27, wb-27, nex-26 or "
                "gages-01073000",
                path="upstream",
            )
        check_areas(self.areas_km2)


def check_areas(areas_km2: Mapping[str, Any] | None) -> None:
    """Check the areas of a location; raises `InvalidSpec`."""
    if areas_km2 is None:
        return
    for name, area in areas_km2.items():
        if isinstance(area, bool) or not isinstance(area, int | float) or not 0 < area < 1e9:
            raise InvalidSpec(
                f"the area of {name[:60]} must be a number of km2 above 0", path="areas_km2"
            )
    if not areas_km2:
        raise InvalidSpec("name at least one catchment", path="areas_km2")


@dataclass(frozen=True, slots=True)
class Threshold:
    """A value whose exceedances are events: exactly one of value, quantile, years."""

    name: str = told("Its name: letters, digits, '_' and '-', a letter first.", "high", most=64)
    value: float | None = told("The value, in `unit`.", "120", default=None, low=-1e15, high=1e15)
    quantile: float | None = told("That quantile of observations.", "0.9", default=None, high=1)
    years: float | None = told("Its return period in years.", "2", default=None, low=1, high=1e4)
    fit: ThresholdFit = told("How years become a value.", "gumbel", default=ThresholdFit.GEV)

    def __post_init__(self) -> None:
        # It names variables of scores.nc and columns of scores.csv, behind an @.
        if not _NAME.fullmatch(self.name):
            raise InvalidSpec(
                f"{self.name[:80]!r} can't be the name of a threshold: use 1 to 64 letters, "
                "digits, '_' and '-', a letter first",
                path="name",
            )
        said = [each for each in (self.value, self.quantile, self.years) if each is not None]
        if len(said) != 1:
            raise InvalidSpec("it needs exactly one of value, quantile and years", path="value")


@dataclass(frozen=True, slots=True)
class EvaluationSettings:
    """What an evaluation is told."""

    period: Period = told("What is scored, the warm-up included.", "[1979-01-01, 1981-01-01]")
    warm_up_days: float = told(
        "How long from its begin nothing counts.", "180", default=0.0, high=36_500
    )
    hydrofabric: str | None = told("The HYDROFABRIC_DATA_ID of all data.", "drb", default=None)
    runs: tuple[str, ...] = told(
        "The inputs with simulations, which are put side by side.",
        "[simulation]",
        default=("simulation",),
        most=20,
    )
    observed_variable: str | None = told(
        "The variable of the observations, if there are several.", "discharge", default=None
    )
    simulated_variable: str | None = told(
        "The variable of the simulations, if there are several.", "streamflow", default=None
    )
    observed_unit: str | None = told("Its unit, whatever files tell.", "ft3 s-1", default=None)
    simulated_unit: str | None = told("Its unit, whatever files tell.", "mm/d", default=None)
    unit: str = told("The unit in which both are compared.", "m3 s-1", default="m3 s-1", most=60)
    step_hours: float | None = told(
        "The step in which both are compared. The coarser one of both.",
        "24",
        default=None,
        low=1 / 60,
        high=8784,
    )
    aggregate: Aggregate = told(
        "What becomes of finer values; a sum is divided by the share of the step that is there.",
        "mean",
        default=Aggregate.MEAN,
    )
    least_share: float = told(
        "So much of a coarser step must be there.", "0.8", default=0.8, high=1
    )
    least_values: int = told(
        "A location with fewer pairs is not scored.", "365", default=30, low=1
    )
    metrics: tuple[MetricName, ...] = told(
        "The metrics; the first one colours the map.",
        "[nse, kge, pbias]",
        default=(MetricName.NSE, MetricName.KGE, MetricName.PBIAS),
        most=15,
    )
    thresholds: tuple[Threshold, ...] = told(
        "Values whose exceedances are scored as events.",
        "[{name: high, quantile: 0.9}]",
        default=(),
        most=10,
    )
    locations: tuple[Location, ...] = told(
        "Where both are compared. All that have the same id in both.",
        "[{id: '0214655255', simulated: cat-27}]",
        default=(),
        most=100_000,
    )
    upstream: bool = told(
        "The depths of runoff of all catchments upstream of each location add up to its flow, "
        "where it says no other: of the gauge of its id in the input hydrofabric. Without "
        "locations, of all gauges that are observed.",
        "false",
        default=False,
    )
    peak_window_days: float = told(
        "How far from an observed peak the simulated one may be.", "7", default=7.0, high=366
    )
    plots: int = told("How many locations the report plots.", "12", default=12, high=60)

    def __post_init__(self) -> None:
        for name in self.runs:
            check_name(name, "input")
        for key, names in (
            ("runs", self.runs),
            ("metrics", self.metrics),
            ("locations", [each.id for each in self.locations]),
            ("thresholds", [each.name for each in self.thresholds]),
        ):
            if len(set(names)) < len(names):
                raise InvalidSpec("two of them are the same", path=key)
        if not self.runs or OBSERVATIONS in self.runs:
            raise InvalidSpec(f"name inputs with simulations, not {OBSERVATIONS}", path="runs")
        if not self.metrics:
            raise InvalidSpec("name at least one metric", path="metrics")
        if self.counts_from >= self.period.end:
            raise InvalidSpec(
                "nothing of the period is left after the warm-up", path="warm_up_days"
            )

    @property
    def counts_from(self) -> Instant:
        """Where the warm-up ends."""
        return Instant(self.period.begin + round(self.warm_up_days * 86_400_000))

    def element(self, location: Location) -> str | None:
        """Where in the fabric a location stands, upstream of which runoff is summed; or None."""
        if self.upstream and location.simulated is None and location.areas_km2 is None:
            return location.upstream or f"gages-{location.observed or location.id}"
        return location.upstream

    @property
    def needs_hydrofabric(self) -> bool:
        """Whether any location is summed by it."""
        return self.upstream or any(each.upstream for each in self.locations)


class EvaluationKind(CommandKind):
    """Runs `headrace_evaluation` over observations and simulations of the period."""

    name = "evaluation"
    summary = "scores simulations against observations, with a report"
    settings = EvaluationSettings

    def complete(self, spec: JobSpec) -> JobSpec:
        """Ask for the data by the period and the hydrofabric, and promise the result.

        Of the observations only what counts: the gauge may be younger than the run.
        """
        said: EvaluationSettings = spec.settings
        fabric = naming({Index.HYDROFABRIC_DATA_ID: (said.hydrofabric,)})
        domain = Domain.of({**fabric, Index.TIME: said.period.time})
        counts = Continuous.of([(said.counts_from, said.period.end)])
        more: tuple[Requirement, ...] = ()
        if said.needs_hydrofabric:
            own = any(each.name == HYDROFABRIC for each in spec.inputs)
            if not fabric and not own:
                raise InvalidSpec(
                    f"say by which the runoff is summed: its name here, or an input {HYDROFABRIC}",
                    path="settings.hydrofabric",
                )
            more = (Requirement(HYDROFABRIC, Category.HYDROFABRIC, None, Domain.of(fabric)),)
        content = json.dumps(plain(said), sort_keys=True, indent=1, ensure_ascii=False)
        return filled(
            spec,
            command=(
                "python3",
                "-m",
                "headrace_evaluation",
                SPEC_FILE,
                "{observations}",
                "{output}",
                *(f"{name}={{{name}}}" for name in (*said.runs, *(each.name for each in more))),
            ),
            inputs=(
                Requirement(
                    OBSERVATIONS,
                    Category.OBSERVATION,
                    None,
                    Domain.of({**fabric, Index.TIME: counts}),
                ),
                *(Requirement(name, Category.OUTPUT, None, domain) for name in said.runs),
                *more,
            ),
            outputs=(OutputSpec("scores", Category.OUTPUT, RESULT_FORMAT, Domain.of(fabric)),),
            files=((SPEC_FILE, content.encode()),),
        )

    def check(self, spec: JobSpec) -> tuple[Wrong, ...]:
        """Find simulations of the name that the hydrofabric has."""
        wrong = super().check(spec)
        if HYDROFABRIC in spec.settings.runs:
            why = f"name inputs with simulations, not {HYDROFABRIC}"
            wrong = (*wrong, Wrong("settings.runs", why))
        return wrong


def plain(said: Any) -> Any:
    """Settings as plain JSON, as a job file has them; what is not said is left out."""
    match said:
        case Period():
            return [format_instant(said.begin), format_instant(said.end)]
        case StrEnum():
            return str(said)
        case tuple():
            return [plain(each) for each in said]
        case Mapping():
            return dict(said)
    if is_dataclass(said):
        found = {each.name: plain(getattr(said, each.name)) for each in fields(said)}
        return {key: each for key, each in found.items() if each not in (None, [])}
    return said
