"""Which steps of a run count in which period.

The model runs once from the begin of the earlier period. Its first `warm_up_ms` count nowhere:
stores that begin empty say nothing of the parameters. What follows counts in the period that it
lies in, so that no step of the validation is ever seen by the search.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from headrace_model.errors import InvalidInput
from headrace_model.times import Instant, format_instant

Milliseconds = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Span:
    """A period [begin, end), in milliseconds since 1970."""

    begin: int
    end: int

    def holds(self, times: Milliseconds) -> Mask:
        """Which times lie in it."""
        found: Mask = (self.begin <= times) & (times < self.end)
        return found


@dataclass(frozen=True, slots=True)
class Periods:
    """The period that is calibrated, the one that it is validated in (None: none), the warm-up.

    Raises `InvalidInput` where they overlap or the warm-up leaves nothing.
    """

    train: Span
    validate: Span | None
    warm_up_ms: int

    def __post_init__(self) -> None:
        other = self.validate
        if other and other.begin < self.train.end and self.train.begin < other.end:
            raise InvalidInput(
                "train and validate overlap: what the search has seen validates nothing"
            )
        for name, span in (("train", self.train), ("validate", other)):
            if span and span.end <= self.begin + self.warm_up_ms:
                raise InvalidInput(f"the warm-up leaves nothing of {name}")

    @property
    def begin(self) -> int:
        """Where the model has to begin."""
        return min(each.begin for each in (self.train, self.validate) if each)

    @property
    def end(self) -> int:
        """Where it has to end for both periods."""
        return max(each.end for each in (self.train, self.validate) if each)

    def counted(self, span: Span) -> Span:
        """What of a period counts: what is behind the warm-up."""
        return Span(max(span.begin, self.begin + self.warm_up_ms), span.end)


def told(span: Span) -> str:
    """Say a period for people."""
    return f"{format_instant(Instant(span.begin))} to {format_instant(Instant(span.end))}"
