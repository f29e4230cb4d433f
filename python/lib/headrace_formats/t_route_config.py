"""T_ROUTE_CONFIG: what t-route routes, through which network, and how long.

As NOAA-OWP/t-route reads it (nwm_routing, version 4 of its YAML).
"""

import re
from pathlib import Path
from typing import Any, Final

from headrace_formats.base import Field, FileDomain, Format
from headrace_formats.config_yaml import Config, begins_with_key, load_config
from headrace_formats.errors import FormatError
from headrace_formats.report import Report
from headrace_model.dataset import Category
from headrace_model.domain import Continuous, Domain, Index, Restriction
from headrace_model.errors import InvalidInput
from headrace_model.times import Instant, checked_instant, parse_instant

_NETWORK: Final = "network_topology_parameters.supernetwork_parameters.geo_file_path"
_START: Final = "compute_parameters.restart_parameters.start_datetime"
_FORCING: Final = "compute_parameters.forcing_parameters"
_HOUR_S: Final = 3600
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\d)[_ T](\d\d:\d\d(:\d\d)?)", re.ASCII)


def _read(path: Path, report: Report) -> FileDomain:
    config = load_config(path)
    if not isinstance(config.get("compute_parameters"), dict):
        raise FormatError("the key compute_parameters is missing")
    if not isinstance(config.get(_NETWORK), str):
        report.error(config.where(_NETWORK), "it must name the file of the network")
    folders = [config.get(f"{_FORCING}.{name}_input_folder") for name in ("qlat", "nexus")]
    if not any(isinstance(each, str) for each in folders):
        report.error(f"key {_FORCING}.qlat_input_folder", "it is missing")
    step_s = config.number(f"{_FORCING}.dt", report)
    steps = config.number(f"{_FORCING}.nts", report)
    _check_steps(config, step_s, steps, report)
    begin = _begin(config, report)
    restrictions: dict[Index, Restriction] = {}
    if begin is not None and step_s and steps:
        end = checked_instant(begin + step_s * steps * 1000)
        restrictions[Index.TIME] = Continuous(((begin, end),))
    unknown = frozenset(() if restrictions else (Index.TIME,))
    return FileDomain((("routing", Domain.of(restrictions)),), unknown)


def _check_steps(config: Config, step_s: int | None, steps: int | None, report: Report) -> None:
    path = f"{_FORCING}.qts_subdivisions"
    parts = config.number(path, report, needed=False)
    if parts and step_s and parts * step_s != _HOUR_S:
        report.warn(
            config.where(path),
            f"{parts} steps of {step_s} s are {parts * step_s:,} s; ngen's flows come every hour",
        )
    if parts and steps and steps % parts:
        report.warn(
            config.where(f"{_FORCING}.nts"), f"it is no multiple of {parts}, the steps of a flow"
        )
    pattern = config.get(f"{_FORCING}.qlat_file_pattern_filter")
    binary = f"{_FORCING}.binary_nexus_file_folder"
    if pattern == "nex-*" and config.get(binary) is None:
        report.error(config.where(binary), "it is needed where files are named nex-*")


def _begin(config: Config, report: Report) -> Instant | None:
    value: Any = config.get(_START)
    found = _TIME.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        report.error(config.where(_START), "it must be a time such as 2015-12-01_00:00:00")
        return None
    try:
        return parse_instant(f"{found[1]}T{found[2]}Z")
    except InvalidInput as error:
        report.error(config.where(_START), error.message)
        return None


FORMAT: Final = Format(
    name="T_ROUTE_CONFIG",
    summary="what t-route routes, through which network, how long",
    categories=(Category.CONFIG,),
    indexes=((Index.TIME, "`start_datetime`, and from there `nts` steps of `dt`"),),
    sniff=begins_with_key("network_topology_parameters", "compute_parameters"),
    read=_read,
    fields=(
        Field(_NETWORK, "", "the hydrofabric"),
        Field(_START, "UTC", "where it begins"),
        Field(f"{_FORCING}.dt", "s", "the step of the routing"),
        Field(f"{_FORCING}.nts", "", "how many steps"),
        Field(f"{_FORCING}.qts_subdivisions", "", "how many steps a flow of ngen lasts"),
        Field(f"{_FORCING}.qlat_input_folder", "", "the flows; also `nexus_input_folder`"),
    ),
    warns=("a flow would not last an hour, or the steps are no whole number of flows",),
    source="NOAA-OWP/t-route, doc of its YAML",
)
