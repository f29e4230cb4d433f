"""The space that is searched: parameters between their limits, as points of the unit cube."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from headrace_kinds.calibration_settings import Scale
from headrace_model.errors import InvalidInput

_DIGITS: Final = (
    12  # of a value: more than any model's parameter means, fewer than a float's noise
)

Point = tuple[float, ...]
"""A place in the unit cube, a coordinate from 0 to 1 a parameter."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter with its limits, both possible, and the value where the search begins.

    Raises `InvalidInput` where the limits are none.
    """

    name: str
    low: float
    high: float
    first: float
    scale: Scale = Scale.LINEAR

    def __post_init__(self) -> None:
        numbers = (self.low, self.high, self.first)
        if not all(map(math.isfinite, numbers)):
            raise InvalidInput(f"{self.name}: min, max and init must be finite numbers")
        if self.low >= self.high:
            raise InvalidInput(f"{self.name}: min, {self.low:g}, is not below max, {self.high:g}")
        if not self.low <= self.first <= self.high:
            raise InvalidInput(
                f"{self.name}: init, {self.first:g}, is outside {self.low:g} to {self.high:g}"
            )
        if self.scale is Scale.LOG and self.low <= 0:
            raise InvalidInput(
                f"{self.name}: on a log scale min must be above 0, and it is {self.low:g}"
            )

    def value(self, coordinate: float) -> float:
        """The value at a coordinate; 0 and 1 give the limits themselves."""
        if self.scale is Scale.LOG:
            spread = math.log(self.high / self.low)
            exact = self.low * math.exp(coordinate * spread)
        else:
            exact = self.low + coordinate * (self.high - self.low)
        return min(self.high, max(self.low, float(f"{exact:.{_DIGITS}g}")))

    def coordinate(self, value: float) -> float:
        """The coordinate of a value between the limits."""
        if self.scale is Scale.LOG:
            found = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            found = (value - self.low) / (self.high - self.low)
        return min(1.0, max(0.0, found))


def first_point(space: tuple[Parameter, ...]) -> Point:
    """Where the search begins."""
    return tuple(each.coordinate(each.first) for each in space)


def values_at(space: tuple[Parameter, ...], point: Point) -> Mapping[str, float]:
    """The value of each parameter, by name, at a point."""
    return {each.name: each.value(at) for each, at in zip(space, point, strict=True)}
