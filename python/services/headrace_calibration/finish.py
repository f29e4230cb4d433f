"""The end of a calibration: the best parameters once more, over both periods, and what is told."""

import csv
import json
from collections.abc import Callable, Mapping
from math import isfinite
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from headrace_calibration.core.course import Course, Iteration
from headrace_calibration.core.page import page
from headrace_calibration.core.plan import Plan
from headrace_calibration.core.result import (
    Tried,
    best_file,
    iteration_rows,
    named_values,
)
from headrace_calibration.folders import RunFolder
from headrace_calibration.scoring import Scorer
from headrace_formats.calibration_result import PARAMETERS_MARK
from headrace_model.errors import InvalidInput

Run = Callable[[str, Mapping[str, float]], tuple[RunFolder, str]]
"""Runs the model with parameters over both periods, in a folder of that name; why it failed."""


def finish(plan: Plan, course: Course, scorer: Scorer, run: Run, output: Path) -> str:
    """Write the files of the result, and give a sentence; raises `InvalidInput`."""
    best, initial = course.best, course.iterations[0]
    if best is None:
        raise ValueError("a calibration without a run that went well has no end of this kind")
    before = _again(plan, initial, scorer, run, None) if initial.score is not None else None
    after = _again(plan, best, scorer, run, output / "parameters.zip")
    told = best_file(plan, course, before, after)
    _write(output / "best.json", json.dumps(told, indent=2, allow_nan=False) + "\n")
    with (output / "iterations.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(iteration_rows(plan, course))
    title = f"Calibration of {', '.join(scorer.observed)}"
    _write(output / "report.html", page(title, plan, course, before, after, scorer.observed))
    return _sentence(plan, before, after)


def _again(plan: Plan, iteration: Iteration, scorer: Scorer, run: Run, keep: Path | None) -> Tried:
    """Run an iteration over both periods; its parameter files go to `keep`."""
    folder, failure = run(f"again-{iteration.number}", named_values(plan.space, iteration))
    if failure:
        raise InvalidInput(
            f"iteration {iteration.number} ran, but fails over both periods: {failure}"
        )
    if keep is not None:
        _pack(folder, keep)
    simulated = scorer.read(folder.output / plan.model.output)
    folder.remove()
    spans = {"train": plan.periods.train, "validate": plan.periods.validate}
    counted = {name: plan.periods.counted(span) for name, span in spans.items() if span}
    objective: dict[str, float | None] = {}
    for name, span in counted.items():
        score = scorer.score(simulated, span)
        objective[name] = score if isfinite(score) else None
    scores = {name: scorer.scores(simulated, span) for name, span in counted.items()}
    return Tried(iteration, objective, scores, simulated)


def _pack(folder: RunFolder, path: Path) -> None:
    """Pack a run's parameter files, as they lie there; the same files give the same bytes."""
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        archive.comment = PARAMETERS_MARK
        for name, file in sorted(folder.parameter_files()):
            archive.writestr(ZipInfo(str(name)), file.read_bytes(), ZIP_DEFLATED)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _sentence(plan: Plan, before: Tried | None, after: Tried) -> str:
    said = []
    for period, score in after.objective.items():
        was = before.objective[period] if before else None
        first = "none" if was is None else f"{was:.4f}"
        said.append(f"{period} {first} → {'none' if score is None else f'{score:.4f}'}")
    return f"{plan.objective} of the initial and the best parameters: {'; '.join(said)}"
