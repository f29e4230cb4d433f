"""NGEN_CAL_CONFIG: what ngen-cal calibrates, within which limits, against which period.

As NOAA-OWP/ngen-cal reads it: YAML with `general` and `model`; and the JSON of its first version,
with `calibration.params` below `global` and single catchments.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from math import isfinite
from pathlib import Path
from typing import Any, Final

import yaml

from headrace_formats.base import Field, FileDomain, Format, checked_names, open_plain
from headrace_formats.config_yaml import begins_with_key
from headrace_formats.errors import FormatError
from headrace_formats.json_text import begins_as_json, load_json, mapping
from headrace_formats.report import Report
from headrace_model.dataset import Category
from headrace_model.domain import Continuous, Discrete, Domain, Index, Restriction
from headrace_model.errors import InvalidInput
from headrace_model.times import Instant, parse_instant

_MOST_BYTES: Final = 1 << 20
_DEEPEST: Final = 32
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_STRATEGIES: Final = ("estimation", "sensitivity")
_ALGORITHMS: Final = ("dds", "pso", "gwo")
_OF_MODEL: Final = ("uniform", "independent", "explicit")
_OLD: Final = re.compile(rb'"calibration"\s*:')
_YAML_SNIFF: Final = begins_with_key("general")


def _sniff(head: bytes) -> bool:
    if begins_as_json(head):
        return bool(_OLD.search(head)) and b'"params"' in head
    return _YAML_SNIFF(head) and b"strategy" in head


def _read(path: Path, report: Report) -> FileDomain:
    with open_plain(path) as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise FormatError(f"it is larger than {_MOST_BYTES:,} bytes")
    if begins_as_json(data):
        return _old(mapping(load_json(path), "the file"), report)
    return _new(_yaml(data), report)


def _yaml(data: bytes) -> dict[str, Any]:
    """Read YAML with aliases, which ngen-cal's own example has; the depth is checked first."""
    depth = 0
    try:
        for event in yaml.parse(data, Loader=_LOADER):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST:
                raise FormatError("it is nested too deeply")
        found = yaml.load(data, Loader=_LOADER)  # noqa: S506 - it is the safe one
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise FormatError(f"line {line}: {error.problem}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise FormatError(f"it is not valid YAML: {error}") from None
    return mapping(found, "its top")


def _new(config: dict[str, Any], report: Report) -> FileDomain:
    general = mapping(config.get("general"), "general")
    model = mapping(config.get("model"), "model")
    strategy = mapping(general.get("strategy"), "general.strategy")
    _one_of(strategy.get("type"), _STRATEGIES, "general.strategy.type", report)
    _one_of(strategy.get("algorithm", "dds"), _ALGORITHMS, "general.strategy.algorithm", report)
    first = general.get("start_iteration", 0)
    if not _is_count(first, 0):
        report.error("general.start_iteration", "it must be a whole number")
    if not _is_count(general.get("iterations"), 1):
        report.error("general.iterations", "it must be a whole number above 0")
    if model.get("type") != "ngen":
        report.warn("model.type", f"{str(model.get('type'))[:40]!r}: only ngen runs a model")
    else:
        _one_of(model.get("strategy"), _OF_MODEL, "model.strategy", report)
        if not isinstance(model.get("realization"), str):
            report.error("model.realization", "it must name the realization config")
    for name, params in mapping(model.get("params") or {}, "model.params").items():
        _check_params(params, f"model.params.{name}", report)
    time = _evaluated(mapping(model.get("eval_params") or {}, "model.eval_params"), report)
    restrictions: dict[Index, Restriction] = {} if time is None else {Index.TIME: time}
    return FileDomain((("calibration", Domain.of(restrictions)),))


def _old(config: dict[str, Any], report: Report) -> FileDomain:
    catchments = mapping(config.get("catchments", {}), "catchments")
    parts = {"global": config.get("global", {})}
    parts |= {f"catchments.{id_[:60]}": each for id_, each in catchments.items()}
    found = 0
    for where, each in parts.items():
        calibration = mapping(each, where).get("calibration")
        if calibration is not None:
            found += 1
            params = mapping(calibration, f"{where}.calibration").get("params")
            _check_params(params, f"{where}.calibration.params", report, name="param")
    if not found:
        raise FormatError("nothing has a calibration")
    named = [id_ for id_, each in catchments.items() if "calibration" in mapping(each, id_)]
    ids = Discrete(checked_names(named, "catchments")) if named else None
    domain = Domain(((Index.CATCHMENT_ID, ids),)) if ids else Domain()
    return FileDomain((("calibration", domain),))


def _one_of(value: Any, known: tuple[str, ...], where: str, report: Report) -> None:
    if value not in known:
        report.error(where, f"{str(value)[:40]!r} is none of {', '.join(known)}")


def _is_count(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _check_params(params: Any, where: str, report: Report, name: str = "name") -> None:
    """Check parameters: each with limits, and where the search begins."""
    if not isinstance(params, list) or not params:
        report.error(where, "it must be a list of parameters")
        return
    seen: set[str] = set()
    for place, each in enumerate(params):
        at = f"{where}[{place}]"
        each = mapping(each, at)
        of = each.get(name)
        if not isinstance(of, str) or of in seen:
            report.error(at, "it needs a name of its own")
            continue
        seen.add(of)
        _check_limits(each, f"{at} ({of[:40]})", report)


def _check_limits(each: dict[str, Any], at: str, report: Report) -> None:
    found = list(_numbers(each, at, report))
    if len(found) < 3:
        return
    least, most, first = found
    if least >= most:
        report.error(at, f"min, {least:g}, is not below max, {most:g}")
    elif not least <= first <= most:
        report.warn(at, f"init, {first:g}, is outside {least:g} to {most:g}")


def _numbers(each: dict[str, Any], at: str, report: Report) -> Iterator[float]:
    for key in ("min", "max", "init"):
        value = each.get(key)
        try:
            number = float(value) if not isinstance(value, bool | None) else float("nan")
        except (TypeError, ValueError):
            number = float("nan")
        if isfinite(number):
            yield number
        else:
            report.error(at, f"{key} must be a number")


def _evaluated(given: dict[str, Any], report: Report) -> Continuous | None:
    """The period whose hydrograph counts; none given is all of it."""
    ends = []
    for key in ("evaluation_start", "evaluation_stop"):
        value = given.get(key)
        if value is None:
            continue
        text = value.isoformat() if isinstance(value, datetime) else str(value).replace(" ", "T")
        try:
            ends.append(parse_instant(text))
        except InvalidInput as error:
            report.error(f"model.eval_params.{key}", error.message)
    if len(ends) < 2:
        return None
    begin, end = ends
    if begin >= end:
        report.error("model.eval_params.evaluation_stop", "it is not after evaluation_start")
        return None
    return Continuous(((begin, Instant(end)),))


FORMAT: Final = Format(
    name="NGEN_CAL_CONFIG",
    summary="what ngen-cal calibrates, within which limits, against which period",
    categories=(Category.CONFIG,),
    indexes=(
        (Index.TIME, "YAML: `model.eval_params`, `evaluation_start` to `evaluation_stop`"),
        (Index.CATCHMENT_ID, "JSON of the first version: `catchments` with a `calibration`"),
    ),
    sniff=_sniff,
    read=_read,
    fields=(
        Field("general.strategy", "", "type and algorithm of the search"),
        Field("general.iterations", "", "how many times the model runs"),
        Field("model.params", "as the model's", "lists of parameters: name, min, max, init"),
        Field("model.eval_params", "", "objective, target, period"),
    ),
    warns=("a search begins outside its limits", "no model would be run"),
    source="NOAA-OWP/ngen-cal, example_config.yaml and its first JSON",
)
