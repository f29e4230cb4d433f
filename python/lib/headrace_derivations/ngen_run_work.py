"""The work of `ngen-run`: read, check everything, write what ngen reads.

The paths of `realization.json` count from the working folder of a job of the kind `ngen`, where
`config` is the folder of this dataset, `forcing` or `forcing.nc` the forcing, `fabric.gpkg` the
GeoPackage; output goes to `../output/`.
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from headrace_derivations import hydrofabric_geojson as geojson
from headrace_derivations import hydrofabric_geopackage as geopackage
from headrace_derivations.base import DerivationFailed, Work, files_below
from headrace_derivations.composite_parts import FORMATS, REALIZATION, T_ROUTE
from headrace_derivations.composite_work import ROUTING, InitConfigs
from headrace_derivations.hydrofabric_loop import check_loops
from headrace_derivations.hydrofabric_network import Network
from headrace_derivations.ngen_modules import check_inputs
from headrace_derivations.ngen_run_forcing import Needed, check_forcing
from headrace_derivations.ngen_run_paths import Paths
from headrace_derivations.ngen_run_routing import routed
from headrace_derivations.realization_parts import outermost
from headrace_derivations.realization_work import time_section
from headrace_formats.base import read_head
from headrace_formats.geojson_hydrofabric import FORMAT as GEOJSON
from headrace_formats.geopackage import is_geopackage
from headrace_formats.json_text import CONFIG_BYTES, load_json
from headrace_formats.registry import format_named
from headrace_formats.report import Report
from headrace_kinds.ngen_run import CONFIG, FABRIC, FORCING
from headrace_model.domain import Domain
from headrace_model.nearest import did_you_mean

NAME: Final = "realization.json"
NETCDF_OUTPUT: Final = {
    "catchment": {"enable": False},
    "nexus": {"format": "netcdf", "grouping": "per_formulation"},
}
_SAID: Final = 5
_MOST_COMPARED: Final = 20_000


def derive(work: Work) -> None:
    """Check a run and write its config; raises `DerivationFailed` and `FormatError`."""
    path = _realization(work.inputs[CONFIG])
    config: dict[str, Any] = load_json(path)
    catchments = _catchments(work)
    _check_formulated(config, catchments)
    columns: set[str] = set()
    for each in outermost(config):
        columns |= check_inputs(each)
    period = Domain.from_plain(work.parameters["period"]).time
    assert period is not None  # noqa: S101 - the recipe says so
    config["time"] = time_section(config.get("time", {}), work.parameters["period"])
    step_s = config["time"]["output_interval"]
    needed = Needed(catchments, period, columns, step_s, work.parameters["doubtful"])
    files = check_forcing(work.inputs[FORCING], needed, work.say)
    beside = _beside(work.inputs[CONFIG], path)
    paths = Paths(
        InitConfigs(sorted(f"config/{name}" for name in beside)),
        catchments,
        files,
        work.parameters["library_root"],
    )
    paths.rewrite(config)
    _route(config, work, beside)
    _set_output(config, work)
    _write(config, work, beside, paths)
    work.say(
        f"{len(catchments):,} catchments are checked: forcing, init configs, formulations, "
        f"times, units, and the way of the water"
    )


def _realization(folder: Path) -> Path:
    """The only realization config in a folder; raises where it is none that ngen reads."""
    of = format_named(FORMATS[REALIZATION])
    found = [each for each in files_below(folder) if of.sniff(read_head(each))]
    if len(found) != 1:
        said = ", ".join(each.name for each in found[:_SAID]) or "none"
        raise DerivationFailed(
            f"the composite config must have one realization config, and has {said}",
            hint="name its DATA_ID, or upload a dataset with one",
        )
    of.read(found[0], Report())
    return found[0]


def _beside(folder: Path, realization: Path) -> dict[str, Path]:
    """All other configs, by their paths in the dataset."""
    found = {
        each.relative_to(folder).as_posix(): each
        for each in files_below(folder)
        if each != realization
    }
    found.pop(NAME, None)  # the realization config that is written has this place
    return found


def _catchments(work: Work) -> list[str]:
    """The catchments of the run, which the fabric must have, and no loop."""
    folder, source = work.inputs[FABRIC], work.parameters["fabric"]
    network = Network()
    for path in files_below(folder):
        if source == GEOJSON.name and geojson.is_geojson(path):
            geojson.add_network(path, network)
        elif source != GEOJSON.name and is_geopackage(read_head(path)):
            geopackage.add_network(path, source, network)
    if not network.catchments:
        raise DerivationFailed("the hydrofabric has no catchment")
    check_loops(network)
    wanted: Sequence[str] = work.parameters["catchments"]
    lacks = [each for each in wanted if each not in network.catchments]
    if lacks:
        near = ""
        if len(network.catchments) <= _MOST_COMPARED:
            near = did_you_mean(lacks[0], network.catchments)
        raise DerivationFailed(
            f"the hydrofabric has no catchment {lacks[0][:60]}"
            + (f", and {len(lacks) - 1:,} more are missing" if len(lacks) > 1 else ""),
            hint=near or "name catchments of it",
        )
    return sorted(wanted or network.catchments, key=lambda each: (len(each), each))


def _check_formulated(config: dict[str, Any], catchments: Sequence[str]) -> None:
    """Check that each catchment has a formulation; raises `DerivationFailed`."""
    named = config.get("catchments", {})
    if config.get("global", {}).get("formulations"):
        lacks = [id_ for id_ in catchments if id_ in named and not named[id_].get("formulations")]
    else:
        lacks = [id_ for id_ in catchments if not named.get(id_, {}).get("formulations")]
    if lacks:
        raise DerivationFailed(
            f"the realization config has no formulation for {', '.join(lacks[:_SAID])}"
            + (f" and {len(lacks) - _SAID:,} more" if len(lacks) > _SAID else ""),
            hint="give `global` formulations, or each of these its own under `catchments`",
        )


def _route(config: dict[str, Any], work: Work, beside: dict[str, Path]) -> None:
    """Pass the config of t-route on where it is to follow; drop it where not."""
    if not work.parameters["routing"]:
        if config.pop("routing", None) is not None:
            work.say("t-route is left out: settings.routing is false")
        return
    if work.parameters["fabric"] == GEOJSON.name:
        raise DerivationFailed(
            "t-route reads GeoPackages only, and the hydrofabric is GeoJSON",
            hint="set settings.fabric to GEOPACKAGE, or settings.routing to false",
        )
    of = format_named(FORMATS[T_ROUTE])
    found = [name for name, path in beside.items() if of.sniff(read_head(path))]
    if len(found) != 1:
        raise DerivationFailed(
            f"t-route needs one config, and the composite config has {len(found)}",
            hint="name the DATA_ID of one among the sources of the composite config, or set "
            "settings.routing to false",
        )
    (name,) = found
    target = work.output / name
    target.parent.mkdir(parents=True, exist_ok=True)
    text, notes = routed(
        beside.pop(name).read_text(encoding="utf-8"), config["time"], _output_root(work)
    )
    target.write_text(text, encoding="utf-8")
    for note in notes:
        work.say(f"{name}: {note}")
    config["routing"] = {**(config.get("routing") or {}), ROUTING: f"./config/{name}"}


def _output_root(work: Work) -> str:
    folder = work.parameters["output"]
    return f"../output/{folder}/" if folder else "../output/"


def _set_output(config: dict[str, Any], work: Work) -> None:
    config.pop("output", None)
    config.pop("output_root", None)
    root = _output_root(work)
    if work.parameters["netcdf"]:
        config["output"] = {"root": root, **NETCDF_OUTPUT}
    else:
        config["output_root"] = root


def _write(config: dict[str, Any], work: Work, beside: dict[str, Path], paths: Paths) -> None:
    for name, source in sorted(beside.items()):
        target = work.output / name
        target.parent.mkdir(parents=True, exist_ok=True)
        changed = paths.of_namelist(name, source)
        if changed is None:
            shutil.copyfile(source, target, follow_symlinks=False)
        else:
            target.write_text(changed, encoding="utf-8")
    text = json.dumps(config, indent=1, ensure_ascii=False) + "\n"
    if len(text.encode()) > CONFIG_BYTES:
        raise DerivationFailed(
            f"the realization config would have more than {CONFIG_BYTES:,} bytes",
            hint="give `global` formulations instead of one for each catchment",
        )
    (work.output / NAME).write_text(text, encoding="utf-8")
