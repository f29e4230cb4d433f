"""The formats that this Headrace knows, in the order in which they are tried.

Formats of third parties (entry points of the group `headrace.formats`, each a `base.Format`)
come after the built-in ones and before GENERIC, by name: installing one never changes what a
file was before. `page` writes docs/formats.md from them.
"""

from functools import cache
from typing import Final

from headrace_formats import (
    aorc_csv,
    aorc_netcdf,
    archived_ngen_csv,
    bmi_config,
    bmi_forcing,
    bmi_template,
    calibration_result,
    canonical_netcdf,
    composite_config,
    empty,
    evaluation_result,
    generic,
    geojson_hydrofabric,
    geopackage_v1,
    geopackage_v2,
    ngen_cal_config,
    ngen_cal_output,
    ngen_csv,
    ngen_netcdf,
    ngen_run_config,
    nwm_config,
    nwm_output,
    observation_netcdf,
    partial_realization,
    partition_config,
    pip_lock,
    prms_netcdf,
    realization_config,
    t_route_config,
    t_route_csv,
    t_route_netcdf,
    t_route_parquet,
    timeseries_csv,
    timeseries_netcdf,
    waterml_json,
)
from headrace_formats.base import Format
from headrace_formats.errors import FormatError
from headrace_model.domain import check_format
from headrace_model.errors import InvalidDomain
from headrace_model.nearest import did_you_mean
from headrace_model.plugins import loaded

GROUP: Final = "headrace.formats"
EMPTY: Final = empty.FORMAT
GENERIC: Final = generic.FORMAT
BUILT_IN: Final = (
    EMPTY,
    observation_netcdf.FORMAT,
    prms_netcdf.FORMAT,
    aorc_netcdf.FORMAT,
    canonical_netcdf.FORMAT,
    ngen_netcdf.FORMAT,
    t_route_netcdf.FORMAT,
    nwm_output.FORMAT,
    bmi_forcing.FORMAT,
    timeseries_netcdf.FORMAT,
    aorc_csv.FORMAT,
    ngen_csv.FORMAT,
    t_route_csv.FORMAT,
    t_route_parquet.FORMAT,
    archived_ngen_csv.FORMAT,
    waterml_json.FORMAT,
    evaluation_result.FORMAT,
    geojson_hydrofabric.FORMAT,
    geopackage_v1.FORMAT,
    geopackage_v2.FORMAT,
    partition_config.FORMAT,
    realization_config.FORMAT,
    partial_realization.FORMAT,
    t_route_config.FORMAT,
    ngen_cal_config.FORMAT,
    ngen_cal_output.FORMAT,
    calibration_result.FORMAT,
    composite_config.FORMAT,
    ngen_run_config.FORMAT,
    nwm_config.FORMAT,
    bmi_template.FORMAT,
    bmi_config.FORMAT,
    pip_lock.FORMAT,
    timeseries_csv.FORMAT,
)


@cache
def all_formats() -> tuple[Format, ...]:
    """Return every format, in order, GENERIC last.

    Raises `FormatError` for a plug-in that can't be used: leaving it out in silence would make
    its files GENERIC.
    """
    found = list(BUILT_IN)
    for title, plugin in loaded(GROUP, Format, "format", FormatError):
        _check(plugin, title, {each.name for each in (*found, GENERIC)})
        found.append(plugin)
    return (*found, GENERIC)


def _check(plugin: Format, title: str, taken: set[str]) -> None:
    try:
        check_format(plugin.name)
    except InvalidDomain as error:
        raise FormatError(f"{title}: {error.message}") from None
    if plugin.name in taken:
        raise FormatError(f"{title}: there is a format {plugin.name} already")


def format_named(name: str) -> Format:
    """Find a format; raises `FormatError` for an unknown one, naming the nearest."""
    by_name = {each.name: each for each in all_formats()}
    if name not in by_name:
        raise FormatError(f"{name[:80]!r} is not a known format; {did_you_mean(name, by_name)}")
    return by_name[name]
