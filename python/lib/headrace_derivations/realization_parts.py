"""What a realization config of ngen runs for whom: its formulations, one by one. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Formulation:
    """A formulation, or a module of one: where it stands (`global.formulations[0]`), what it
    says, and the catchment that it is for; None: all.
    """

    where: str
    told: dict[str, Any]
    catchment: str | None

    @property
    def params(self) -> dict[str, Any]:
        """Its `params`."""
        params: dict[str, Any] = self.told["params"]
        return params

    @property
    def modules(self) -> list["Formulation"]:
        """The formulations within; of one that ngen doesn't know they may be anything."""
        modules = self.params.get("modules")
        return [
            Formulation(f"{self.where}.params.modules[{place}]", each, self.catchment)
            for place, each in enumerate(modules if isinstance(modules, list) else [])
            if isinstance(each, dict) and isinstance(each.get("params"), dict)
        ]

    def all_within(self) -> Iterator["Formulation"]:
        """Itself, and all within it at any depth."""
        yield self
        for each in self.modules:
            yield from each.all_within()


def outermost(config: dict[str, Any]) -> Iterator[Formulation]:
    """The formulations for all catchments, and those of single ones."""
    parts = [("global", config.get("global", {}), None)]
    parts += [(f"catchments.{id_}", of, id_) for id_, of in config.get("catchments", {}).items()]
    for where, part, id_ in parts:
        for place, told in enumerate(part.get("formulations", [])):
            yield Formulation(f"{where}.formulations[{place}]", told, id_)


def formulations(config: dict[str, Any]) -> Iterator[Formulation]:
    """All formulations of a config, with those inside."""
    for each in outermost(config):
        yield from each.all_within()
