"""The config of t-route, its paths and times written anew for a job of the kind `ngen`. Pure.

The YAML is changed line by line, so that everything else in it stays as it was, comments too. Keys
as in NOAA-OWP/t-route (src/troute-config).
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from headrace_derivations.base import DerivationFailed

FABRIC: Final = "./fabric.gpkg"
ROUTED: Final = "../output/routing/"
_PATHS: Final = {
    "geo_file_path": FABRIC,
    "level_pool_waterbody_parameter_file_path": FABRIC,
    "level_pool_waterbody_parameter_file": FABRIC,
    **dict.fromkeys(
        (
            *("stream_output_directory", "csv_output_folder", "parquet_output_folder"),
            *("chanobs_output_directory", "lakeout_output", "lite_restart_output_directory"),
            *("wrf_hydro_channel_output_source_folder", "hydro_rst_output_folder"),
            "restart_output_folder",
        ),
        ROUTED,
    ),
}
_FLOWS: Final = ("qlat_input_folder", "binary_nexus_file_folder")
_LINE: Final = re.compile(
    r"^(?P<key>[ \t]*(?:- )?(?P<name>\w+)[ \t]*:[ \t]*)(?P<value>[^#\n]*?)(?P<rest>[ \t]*(#.*)?)$",
    re.MULTILINE,
)
_TIME: Final = "%Y-%m-%d %H:%M:%S"


def routed(text: str, time: Mapping[str, Any], flows: str) -> tuple[str, tuple[str, ...]]:
    """The config for a run of `time`, the section of the realization config; and what changed.

    `flows`: the folder where ngen writes those of nexuses.

    Raises `DerivationFailed` where its step does not divide the run.
    """
    begin, last = (_instant(time[key]) for key in ("start_time", "end_time"))
    seconds = int((last - begin).total_seconds()) + time["output_interval"]
    step = _value("dt", text)
    notes: list[str] = []
    wanted = _PATHS | dict.fromkeys(_FLOWS, flows)
    wanted["start_datetime"] = f'"{begin:%Y-%m-%d_%H:%M:%S}"'
    if step is not None:
        if not step.isdecimal() or not int(step) or seconds % int(step):
            raise DerivationFailed(
                f"t-route's dt is {step[:20]!r}, and the run takes {seconds:,} s, which is no "
                "whole number of these",
                hint="set dt to 300, for example",
            )
        wanted["nts"] = str(seconds // int(step))

    def changed(line: re.Match[str]) -> str:
        name, value = line["name"], line["value"].strip()
        if name not in wanted or not value or value == wanted[name]:
            return line[0]
        if name in ("start_datetime", "nts"):
            notes.append(f"{name} is {wanted[name]}, no more {value[:40]}, as the run has it")
        return f"{line['key']}{wanted[name]}{line['rest']}"

    return _LINE.sub(changed, text), tuple(notes)


def _value(name: str, text: str) -> str | None:
    return next(
        (each["value"].strip() for each in _LINE.finditer(text) if each["name"] == name), None
    )


def _instant(text: str) -> datetime:
    return datetime.strptime(text, _TIME).replace(tzinfo=UTC)
