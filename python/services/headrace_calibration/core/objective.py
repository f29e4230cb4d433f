"""Objectives: which way a metric is better."""

from dataclasses import dataclass


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
