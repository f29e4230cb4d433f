"""What a job of the kind `calibration` is told."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from typing import Any, Final

from headrace_kinds.evaluation import MetricName, check_areas
from headrace_kinds.settings import Period, told
from headrace_model.errors import InvalidSpec
from headrace_model.nearest import did_you_mean
from headrace_model.spec import JobSpec
from headrace_model.times import format_instant
from headrace_model.units import parse_duration

MOST_ITERATIONS: Final = 100_000
MOST_PARAMETERS: Final = 200
_ANY: Final = 1e300

OBJECTIVES: Final = tuple(each.value for each in MetricName)


class Algorithm(StrEnum):
    """How the parameters are searched."""

    DDS = "dds"
    PSO = "pso"
    LHS = "lhs"
    RANDOM = "random"


OPTIONS: Final[Mapping[Algorithm, Mapping[str, tuple[float, float, float]]]] = {
    Algorithm.DDS: {"neighborhood": (0.2, 0.001, 1.0), "batch": (1, 1, 1000)},
    Algorithm.PSO: {
        "particles": (10, 2, 1000),
        "w": (0.7298, 0.0, 2.0),
        "c1": (1.49618, 0.0, 4.0),
        "c2": (1.49618, 0.0, 4.0),
    },
    Algorithm.LHS: {},
    Algorithm.RANDOM: {},
}
"""The options of each algorithm: (default, lowest, highest)."""
WHOLE_OPTIONS: Final = frozenset({"batch", "particles"})


class Scale(StrEnum):
    """How a parameter runs between its limits."""

    LINEAR = "linear"
    LOG = "log"  # equal factors are equal steps: for what spans powers of ten


def _duration(text: str) -> str:
    parse_duration(text)
    return text


@dataclass(frozen=True, slots=True)
class Tuned:
    """A parameter. Raises `InvalidSpec` where its limits are none."""

    name: str = told("Its name.", "satdk", most=128)
    min: float = told("The lowest value that is tried.", "0.001", low=-_ANY, high=_ANY)
    max: float = told("The highest value that is tried.", "1.0", low=-_ANY, high=_ANY)
    init: float = told("Where the search begins.", "0.2", low=-_ANY, high=_ANY)
    file: str = told(
        "The file that its value goes into, below the working folder of the model or the folder "
        "of `input`; * stands for any characters.",
        "reservoir.json",
        most=1024,
    )
    key: str = told(
        "Where in the file: `/a/0/b` in JSON (a `*` between slashes is every member), else the "
        "key of a line `key=value`. Without one, where the file says {{name}}.",
        "/soil/satdk",
        default="",
        most=1024,
    )
    input: str | None = told("The input that holds the file.", "config", default=None, most=128)
    scale: Scale = told("linear, or log.", "log", default=Scale.LINEAR)

    def __post_init__(self) -> None:
        if self.min >= self.max:
            raise InvalidSpec(f"{self.min:g} is not below max, {self.max:g}", path="min")
        if not self.min <= self.init <= self.max:
            raise InvalidSpec(
                f"{self.init:g} is outside {self.min:g} to {self.max:g}", path="init"
            )
        if self.scale is Scale.LOG and self.min <= 0:
            raise InvalidSpec(f"on a log scale it is above 0, not {self.min:g}", path="min")
        if self.file.startswith("/") or ".." in self.file.split("/"):
            raise InvalidSpec("it lies below the folder: no / at its begin and no ..", path="file")


@dataclass(frozen=True, slots=True)
class Stop:
    """When the search ends before its last iteration."""

    target: float | None = told(
        "The objective is as good as that.", "0.8", default=None, low=-_ANY, high=_ANY
    )
    without_better: int | None = told(
        "So many iterations brought nothing better.", "50", default=None, low=1
    )
    time: str | None = told(
        "So long it ran, over all attempts.", "6h", default=None, check=_duration
    )
    failures: int = told(
        "So many runs of the model failed at its begin: the job fails.", "3", default=3, low=1
    )


@dataclass(frozen=True, slots=True)
class Location:
    """Where the model is compared with what was observed."""

    name: str = told("The gauge, as the observations name it.", "01434000", most=128)
    simulated: str | None = told(
        "What the model's output calls it. Default: as the observations do.",
        "cat-27",
        default=None,
    )
    areas_km2: Mapping[str, Any] | None = told(
        "Catchments by the area in km2 with which each counts: their depths of runoff add up to a "
        "flow.",
        "{cat-27: 12.5, cat-52: 3.1}",
        default=None,
    )
    weight: float = told("How much it counts in the objective.", "1.0", default=1.0, high=1e6)

    def __post_init__(self) -> None:
        if self.areas_km2 is not None and self.simulated is not None:
            raise InvalidSpec(
                "with areas_km2 there is no id to simulate: leave it out", path="simulated"
            )
        check_areas(self.areas_km2)
        if self.weight <= 0:
            raise InvalidSpec("it is above 0", path="weight")


@dataclass(frozen=True, slots=True)
class CalibrationSettings:
    """What is calibrated, how, and against what. Raises `InvalidSpec`."""

    model: JobSpec = told(
        "The job that runs the model once, of any other kind, as its job file has it.",
        "{kind: command, command: [python3, '{code}/model.py', '{output}'], "
        "inputs: {code: {path: ./model}}, "
        "outputs: {flow: {format: TIMESERIES_CSV}}}",
    )
    parameters: tuple[Tuned, ...] = told(
        "What is tuned.",
        "{fast: {min: 0.05, max: 1, init: 0.2, input: code, file: model.json, key: /fast}}",
        by_name=True,
        most=MOST_PARAMETERS,
    )
    train: Period = told("The period that the search fits.", "[1979-01-01, 1980-01-01]")
    locations: tuple[Location, ...] = told(
        "Where the model is compared with observations.",
        "[{name: '01434000', simulated: cat-27}]",
        most=1000,
    )
    validate: Period | None = told(
        "A period that the search never sees, in which its end is scored.",
        "[1980-01-01, 1981-01-01]",
        default=None,
    )
    warm_up: str = told(
        "So much of the run's begin counts nowhere.", "180d", default="0s", check=_duration
    )
    objective: str = told("The metric that is made best.", "kge", default="kge", most=64)
    algorithm: Algorithm = told("dds, pso, lhs or random.", "dds", default=Algorithm.DDS)
    options: Mapping[str, Any] | None = told(
        "Options of the algorithm: neighborhood and batch of dds; particles, w, c1 and c2 of pso.",
        "{neighborhood: 0.2}",
        default=None,
    )
    iterations: int = told(
        "How often the model runs.", "200", default=200, low=1, high=MOST_ITERATIONS
    )
    parallel: int = told("How many models run at once.", "2", default=1, low=1, high=256)
    seed: int = told("What its chance follows from: the same, the same end.", "1", default=1)
    stop: Stop = told("When to end early.", "{without_better: 50}", default=Stop())
    output: str | None = told(
        "The output of the model that is compared, where it has several.", "flow", default=None
    )

    variable: str | None = told(
        "The variable of the model's output that is compared, where files hold several.",
        "Q",
        default=None,
        most=128,
    )
    unit: str | None = told(
        "The unit in which both are compared; what tells no unit is taken to be in it. That of "
        "the observations.",
        "m3 s-1",
        default=None,
        most=64,
    )
    simulated_unit: str | None = told(
        "The unit of the model's output, where its files tell none.",
        "mm/d",
        default=None,
        most=64,
    )

    def __post_init__(self) -> None:
        if not self.parameters:
            raise InvalidSpec("there is nothing to tune", path="parameters")
        if not self.locations:
            raise InvalidSpec("there is nothing to compare", path="locations")
        self._check_locations()
        if self.objective not in OBJECTIVES:
            near = did_you_mean(self.objective, OBJECTIVES)
            raise InvalidSpec(f"{self.objective!r} is no metric; {near}", path="objective")
        self._check_periods()
        self._check_options()

    def _check_locations(self) -> None:
        names = set[str]()
        for each in self.locations:
            if each.name in names:
                raise InvalidSpec(
                    f"{each.name!r} stands there twice; to count it more, give it a weight",
                    path="locations",
                )
            names.add(each.name)

    def _check_periods(self) -> None:
        other = self.validate
        if other and other.begin < self.train.end and self.train.begin < other.end:
            raise InvalidSpec(
                "it overlaps train: what the search has seen validates nothing", path="validate"
            )
        counts = self.begin_ms + self.warm_up_ms
        for name, period in (("train", self.train), ("validate", other)):
            if period and period.end <= counts:
                raise InvalidSpec(
                    f"it leaves nothing of {name}, which ends {format_instant(period.end)}",
                    path="warm_up",
                )

    def _check_options(self) -> None:
        known = OPTIONS[self.algorithm]
        for name, value in (self.options or {}).items():
            if name not in known:
                raise InvalidSpec(
                    f"{self.algorithm} has no option {name[:40]!r}; it has "
                    f"{', '.join(known) or 'none'}",
                    path="options",
                )
            _, low, high = known[name]
            whole = name in WHOLE_OPTIONS
            if (
                isinstance(value, bool)
                or not isinstance(value, int if whole else int | float)
                or not isfinite(value)
                or not low <= value <= high
            ):
                raise InvalidSpec(
                    f"{name} is a {'whole ' if whole else ''}number from {low:g} to {high:g}",
                    path="options",
                )

    @property
    def warm_up_ms(self) -> int:
        """The warm-up in milliseconds."""
        return parse_duration(self.warm_up)

    @property
    def begin_ms(self) -> int:
        """Where the model has to begin."""
        return min(each.begin for each in (self.train, self.validate) if each)
