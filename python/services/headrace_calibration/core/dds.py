"""Dynamically dimensioned search.

B. A. Tolson and C. A. Shoemaker (2007): Dynamically dimensioned search algorithm for
computationally efficient watershed model calibration, Water Resources Research 43, W01413,
doi:10.1029/2005WR004723. With the bounds as its authors wrote them in 2008: a step over one is
half the time reflected, half the time ends there (M. Asadzadeh and B. A. Tolson, 2013,
doi:10.1080/0305215X.2012.748046).

Point i of m after the first changes each coordinate of the best point so far with the probability
1 - ln(i) / ln(m), one at the least, by a normal step whose deviation is `neighborhood` times the
range. It draws in the order of spotpy's `dds`, which it is tested against, point by point.
"""

from collections.abc import Sequence
from math import inf, log

import numpy as np

from headrace_calibration.core.space import Point


class Dds:
    """A sampler. `batch` points are made from the same best one, so that they may be tried side by
    side: 1 is the algorithm as published, more needs somewhat more points for as good an end.
    """

    def __init__(
        self,
        first: Point,
        iterations: int,
        rng: np.random.Generator,
        neighborhood: float,
        batch: int,
    ) -> None:
        self._best, self._loss = first, inf
        self._after_first = iterations - 1
        self._rng, self._neighborhood, self._batch = rng, neighborhood, batch
        self._asked: tuple[Point, ...] = ()
        self._made = 0  # points after the first
        self._begun = False

    def ask(self) -> tuple[Point, ...]:
        """The first point; then `batch` neighbours of the best."""
        if not self._begun:
            self._begun, self._asked = True, (self._best,)
            return self._asked
        count = min(self._batch, self._after_first - self._made)
        self._asked = tuple(self._neighbour(self._made + 1 + each) for each in range(count))
        self._made += count
        return self._asked

    def tell(self, losses: Sequence[float]) -> None:
        """Go on from whatever is better than the best so far."""
        for point, loss in zip(self._asked, losses, strict=True):
            if loss < self._loss:
                self._best, self._loss = point, loss

    def _neighbour(self, number: int) -> Point:
        best = self._best
        chances = [self._rng.random() for _ in best]
        chance = 1.0 - log(number) / log(self._after_first) if self._after_first > 1 else 1.0
        moved = [
            self._moved(at) if drawn < chance else at
            for at, drawn in zip(best, chances, strict=True)
        ]
        if not any(drawn < chance for drawn in chances):
            one = max(0, int(np.ceil(len(best) * self._rng.random())) - 1)
            moved[one] = self._moved(best[one])
        return tuple(moved)

    def _moved(self, at: float) -> float:
        to = at + self._rng.standard_normal() * self._neighborhood
        reflects = self._rng.random() <= 0.5
        if to < 0.0:
            to = -to if reflects else 0.0
            return to if to <= 1.0 else 0.0
        if to > 1.0:
            to = 1.0 - (to - 1.0) if reflects else 1.0
            return to if to >= 0.0 else 1.0
        return float(to)
