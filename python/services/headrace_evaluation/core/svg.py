"""The drawings of a report as SVG text: hydrograph, scatter, flow-duration curve, map. Pure.

Colours are classes of the report's style (`s0`, `s1`, … a run, `obs` the observations), so that
they follow light and dark. Every text of a stranger is escaped.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, cos, floor, log10, radians
from typing import Final

import numpy as np

from headrace_evaluation.core.marks import path_of, round_numbers, thinned
from headrace_evaluation.core.metrics import Array
from headrace_model.times import instant_text

_COLUMNS: Final = 700  # of a hydrograph; more values are drawn as the least and the most of each
_DOTS: Final = 600
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 16, 8, 30


@dataclass(frozen=True, slots=True)
class Line:
    """A series to draw: its class, its x and y, shapes (n,)."""

    style: str
    x: Array
    y: Array


class _Scale:
    """From values to places, linear or by logarithm."""

    def __init__(self, low: float, high: float, begin: float, end: float, is_log: bool) -> None:
        self.is_log = is_log
        if is_log:
            low, high = log10(low), log10(high)
        if not high > low:
            low, high = low - 0.5, high + 0.5
        self.low, self.high, self._begin, self._end = low, high, begin, end

    def __call__(self, values: Array) -> Array:
        with np.errstate(all="ignore"):
            found = np.log10(values) if self.is_log else values
        return self._begin + (found - self.low) / (self.high - self.low) * (
            self._end - self._begin
        )

    def at(self, value: float) -> float:
        return float(self(np.array([value]))[0])

    def ticks(self) -> list[float]:
        """Round numbers, about five."""
        if self.is_log:
            first, last = ceil(self.low - 1e-9), floor(self.high + 1e-9)
            every = max(1, (last - first) // 6 + 1)
            powers = [10.0**each for each in range(first, last + 1, every)]
            if len(powers) >= 2:
                return powers
            return [10**self.low, 10 ** ((self.low + self.high) / 2), 10**self.high]
        return round_numbers(self.low, self.high, 5)


def _svg(title: str, about: str, width: int, height: int, body: str) -> str:
    return (
        f'<svg role="img" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
        f"<title>{escape(title)}</title><desc>{escape(about)}</desc>{body}</svg>"
    )


def _number(value: float) -> str:
    return f"{value:.4g}"


def _path(x: Array, y: Array, style: str) -> str:
    """A line that breaks where a value is missing."""
    return f'<path class="line {style}" d="{path_of(x, y)}"/>'


def _axes(
    x: _Scale,
    y: _Scale,
    width: int,
    height: int,
    x_text: Callable[[float], str],
    x_ticks: Sequence[float],
    labels: tuple[str, str],
) -> str:
    parts = []
    bottom = height - _BOTTOM
    for tick in y.ticks():
        at = y.at(tick)
        parts.append(
            f'<path class="grid" d="M{_LEFT} {at:.1f}H{width - _RIGHT}"/>'
            f'<text x="{_LEFT - 5}" y="{at + 4:.1f}" class="end">{_number(tick)}</text>'
        )
    for tick in x_ticks:
        at = x.at(tick)
        parts.append(
            f'<path class="grid" d="M{at:.1f} {_TOP}V{bottom}"/>'
            f'<text x="{at:.1f}" y="{bottom + 14}" class="mid">{x_text(tick)}</text>'
        )
    parts.append(
        f'<text x="{(width + _LEFT) / 2:.0f}" y="{height - 3}" class="mid">'
        f"{escape(labels[0])}</text>"
        f'<text transform="translate(11 {bottom / 2:.0f}) rotate(-90)" class="mid">'
        f"{escape(labels[1])}</text>"
    )
    return "".join(parts)


def _bounds(values: Sequence[Array], is_log: bool = False) -> tuple[float, float]:
    found = [v[np.isfinite(v) & ((v > 0) | (not is_log))] for v in values]
    whole = np.concatenate(found) if found else np.empty(0)
    if not whole.size:
        return (0.1, 1.0) if is_log else (0.0, 1.0)
    return float(whole.min()), float(whole.max())


def hydrograph(title: str, lines: Sequence[Line], unit: str) -> str:
    """Values over time; x in ms since 1970."""
    width, height = 760, 230
    low, high = _bounds([each.y for each in lines])
    first, last = _bounds([each.x.astype(float) for each in lines])
    x = _Scale(first, last, _LEFT, width - _RIGHT, False)
    y = _Scale(min(0.0, low), high, height - _BOTTOM, _TOP, False)
    ticks = np.linspace(first, last, 6)[:-1].tolist()
    body = _axes(x, y, width, height, lambda at: instant_text(int(at))[:10], ticks, ("", unit))
    for each in lines:
        times, values = thinned(each.x, each.y, _COLUMNS)
        body += _path(x(times.astype(float)), y(values), each.style)
    return _svg(title, f"Observed and simulated values over time, in {unit}", width, height, body)


def scatter(title: str, lines: Sequence[Line], unit: str) -> str:
    """Simulated over observed values; x observed, y simulated."""
    width, height = 300, 280
    values = [each for line in lines for each in (line.x, line.y)]
    is_log = all(bool(np.all(each > 0)) for each in values if each.size)
    low, high = _bounds(values, is_log)
    x = _Scale(low, high, _LEFT, width - _RIGHT, is_log)
    y = _Scale(low, high, height - _BOTTOM, _TOP, is_log)
    body = _axes(x, y, width, height, _number, x.ticks(), (f"observed, {unit}", "simulated"))
    begin, end = (f"{x.at(value):.1f} {y.at(value):.1f}" for value in (low, high))
    body += f'<path class="same" d="M{begin}L{end}"/>'
    for line in lines:
        every = max(1, ceil(line.x.size / _DOTS))
        places = zip(x(line.x[::every]).tolist(), y(line.y[::every]).tolist(), strict=True)
        body += (
            f'<g class="dot {line.style}">'
            + "".join(f'<circle cx="{px:.1f}" cy="{py:.1f}" r="2"/>' for px, py in places)
            + "</g>"
        )
    return _svg(
        title,
        f"Simulated over observed values in {unit}, with the line of equality",
        width,
        height,
        body,
    )


def duration_curve(title: str, lines: Sequence[Line], unit: str) -> str:
    """The share of time (%) in which a value is reached or exceeded; y of the lines counts.

    Plotting positions are those of Weibull, i / (n + 1).
    """
    width, height = 300, 280
    is_log = all(bool(np.any(line.y > 0)) for line in lines)
    low, high = _bounds([line.y for line in lines], is_log)
    x = _Scale(0, 100, _LEFT, width - _RIGHT, False)
    y = _Scale(low, high, height - _BOTTOM, _TOP, is_log)
    body = _axes(x, y, width, height, _number, (0, 25, 50, 75, 100), ("exceeded, % of time", unit))
    for line in lines:
        values = np.sort(line.y)[::-1]
        share = 100 * np.arange(1, values.size + 1) / (values.size + 1)
        thin = Line(line.style, share, values)
        if values.size > _DOTS:
            kept = np.unique(np.linspace(0, values.size - 1, _DOTS).astype(int))
            thin = Line(line.style, share[kept], values[kept])
        body += _path(x(thin.x), y(thin.y), thin.style)
    return _svg(title, f"Flow-duration curves in {unit}", width, height, body)


@dataclass(frozen=True, slots=True)
class Dot:
    """A location on the map: degrees, the class of its score (0 worst to 4 best), a text."""

    lon: float
    lat: float
    level: int
    text: str


def map_of(title: str, dots: Sequence[Dot]) -> str:
    """Locations by longitude and latitude, true to scale in the middle."""
    width, height, edge = 460, 460, 46
    lons, lats = [each.lon for each in dots], [each.lat for each in dots]
    middle = (min(lats) + max(lats)) / 2
    narrow = max(cos(radians(middle)), 0.05)
    span = max((max(lons) - min(lons)) * narrow, max(lats) - min(lats), 0.01)
    per_degree = (min(width, height) - 2 * edge) / span
    west = (min(lons) + max(lons)) / 2

    def place(lon: float, lat: float) -> tuple[float, float]:
        return (
            width / 2 + (lon - west) * narrow * per_degree,
            height / 2 - (lat - middle) * per_degree,
        )

    body = ""
    for lon in _Scale(min(lons), max(lons), 0, 1, False).ticks():
        at, _ = place(lon, middle)
        body += (
            f'<path class="grid" d="M{at:.1f} 8V{height - 22}"/>'
            f'<text class="mid" x="{at:.1f}" y="{height - 8}">{lon:.6g}°</text>'
        )
    for lat in _Scale(min(lats), max(lats), 0, 1, False).ticks():
        _, at = place(west, lat)
        body += (
            f'<path class="grid" d="M42 {at:.1f}H{width - 8}"/>'
            f'<text class="end" x="38" y="{at + 4:.1f}">{lat:.6g}°</text>'
        )
    for each in dots:
        px, py = place(each.lon, each.lat)
        body += (
            f'<circle class="level{each.level}" cx="{px:.1f}" cy="{py:.1f}" r="6">'
            f"<title>{escape(each.text)}</title></circle>"
        )
    return _svg(title, "Locations coloured by their score", width, height, body)
