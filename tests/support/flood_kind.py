"""A kind of the tests' own, with a setting of every sort."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from headrace_kinds.base import Link, filled
from headrace_kinds.command import CommandKind
from headrace_kinds.settings import Period, told
from headrace_model.dataset import Category
from headrace_model.domain import Domain, Index
from headrace_model.errors import InvalidSpec
from headrace_model.requirement import Requirement
from headrace_model.spec import JobSpec, OutputSpec


class Basis(StrEnum):
    """What a flood is measured by."""

    STAGE = "stage"
    FLOW = "flow"


@dataclass(frozen=True, slots=True)
class Gauge:
    """Where it is measured."""

    name: str = told("Which gauge.", "outlet")
    weight: float = told("How much it counts.", "0.5", default=1.0, high=10)


@dataclass(frozen=True, slots=True)
class FloodSettings:
    """What a flood is told."""

    time: Period = told("The period of the run.", "[2015-12-01, 2015-12-31]")
    basis: Basis = told("What it is measured by.", "stage", default=Basis.FLOW)
    gauges: tuple[Gauge, ...] = told(
        "Where.", "{outlet: {weight: 0.5}}", default=(), by_name=True, most=3
    )
    steps: int = told("How many steps.", "24", default=24, low=2, high=100)
    catchments: tuple[str, ...] = told("Which catchments.", "[cat-1]", default=())
    fast: bool = told("Whether it hurries.", "true", default=False)
    note: str | None = told("A note.", "calm", default=None, most=20)
    more: Mapping[str, Any] | None = told("What else.", "{a: [1, 2]}", default=None)

    def __post_init__(self) -> None:
        if self.fast and self.steps > 50:
            raise InvalidSpec("with fast: true at most 50 steps", path="steps")


class FloodKind(CommandKind):
    """Runs `flood`."""

    name = "flood-wave"
    summary = "a wave that comes down a river"
    settings = FloodSettings

    def complete(self, spec: JobSpec) -> JobSpec:
        """Run it over the forcing of the period."""
        told: FloodSettings = spec.settings
        return filled(
            spec,
            command=("flood", "--steps", str(told.steps), "{output}"),
            inputs=(
                Requirement(
                    "forcing",
                    Category.FORCING,
                    "AORC_CSV",
                    Domain.of({Index.TIME: told.time.time}),
                ),
            ),
            outputs=(OutputSpec("wave", Category.OUTPUT, "GENERIC", Domain()),),
            files=(("flood.txt", str(told.basis).encode()),),
        )

    def links(self, spec: JobSpec) -> tuple[Link, ...]:
        """The forcing, and its table."""
        return (Link("rain", "forcing"), Link("rain.csv", "forcing", ("*.txt", "rain*.csv")))
