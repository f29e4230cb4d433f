"""Real runs of ngen, laid out as the derivation `ngen-run` gets them and as a worker has them."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headrace_derivations.composite import DERIVATION as COMPOSITE
from headrace_derivations.ngen_run import DERIVATION
from headrace_kinds.ngen_run import COMPOSITE_CONFIG, NgenRun, Part
from headrace_model.dataset import Category
from headrace_model.domain import Domain
from headrace_model.requirement import Shape
from tests.support.deriving import run, steps, wanted
from tests.support.samples import sample

STAND_IN = Path(__file__).with_name("ngen_stand_in.py")
SUGAR_CREEK = "ngen-sugar-creek"
GAUGE = "ngen-gauge-01073000"
SUGAR_CATCHMENTS = ["cat-27", "cat-52", "cat-67"]
GAUGE_CATCHMENTS = [f"cat-{n}" for n in (11223, 11224, 11371, 11410, 11509)]
DECEMBER = ["2015-12-01", "2015-12-31"]
WEEK = ["2015-12-01", "2015-12-08"]
_WEEK_LINES = 1 + 7 * 24
GEOJSON = "NGEN_GEOJSON_HYDROFABRIC"
GEOPACKAGE = "NGEN_GEOPACKAGE_HYDROFABRIC_V2"
ROOT = "/ngen"


def copied(folder: Path, *paths: str) -> Path:
    """A folder with copies of samples."""
    folder.mkdir(parents=True)
    for path in paths:
        source = sample(path)
        if source.is_dir():
            shutil.copytree(source, folder / source.name)
        else:
            shutil.copy(source, folder)
    return folder


def put_week(source: Path, folder: Path) -> None:
    """Copy CSV files of forcing, of each the first week."""
    folder.mkdir(parents=True)
    for path in source.glob("*.csv"):
        lines = path.read_text().splitlines(keepends=True)
        (folder / path.name).write_text("".join(lines[:_WEEK_LINES]))


class Inputs:
    """The three datasets of a run, each a folder that a test may damage."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config, self.fabric, self.forcing = (
            folder / each for each in ("config", "fabric", "forcing")
        )
        self.run = folder / "run"

    @property
    def realization(self) -> Path:
        """The realization config."""
        (path,) = self.config.glob("*.json")
        return path

    def change(self, **top: Any) -> None:
        """Set keys of the realization config."""
        config = json.loads(self.realization.read_text())
        self.realization.write_text(json.dumps({**config, **top}))

    def formulation(self) -> dict[str, Any]:
        """What the realization config runs."""
        config = json.loads(self.realization.read_text())
        found: dict[str, Any] = config["global"]["formulations"][0]
        return found

    def change_formulation(self, formulation: Mapping[str, Any]) -> None:
        """Run another one."""
        config = json.loads(self.realization.read_text())
        config["global"]["formulations"] = [formulation]
        self.realization.write_text(json.dumps(config))

    def derive(
        self,
        time: list[str] = WEEK,
        catchments: list[str] | None = None,
        fabric: str = GEOJSON,
        forcing: str = "AORC_CSV",
        *,
        root: str | None = ROOT,
        **how: Any,
    ) -> dict[str, Any]:
        """Make the config of the run; gives the realization config, and keeps what was said."""
        domain = {"TIME": time, **({"CATCHMENT_ID": catchments} if catchments else {})}
        parts = {
            "config": Part(COMPOSITE_CONFIG),
            "fabric": Part(fabric),
            "forcing": Part(forcing),
        }
        asked = NgenRun(Domain.from_plain(domain), parts, library_root=root, **how)
        (step,) = steps(DERIVATION, asked.requirement("config"))
        shutil.rmtree(self.run, ignore_errors=True)
        self.said: list[str] = []
        self.found = run(
            DERIVATION,
            step,
            self.run,
            self.said.append,
            config=self.config,
            fabric=self.fabric,
            forcing=self.forcing,
        )
        made: dict[str, Any] = json.loads((self.run / "realization.json").read_text())
        return made


def sugar_creek(folder: Path) -> Inputs:
    """Sugar Creek with the corrected forcing."""
    made = Inputs(folder)
    copied(made.fabric, *(f"{SUGAR_CREEK}/{each}_data.geojson" for each in ("catchment", "nexus")))
    put_week(sample(f"{SUGAR_CREEK}/corrected/forcing"), made.forcing)
    real = copied(folder / "real", f"{SUGAR_CREEK}/corrected/realization.json")
    names = ("pet.ini", *(f"cfe_{each}.ini" for each in SUGAR_CATCHMENTS))
    init = copied(folder / "init", *(f"{SUGAR_CREEK}/corrected/{each}" for each in names))
    _compose(made, SUGAR_CATCHMENTS, realization=real, init_configs=init)
    return made


def gauge(folder: Path, *, routed: bool = False, netcdf: bool = False) -> Inputs:
    """The basin of gauge 01073000, with Noah-OWP-Modular."""
    made = Inputs(folder)
    copied(made.fabric, f"{GAUGE}/gauge_01073000.gpkg")
    if netcdf:
        copied(made.forcing, f"{GAUGE}/forcing.nc")
    else:
        put_week(sample(f"{GAUGE}/forcing"), made.forcing)
    name = "example_bmi_multi_realization_config_w_routing" if routed else "realization_no_routing"
    parts = {
        "realization": copied(folder / "real", f"{GAUGE}/{name}.json"),
        "init_configs": copied(
            folder / "init", *(f"{GAUGE}/{each}" for each in ("CFE", "NOAH", "PET"))
        ),
    }
    if routed:
        parts["t_route"] = copied(folder / "route", f"{GAUGE}/routing_config.yaml")
    _compose(made, GAUGE_CATCHMENTS, **parts)
    return made


def _compose(made: Inputs, catchments: list[str], **parts: Path) -> None:
    """The composite config, as its own derivation makes it."""
    of = wanted(
        *(Category.CONFIG, COMPOSITE_CONFIG, Shape.ONE),
        TIME=DECEMBER,
        CATCHMENT_ID=catchments,
        COMPOSITE_SOURCE_ID=[str(n) for n in range(len(parts))],
    )
    roles = {name.replace("_", "-"): path for name, path in parts.items()}
    found = steps(COMPOSITE, of)
    step = next(each for each in found if {need.name for need in each.inputs} == set(roles))
    run(COMPOSITE, step, made.config, **roles)


def workplace(inputs: Inputs, config: Path, *, partitions: Path | None = None) -> Path:
    """A working folder as the kind `ngen` has it laid out; returns it."""
    work = inputs.folder / "attempt" / "work"
    work.mkdir(parents=True)
    (work.parent / "output").mkdir()
    (work / "config").symlink_to(config)
    if (found := list(inputs.forcing.glob("*.nc"))) and len(found) == 1:
        (work / "forcing.nc").symlink_to(found[0])
    else:
        (work / "forcing").symlink_to(inputs.forcing)
    for path in inputs.fabric.iterdir():
        is_package = path.suffix == ".gpkg"
        name = "catchments.geojson" if "catchment" in path.name else "nexuses.geojson"
        (work / ("fabric.gpkg" if is_package else name)).symlink_to(path)
    if partitions is not None:
        (work / "partitions.json").symlink_to(partitions)
    return work


def run_stand_in(
    work: Path, *, ranks: int = 1, rank: int = 0, program: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run the stand-in, or another ngen, with the command that the kind has."""
    package = (work / "fabric.gpkg").exists()
    fabric = (
        ("fabric.gpkg", "fabric.gpkg") if package else ("catchments.geojson", "nexuses.geojson")
    )
    start = [program] if program else [sys.executable, str(STAND_IN)]
    command = [*start, fabric[0], "all", fabric[1], "all", "config/realization.json"]
    environ = {}
    if ranks > 1:
        command.append("partitions.json")
        environ = {"OMPI_COMM_WORLD_RANK": str(rank), "OMPI_COMM_WORLD_SIZE": str(ranks)}
    return subprocess.run(
        command, cwd=work, env=environ, capture_output=True, text=True, check=False, timeout=300
    )


def run_example(
    environ: Mapping[str, str], name: str, source: str, folder: Path
) -> subprocess.CompletedProcess[str]:
    """Run an example as its README says."""
    programs = folder / "bin"
    programs.mkdir()
    for command in ("headrace", "python3"):
        (programs / command).symlink_to(Path(sys.executable).parent / command)
    return subprocess.run(
        [str(Path(__file__).parents[2] / "examples" / name / "run.sh"), str(sample(source))],
        cwd=folder,
        env={**environ, "PATH": f"{programs}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
