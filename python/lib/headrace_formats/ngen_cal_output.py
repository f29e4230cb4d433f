"""NGEN_CAL_OUTPUT: what ngen-cal keeps of a calibration in the folder of each worker.

From the source of NOAA-OWP/ngen-cal (python/ngen_cal/src/ngen/cal: model.py, calibratable.py,
meta.py), not from a real run: none was at hand. Three files count. `*_objective.txt` has a line
`iteration, score` for each run of the model. `*_best_params.txt` has three lines: the last
iteration, the best one, its score. `*_parameter_df_state.parquet` has a row a parameter, with
`param`, `min`, `max` and a column of values for each iteration, which its number names. The log
of the model, `ngen.log`, is prose.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, Final

from headrace_formats.base import HEAD_BYTES, Field, FileDomain, Format, Whole, open_plain
from headrace_formats.errors import FormatError
from headrace_formats.parquet import batches, is_parquet, opened
from headrace_formats.report import Report
from headrace_model.dataset import Category
from headrace_model.domain import Domain

_SCORE: Final = rb"[-+]?(?:\d[\d.]{0,40}(?:[eE][-+]?\d{1,4})?|inf|nan)"
_LINE: Final = re.compile(rb"(\d{1,9}), (" + _SCORE + rb")")
_BEST: Final = re.compile(rb"(\d{1,9})\n(\d{1,9})\n(" + _SCORE + rb")\n?")
_ITERATION: Final = re.compile(r"\d{1,9}", re.ASCII)
_MOST_LINES: Final = 1_000_000
_MOST_LINE_BYTES: Final = 256
_MOST_PARAMETERS: Final = 100_000
_MOST_VALUES: Final = 50_000_000
_COLUMNS: Final = ("param", "min", "max")


@dataclass(frozen=True, slots=True)
class _Best:
    """What `*_best_params.txt` tells."""

    iteration: int
    score: float


@dataclass(frozen=True, slots=True)
class _Scores:
    """What an objective log tells."""

    of: dict[int, float]


def _sniff(head: bytes) -> bool:
    first = head.splitlines()[:1]
    return is_parquet(head) or bool(_BEST.fullmatch(head) or (first and _LINE.fullmatch(first[0])))


def _read(path: Path, report: Report) -> FileDomain:
    with open_plain(path) as file:
        head = file.read(HEAD_BYTES)
    if is_parquet(head):
        return _parameters(path, report)
    best = _BEST.fullmatch(head)
    if best is not None:
        last, iteration = int(best[1]), int(best[2])
        if iteration > last:
            report.error("line 2", f"the best iteration, {iteration}, is after the last, {last}")
        found = _Best(iteration, _number(best[3], "line 3"))
        return FileDomain((("best", Domain()),), content=found)
    return _objective(path, report)


def _number(text: bytes, where: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise FormatError(f"{where}: {text[:40].decode()!r} is not a number") from None


def _objective(path: Path, report: Report) -> FileDomain:
    scores: dict[int, float] = {}
    before = -1
    with open_plain(path) as file:
        number = 0
        while line := file.readline(_MOST_LINE_BYTES):
            number += 1
            if number > _MOST_LINES:
                raise FormatError(f"it has more than {_MOST_LINES:,} lines")
            found = _LINE.fullmatch(line.rstrip(b"\r\n"))
            if found is None:
                report.error(f"line {number}", "it is not `iteration, score`")
                continue
            iteration, score = int(found[1]), _number(found[2], f"line {number}")
            if iteration != before + 1:
                said = (
                    f"iteration {iteration} comes after {before}" if number > 1 else "not from 0"
                )
                report.warn(f"line {number}", f"{said}: was the calibration started again?")
            if not isfinite(score):
                report.warn(f"line {number}", "the score is no finite number")
            before = iteration
            scores[iteration] = score
    if not scores:
        raise FormatError("it holds no score")
    return FileDomain((("objective", Domain()),), content=_Scores(scores))


def _parameters(path: Path, report: Report) -> FileDomain:
    with opened(path, ("param",)) as file:
        said = file.metadata
        if said.num_rows > _MOST_PARAMETERS or said.num_rows * said.num_columns > _MOST_VALUES:
            raise FormatError(f"it claims to hold {said.num_rows:,} parameters: too many to read")
        iterations = [name for name in file.schema_arrow.names if _ITERATION.fullmatch(name)]
        if not iterations:
            raise FormatError("it has no column of an iteration, such as 0")
        columns = (*_COLUMNS, *iterations)
        for batch in batches(file, columns, ("param",)):
            _check_limits(batch, iterations, report)
        if not said.num_rows:
            report.error("", "it holds no parameter")
    return FileDomain((("parameters", Domain()),))


def _check_limits(batch: Any, iterations: Sequence[str], report: Report) -> None:
    names = batch.column("param").to_pylist()
    least, most = (_numbers(batch.column(name), name) for name in ("min", "max"))
    for iteration in iterations:
        values = _numbers(batch.column(iteration), iteration)
        for name, low, high, value in zip(names, least, most, values, strict=True):
            if value is not None and low is not None and high is not None:
                if low <= value <= high:
                    continue
                said = f"{value:g} is outside {low:g} to {high:g}"
            else:
                said = "a number is missing"
            report.warn(f"column {iteration}, parameter {str(name)[:60]}", said)


def _numbers(column: Any, name: str) -> list[float | None]:
    import pyarrow as pa

    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
        raise FormatError(f"column {name}: it must hold numbers, not {column.type}")
    found: list[float | None] = column.to_pylist()
    return found


def _whole(files: Sequence[FileDomain]) -> Whole:
    """Say whether the best score is that of its iteration, where there is one of each."""
    best = [each.content for each in files if isinstance(each.content, _Best)]
    logs = [each.content for each in files if isinstance(each.content, _Scores)]
    if len(best) != 1 or len(logs) != 1:
        return Whole()
    [told], [log] = best, logs
    score = log.of.get(told.iteration)
    if score == told.score:
        return Whole()
    said = "none" if score is None else f"{score:g}"
    return Whole(
        notes=(
            f"the best score, {told.score:g}, is not that of its iteration {told.iteration} in "
            f"the objective log ({said})",
        )
    )


FORMAT: Final = Format(
    name="NGEN_CAL_OUTPUT",
    summary="what ngen-cal keeps of a calibration: scores, the best iteration, parameters",
    categories=(Category.OUTPUT,),
    indexes=(),
    sniff=_sniff,
    read=_read,
    fields=(
        Field("*_objective.txt", "", "a line `iteration, score` for each run of the model"),
        Field("*_best_params.txt", "", "the last iteration, the best one, its score"),
        Field(
            "*_parameter_df_state.parquet",
            "as the model's",
            "`param`, `min`, `max`, and a column of values an iteration",
        ),
    ),
    warns=(
        "iterations are not numbered 0, 1, 2, …",
        "a score is no finite number",
        "a value of a parameter is outside its limits, or missing",
        "the best score is not that of its iteration",
    ),
    source=(
        "NOAA-OWP/ngen-cal, python/ngen_cal/src/ngen/cal (model.py, calibratable.py, meta.py); "
        "written from its source, as no output of a real run was at hand"
    ),
    whole=_whole,
)
