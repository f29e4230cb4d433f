"""NGEN_REALIZATION_CONFIG: what models ngen runs for which catchments, when, and on which forcing.

As NOAA-OWP/ngen reads it (Formulation_Manager; doc/REALIZATION_CONFIGURATION.md). A formulation
under `global` is for every catchment, so that CATCHMENT_ID is ALL; else it is those named.
"""

import re
from pathlib import Path
from typing import Any, Final

from headrace_formats.base import Field, FileDomain, Format, checked_names
from headrace_formats.errors import FormatError
from headrace_formats.json_text import begins_as_json, listed, load_json, mapping
from headrace_formats.report import Report
from headrace_model.dataset import Category
from headrace_model.domain import ALL, Continuous, Discrete, Domain, Index, Restriction
from headrace_model.errors import InvalidInput
from headrace_model.times import Instant, parse_instant

_MARK: Final = re.compile(rb'"(global|catchments|time)"\s*:\s*\{')
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\d) (\d{1,2}):(\d\d):(\d\d)", re.ASCII)
_LIBRARIES: Final = ("bmi_c", "bmi_c++", "bmi_fortran")
_BMI: Final = (*_LIBRARIES, "bmi_python", "bmi_multi")
_PROVIDERS: Final = (
    *("CsvPerFeature", "NetCDF", "NullForcingProvider"),
    *("ForcingsEngineGridded", "ForcingsEngineLumped"),
)
_DEEPEST: Final = 8


def sniff(head: bytes) -> bool:
    """Tell whether a file begins as a realization config, also a partial one."""
    return (
        begins_as_json(head)
        and bool(_MARK.search(head))
        and (b'"formulations"' in head or b'"forcing"' in head)
    )


def _read(path: Path, report: Report) -> FileDomain:
    config = mapping(load_json(path), "the file")
    ids = read_formulations(config, report)
    time = _time(config.get("time"), report)
    restrictions: dict[Index, Restriction] = {} if ids is None else {Index.CATCHMENT_ID: ids}
    if time is not None:
        restrictions[Index.TIME] = time
    unknown = frozenset(() if time is not None else (Index.TIME,))
    return FileDomain((("realization", Domain.of(restrictions)),), unknown)


def read_formulations(
    config: dict[str, Any], report: Report, *, is_partial: bool = False
) -> Restriction | None:
    """Check what is run for which catchments, and return these; None: nothing is run.

    `is_partial`: there may be no forcing, or one without a path.
    """
    everywhere = mapping(config.get("global", {}), "global")
    named = mapping(config.get("catchments", {}), "catchments")
    if not everywhere and not named:
        raise FormatError("it has neither global nor catchments")
    for_all = _formulated(everywhere, "global", report)
    for id_, each in named.items():
        _formulated(mapping(each, f"catchments.{id_[:60]}"), f"catchments.{id_[:60]}", report)
    forcing = everywhere.get("forcing")
    _check_forcing(forcing, "global.forcing", bool(for_all), report, is_partial)
    ids: Restriction | None = ALL if for_all else None
    if ids is None and named:
        ids = Discrete(checked_names(list(named), "catchments"))
    if ids is None:
        report.warn("global.formulations", "there are none, and no catchments: nothing is run")
    return ids


def _formulated(of: dict[str, Any], where: str, report: Report) -> int:
    """Check the formulations of one part, and count them."""
    formulations = listed(of.get("formulations", []), f"{where}.formulations")
    for place, each in enumerate(formulations):
        _check_formulation(each, f"{where}.formulations[{place}]", report, 0)
    return len(formulations)


def _check_formulation(formulation: Any, where: str, report: Report, depth: int) -> None:
    formulation = mapping(formulation, where)
    name, params = formulation.get("name"), formulation.get("params")
    if not isinstance(name, str) or not name:
        report.error(f"{where}.name", "a formulation needs a name, such as bmi_multi")
        return
    if not isinstance(params, dict):
        report.error(f"{where}.params", "a formulation needs params")
        return
    if name not in _BMI:
        report.warn(f"{where}.name", f"today's ngen has no formulation {name[:60]!r}")
        return
    for key in ("model_type_name", "main_output_variable", "init_config"):
        if key not in params:
            report.error(f"{where}.params.{key}", "it is missing")
    if name in _LIBRARIES and not params.get("library_file"):
        report.error(f"{where}.params.library_file", f"{name} needs a library to load")
    if name == "bmi_python" and not params.get("python_type"):
        report.error(f"{where}.params.python_type", "bmi_python needs the class to load")
    if name == "bmi_multi":
        _check_modules(params, f"{where}.params", report, depth)


def _check_modules(params: dict[str, Any], where: str, report: Report, depth: int) -> None:
    modules = listed(params.get("modules", []), f"{where}.modules")
    if not modules:
        report.error(f"{where}.modules", "bmi_multi needs modules")
    if depth == _DEEPEST:
        raise FormatError(f"{where}: more than {_DEEPEST} modules within one another")
    for place, each in enumerate(modules):
        _check_formulation(each, f"{where}.modules[{place}]", report, depth + 1)


def _check_forcing(
    forcing: Any, where: str, needed: bool, report: Report, is_partial: bool
) -> None:
    if forcing is None:
        if needed and not is_partial:
            report.warn(where, "there is none")
        return
    forcing = mapping(forcing, where)
    provider = forcing.get("provider", "CsvPerFeature")
    if provider not in _PROVIDERS:
        report.warn(f"{where}.provider", f"ngen has no provider {str(provider)[:60]!r}")
    if not isinstance(forcing.get("path"), str) and not (is_partial and "path" not in forcing):
        report.error(f"{where}.path", "it is missing")
    pattern = forcing.get("file_pattern")
    if (
        provider == "CsvPerFeature"
        and isinstance(pattern, str)
        and "{{id}}" not in pattern.lower()
    ):
        report.warn(f"{where}.file_pattern", "it holds no {{id}}: every catchment finds one file")


def read_step(time: dict[str, Any], report: Report) -> int | None:
    """The step in seconds, from `output_interval`; None where it is none."""
    step = time.get("output_interval")
    if not isinstance(step, int) or isinstance(step, bool) or not 0 < step <= 10**9:
        report.error("time.output_interval", "it must be a number of seconds")
        return None
    return step


def _time(time: Any, report: Report) -> Continuous | None:
    """The period that is simulated, with the step that begins at `end_time`."""
    time = mapping(time, "time")
    begin, end = (_instant(time.get(key), f"time.{key}", report) for key in ENDS)
    step = read_step(time, report)
    if step is None or begin is None or end is None:
        return None
    if begin >= end:
        report.error("time.end_time", "it is not after start_time")
        return None
    if (end - begin) % (step * 1000):
        report.warn("time.end_time", f"no step of {step} s ends there")
    return Continuous(((begin, Instant(end + step * 1000)),))


ENDS: Final = ("start_time", "end_time")


def _instant(value: Any, where: str, report: Report) -> Instant | None:
    found = _TIME.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        report.error(where, f"{str(value)[:60]!r} is no time such as 2015-12-01 00:00:00")
        return None
    day, hour, minute, second = found.groups()
    try:
        return parse_instant(f"{day}T{hour:0>2}:{minute}:{second}Z")
    except InvalidInput as error:
        report.error(where, error.message)
        return None


FORMAT: Final = Format(
    name="NGEN_REALIZATION_CONFIG",
    summary="what models ngen runs for which catchments, when, on which forcing",
    categories=(Category.CONFIG,),
    indexes=(
        (Index.TIME, "`time`: from `start_time` to the end of the step that begins at `end_time`"),
        (
            Index.CATCHMENT_ID,
            "ALL with formulations under `global`, else the keys of `catchments`",
        ),
    ),
    sniff=sniff,
    read=_read,
    fields=(
        Field("global", "", "formulations and forcing for every catchment"),
        Field("catchments", "", "the same for single ones, by id"),
        Field("time.output_interval", "s", "the step"),
        Field("routing.t_route_config_file_with_path", "", "the config of t-route"),
    ),
    warns=(
        "today's ngen has no formulation or provider of that name",
        "nothing is run, or every catchment would find the same forcing",
        "the period is no whole number of steps",
    ),
    source="NOAA-OWP/ngen, doc/REALIZATION_CONFIGURATION.md",
)
