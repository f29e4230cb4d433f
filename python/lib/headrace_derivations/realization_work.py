"""The work of `realization`."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from headrace_derivations.base import DerivationFailed, Work, files_below
from headrace_formats.base import read_head
from headrace_formats.json_text import CONFIG_BYTES, load_json, mapping
from headrace_formats.partial_realization import FORMAT
from headrace_formats.report import Report
from headrace_model.domain import Domain
from headrace_model.times import Instant

STEP_S: Final = 3600  # where the partial config has none: forcing is hourly
FORCING: Final = {
    "file_pattern": ".*{{id}}.*csv",
    "path": "./forcing/",
    "provider": "CsvPerFeature",
}


def derive(work: Work) -> None:
    """Fill the partial config in, and write it under the name that it has."""
    (folder,) = work.inputs.values()
    path = _partial(folder)
    config: dict[str, Any] = load_json(path)
    catchments: list[str] | None = work.parameters["catchments"]
    if catchments is not None:
        _choose(config, catchments, exact=work.parameters["exact"])
    _fill_forcing(config)
    config["time"] = time_section(config.get("time", {}), work.parameters["period"])
    text = json.dumps(config, indent=1, ensure_ascii=False) + "\n"
    if len(text.encode()) > CONFIG_BYTES:
        raise DerivationFailed(
            f"the config would have more than {CONFIG_BYTES:,} bytes: "
            "each catchment gets the formulations",
            hint="ask for one that covers the catchments instead of EXACT",
        )
    (work.output / path.name).write_text(text, encoding="utf-8")


def _partial(folder: Path) -> Path:
    """The only partial config in a folder, whatever lies beside it."""
    found = [each for each in files_below(folder) if FORMAT.sniff(read_head(each))]
    if len(found) != 1:
        said = ", ".join(each.name for each in found[:5]) or "none"
        raise DerivationFailed(f"there must be one partial realization config, and is {said}")
    FORMAT.read(found[0], Report())
    return found[0]


def _choose(config: dict[str, Any], catchments: list[str], *, exact: bool) -> None:
    """Keep what is for wanted catchments; `exact`: what is for all becomes theirs."""
    chosen = frozenset(catchments)
    named = {id_: of for id_, of in config.get("catchments", {}).items() if id_ in chosen}
    everywhere = config.get("global", {})
    if exact and everywhere.get("formulations"):
        formulations = everywhere.pop("formulations")
        for id_ in catchments:
            own = {"formulations": _with_id(formulations, id_)}
            if "forcing" in everywhere:
                own["forcing"] = everywhere["forcing"]
            named.setdefault(id_, own)
    if named or "catchments" in config:
        config["catchments"] = {id_: named[id_] for id_ in sorted(named)}


def _with_id(value: Any, id_: str) -> Any:
    """Name the catchment: ngen fills `{{id}}` in only where formulations are for all."""
    if isinstance(value, dict):
        return {key: _with_id(each, id_) for key, each in value.items()}
    if isinstance(value, list):
        return [_with_id(each, id_) for each in value]
    if isinstance(value, str):
        return value.replace("{{id}}", id_).replace("{{ID}}", id_)
    return value


def _fill_forcing(config: dict[str, Any]) -> None:
    everywhere = config.get("global", {})
    if everywhere.get("formulations"):
        everywhere["forcing"] = _filled(everywhere.get("forcing"), "global")
    for id_, of in config.get("catchments", {}).items():
        of["forcing"] = _filled(of.get("forcing", everywhere.get("forcing")), f"catchments.{id_}")


def _filled(forcing: dict[str, Any] | None, where: str) -> dict[str, Any]:
    if forcing is None:
        return dict(FORCING)
    mapping(forcing, f"{where}.forcing")
    if "path" in forcing:
        return forcing
    if forcing.get("provider", FORCING["provider"]) != FORCING["provider"]:
        raise DerivationFailed(
            f"{where}.forcing has no path, and only {FORCING['provider']} has a usual one",
            hint="write the path into the partial config",
        )
    return FORCING | forcing


def time_section(given: dict[str, Any], period: dict[str, Any]) -> dict[str, Any]:
    """The section `time`, whose `end_time` is the begin of the last step."""
    step = given.get("output_interval", STEP_S)
    time = Domain.from_plain(period).time
    assert time is not None  # noqa: S101 - the recipe says so
    ((begin, end),) = time.intervals
    if begin % 1000 or (end - begin) % (step * 1000) or end - begin < 2 * step * 1000:
        raise DerivationFailed(f"the period is no whole number, 2 or more, of steps of {step} s")
    return given | {
        "start_time": _written(begin),
        "end_time": _written(Instant(end - step * 1000)),
        "output_interval": step,
    }


def _written(instant: Instant) -> str:
    return datetime.fromtimestamp(instant / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
