"""Samples that learn nothing from what was found: their points may all be tried side by side."""

from collections.abc import Sequence

import numpy as np

from headrace_calibration.core.space import Point


class _Design:
    def __init__(self, points: tuple[Point, ...]) -> None:
        self._points = points

    def ask(self) -> tuple[Point, ...]:
        """All points, once."""
        points, self._points = self._points, ()
        return points

    def tell(self, losses: Sequence[float]) -> None:
        """Nothing follows from it."""


class LatinHypercube(_Design):
    """`first`, then a Latin hypercube sample: of n points each coordinate has one in each n-th.

    M. D. McKay, R. J. Beckman and W. J. Conover (1979): A comparison of three methods for
    selecting values of input variables, Technometrics 21, 239-245, doi:10.2307/1268522.
    """

    def __init__(self, first: Point, iterations: int, rng: np.random.Generator) -> None:
        count = iterations - 1
        columns = [(rng.permutation(count) + rng.random(count)) / count for _ in first if count]
        super().__init__(
            (first, *(tuple(map(float, each)) for each in zip(*columns, strict=True)))
        )


class Random(_Design):
    """`first`, then points drawn evenly."""

    def __init__(self, first: Point, iterations: int, rng: np.random.Generator) -> None:
        drawn = rng.random((iterations - 1, len(first)))
        super().__init__((first, *(tuple(map(float, each)) for each in drawn)))
