"""Objectives: which way a metric is better."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import copysign


@dataclass(frozen=True, slots=True)
class Objective:
    """A metric as an objective. `perfect` is its best value; `high`: no value is above it, else
    what counts is how far it is from it.
    """

    name: str
    perfect: float
    high: bool

    def loss(self, score: float) -> float:
        """What is made small: 0 for a perfect score."""
        return self.perfect - score if self.high else abs(score - self.perfect)

    def together(self, scores: Sequence[tuple[float, float]]) -> float:
        """One score of several locations, (score, weight) each: its loss is their mean loss.

        Scores on both sides of a perfect one do not make up for each other; the score lies on the
        side to which they lean. Where no score is above the perfect one it is their mean.
        """
        whole = sum(weight for _, weight in scores)
        mean = sum(weight * score for score, weight in scores) / whole
        if self.high or len(scores) == 1:
            return mean
        loss = sum(weight * self.loss(score) for score, weight in scores) / whole
        return self.perfect + copysign(loss, mean - self.perfect)
