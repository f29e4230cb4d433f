"""What a run is told: the file that its command names first, as plain JSON.

```json
{"headrace_bmi": 1, "model": "HBV:HBV", "begin": "1979-01-01 00:00:00",
 "end": "1981-01-01 00:00:00", "step_s": 86400, "catchments": ["cat-1"],
 "config_name": "hbv.json", "config": "…{{forcing}}…{{Imax}}…", "parameters": {"Imax": 2.0},
 "variables": {"Q_OUT": "Q"}, "inputs": {}}
```
Times are UTC; the run has the steps that begin in [begin, end).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from headrace_bmi.errors import BmiFailed

MOST_STEPS: Final = 5_000_000
MOST_BYTES: Final = 64 << 20
TIME_FORMAT: Final = "%Y-%m-%d %H:%M:%S"
_MODEL: Final = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", re.ASCII)
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
CATCHMENT: Final = re.compile(r"cat-\d{1,15}", re.ASCII)
_KEYS: Final = frozenset(
    (
        "headrace_bmi",
        "model",
        "begin",
        "end",
        "step_s",
        "catchments",
        "config_name",
        "config",
        "parameters",
        "variables",
        "inputs",
    )
)


@dataclass(frozen=True, slots=True)
class RunConfig:
    """A run. `variables`: of each column of the output the BMI name of what it holds; `inputs`:
    of each BMI name that is set before a step the variable of the forcing.

    `catchments` None: all that the forcing has. `config` is the template of the file that the
    model's `initialize` gets, called `config_name`; `parameters` are further values for it.
    """

    model: str
    begin: datetime
    steps: int
    step: timedelta
    catchments: tuple[str, ...] | None
    config_name: str
    config: str
    parameters: Mapping[str, str]
    variables: tuple[tuple[str, str], ...]
    inputs: tuple[tuple[str, str], ...]

    @property
    def end(self) -> datetime:
        """Where the last step ends."""
        return self.time(self.steps)

    def time(self, step: int) -> datetime:
        """Where a step begins."""
        return self.begin + step * self.step

    def until(self, end: str | None) -> "RunConfig":
        """The run up to its last step that begins before `end`, ISO 8601 in UTC; None: all of it.

        A calibration asks for no more than it scores.
        """
        if not end:
            return self
        last = datetime.fromisoformat(end.removesuffix("Z")).replace(tzinfo=UTC)
        return replace(self, steps=max(1, min(self.steps, -((self.begin - last) // self.step))))


def read_config(path: Path) -> RunConfig:
    """Read the file of a run; raises `BmiFailed` naming the key that is wrong."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise BmiFailed(f"{path}: it has more than {MOST_BYTES >> 20} MiB")
        plain = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise BmiFailed(f"{path}: it can't be read as JSON: {error}") from None
    if not isinstance(plain, dict) or plain.get("headrace_bmi") != 1:
        raise BmiFailed(f"{path}: it is no config of this worker: 'headrace_bmi' must be 1")
    if strange := sorted(plain.keys() - _KEYS):
        raise BmiFailed(f"{path}: unknown {', '.join(strange)}; known are {', '.join(_KEYS)}")
    begin, end = _time(plain, "begin"), _time(plain, "end")
    step = _step(plain.get("step_s"))
    return RunConfig(
        model=_matching(plain, "model", _MODEL, "module:Class, such as HBV:HBV"),
        begin=begin,
        steps=_steps(begin, end, step),
        step=step,
        catchments=_catchments(plain.get("catchments")),
        config_name=_matching(plain, "config_name", _NAME, "the name of a file"),
        config=_text(plain, "config"),
        parameters=_parameters(plain.get("parameters", {})),
        variables=_names(plain, "variables", least=1),
        inputs=_names(plain, "inputs", least=0),
    )


def _text(plain: Mapping[str, Any], key: str) -> str:
    value = plain.get(key)
    if not isinstance(value, str):
        raise BmiFailed(f"{key} must be text, not {str(value)[:60]!r}")
    return value


def _matching(plain: Mapping[str, Any], key: str, pattern: re.Pattern[str], what: str) -> str:
    value = _text(plain, key)
    if not pattern.fullmatch(value):
        raise BmiFailed(f"{key}, {value[:80]!r}, must be {what}")
    return value


def _time(plain: Mapping[str, Any], key: str) -> datetime:
    text = _text(plain, key)
    try:
        return datetime.strptime(text, TIME_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        raise BmiFailed(
            f"{key}, {text[:40]!r}, must be a time in UTC such as 1979-01-01 00:00:00"
        ) from None


def _step(value: Any) -> timedelta:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 366 * 86_400:
        raise BmiFailed(f"step_s, {str(value)[:40]!r}, must be a whole number of seconds, above 0")
    return timedelta(seconds=value)


def _steps(begin: datetime, end: datetime, step: timedelta) -> int:
    steps, rest = divmod(end - begin, step)
    if steps < 1 or rest:
        raise BmiFailed(
            f"from {begin:{TIME_FORMAT}} to {end:{TIME_FORMAT}} there is no whole number of steps "
            f"of {step.total_seconds():g} s above 0; move the end"
        )
    if steps > MOST_STEPS:
        raise BmiFailed(f"there are {steps:,} steps; a run has at most {MOST_STEPS:,}")
    return steps


def _catchments(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not value:
        raise BmiFailed("catchments must be a list of ids such as cat-27, or null for all")
    for each in value:
        if not isinstance(each, str) or not CATCHMENT.fullmatch(each):
            raise BmiFailed(f"catchments: {str(each)[:60]!r} is no id such as cat-27")
    if len(set(value)) < len(value):
        twice = next(each for place, each in enumerate(value) if each in value[:place])
        raise BmiFailed(f"catchments: {twice} stands there twice")
    return tuple(value)


def _parameters(value: Any) -> dict[str, str]:
    """A number as Python writes it, so that none of its digits is lost; text as it is."""
    if not isinstance(value, dict):
        raise BmiFailed("parameters must be an object of names, each with a number or text")
    for name, each in value.items():
        if isinstance(each, bool) or not isinstance(each, int | float | str):
            raise BmiFailed(f"parameters: {name} must be a number or text, not {str(each)[:60]!r}")
    return {name: str(each) for name, each in value.items()}


def _names(plain: Mapping[str, Any], key: str, *, least: int) -> tuple[tuple[str, str], ...]:
    value = plain.get(key, {})
    if not isinstance(value, dict) or len(value) < least:
        raise BmiFailed(f"{key} must be an object with at least {least} name, each of a BMI name")
    for name, of in value.items():
        for text in (name, of):
            if not isinstance(text, str) or not text or not text.isprintable() or "," in text:
                raise BmiFailed(f"{key}: {str(text)[:60]!r} can't be a name")
    return tuple(value.items())
