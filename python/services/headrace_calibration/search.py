"""The loop of a calibration: ask the sampler, run models side by side, tell it in order."""

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite
from typing import Final

import numpy as np

from headrace_calibration.core.course import Course, Iteration
from headrace_calibration.core.plan import Plan
from headrace_calibration.core.sampler import make_sampler
from headrace_calibration.core.space import Parameter, Point, values_at
from headrace_calibration.recording import Record
from headrace_model.errors import InvalidInput

_AHEAD: Final = 2  # runs that wait for a free place, per place: a stop throws few away

Evaluate = Callable[[int, Mapping[str, float]], tuple[float | None, str]]
"""Runs the model of an iteration, in any thread: its score, or None and why it failed."""
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Searcher:
    """Does a search to its end. `record` answers what was found before, so that a search that was
    killed goes on where it was, and ends as if it had not been. `abandon` ends the models that
    still run when it is over."""

    plan: Plan
    record: Record
    evaluate: Evaluate
    abandon: Callable[[], None]
    say: Say

    def run(self, course: Course) -> None:
        """Fill the course; raises `InvalidInput` for a record that doesn't fit, and whatever
        `evaluate` raises."""
        plan = self.plan
        sampler = make_sampler(plan.search, np.random.Generator(np.random.PCG64(plan.seed)))
        spent = max((each.spent_s for each in self.record.found.values()), default=0.0)
        if self.record.found:
            self.say(f"going on after {len(self.record.found)} iterations of an earlier attempt")
        began = time.monotonic() - spent
        with ThreadPoolExecutor(plan.parallel) as pool:
            while not course.over and (points := sampler.ask()):
                losses = []
                with self._ended(pool, points, len(course.iterations), began) as ended:
                    for iteration in ended:
                        course.add(iteration)
                        losses.append(course.loss(iteration))
                        self.say(line(course, plan.space, plan.search.iterations))
                        if course.over:
                            return
                sampler.tell(losses)

    @contextmanager
    def _ended(
        self, pool: ThreadPoolExecutor, points: tuple[Point, ...], first: int, began: float
    ) -> Iterator[Iterator[Iteration]]:
        """The iterations of these points, in order; when the block ends no other one begins."""
        waiting: dict[int, Future[Iteration]] = {}

        def results() -> Iterator[Iteration]:
            ahead = self.plan.parallel * _AHEAD
            for number in range(first, first + len(points)):
                for coming in range(number, min(number + ahead, first + len(points))):
                    if coming not in waiting:
                        values = values_at(self.plan.space, points[coming - first])
                        waiting[coming] = pool.submit(self._one, coming, values, began)
                yield waiting.pop(number).result()

        try:
            yield results()
        finally:
            if waiting:  # the search is over, or something went wrong
                for each in waiting.values():
                    each.cancel()
                self.abandon()

    def _one(self, number: int, values: Mapping[str, float], began: float) -> Iteration:
        parameters = tuple(values.values())
        if known := self.record.found.get(number):
            if known.parameters != parameters:
                raise InvalidInput(
                    f"iteration {number} in the checkpoint tried other parameters than the same "
                    "seed gives here: another version of numpy made it",
                    hint="submit the calibration as a new job",
                )
            return known
        started = time.monotonic()
        score, failure = self.evaluate(number, values)
        if score is not None and not isfinite(score):
            score, failure = None, f"{self.plan.objective} is no number for this run"
        now = time.monotonic()
        iteration = Iteration(
            number, parameters, score, failure, round(now - started, 3), round(now - began, 3)
        )
        self.record.add(iteration)
        return iteration


def line(course: Course, space: tuple[Parameter, ...], of: int) -> str:
    """What is said of the last iteration: its objective and parameters, and the best so far."""
    last, best = course.iterations[-1], course.best
    name, done = course.objective.name, len(course.iterations)

    def told(iteration: Iteration) -> str:
        pairs = zip(space, iteration.parameters, strict=True)
        return ", ".join(f"{each.name}={value:.6g}" for each, value in pairs)

    if last.score is None:
        came = f"failed ({told(last)}): {last.failure.splitlines()[0]}"
    else:
        came = f"{name} {last.score:.4f} ({told(last)})"
    if best is None or best.score is None:
        return f"HEADRACE_PROGRESS {done}/{of} iteration {last.number}: {came}; none ran yet"
    return (
        f"HEADRACE_PROGRESS {done}/{of} iteration {last.number}: {came}; "
        f"best {name} {best.score:.4f} of iteration {best.number} ({told(best)})"
    )
