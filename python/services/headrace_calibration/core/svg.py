"""Charts as SVG that stands in a page of HTML: no script, no other file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from math import ceil, isfinite
from typing import Final

import numpy as np

from headrace_evaluation.core.marks import path_of, round_numbers, thinned

_LEFT: Final = 62
_RIGHT: Final = 12
_TOP: Final = 14
_BOTTOM: Final = 34
_MOST_DOTS: Final = 4_000  # a screen shows no more
_COLUMNS: Final = 2_000  # of a longer line the least and the most of each


@dataclass(frozen=True, slots=True)
class Line:
    """Points in order; one that is no number makes a gap. `style`: attributes of its stroke."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    style: str
    dots: bool = False


@dataclass(frozen=True, slots=True)
class Band:
    """A stretch of x that is shaded, with a word on top."""

    begin: float
    end: float
    word: str
    fill: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart; `dates`: x is milliseconds since 1970. `y_range`: None is what the lines need."""

    title: str
    x_title: str
    y_title: str
    lines: tuple[Line, ...]
    bands: tuple[Band, ...] = ()
    dates: bool = False
    width: int = 900
    height: int = 300
    y_range: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where values lie on the paper."""

    x_low: float
    x_high: float
    y_low: float
    y_high: float
    right: int
    low: int

    def x(self, x: float) -> float:
        inside = min(self.x_high, max(self.x_low, x))
        return _LEFT + (inside - self.x_low) / (self.x_high - self.x_low) * (self.right - _LEFT)

    def y(self, y: float) -> float:
        inside = min(self.y_high, max(self.y_low, y))
        return self.low - (inside - self.y_low) / (self.y_high - self.y_low) * (self.low - _TOP)


def draw(chart: Chart) -> str:
    """Draw it, with a legend where there are several lines."""
    xs = [x for line in chart.lines for x in line.x] or [0.0]
    ys = [y for line in chart.lines for y in line.y if isfinite(y)] or [0.0]
    frame = _Frame(
        *_apart(min(xs), max(xs)),
        *(chart.y_range or _apart(min(ys), max(ys))),
        chart.width - _RIGHT,
        chart.height - _BOTTOM,
    )
    parts = [
        f'<svg viewBox="0 0 {chart.width} {chart.height}" role="img" '
        f'aria-label="{escape(chart.title)}" style="max-width:{chart.width}px;width:100%">',
        *(_band(band, frame) for band in chart.bands),
        *_grid(chart, frame),
        *(_line(line, frame) for line in chart.lines),
        f'<path d="M{_LEFT} {_TOP}V{frame.low}H{frame.right}" class="axis"/>',
        f'<text x="{(_LEFT + frame.right) / 2}" y="{chart.height - 3}" text-anchor="middle">'
        f"{escape(chart.x_title)}</text>",
        f'<text transform="translate(12 {(_TOP + frame.low) / 2}) rotate(-90)" '
        f'text-anchor="middle">{escape(chart.y_title)}</text></svg>',
    ]
    return "".join(parts) + (_legend(chart.lines) if len(chart.lines) > 1 else "")


def _band(band: Band, frame: _Frame) -> str:
    begin, end = frame.x(band.begin), frame.x(band.end)
    if end <= begin:
        return ""
    return (
        f'<rect x="{begin:.1f}" y="{_TOP}" width="{end - begin:.1f}" '
        f'height="{frame.low - _TOP}" fill="{band.fill}"/>'
        f'<text x="{(begin + end) / 2:.1f}" y="{_TOP + 12}" text-anchor="middle" '
        f'class="band">{escape(band.word)}</text>'
    )


def _grid(chart: Chart, frame: _Frame) -> Iterator[str]:
    for y in round_numbers(frame.y_low, frame.y_high, 5):
        at = frame.y(y)
        yield (
            f'<path d="M{_LEFT} {at:.1f}H{frame.right}" class="grid"/>'
            f'<text x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{y:.6g}</text>'
        )
    for x in round_numbers(frame.x_low, frame.x_high, 7):
        word = _date(x) if chart.dates else f"{x:.6g}"
        yield f'<text x="{frame.x(x):.1f}" y="{frame.low + 16}" text-anchor="middle">{word}</text>'


def _legend(lines: Sequence[Line]) -> str:
    entries = (
        f'<span><svg width="26" height="10">{_key(line)}</svg> {escape(line.name)}</span>'
        for line in lines
    )
    return f'<p class="legend">{" ".join(entries)}</p>'


def _key(line: Line) -> str:
    if line.dots:
        return f'<circle cx="13" cy="5" r="3" {line.style}/>'
    return f'<path d="M1 5H25" fill="none" {line.style}/>'


def _line(line: Line, frame: _Frame) -> str:
    if line.dots:
        step = max(1, ceil(len(line.x) / _MOST_DOTS))
        return "".join(
            f'<circle cx="{frame.x(x):.1f}" cy="{frame.y(y):.1f}" r="2" {line.style}/>'
            for x, y in zip(line.x[::step], line.y[::step], strict=True)
            if isfinite(y)
        )
    xs, ys = thinned(np.asarray(line.x, float), np.asarray(line.y, float), _COLUMNS)
    heights = [frame.y(y) if isfinite(y) else y for y in ys]
    places = np.array([frame.x(x) for x in xs]), np.array(heights)
    return f'<path d="{path_of(*places)}" fill="none" {line.style}/>'


def _apart(low: float, high: float) -> tuple[float, float]:
    if high - low > 1e-9 * max(abs(low), abs(high), 1e-300):
        return low, high
    by = abs(low) * 0.1 or 1.0
    return low - by, low + by


def _date(ms: float) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d")
