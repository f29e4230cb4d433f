"""The course of a search: iterations in their order, the best so far, and when it is over.

Everything here follows from what iterations came to, in the order in which they were asked, not
from when each ended: so it is the same for any number of workers, and after a restart.
"""

from dataclasses import dataclass, field
from math import inf, isfinite

from headrace_calibration.core.objective import Objective


@dataclass(frozen=True, slots=True)
class Iteration:
    """One run of the model: `number` from 0, the initial parameters.

    `score` is the objective in the train period; None: the run failed, and `failure` says of what.
    `spent_s` is how long the whole calibration had taken when it ended.
    """

    number: int
    parameters: tuple[float, ...]
    score: float | None
    failure: str
    seconds: float
    spent_s: float


@dataclass(frozen=True, slots=True)
class StopRules:
    """When a search ends before its last iteration. None: never for that reason.

    `target`: the objective is as good as that; `without_better`: so many iterations brought
    nothing better; `time_s`: so long it ran, over all attempts; `failures`: so many failed at its
    begin.
    """

    target: float | None = None
    without_better: int | None = None
    time_s: float | None = None
    failures: int = 3


@dataclass(slots=True)
class Course:
    """What has come out so far."""

    objective: Objective
    rules: StopRules
    iterations: list[Iteration] = field(default_factory=list)
    best: Iteration | None = None
    over: str = ""  # why the search is over
    hopeless: bool = False

    def add(self, iteration: Iteration) -> None:
        """Take the next one; raises `ValueError` out of order and after the end."""
        if iteration.number != len(self.iterations) or self.over:
            raise ValueError(f"iteration {iteration.number} after {len(self.iterations)}")
        self.iterations.append(iteration)
        if self.loss(iteration) < (self.loss(self.best) if self.best else inf):
            self.best = iteration
        self.over = self._why_over(iteration)

    def loss(self, iteration: Iteration) -> float:
        """What samplers make small: infinity for a run that failed or scored nothing."""
        score = iteration.score
        return self.objective.loss(score) if score is not None and isfinite(score) else inf

    def _why_over(self, last: Iteration) -> str:
        rules, done = self.rules, len(self.iterations)
        if self.best is None:
            self.hopeless = done >= rules.failures
            return f"the first {done} runs of the model all failed" if self.hopeless else ""
        if rules.target is not None and self.loss(self.best) <= self.objective.loss(rules.target):
            return f"{self.objective.name} is as good as the target, {rules.target:g}"
        since = last.number - self.best.number
        if rules.without_better is not None and since >= rules.without_better:
            return f"{since} iterations brought nothing better"
        if rules.time_s is not None and last.spent_s >= rules.time_s:
            return f"it ran for {last.spent_s:.0f} s, its time"
        return ""
