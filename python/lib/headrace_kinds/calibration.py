"""The kind `calibration`: searches the parameters with which a model fits observations best.

Its worker, `headrace_calibration`, runs the command of another job again and again, each time in a
folder that looks as that job's own would.
"""

import json
from collections.abc import Callable, Iterator, Set
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any, Final

from headrace_kinds.base import Kind, Wrong, filled, output_folder
from headrace_kinds.calibration_settings import CalibrationSettings, Tuned
from headrace_kinds.command import CommandKind
from headrace_kinds.filling import MODULE, Place, filled_in
from headrace_kinds.ngen_parameters import mistyped_parameter
from headrace_model.dataset import Category
from headrace_model.domain import Continuous, Discrete, Domain, Index
from headrace_model.errors import InvalidInput, InvalidSpec
from headrace_model.nearest import did_you_mean
from headrace_model.requirement import PathInput, Requirement
from headrace_model.resources import Resources
from headrace_model.spec import Checkpoint, JobSpec, OutputSpec, ResourceSpec
from headrace_model.times import Instant
from headrace_model.units import parse_duration

PLAN_FILE: Final = "calibration.json"
PLAN_VERSION: Final = 1
OBSERVATIONS: Final = "observations"
_WORKER: Final = ("python3", "-m", "headrace_calibration")
# The worker's own Python, whose models find the programs of the environment first on their PATH.
_IN_ENVIRONMENT: Final = ("headrace-calibration",)
_WORKER_BYTES: Final = 256 << 20  # of the worker itself, beside the models


class CalibrationKind(CommandKind):
    """Makes the job that calibrates. `find` gives the kind of the model by its name."""

    name = "calibration"
    summary = "searches the parameters with which a model fits observations best"
    settings: type[Any] | None = CalibrationSettings

    def __init__(self, find: Callable[[str], Kind]) -> None:
        self._find = find

    def complete(self, spec: JobSpec) -> JobSpec:
        """Run the worker over the model's inputs and observations, with a checkpoint."""
        told = self.told(spec)
        model = self._model(spec, told.model)
        inputs: list[Requirement | PathInput] = [*model.inputs, _observations(told)]
        inputs = [each for each in inputs if each.name not in {own.name for own in spec.inputs}]
        names = sorted(each.name for each in model.inputs)
        made = filled(
            replace(spec, inputs=(*spec.inputs, *inputs)),
            command=(
                *(_IN_ENVIRONMENT if spec.environment else _WORKER),
                PLAN_FILE,
                *("{output}", "{checkpoint}", f"{{{OBSERVATIONS}}}"),
                *(f"{name}={{{name}}}" for name in names),
            ),
            outputs=() if spec.outputs else (_RESULT,),
            files=(
                (PLAN_FILE, _plan_text(told, model, self._find(model.kind))),
                *((each.name, each.content) for each in model.files),
            ),
        )
        resources = spec.resources
        if resources == ResourceSpec():
            resources = _resources(model, told.parallel)
        return replace(made, resources=resources, checkpoint=spec.checkpoint or Checkpoint())

    def check(self, spec: JobSpec) -> tuple[Wrong, ...]:
        """Find what the model can't have inside a calibration, and what is wrong in it."""
        told = self.told(spec)
        wrong = [*super().check(spec), *_unfit(spec, told.model)]
        if wrong:
            return tuple(wrong)
        model = self._model(spec, told.model)
        if model.parallel:
            why = "its ranks can't be started inside a calibration: ask 1 CPU for a run"
            return (Wrong("settings.model.resources.cpus", why),)
        inner = self._find(model.kind).check(model)
        return (
            *(Wrong(f"settings.model.{each.path}", each.reason) for each in inner),
            *self._mistyped(told),
            *_places(told, model),
            *_files(told, model, {each.name for each in self._find(model.kind).links(model)}),
        )

    def told(self, spec: JobSpec) -> CalibrationSettings:
        """What the worker is told, from the settings of this kind."""
        found: CalibrationSettings = spec.settings
        return found

    def key_path(self, each: Tuned) -> str:
        """Where the settings of this kind say the key of a parameter."""
        return f"settings.parameters.{each.name}.key"

    def _mistyped(self, told: CalibrationSettings) -> Iterator[Wrong]:
        for each in told.parameters:
            module = MODULE.fullmatch(each.key)
            if module and (why := mistyped_parameter(module[1], module[2])):
                yield Wrong(self.key_path(each), why)

    def _model(self, spec: JobSpec, given: JobSpec) -> JobSpec:
        """The model's job, complete: it may name inputs itself, or find those of the whole job."""
        if isinstance(self._find(given.kind), CalibrationKind):
            raise InvalidSpec(
                "a calibration can't calibrate a calibration", path="settings.model.kind"
            )
        own = {each.name for each in given.inputs}
        shared = [
            each for each in spec.inputs if each.name != OBSERVATIONS and each.name not in own
        ]
        files = tuple(each for each in spec.files if each.name != PLAN_FILE)
        inputs = sorted((*given.inputs, *shared), key=lambda each: each.name)
        try:
            return self._find(given.kind).complete(
                replace(given, inputs=tuple(inputs), files=files)
            )
        except InvalidSpec as error:
            where = f".{error.path}" if error.path else ""
            raise InvalidSpec(error.reason, path=f"settings.model{where}") from None


_RESULT: Final = OutputSpec("calibration", Category.OUTPUT, "CALIBRATION_RESULT", Domain())


def _observations(told: CalibrationSettings) -> Requirement:
    """What was observed, of the steps that count."""
    counts = told.begin_ms + told.warm_up_ms
    periods = [each for each in (told.train, told.validate) if each]
    time = Continuous.of((Instant(max(each.begin, counts)), each.end) for each in periods)
    gauges = Discrete(frozenset(each.name for each in told.locations))
    domain = Domain.of({Index.TIME: time, Index.GAUGE_ID: gauges})
    return Requirement(OBSERVATIONS, Category.OBSERVATION, None, domain)


def _resources(model: JobSpec, parallel: int) -> ResourceSpec:
    """What so many models at once take, and the worker."""
    each = model.resources.amount
    return ResourceSpec(
        Resources(
            millicpus=parallel * each.millicpus,
            memory_bytes=parallel * each.memory_bytes + _WORKER_BYTES,
            generic=each.generic,
        )
    )


def _unfit(spec: JobSpec, model: JobSpec) -> Iterator[Wrong]:
    """What neither works nor can be left out in silence."""
    alone = "the model runs inside the calibration's worker"
    for name, given, why in (
        (
            "environment",
            model.environment,
            f"{alone}: give the environment to the whole job",
        ),
        ("image", model.image, f"{alone}: give the image to the whole job"),
        ("array", model.array.is_array, "a run of the model is one task"),
        ("parallel", model.parallel, f"{alone}, so its ranks can't be started: run it serially"),
        ("checkpoint", model.checkpoint, "it is the calibration that goes on after a kill"),
        ("secrets", model.secrets, f"{alone}: name them at the top of the job"),
    ):
        if given:
            yield Wrong(f"settings.model.{name}", f"{why}; leave it out here")
    if spec.array.is_array or spec.parallel:
        yield Wrong("array" if spec.array.is_array else "parallel", "a calibration is one task")
    if len(spec.outputs) > 1:
        yield Wrong("outputs", "a calibration makes one dataset")


def _places(told: CalibrationSettings, model: JobSpec) -> Iterator[Wrong]:
    inputs = {each.name for each in model.inputs}
    shown = ", ".join(sorted(inputs)) or "none"
    for each in told.parameters:
        if each.input is not None and each.input not in inputs:
            yield Wrong(
                f"settings.parameters.{each.name}.input",
                f"the model has no input {each.input}; it has {shown}",
            )
    names = [each.name for each in model.outputs]
    if told.output is not None and told.output not in names:
        yield Wrong(
            "settings.output", f"the model has no such output; it has {', '.join(names) or 'none'}"
        )


def _files(told: CalibrationSettings, model: JobSpec, links: Set[str]) -> Iterator[Wrong]:
    """What of the parameters has no place in the files that travel with the job."""
    tuned = [each for each in told.parameters if each.input is None]
    names = {each.name for each in model.files}
    for pattern, first in {each.file: each.name for each in reversed(tuned)}.items():
        if not any(fnmatchcase(name, pattern) for name in names | links):
            why = f"no file of the job fits {pattern[:80]}; {did_you_mean(pattern, names)}"
            yield Wrong(f"settings.parameters.{first}.file", why)
    values = {each.name: each.init for each in told.parameters}
    for file in model.files:
        there = [each for each in tuned if fnmatchcase(file.name, each.file)]
        places = [Place(each.name, each.key) for each in there]
        try:
            if places:
                filled_in(file.content.decode(), places, values, file.name)
        except UnicodeDecodeError:
            why = f"{file.name} is no text (UTF-8), so no parameter fits in"
            yield Wrong(f"settings.parameters.{there[0].name}.file", why)
        except InvalidInput as error:
            hint = f" ({error.hint})" if error.hint else ""
            yield Wrong("settings.parameters", f"{error.message}{hint}")


def _plan_text(told: CalibrationSettings, model: JobSpec, kind: Kind) -> bytes:
    return json.dumps(_plan(told, model, kind), sort_keys=True, indent=1).encode() + b"\n"


def _plan(told: CalibrationSettings, model: JobSpec, kind: Kind) -> dict[str, Any]:
    """What the worker is told: `headrace_calibration.core.plan` reads it."""
    stop, validate, limit_ms = told.stop, told.validate, model.limits.time_ms
    return {
        "headrace_calibration": PLAN_VERSION,
        "parameters": [_parameter(each) for each in told.parameters],
        "algorithm": told.algorithm,
        "options": dict(told.options or {}),
        "iterations": told.iterations,
        "parallel": told.parallel,
        "seed": told.seed,
        "objective": told.objective,
        "train": [told.train.begin, told.train.end],
        "validate": [validate.begin, validate.end] if validate else None,
        "warm_up_ms": told.warm_up_ms,
        "stop": {
            "target": stop.target,
            "without_better": stop.without_better,
            "time_s": None if stop.time is None else parse_duration(stop.time) / 1000,
            "failures": stop.failures,
        },
        "model": {
            "command": list(model.command),
            "env": dict(model.env),
            "files": sorted(each.name for each in model.files),
            "links": [
                {"name": each.name, "input": each.input, "patterns": list(each.patterns)}
                for each in kind.links(model)
            ],
            "programs": list(kind.programs),
            "output": _scored_folder(told, model),
            "limit_s": None if limit_ms is None else limit_ms / 1000,
        },
        "evaluation": {
            "unit": told.unit,
            "variable": told.variable,
            "simulated_unit": told.simulated_unit,
            "locations": [
                {
                    "observed": each.name,
                    "simulated": each.simulated or each.name,
                    "weight": each.weight,
                    "areas_km2": dict(each.areas_km2) if each.areas_km2 else None,
                }
                for each in told.locations
            ],
        },
    }


def _scored_folder(told: CalibrationSettings, model: JobSpec) -> str:
    names = [each.name for each in model.outputs]
    if len(names) < 2:
        return ""
    name = told.output or names[0]
    return output_folder(model.outputs, name) if name in names else ""


def _parameter(each: Tuned) -> dict[str, Any]:
    return {
        "name": each.name,
        "min": each.min,
        "max": each.max,
        "init": each.init,
        "scale": each.scale,
        "input": each.input,
        "file": each.file,
        "key": each.key,
    }
