"""The pictures of docs/scheduling.md: drawn from what the simulator does, by gen-docs.py."""

import time
from collections.abc import Iterable, Sequence
from random import Random
from typing import Final

from headrace_local.simulate.engine import Ran, Setting, Simulation
from headrace_local.simulate.lublin import Asked, generate
from headrace_local.simulate.pool import said_nodes
from headrace_local.simulate.trace import TraceJob
from headrace_model.bounds import Policy

_HOUR_MS: Final = 3_600_000
_COLOURS: Final = ("#4c78a8", "#f58518", "#54a24b", "#b279a2", "#e45756")
_WIDTH: Final = 760
_LEFT: Final = 130
# Name, when it came (minutes), CPUs, hours: the story that docs/scheduling.md tells.
_STORY: Final = (
    ("A", 0, 3, 4),
    ("B", 10, 3, 2),
    ("C", 20, 1, 3),
    ("D", 30, 4, 2),
    ("E", 40, 1, 8),
)


def policies_picture() -> str:
    """Five jobs on one node of four CPUs under each policy: who runs when on which CPU."""
    jobs = [
        TraceJob(at, came * 60_000, hours * _HOUR_MS, cpus, hours * _HOUR_MS, user="ann")
        for at, (_, came, cpus, hours) in enumerate(_STORY)
    ]
    row, gap, scale = 18, 44, 34
    parts = []
    for number, policy in enumerate(Policy):
        top = 24 + number * (4 * row + gap)
        parts.append(_text(8, top + 2 * row + 4, policy.value, "bold"))
        for ran, lanes in _lanes(_ran(jobs, "4", policy)):
            left = _LEFT + ran.start_ms / _HOUR_MS * scale
            width = (ran.end_ms - ran.start_ms) / _HOUR_MS * scale
            colour = _COLOURS[ran.job.number]
            parts += [_box(left, top + lane * row, width, row - 1, colour) for lane in lanes]
            name = _STORY[ran.job.number][0]
            parts.append(_text(left + 4, top + lanes[0] * row + 13, name, "bold", "#fff"))
        parts += _hours(top + 4 * row, 18, scale, 2)
    return _svg(24 + len(Policy) * (4 * row + gap), parts)


def use_picture() -> str:
    """How many CPUs of a small cluster are used over time, under FIFO and under EASY."""
    trace = generate(Asked(120, 32, 1.0), Random(7), "made")  # noqa: S311 - the same jobs each time
    height, gap, hours = 90, 50, 96
    scale = (_WIDTH - _LEFT - 20) / hours
    parts = []
    for number, policy in enumerate((Policy.FIFO, Policy.EASY)):
        top = 24 + number * (height + gap)
        ran = _ran(trace.jobs, "4x8", policy)
        points, used = [f"{_LEFT},{top + height}"], 0
        begin_ms = min(each.job.submit_ms for each in ran)
        for at_ms, change in _changes(ran):
            left = _LEFT + min((at_ms - begin_ms) / _HOUR_MS, hours) * scale
            points.append(f"{left:.1f},{top + height - used / 32 * height:.1f}")
            used += change
            points.append(f"{left:.1f},{top + height - used / 32 * height:.1f}")
        shape = " ".join(points)
        parts.append(_box(_LEFT, top, hours * scale, height, "#eee"))
        parts.append(f'<polygon points="{shape}" fill="{_COLOURS[number]}"/>')
        parts.append(_text(8, top + height / 2, policy.value, "bold"))
        parts.append(_text(8, top + height / 2 + 16, "of 32 CPUs"))
        parts += _hours(top + height, hours, scale, 12)
    return _svg(24 + 2 * (height + gap), parts)


def _ran(jobs: Sequence[TraceJob], nodes: str, policy: Policy) -> list[Ran]:
    run = Simulation(jobs, Setting(said_nodes([nodes]), policy), time.process_time).run()
    return sorted(run.ran, key=lambda ran: (ran.start_ms, ran.job.number))


def _lanes(ran: Iterable[Ran]) -> Iterable[tuple[Ran, list[int]]]:
    """For each job the CPUs to draw it on: the first that are free."""
    free_ms = [0] * 4
    for each in ran:
        lanes = [lane for lane in range(4) if free_ms[lane] <= each.start_ms][: each.job.cpus]
        for lane in lanes:
            free_ms[lane] = each.end_ms
        yield each, lanes


def _changes(ran: Iterable[Ran]) -> list[tuple[int, int]]:
    found = []
    for each in ran:
        found += [(each.start_ms, each.job.cpus), (each.end_ms, -each.job.cpus)]
    return sorted(found)


def _hours(top: float, hours: int, scale: float, step: int) -> list[str]:
    return [
        _text(_LEFT + hour * scale - 6, top + 14, f"{hour} h" if not hour else str(hour))
        for hour in range(0, hours + 1, step)
    ]


def _box(left: float, top: float, width: float, height: float, colour: str) -> str:
    return (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" '
        f'fill="{colour}"/>'
    )


def _text(left: float, top: float, text: str, weight: str = "normal", colour: str = "#333") -> str:
    return (
        f'<text x="{left:.1f}" y="{top:.1f}" font-weight="{weight}" fill="{colour}">{text}</text>'
    )


def _svg(height: float, parts: Iterable[str]) -> str:
    lines = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height:.0f}" '
        f'font-family="sans-serif" font-size="12">\n'
        f'<rect width="100%" height="100%" fill="#fff"/>\n{lines}\n</svg>\n'
    )
