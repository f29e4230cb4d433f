"""The kind `bmi`: any Python model with a Basic Model Interface, over catchments.

It asks for the forcing of the catchments (a derivation makes HBV's from that of PRMS) and runs
`headrace_bmi`, which lies in the worker's working folder, alone or in ranks of MPI.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from headrace_kinds.base import Wrong, filled, in_ranks, naming
from headrace_kinds.command import CommandKind
from headrace_kinds.settings import Period, told
from headrace_model.dataset import Category
from headrace_model.domain import Domain, Index, check_format
from headrace_model.errors import InvalidSpec
from headrace_model.requirement import Requirement
from headrace_model.spec import JobSpec, OutputSpec, Parallel
from headrace_model.times import Instant
from headrace_model.units import parse_duration

FORCING: Final = "forcing"
PARTITIONS: Final = "partitions"
OUTPUT: Final = "model"
PROGRAM: Final = "headrace_bmi"
CONFIG: Final = "bmi.json"
FORCING_FORMAT: Final = "BMI_FORCING_NETCDF"
OUTPUT_FORMAT: Final = "NGEN_CSV_OUTPUT"
# What the worker takes (`headrace_bmi.config`), so that a job is refused before it waits.
MOST_STEPS: Final = 5_000_000
MOST_STEP_S: Final = 366 * 86_400
_MODEL: Final = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", re.ASCII)
_FILE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
_CATCHMENT: Final = re.compile(r"cat-\d{1,15}", re.ASCII)
_PLACE: Final = re.compile(r"\{\{\s*([A-Za-z_]\w*)(?::[^{}]*)?\s*\}\}", re.ASCII)
_PARAMETER: Final = re.compile(r"[A-Za-z_]\w{0,99}", re.ASCII)
_PLACES: Final = ("id", "number", "forcing", "start", "end", "steps", "step_s")


def _model(text: str) -> str:
    if not _MODEL.fullmatch(text):
        raise InvalidSpec(f"{text[:80]!r} must be module:Class, such as HBV:HBV")
    return text


def _file(text: str) -> str:
    if not _FILE.fullmatch(text):
        raise InvalidSpec(f"{text[:80]!r} must be the name of a file, such as hbv.json")
    return text


def _step(text: str) -> str:
    step_ms = parse_duration(text)
    if step_ms % 1000 or not 0 < step_ms <= MOST_STEP_S * 1000:
        raise InvalidSpec(f"{text[:40]!r} must be whole seconds, above 0 and at most 366d")
    return text


def _format(text: str) -> str:
    check_format(text)
    return text


@dataclass(frozen=True, slots=True)
class BmiSettings:
    """What a run is told. Raises `InvalidSpec` for what doesn't go together."""

    model: str = told("The model, module:Class.", "HBV:HBV", most=200, check=_model)
    time: Period = told("The period of the run.", "[1979-01-01, 1981-01-01]")
    config: str = told(
        "The template of the file that the model's `initialize` gets, a catchment at a time: "
        "{{id}}, {{number}}, {{forcing}}, {{start}}, {{end}}, {{steps}}, {{step_s}} are put in.",
        '\'{"forcing": "{{forcing}}"}\'',
        most=100_000,
    )
    variables: Mapping[str, Any] = told(
        "Of each column of the output the BMI name of what it holds.", "{Q_OUT: Q}"
    )
    parameters: Mapping[str, Any] | None = told(
        "Values of your own for the template: {Imax: 2.0} for {{Imax}}. A calibration tunes them "
        "in bmi.json at /parameters/Imax.",
        "{}",
        default=None,
    )
    inputs: Mapping[str, Any] | None = told(
        "Of each BMI name that is set before a step the variable of the forcing; without it the "
        "model reads its forcing itself.",
        "{precipitation: pr}",
        default=None,
    )
    step: str = told("How long a step is.", "1d", default="1d", check=_step)
    config_name: str = told(
        "How the model's file is called.", "hbv.json", default="config.json", check=_file
    )
    catchments: tuple[str, ...] = told(
        "The catchments; without any, all that the forcing has.",
        "[cat-27, cat-52]",
        default=(),
        most=100_000,
    )
    hydrofabric_data_id: str | None = told(
        "HYDROFABRIC_DATA_ID of the forcing.", "drb", default=None, most=1000
    )
    forcing_data_id: str | None = told(
        "DATA_ID of the forcing.", "drb-1979", default=None, most=1000
    )
    forcing: str = told(
        "The format of the forcing, a file a catchment.",
        FORCING_FORMAT,
        default=FORCING_FORMAT,
        check=_format,
    )

    def __post_init__(self) -> None:
        _check_parameters(self.parameters or {})
        _check_names("variables", self.variables, 1)
        _check_names("inputs", self.inputs or {}, 0)
        for each in self.catchments:
            if not _CATCHMENT.fullmatch(each):
                raise InvalidSpec(f"{each[:60]!r} is no id such as cat-27", path="catchments")
        if len(set(self.catchments)) < len(self.catchments):
            raise InvalidSpec("a catchment stands there twice", path="catchments")
        if self.time.begin % 1000 or self.time.end % 1000:
            raise InvalidSpec("it must begin and end at whole seconds", path="time")
        steps, rest = divmod(self.time.end - self.time.begin, self.step_s * 1000)
        if rest or steps < 1:
            raise InvalidSpec(
                f"it is no whole number of steps of {self.step}: move its end, or set `step`",
                path="time",
            )
        if steps > MOST_STEPS:
            raise InvalidSpec(f"it has {steps:,} steps; at most {MOST_STEPS:,}", path="time")

    @property
    def step_s(self) -> int:
        """Seconds of a step."""
        return parse_duration(self.step) // 1000


class BmiKind(CommandKind):
    """Runs `headrace_bmi`."""

    name = "bmi"
    summary = "a Python model with a Basic Model Interface (BMI), such as HBV, over catchments"
    settings: type[Any] | None = BmiSettings
    programs = (PROGRAM,)

    def complete(self, spec: JobSpec) -> JobSpec:
        """Ask for the forcing, and run the model over it."""
        spec = in_ranks(spec)
        settings: BmiSettings = spec.settings
        return filled(
            spec,
            command=tuple(_command(spec)),
            inputs=(Requirement(FORCING, Category.FORCING, settings.forcing, _domain(settings)),),
            outputs=(OutputSpec(OUTPUT, Category.OUTPUT, OUTPUT_FORMAT, Domain()),),
            files=((CONFIG, _config(settings)),),
        )

    def check(self, spec: JobSpec) -> tuple[Wrong, ...]:
        """Find outputs beside the model's, since the worker writes into one folder, and places of
        the template that nothing fills."""
        settings: BmiSettings = spec.settings
        wrong = [*super().check(spec), *_places(settings.config, settings.parameters or {})]
        wrong += [
            Wrong(f"outputs.{each.name}", f"the model's only output is `{OUTPUT}`: leave this out")
            for each in spec.outputs
            if each.name != OUTPUT
        ]
        return tuple(wrong)


def _check_parameters(parameters: Mapping[str, Any]) -> None:
    for name, value in parameters.items():
        if not _PARAMETER.fullmatch(name) or name in _PLACES:
            raise InvalidSpec(f"{name[:60]!r} can't be a parameter's name", path="parameters")
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise InvalidSpec(f"{name} must be a number or text", path="parameters")


def _places(template: str, parameters: Mapping[str, Any]) -> Iterator[Wrong]:
    held = set(_PLACE.findall(template))
    for name in sorted(parameters.keys() - held):
        why = f"config says no {{{{{name}}}}}, so the model would never see it"
        yield Wrong("settings.parameters", why)
    known = ", ".join((*_PLACES, *parameters))
    for name in sorted(held - parameters.keys() - set(_PLACES)):
        yield Wrong("settings.config", f"{{{{{name[:60]}}}}} is unknown; known are {known}")


def _check_names(key: str, names: Mapping[str, Any], least: int) -> None:
    if len(names) < least:
        raise InvalidSpec("it must name one at least, such as {Q_OUT: Q}", path=key)
    for name, of in names.items():
        for text in (name, of):
            if not isinstance(text, str) or not text or not text.isprintable() or "," in text:
                raise InvalidSpec(
                    f"{str(text)[:60]!r} can't be a name: write text without a comma", path=key
                )


def _command(spec: JobSpec) -> Iterator[str]:
    if spec.parallel is Parallel.MPI:
        yield from ("mpirun", "-n", str(max(1, spec.resources.amount.ranks)))
    yield from ("python3", "-m", PROGRAM, CONFIG, f"{{{FORCING}}}", "{output}")
    if any(each.name == PARTITIONS for each in spec.inputs):
        yield from ("--partitions", f"{{{PARTITIONS}}}")


def _domain(settings: BmiSettings) -> Domain:
    named = naming(
        {
            Index.CATCHMENT_ID: settings.catchments,
            Index.HYDROFABRIC_DATA_ID: (settings.hydrofabric_data_id,),
            Index.DATA_ID: (settings.forcing_data_id,),
        }
    )
    return Domain.of({**named, Index.TIME: settings.time.time})


def _config(settings: BmiSettings) -> bytes:
    plain = {
        "headrace_bmi": 1,
        "model": settings.model,
        "begin": _time(settings.time.begin),
        "end": _time(settings.time.end),
        "step_s": settings.step_s,
        "catchments": list(settings.catchments) or None,
        "config_name": settings.config_name,
        "config": settings.config,
        "parameters": dict(settings.parameters or {}),
        "variables": dict(settings.variables),
        "inputs": dict(settings.inputs or {}),
    }
    return json.dumps(plain, indent=1).encode()


def _time(instant: Instant) -> str:
    return datetime.fromtimestamp(instant // 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
