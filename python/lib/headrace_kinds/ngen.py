"""The kind `ngen`: a run of NOAA's NextGen framework, serial or in ranks of MPI.

It asks for the hydrofabric, the forcing, and a config that the derivation `ngen-run` has checked
against both; lays links to them into the working folder; and runs, as NOAA-OWP/ngen takes it,
`ngen CATCHMENTS all NEXUSES all REALIZATION [PARTITIONS]`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from headrace_kinds.base import Link, Wrong, filled, in_ranks, naming
from headrace_kinds.command import CommandKind
from headrace_kinds.ngen_inputs import PARTITIONS, contradictions
from headrace_kinds.ngen_run import (
    COMPOSITE_CONFIG,
    CONFIG,
    FABRIC,
    FORCING,
    RUN_CONFIG,
    NgenRun,
    Part,
)
from headrace_kinds.partition import FORMAT as PARTITION_FORMAT
from headrace_kinds.partition import Balance, balanced
from headrace_kinds.progress import PLAIN
from headrace_kinds.settings import Period, told
from headrace_model.dataset import Category
from headrace_model.domain import Discrete, Domain, Index, Restriction
from headrace_model.errors import InvalidSpec
from headrace_model.requirement import PathInput, Requirement, Shape
from headrace_model.spec import JobSpec, OutputSpec

NAME: Final = "ngen"
MOST_SOURCES: Final = 4  # as the derivation `composite` takes them
MODEL, ROUTING = "model", "routing"  # the outputs
_STEP: Final = re.compile(r"Running timestep (?P<step>[0-9]{1,15})\b")
_END: Final = re.compile(r"Finished (?=(?P<of>[0-9]{1,15}) )(?P<step>[0-9]{1,15}) timesteps")
_RUN_INDEXES: Final = (Index.TIME, Index.CATCHMENT_ID)
_ARCHIVED_FROM: Final = "ngen"  # the folder of what is archived
_IN_A_FOLDER: Final = 'mkdir -p "$1" && shift && exec "$@"'
_THEN_ARCHIVE: Final = (
    'at=$1 && shift && mkdir -p "$at" && "$@" && tar -czf "$at.tar.gz" -C "$at" . && rm -r "$at"'
)


class Fabric(StrEnum):
    """The format of the hydrofabric."""

    GEOJSON = "GEOJSON"
    GEOPACKAGE = "GEOPACKAGE"
    GEOPACKAGE_V1 = "GEOPACKAGE_V1"


class ForcingForm(StrEnum):
    """The format of the forcing."""

    CSV = "CSV"
    NETCDF = "NETCDF"


class Output(StrEnum):
    """The format of what ngen writes."""

    CSV = "CSV"
    NETCDF = "NETCDF"


class Doubtful(StrEnum):
    """What becomes of forcing that no weather can be in ngen's units."""

    REFUSE = "refuse"
    WARN = "warn"


_FABRICS: Final = {
    Fabric.GEOJSON: "NGEN_GEOJSON_HYDROFABRIC",
    Fabric.GEOPACKAGE: "NGEN_GEOPACKAGE_HYDROFABRIC_V2",
    Fabric.GEOPACKAGE_V1: "NGEN_GEOPACKAGE_HYDROFABRIC_V1",
}
_FORCINGS: Final = {ForcingForm.CSV: "AORC_CSV", ForcingForm.NETCDF: "NETCDF_AORC_DEFAULT"}
_OUTPUTS: Final = {Output.CSV: "NGEN_CSV_OUTPUT", Output.NETCDF: "NGEN_NETCDF_OUTPUT"}
_ARCHIVED: Final = "ARCHIVED_NGEN_CSV_OUTPUT"


@dataclass(frozen=True, slots=True)
class NgenSettings:
    """What a run of ngen is told. Raises `InvalidSpec` for what doesn't go together."""

    time: Period = told("The period of the run.", "[2015-12-01, 2015-12-31]")
    catchments: tuple[str, ...] = told(
        "The catchments; without any, all of the hydrofabric.",
        "[cat-27, cat-52]",
        default=(),
        most=100_000,
    )
    fabric: Fabric = told("Format of the hydrofabric.", "GEOJSON", default=Fabric.GEOJSON)
    forcing: ForcingForm = told("Format of the forcing.", "CSV", default=ForcingForm.CSV)
    output: Output = told(
        "Format of the output; NETCDF: flows of nexuses only.", "CSV", default=Output.CSV
    )
    routing: bool = told("Whether t-route follows.", "false", default=False)
    archive: bool = told("Whether the output is one archive.", "false", default=False)
    hydrofabric_data_id: str | None = told(
        "HYDROFABRIC_DATA_ID of the hydrofabric.", "sugar-creek", default=None, most=1000
    )
    hydrofabric_uid: str | None = told(
        "HYDROFABRIC_ID of the whole hydrofabric.", "4c3b", default=None, most=1000
    )
    config_data_id: str | None = told(
        "DATA_ID of the composite config.", "sugar-creek-cfe", default=None, most=1000
    )
    realization_config: str | None = told(
        "DATA_ID of the realization config of which the composite config is made.",
        "sugar-creek-models",
        default=None,
        most=1000,
    )
    config_sources: tuple[str, ...] = told(
        "DATA_ID of all configs of which the composite config is made.",
        "[models, soils]",
        default=(),
        most=1000,
    )
    forcing_data_id: str | None = told(
        "DATA_ID of the forcing.", "aorc-2015", default=None, most=1000
    )
    partition_config_data_id: str | None = told(
        "DATA_ID of the partition config; without it, one is made.",
        "sugar-creek-2",
        default=None,
        most=1000,
    )
    balance: Balance = told(
        "What each rank has about as much of, `count`: catchments, or `area`.",
        "area",
        default=Balance.COUNT,
    )
    executable: str | None = told(
        "The program; without it `ngen`, or what this Headrace has.", "/ngen/ngen", default=None
    )
    version: str | None = told(
        "The tag of the image that this Headrace has for ngen.", "v1.2", default=None, most=128
    )
    library_root: str | None = told(
        "From where relative paths of libraries count, where ngen runs.",
        "/ngen",
        default=None,
        most=1000,
    )
    doubtful_forcing: Doubtful = told(
        "What becomes of forcing that no weather can be in ngen's units.",
        "refuse",
        default=Doubtful.REFUSE,
    )

    def __post_init__(self) -> None:
        if self.routing and self.fabric is Fabric.GEOJSON:
            raise InvalidSpec(
                "t-route reads GeoPackages only: set `fabric: GEOPACKAGE` as well", path="routing"
            )
        if self.routing and self.output is Output.NETCDF:
            raise InvalidSpec("t-route reads CSV: set `output: CSV`, or no routing", path="output")
        if self.archive and (self.output is Output.NETCDF or self.routing):
            raise InvalidSpec(
                "what is archived is CSV output without routing: leave one out", path="archive"
            )
        if len(self.config_sources) > MOST_SOURCES:
            raise InvalidSpec(
                f"a composite config is made of {MOST_SOURCES} datasets at most",
                path="config_sources",
            )
        if self.config_data_id and (self.config_sources or self.realization_config):
            raise InvalidSpec(
                "it names a whole composite config: leave out what one would be made of",
                path="config_data_id",
            )


class NgenKind(CommandKind):
    """Runs ngen."""

    name = NAME
    summary = "a run of NOAA's NextGen framework (ngen), serial or in ranks of MPI"
    settings = NgenSettings

    def complete(self, spec: JobSpec) -> JobSpec:
        """Ask for what ngen reads, and run it."""
        spec = in_ranks(spec)
        ranks = spec.resources.amount.ranks
        spec = replace(spec, inputs=tuple(e for e in spec.inputs if not is_made(e)))
        run = run_of(spec)
        asked = [run.requirement(CONFIG), run.asked_of(FABRIC), run.asked_of(FORCING)]
        if ranks > 1:
            asked.append(_partitions(spec, run, ranks))
        return filled(
            spec,
            command=tuple(_command(spec, ranks)),
            inputs=asked,
            outputs=_outputs(spec.settings),
        )

    def links(self, spec: JobSpec) -> tuple[Link, ...]:
        """What ngen's command, and the paths of its config, name."""
        settings: NgenSettings = spec.settings
        found = [Link("config", CONFIG)]
        if settings.fabric is Fabric.GEOJSON:
            found.append(Link("catchments.geojson", FABRIC, ("*catchment*.geojson", "*divide*")))
            found.append(Link("nexuses.geojson", FABRIC, ("*nex*.geojson",)))
        else:
            found.append(Link("fabric.gpkg", FABRIC, ("*.gpkg",)))
        if settings.forcing is ForcingForm.NETCDF:
            found.append(Link("forcing.nc", FORCING, ("*.nc", "*.nc4")))
        else:
            found.append(Link("forcing", FORCING))
        if spec.resources.amount.ranks > 1:
            found.append(Link("partitions.json", PARTITIONS, ("*.json",)))
        return tuple(found)

    def check(self, spec: JobSpec) -> tuple[Wrong, ...]:
        """Find inputs that are local paths, and ranks whose catchments nobody can tell."""
        wrong = [*super().check(spec)]
        wrong += [
            Wrong(
                f"inputs.{each.name}.path",
                "ngen's data are datasets: upload it once with `headrace dataset create --upload` "
                "and name it, or leave this out",
            )
            for each in spec.path_inputs
            if each.name in (CONFIG, FABRIC, FORCING, PARTITIONS)
        ]
        fabric = run_of(spec).asked_of(FABRIC)
        for each in spec.requirements:
            wrong += contradictions(spec.settings, each, fabric)
            if each.name == CONFIG and each.format == COMPOSITE_CONFIG:
                wrong.append(
                    Wrong(
                        "inputs.config",
                        "the config that ngen gets is checked and made for the run: name the "
                        "composite config by settings.config_data_id",
                    )
                )
            if each.name == PARTITIONS and not _says_which(each.domain):
                wrong.append(
                    Wrong(
                        "settings.catchments",
                        "with several CPUs there are ranks, and nobody can tell whose partition "
                        "config they need: name the catchments, hydrofabric_data_id, or "
                        "partition_config_data_id",
                    )
                )
        return tuple(wrong)

    def progress(self, spec: JobSpec) -> tuple[re.Pattern[str], ...]:
        """The lines that ngen writes every so many steps."""
        return (*PLAIN, _STEP, _END)


def run_of(spec: JobSpec) -> NgenRun:
    """The run that a spec asks for, what its own inputs say included."""
    settings: NgenSettings = spec.settings
    own: dict[Index, Restriction] = {Index.TIME: settings.time.time}
    if settings.catchments:
        own[Index.CATCHMENT_ID] = Discrete(frozenset(settings.catchments))
    return NgenRun(
        Domain.of(own),
        {
            CONFIG: Part(
                COMPOSITE_CONFIG,
                Domain.of(
                    naming(
                        {
                            Index.DATA_ID: (settings.config_data_id,),
                            Index.REALIZATION_CONFIG_DATA_ID: (settings.realization_config,),
                            Index.COMPOSITE_SOURCE_ID: settings.config_sources,
                        }
                    )
                ),
            ),
            FABRIC: _part(
                spec,
                FABRIC,
                _FABRICS[settings.fabric],
                {
                    Index.HYDROFABRIC_DATA_ID: (settings.hydrofabric_data_id,),
                    Index.HYDROFABRIC_ID: (settings.hydrofabric_uid,),
                },
            ),
            FORCING: _part(
                spec,
                FORCING,
                _FORCINGS[settings.forcing],
                {Index.DATA_ID: (settings.forcing_data_id,)},
            ),
        },
        netcdf=settings.output is Output.NETCDF,
        routing=settings.routing,
        doubtful=settings.doubtful_forcing is Doubtful.WARN,
        library_root=settings.library_root,
        output=_model_folder(spec),
    )


def is_made(each: Requirement | PathInput) -> bool:
    """Tell whether an input is the config that this kind asks for: it follows from the rest."""
    return (
        isinstance(each, Requirement)
        and (each.name, each.format) == (CONFIG, RUN_CONFIG)
        and NgenRun.of(each) is not None
    )


def _part(
    spec: JobSpec, name: str, format_: str, names: Mapping[Index, Iterable[str | None]]
) -> Part:
    """A part by the settings and by the user's own input of that name."""
    domain = naming(names)
    for each in spec.requirements:
        if each.name == name:
            own = each.domain.restrictions
            domain |= {index: of for index, of in own if index not in _RUN_INDEXES}
            format_ = each.format or format_
    return Part(format_, Domain.of(domain))


def _partitions(spec: JobSpec, run: NgenRun, ranks: int) -> Requirement:
    """A partition config of exactly the catchments: ngen finds no other ones."""
    settings: NgenSettings = spec.settings
    if settings.partition_config_data_id:
        domain = Domain.of(naming({Index.DATA_ID: (settings.partition_config_data_id,)}))
        return Requirement(PARTITIONS, Category.CONFIG, PARTITION_FORMAT, domain, Shape.ONE)
    of_fabric = (run.asked_of(FABRIC).domain, run.parts[FABRIC].domain)
    asked = {index: of for each in of_fabric for index, of in each.restrictions}
    asked.pop(Index.DATA_ID, None)  # is what people call the fabric, not what is made of it
    domain = Domain.of(asked | {Index.LENGTH: Discrete(frozenset((str(ranks),)))})
    made = balanced(settings.balance)
    return Requirement(PARTITIONS, Category.CONFIG, PARTITION_FORMAT, domain, Shape.EXACT, made)


def _says_which(domain: Domain) -> bool:
    return any(index is not Index.LENGTH for index, _ in domain.restrictions)


def _model_folder(spec: JobSpec) -> str:
    """Where ngen writes, below the output root."""
    settings: NgenSettings = spec.settings
    several = {*(each.name for each in spec.outputs), *_names(settings)} != {MODEL}
    parts = (MODEL if several else "", _ARCHIVED_FROM if settings.archive else "")
    return "/".join(each for each in parts if each)


def _command(spec: JobSpec, ranks: int) -> Iterator[str]:
    settings: NgenSettings = spec.settings
    if settings.archive:
        yield from ("sh", "-c", _THEN_ARCHIVE, NAME, f"../output/{_model_folder(spec)}")
    if settings.routing:
        yield from ("sh", "-c", _IN_A_FOLDER, NAME, f"../output/{ROUTING}")
    if ranks > 1:
        yield from ("mpirun", "-n", str(ranks))
    yield settings.executable or NAME
    is_geojson = settings.fabric is Fabric.GEOJSON
    for each in ("catchments.geojson", "nexuses.geojson"):
        yield from (each if is_geojson else "fabric.gpkg", "all")
    yield "config/realization.json"
    if ranks > 1:
        yield "partitions.json"


def _names(settings: NgenSettings) -> tuple[str, ...]:
    return (MODEL, ROUTING) if settings.routing else (MODEL,)


def _outputs(settings: NgenSettings) -> Iterator[OutputSpec]:
    made = _ARCHIVED if settings.archive else _OUTPUTS[settings.output]
    formats = {MODEL: made, ROUTING: "GENERIC"}
    for name in _names(settings):
        yield OutputSpec(name, Category.OUTPUT, formats[name], Domain())
