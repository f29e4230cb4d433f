"""How far workers are: marks in the order of time, how many are kept, how fast it goes."""

from collections.abc import Sequence
from dataclasses import dataclass

_RECENT = 1 / 3  # of the time since the first mark


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a worker was at a moment, as far as its log told: percent from 0 to 100, steps done
    and in all, the time that the model had reached."""

    at_ms: int
    percent: float | None = None
    step: int | None = None
    of: int | None = None
    model_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast it goes lately, and how long it takes still; None where that can't be told."""

    percent_per_s: float | None = None
    steps_per_s: float | None = None
    left_s: float | None = None


def thinned(marks: Sequence[Mark], limit: int) -> tuple[Mark, ...]:
    """At most `limit` marks (4 or more): the first, the newest half, and every other of the rest
    as often as needed."""
    kept = list(marks)
    while len(kept) > limit:
        half = max(1, len(kept) - limit // 2)
        kept = [*kept[:half:2], *kept[half:]]
    return tuple(kept)


def pace_of(marks: Sequence[Mark], now_ms: int) -> Pace:
    """The mean over the last third of the time that the marks tell of, up to the last mark.

    What is left counts from the last mark, less what has passed since.
    """
    percents = [(mark.at_ms, mark.percent) for mark in marks if mark.percent is not None]
    steps = [(mark.at_ms, float(mark.step)) for mark in marks if mark.step is not None]
    percent_per_s = _per_s(percents)
    left_s = None
    if percents and percents[-1][1] >= 100.0:
        left_s = 0.0
    elif percent_per_s:
        last_ms, percent = percents[-1]
        left_s = max(0.0, (100.0 - percent) / percent_per_s - max(0, now_ms - last_ms) / 1000)
    return Pace(percent_per_s, _per_s(steps), left_s)


def _per_s(points: Sequence[tuple[int, float]]) -> float | None:
    if len(points) < 2:
        return None
    (first_ms, _), (last_ms, last) = points[0], points[-1]
    since_ms = last_ms - (last_ms - first_ms) * _RECENT
    before = [point for point in points[:-1] if point[0] <= since_ms]
    from_ms, begun = before[-1]
    if last_ms <= from_ms or last < begun:
        return None  # it began anew
    return (last - begun) * 1000 / (last_ms - from_ms)
