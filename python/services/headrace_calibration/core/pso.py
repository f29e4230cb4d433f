"""Particle swarm with a global best.

J. Kennedy and R. Eberhart (1995): Particle swarm optimization, Proc. ICNN'95, 1942-1948,
doi:10.1109/ICNN.1995.488968; the inertia weight of Y. Shi and R. Eberhart (1998),
doi:10.1109/ICEC.1998.699146; and by default the weights that M. Clerc and J. Kennedy (2002),
doi:10.1109/4235.985692, show to converge. A particle that would leave the cube stays on its wall
and loses its speed across it.
"""

from collections.abc import Sequence
from math import inf

import numpy as np
import numpy.typing as npt

from headrace_calibration.core.space import Point


class Pso:
    """A sampler. All particles move at once, so `particles` points may be tried side by side; the
    first particle begins at `first`, the others anywhere. `weights`: w, c1, c2.
    """

    def __init__(
        self,
        first: Point,
        iterations: int,
        rng: np.random.Generator,
        particles: int,
        weights: tuple[float, float, float],
    ) -> None:
        self._rng, self._weights, self._left = rng, weights, iterations
        shape = (particles, len(first))
        self._at: npt.NDArray[np.float64] = rng.random(shape)
        self._at[0] = first
        self._speed = (rng.random(shape) - self._at) / 2
        self._own_best = self._at.copy()
        self._own_loss = np.full(particles, inf)
        self._begun, self._asked = False, 0

    def ask(self) -> tuple[Point, ...]:
        """Where the particles are; the last time perhaps not all of them."""
        if self._begun and self._left:
            self._move()
        self._begun = True
        self._asked = min(len(self._at), self._left)
        self._left -= self._asked
        return tuple(tuple(map(float, each)) for each in self._at[: self._asked])

    def tell(self, losses: Sequence[float]) -> None:
        """Each particle remembers its best place."""
        if len(losses) != self._asked:
            raise ValueError(f"{self._asked} points were asked, {len(losses)} are told")
        for place, loss in enumerate(losses):
            if loss < self._own_loss[place]:
                self._own_loss[place] = loss
                self._own_best[place] = self._at[place]

    def _move(self) -> None:
        w, c1, c2 = self._weights
        best = self._own_best[int(np.argmin(self._own_loss))]
        to_own = self._rng.random(self._at.shape) * (self._own_best - self._at)
        to_best = self._rng.random(self._at.shape) * (best - self._at)
        self._speed = w * self._speed + c1 * to_own + c2 * to_best
        free = self._at + self._speed
        self._at = np.clip(free, 0.0, 1.0)
        self._speed[free != self._at] = 0.0
