"""Series of a cluster: what its nodes offer and have free, how many jobs run and wait.

Each resolution is a ring of a fixed number of slots, so that a series never grows.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum


class Resolution(StrEnum):
    """How far apart the points of a series are: 10 s for an hour, a minute for a day, a quarter
    of an hour for two weeks."""

    SECONDS = "10s"
    MINUTES = "1m"
    QUARTERS = "15m"

    @property
    def step_ms(self) -> int:
        """From one point to the next."""
        return {"10s": 10_000, "1m": 60_000, "15m": 900_000}[self.value]

    @property
    def slots(self) -> int:
        """How many points are kept."""
        return {"10s": 360, "1m": 1_440, "15m": 1_344}[self.value]


@dataclass(frozen=True, slots=True)
class Point:
    """A cluster at a moment, or on average from it on for as long as its resolution says.

    Nodes are those that are not lost; free is what the ledger offers. Waiting jobs are those in
    the queue, running ones those that have nodes.
    """

    at_ms: int
    nodes: int
    millicpus: int
    free_millicpus: int
    memory_bytes: int
    free_memory_bytes: int
    running: int
    waiting: int


def mean_of(at_ms: int, points: Sequence[Point]) -> Point:
    """The mean of some points, at least one, to whole numbers."""
    names = [each.name for each in fields(Point)][1:]
    means = (round(sum(getattr(each, name) for each in points) / len(points)) for name in names)
    return Point(at_ms, *means)


class Rings:
    """Down-samples points as they come; what it knows of a stretch is lost with it."""

    def __init__(self) -> None:
        self._begun: dict[Resolution, list[Point]] = {each: [] for each in Resolution}

    def add(self, point: Point) -> dict[Resolution, Point]:
        """Give what each ring holds now of the stretch that the point lies in."""
        held = {}
        for resolution, begun in self._begun.items():
            at_ms = point.at_ms - point.at_ms % resolution.step_ms
            if begun and begun[0].at_ms < at_ms:
                begun.clear()
            begun.append(point)
            held[resolution] = mean_of(at_ms, begun)
        return held


def slot_of(resolution: Resolution, at_ms: int) -> int:
    """Where a point lies in its ring; the next round writes over it."""
    return at_ms // resolution.step_ms % resolution.slots


def in_order(
    resolution: Resolution, points: Iterable[Point], now_ms: int, since_ms: int = 0
) -> tuple[Point, ...]:
    """The points of the ring's last round, after `since_ms`, in the order of time."""
    oldest_ms = max(since_ms, now_ms - resolution.step_ms * resolution.slots)
    return tuple(
        sorted(
            (each for each in points if oldest_ms < each.at_ms <= now_ms),
            key=lambda each: each.at_ms,
        )
    )
