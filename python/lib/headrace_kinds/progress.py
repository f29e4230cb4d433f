"""How far a worker is, read from the lines that it writes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Final

from headrace_model.errors import HeadraceError
from headrace_model.times import parse_instant

MOST_LINE: Final = 500
"""Of a longer line only so much is looked at."""

PLAIN: Final = (
    re.compile(r"HEADRACE_PROGRESS\s+(?P<percent>[0-9.]{1,9})\s?%"),
    re.compile(r"HEADRACE_PROGRESS\s+(?P<step>[0-9]{1,15})\s?/\s?(?P<of>[0-9]{1,15})"),
    re.compile(r"HEADRACE_PROGRESS\s.{0,80}?(?P<time>[0-9]{4}-[0-9]{2}-[0-9]{2}[0-9T:.Z-]{0,20})"),
)
"""What any command may write."""
USUAL: Final = (
    re.compile(r"\b[Ss]tep (?P<step>[0-9]{1,15})/(?P<of>[0-9]{1,15})\b"),
    re.compile(r"(?P<percent>[0-9]{1,3})%\|.{0,120}\| (?P<step>[0-9]{1,15})/(?P<of>[0-9]{1,15}) "),
)
"""What is often written anyhow: `step 3/10`, and the bars of tqdm."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a line tells: percent from 0 to 100, steps done and in all, and the model's time (ms
    since 1970)."""

    percent: float | None = None
    step: int | None = None
    of: int | None = None
    model_ms: int | None = None


def read_line(patterns: Sequence[re.Pattern[str]], line: str) -> Reading | None:
    """What a line tells by the patterns; what an earlier one says counts. None: nothing."""
    line = line[:MOST_LINE]
    told: dict[str, str] = {}
    for pattern in patterns:
        if found := pattern.search(line):
            told = {name: text for name, text in found.groupdict().items() if text} | told
    step, of = _whole(told.get("step")), _whole(told.get("of"))
    percent = _percent(told.get("percent"), 1.0)
    if percent is None:
        percent = _percent(told.get("fraction"), 100.0)
    if percent is None and step is not None and of:
        percent = min(100.0, 100.0 * step / of)
    reading = Reading(percent, step, of, _instant(told.get("time")))
    return None if reading == Reading() else reading


def _percent(text: str | None, factor: float) -> float | None:
    try:
        value = float(text or "") * factor
    except ValueError:
        return None
    return min(100.0, max(0.0, value)) if isfinite(value) else None


def _whole(text: str | None) -> int | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return int(value) if isfinite(value) and 0 <= value < 2**53 else None


def _instant(text: str | None) -> int | None:
    try:
        return int(parse_instant(text.strip().replace(" ", "T").rstrip("-:."))) if text else None
    except HeadraceError:
        return None
