"""A process's catchments, one after the other, each written to a file in ngen's layout.

The numbers of a catchment depend on its own forcing and config alone, and are written in one
fixed format: files are the same whoever wrote them, alone or among ranks.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from headrace_bmi.config import TIME_FORMAT, RunConfig
from headrace_bmi.errors import BmiFailed
from headrace_bmi.forcing import cut_to_run, series
from headrace_bmi.joining import one_file
from headrace_bmi.model import Model
from headrace_bmi.template import filled

_PROGRESS_LINES: Final = 200


def run_catchments(
    config: RunConfig,
    make: Callable[[], Any],
    catchments: Sequence[str],
    forcing: Mapping[str, Sequence[Path]],
    output: Path,
    scratch: Path,
    say: Callable[[str], None],
) -> None:
    """Run the model for each catchment and write `cat-<id>.csv`; raises `BmiFailed` at the first
    that fails. `say` gets lines of progress, at most 200.
    """
    told = 0
    for done, catchment in enumerate(catchments, 1):
        text = run_catchment(config, make, catchment, forcing[catchment], scratch)
        write_whole(output / f"{catchment}.csv", text)
        if (now := done * _PROGRESS_LINES // len(catchments)) > told or done == len(catchments):
            told = now
            say(f"HEADRACE_PROGRESS {done}/{len(catchments)}")


def run_catchment(
    config: RunConfig,
    make: Callable[[], Any],
    catchment: str,
    forcing: Sequence[Path],
    scratch: Path,
) -> str:
    """Run one catchment; returns the text of its file. Raises `BmiFailed`."""
    joined = one_file(catchment, forcing, scratch)
    given = cut_to_run(config, catchment, joined, scratch)
    inputs = series(config, catchment, given)
    init = scratch.absolute() / f"{catchment}_{config.config_name}"
    init.write_text(filled(config, catchment, str(given.absolute())), encoding="utf-8", newline="")
    model = Model(config, make, catchment)
    try:
        model.initialize(init)
        lines = [",".join(("Time Step", "Time", *(name for name, _ in config.variables)))]
        for step in range(config.steps):
            for name, numbers in inputs.items():
                model.set_value(name, float(numbers[step]), step)
            model.update(step)
            cells = [written(model.value(of, step)) for _, of in config.variables]
            lines.append(f"{step},{config.time(step):{TIME_FORMAT}},{','.join(cells)}")
    except BmiFailed:
        model.drop()
        raise
    model.finalize()
    for each in {init, joined, given}:
        if each.parent == scratch.absolute():
            each.unlink()
    return "".join(f"{line}\n" for line in lines)


def written(value: float) -> str:
    """A number as ngen writes it: 9 significant digits; a zero has no sign."""
    return f"{value + 0.0:.9g}"


def write_whole(path: Path, text: str) -> None:
    """Write a file that is there whole or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_text(text, encoding="utf-8", newline="")
    part.replace(path)
