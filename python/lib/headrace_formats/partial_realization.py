"""NGEN_PARTIAL_REALIZATION_CONFIG: a realization config that tells no period.

What models run for which catchments, to be used for many periods: as NGEN_REALIZATION_CONFIG, but
`time` is missing or has an `output_interval` only, and the forcing or its path may be missing.
Ngen does not read it; the derivation `realization` fills it in.
"""

from pathlib import Path
from typing import Final

from headrace_formats.base import Field, FileDomain, Format
from headrace_formats.errors import FormatError
from headrace_formats.json_text import load_json, mapping
from headrace_formats.realization_config import ENDS, read_formulations, read_step, sniff
from headrace_formats.report import Report
from headrace_model.dataset import Category
from headrace_model.domain import Domain, Index


def _read(path: Path, report: Report) -> FileDomain:
    config = mapping(load_json(path), "the file")
    ids = read_formulations(config, report, is_partial=True)
    time = mapping(config.get("time", {}), "time")
    told = [key for key in ENDS if key in time]
    if told:
        raise FormatError(f"it has time.{told[0]}: it is no partial realization config")
    if time:
        read_step(time, report)
    if ids is None:
        raise FormatError("it has no formulations: nothing would be run")
    return FileDomain((("realization", Domain(((Index.CATCHMENT_ID, ids),))),))


FORMAT: Final = Format(
    name="NGEN_PARTIAL_REALIZATION_CONFIG",
    summary="a realization config of ngen that tells no period, to be filled in",
    categories=(Category.CONFIG,),
    indexes=(
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
        Field("time.output_interval", "s", "the step; 3600 without it"),
    ),
    warns=("today's ngen has no formulation or provider of that name",),
    source="Headrace; NOAA-OWP/ngen, doc/REALIZATION_CONFIGURATION.md for what it has",
)
