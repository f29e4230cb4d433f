"""Points of a cluster's series: as Redis keeps them, and as the REST API shows them."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from typing import Any

from headrace_model.series import Point, Resolution
from headrace_wire.api import iso

_NUMBERS = len(fields(Point))


@dataclass(frozen=True, slots=True)
class PointView:
    """A cluster on average from `at` on for a step: nodes that are not lost, what they have and
    what of it is free (CPUs, bytes), jobs that have nodes, jobs that wait for some."""

    at: str
    nodes: int
    cpus: float
    cpus_free: float
    memory: int
    memory_free: int
    running: int
    waiting: int


@dataclass(frozen=True, slots=True)
class SeriesView:
    """Points in the order of time, `step_s` apart where none is missing."""

    step_s: float
    points: tuple[PointView, ...]


def write_point(point: Point) -> str:
    """Write a point as numbers in the order of its fields."""
    return " ".join(map(str, astuple(point)))


def read_point(text: str) -> Point | None:
    """Read what `write_point` wrote; None for anything else."""
    words = text.split()
    if len(words) != _NUMBERS or not all(w.isascii() and w.isdigit() for w in words):
        return None
    return Point(*map(int, words))


def point_view(point: Point) -> dict[str, Any]:
    """Show a point."""
    return {
        "at": iso(point.at_ms),
        "nodes": point.nodes,
        "cpus": point.millicpus / 1000,
        "cpus_free": point.free_millicpus / 1000,
        "memory": point.memory_bytes,
        "memory_free": point.free_memory_bytes,
        "running": point.running,
        "waiting": point.waiting,
    }


def series_view(resolution: Resolution, points: Sequence[Point]) -> dict[str, Any]:
    """Show points of a resolution."""
    return {
        "step_s": resolution.step_ms / 1000,
        "points": [point_view(point) for point in points],
    }
