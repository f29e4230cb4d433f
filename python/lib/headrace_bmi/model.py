"""A model behind BMI: its class, and each call with a sentence where it fails.

Only `initialize`, `update`, `get_value` and `finalize` must be there (`set_value` where the run
has inputs). What tells of sizes and times is asked, and left out where the model has not made it:
many models leave half of BMI away. Grids are asked last of all.
"""

import importlib
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from headrace_bmi.clock import read_units
from headrace_bmi.config import TIME_FORMAT, RunConfig
from headrace_bmi.errors import BmiFailed

_NEEDED: Final = ("initialize", "update", "get_value", "finalize")
_CLOSE_S: Final = 1e-3


def load_model(name: str) -> Callable[[], Any]:
    """Import `module:Class`; raises `BmiFailed` where it is not there, or is no BMI model."""
    module_name, _, class_name = name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise BmiFailed(
            f"{name}: there is no module {error.name} here; name its package in the job's "
            "`environment`, take an image that has it, or send it by `files`"
        ) from None
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        raise BmiFailed(f"{name}: importing {module_name} raised {_said(error)}") from None
    found = getattr(module, class_name, None)
    if not isinstance(found, type):
        classes = sorted(each for each, of in vars(module).items() if isinstance(of, type))
        shown = ", ".join(classes[:20]) or "none"
        raise BmiFailed(f"{name}: {module_name} has no class {class_name}; its classes: {shown}")
    lacking = [each for each in _NEEDED if not callable(getattr(found, each, None))]
    if lacking:
        raise BmiFailed(f"{name} is no BMI model: it lacks {', '.join(lacking)}")
    return found


class Model:
    """One catchment's model while it runs; every failure names catchment, time and function."""

    def __init__(self, config: RunConfig, make: Callable[[], Any], catchment: str) -> None:
        self._config = config
        self._catchment = catchment
        self._model = self._call("__init__", make, step=None)
        self._dests: dict[str, np.ndarray[Any, Any]] = {}

    def initialize(self, path: Path) -> None:
        """Initialize, and compare the model's own clock with the run, where it has one."""
        self._call("initialize", self._model.initialize, str(path), step=None)
        self._check_clock()
        for name in dict.fromkeys(of for _, of in self._config.variables):
            self._dests[name] = np.zeros(self._size(name), dtype=self._type(name))

    def set_value(self, name: str, value: float, step: int) -> None:
        """Give an input its value of a step."""
        given = np.array([value], dtype=np.float64)
        self._call("set_value", self._model.set_value, name, given, step=step, of=name)

    def update(self, step: int) -> None:
        """Run a step."""
        self._call("update", self._model.update, step=step)

    def value(self, name: str, step: int) -> float:
        """An output after a step; raises `BmiFailed` where it is no finite number."""
        dest = self._dests[name]
        self._call("get_value", self._model.get_value, name, dest, step=step, of=name)
        value = float(dest[0])
        if not np.isfinite(value):
            raise self._failed("get_value", f"{name} is {value}", step)
        return value

    def finalize(self) -> None:
        """Let the model close what it opened."""
        self._call("finalize", self._model.finalize, step=None)

    def drop(self) -> None:
        """Finalize after a failure, which is what people are told: nothing is raised."""
        try:
            self._model.finalize()
        except (Exception, SystemExit):
            traceback.print_exc()

    def _call(
        self,
        function: str,
        call: Callable[..., Any],
        *given: Any,
        step: int | None,
        of: str | None = None,
    ) -> Any:
        try:
            return call(*given)
        except (Exception, SystemExit) as error:
            traceback.print_exc()
            said = f"it raised {_said(error)}" + (f" for {of}" if of else "")
            raise self._failed(function, said, step) from None

    def _failed(self, function: str, what: str, step: int | None) -> BmiFailed:
        sys.stdout.flush()
        when = ""
        if step is not None:
            when = f" at {self._config.time(step):{TIME_FORMAT}} (step {step})"
        return BmiFailed(
            f"catchment {self._catchment}{when}: {function} of {self._config.model}: {what}. "
            f"Look at what its config and its forcing hold{' then' if when else ''}, or run this "
            "catchment alone: settings.catchments"
        )

    def _asked(self, function: str, *given: Any) -> Any:
        """What the model tells of itself; None where it has not made that, in whatever way."""
        try:
            return getattr(self._model, function)(*given)
        except (Exception, SystemExit):
            return None

    def _size(self, name: str) -> int:
        """How many numbers a variable has; raises `BmiFailed` unless it is one."""
        nbytes, itemsize = (
            self._asked("get_var_nbytes", name),
            self._asked("get_var_itemsize", name),
        )
        size: Any = nbytes // itemsize if nbytes and itemsize else None
        if size is None:
            grid = self._asked("get_var_grid", name)
            size = None if grid is None else self._asked("get_grid_size", grid)
        if size is not None and size != 1:
            raise self._failed(
                "get_value", f"{name} has {size} numbers; a column holds one a catchment", None
            )
        return 1

    def _type(self, name: str) -> np.dtype[Any]:
        said = self._asked("get_var_type", name)
        try:
            found = np.dtype(said)
        except (TypeError, ValueError):
            found = np.dtype(np.float64)
        return found if found.kind in "iuf" else np.dtype(np.float64)

    def _check_clock(self) -> None:
        """One that begins at another time, or has another step, gives numbers of other days."""
        unit_s, reference = read_units(str(self._asked("get_time_units") or "")) or (0, None)
        step, start = self._asked("get_time_step"), self._asked("get_start_time")
        wanted_s = self._config.step.total_seconds()
        if unit_s and _is_number(step) and abs(step * unit_s - wanted_s) > _CLOSE_S:
            said = f"its step is {step * unit_s:g} s, the run's {wanted_s:g} s"
            raise self._failed("get_time_step", said, None)
        if reference is not None and _is_number(start):
            begin = self._config.begin
            beside_s = float(start) * unit_s - (begin - reference).total_seconds()
            if abs(beside_s) > _CLOSE_S:
                said = f"it starts {beside_s:+.0f} s beside the run's begin, {begin:{TIME_FORMAT}}"
                raise self._failed("get_start_time", said, None)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.number) and bool(np.isfinite(value))


def _said(error: BaseException) -> str:
    text = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
