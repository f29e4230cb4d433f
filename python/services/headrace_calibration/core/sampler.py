"""What a sampler is, and those that there are, by name.

A sampler owns no loop: it is asked for points and told what they came to, so that whoever asks may
run models for days, side by side, and be killed. Its state is nowhere written down: with the same
seed it asks the same points when it is told the same, so that a search goes on by telling a new
sampler what was found before.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from headrace_calibration.core.dds import Dds
from headrace_calibration.core.designs import LatinHypercube, Random
from headrace_calibration.core.pso import Pso
from headrace_calibration.core.space import Point
from headrace_kinds.calibration_settings import OPTIONS, Algorithm


class Sampler(Protocol):
    """Searches the least loss in the unit cube."""

    def ask(self) -> tuple[Point, ...]:
        """Give points that may be tried side by side; none when the search is over.

        Must be followed by `tell` before it is asked again.
        """

    def tell(self, losses: Sequence[float]) -> None:
        """Take the losses of the points last asked, in their order; infinity for a failure."""


@dataclass(frozen=True, slots=True)
class Search:
    """How to search: `iterations` points in all, of which `first` is the first.

    `options` are the algorithm's own (`OPTIONS` names them with their defaults).
    """

    algorithm: Algorithm
    first: Point
    iterations: int
    options: Mapping[str, float]


Make = Callable[[Search, Mapping[str, float], np.random.Generator], Sampler]


def _dds(search: Search, told: Mapping[str, float], rng: np.random.Generator) -> Sampler:
    return Dds(search.first, search.iterations, rng, told["neighborhood"], int(told["batch"]))


def _pso(search: Search, told: Mapping[str, float], rng: np.random.Generator) -> Sampler:
    weights = (told["w"], told["c1"], told["c2"])
    return Pso(search.first, search.iterations, rng, int(told["particles"]), weights)


def _lhs(search: Search, told: Mapping[str, float], rng: np.random.Generator) -> Sampler:
    return LatinHypercube(search.first, search.iterations, rng)


def _random(search: Search, told: Mapping[str, float], rng: np.random.Generator) -> Sampler:
    return Random(search.first, search.iterations, rng)


_MAKE: Final[Mapping[Algorithm, Make]] = {
    Algorithm.DDS: _dds,
    Algorithm.PSO: _pso,
    Algorithm.LHS: _lhs,
    Algorithm.RANDOM: _random,
}


def make_sampler(search: Search, rng: np.random.Generator) -> Sampler:
    """Make the sampler of a search; what its options leave out is by default."""
    told = {name: default for name, (default, _, _) in OPTIONS[search.algorithm].items()}
    return _MAKE[search.algorithm](search, {**told, **search.options}, rng)
