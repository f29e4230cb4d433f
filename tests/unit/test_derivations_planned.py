"""Plans of several steps over real samples: found, run as a worker runs them, and detected."""

import json
import shutil
import subprocess
import sys
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from headrace_data.core.planning import planned
from headrace_derivations.registry import all_derivations
from headrace_formats.detect import Detection, detect_folder
from headrace_kinds.derivation import Plan, plan_job
from headrace_model.dataset import Category
from headrace_model.domain import Domain
from headrace_model.ids import DatasetId
from headrace_model.requirement import Fulfilment, Requirement, Shape
from tests.support.deriving import contents, wanted
from tests.support.format_samples import CFE
from tests.support.samples import sample

TIME = ["2015-12-05", "2015-12-06"]


class Shelf:
    """Datasets as folders, matched by what is detected in them and what is declared."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._held: dict[str, tuple[Category, str, Domain]] = {}

    def add(self, name: str, category: Category, *paths: Path, **declared: Any) -> None:
        folder = self._root / name
        folder.mkdir(parents=True)
        for path in paths:
            copy = shutil.copytree if path.is_dir() else shutil.copy
            copy(path, folder / path.name)
        found = detect_folder(folder)
        domain = Domain.from_plain(found.domain.to_plain() | declared)
        self._held[name] = (category, found.format, domain)

    def have(self, need: Requirement) -> Fulfilment | None:
        for name, (category, format_, domain) in self._held.items():
            if (category, format_) != (need.category, need.format):
                continue
            exact = all(domain.get(index) == of for index, of in need.domain.restrictions)
            if exact if need.shape is Shape.EXACT else domain.contains(need.domain):
                return Fulfilment(need.name, (DatasetId(name),), None, "")
        return None

    def made(self, of: Requirement, output: Path) -> tuple[Plan, Detection]:
        """Plan what is wanted, and run the plan's job in a process of its own."""
        plan = planned(of, [each.recipe for each in all_derivations()], self.have)
        assert plan is not None
        job = plan_job(plan, 50)
        work = output.parent / f"{output.name}-work"
        work.mkdir()
        output.mkdir()
        (file,) = job.files
        (work / file.name).write_bytes(file.content or b"")
        names = {f"source-{n}": self._root / name for n, name in enumerate(_leaves(plan))}
        argv = [word.format(output=output, **names) for word in job.command]
        ran = subprocess.run(
            [sys.executable, *argv[1:]], cwd=work, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stderr
        return plan, detect_folder(output)


def _leaves(plan: Plan) -> list[str]:
    """The datasets in the order in which a plan's job has its inputs."""
    return [
        source.datasets[0]
        for each in plan.in_order()
        for source in each.sources
        if isinstance(source, Fulfilment)
    ]


def order(plan: Plan) -> list[str]:
    return [each.step.derivation for each in plan.in_order()]


REAL, PARTIAL = "NGEN_REALIZATION_CONFIG", "NGEN_PARTIAL_REALIZATION_CONFIG"
INIT, TEMPLATE = "BMI_CONFIG", "BMI_CONFIG_TEMPLATE"
T_ROUTE, NGEN_CAL = "T_ROUTE_CONFIG", "NGEN_CAL_CONFIG"


@pytest.mark.parametrize("shape", [Shape.ONE, Shape.EXACT])
@pytest.mark.parametrize(
    "formats",
    [
        (PARTIAL, TEMPLATE, T_ROUTE),
        (REAL, INIT, INIT, T_ROUTE),
        (PARTIAL, TEMPLATE, TEMPLATE, T_ROUTE),
        (PARTIAL, TEMPLATE, T_ROUTE, NGEN_CAL),
    ],
)
def test_sources_of_a_composite_config_are_told_apart_whatever_their_names(
    shape: Shape, formats: tuple[str, ...]
) -> None:
    of = wanted(
        Category.CONFIG,
        "NGEN_JOB_COMPOSITE_CONFIG",
        shape,
        TIME=TIME,
        CATCHMENT_ID=["cat-1", "cat-2"],
        COMPOSITE_SOURCE_ID=[f"source-{n}" for n in range(len(formats))],
    )
    for order_ in set(permutations(formats)):
        held = {f"source-{n}": each for n, each in enumerate(order_)}

        def have(need: Requirement, held: dict[str, str] = held) -> Fulfilment | None:
            asked = need.domain.to_plain()
            is_exact = need.shape is Shape.EXACT and need.format == REAL
            if is_exact and asked["CATCHMENT_ID"] != "ALL":
                return None
            is_fabric = need.format == "NGEN_GEOPACKAGE_HYDROFABRIC_V2"
            if is_fabric or held.get(asked.get("DATA_ID")) == need.format:
                return Fulfilment(need.name, (DatasetId(str(asked.get("DATA_ID"))),), None, "")
            return None

        plan = planned(of, [each.recipe for each in all_derivations()], have)
        assert plan is not None
        assert {need.format for need in plan.step.inputs} == {
            {PARTIAL: REAL, TEMPLATE: INIT}.get(each, each) for each in formats
        }


def test_a_part_of_an_archive_is_unpacked_and_cut(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "shelf")
    archive = shutil.make_archive(
        str(tmp_path / "run"), "gztar", sample("ngen-sugar-creek/corrected/expected_output")
    )
    shelf.add("run", Category.OUTPUT, Path(archive))
    of = wanted(Category.OUTPUT, "NGEN_CSV_OUTPUT", TIME=TIME, CATCHMENT_ID="cat-27")
    plan, found = shelf.made(of, tmp_path / "out")
    assert order(plan) == ["unpack", "ngen-output"]
    assert {index: found.domain.get(index) for index in of.domain} == dict(of.domain.restrictions)


def test_the_config_of_a_run_is_made_from_a_fabric_a_template_and_a_partial_config(
    tmp_path: Path,
) -> None:
    shelf = Shelf(tmp_path / "shelf")
    config = json.loads(sample("ngen-sugar-creek/corrected/realization.json").read_text())
    modules = config["global"]["formulations"][0]["params"]["modules"]
    del config["time"], modules[1]
    modules[1]["params"]["init_config"] = "./CFE/{{id}}_cfe.ini"
    partial, template = tmp_path / "partial.json", tmp_path / "CFE" / "cfe.ini"
    partial.write_text(json.dumps(config))
    template.parent.mkdir()
    template.write_text(CFE.replace("b=4.2", "b={{bexp_soil_layers_stag=1}}"))
    shelf.add("models", Category.CONFIG, partial, DATA_ID="models")
    shelf.add("soils", Category.CONFIG, template.parent, DATA_ID="soils")
    fabric = sample("troute-hyfeature/gauge_01069700.gpkg")
    shelf.add("fabric", Category.HYDROFABRIC, fabric)
    of = wanted(
        Category.CONFIG,
        "NGEN_JOB_COMPOSITE_CONFIG",
        TIME=TIME,
        CATCHMENT_ID=["cat-10236", "cat-10245"],
        COMPOSITE_SOURCE_ID=["models", "soils"],
    )
    plan, found = shelf.made(of, tmp_path / "out")
    assert sorted(order(plan)) == ["bmi-init", "composite", "realization"]
    assert found.format == "NGEN_JOB_COMPOSITE_CONFIG"
    told = found.domain.to_plain()
    assert (told["TIME"], told["CATCHMENT_ID"]) == (TIME, ["cat-10236", "cat-10245"])
    assert sorted(contents(tmp_path / "out")) == [
        "init-configs/CFE/cat-10236_cfe.ini",
        "init-configs/CFE/cat-10245_cfe.ini",
        "partial.json",
    ]


def test_a_basin_as_geojson_comes_from_the_geopackage_that_has_its_gauge(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "shelf")
    for name in (
        "troute-hyfeature/gauge_01069700.gpkg",
        "ngen-gauge-01073000/gauge_01073000.gpkg",
    ):
        shelf.add(Path(name).stem, Category.HYDROFABRIC, sample(name))
    of = wanted(
        Category.HYDROFABRIC, "NGEN_GEOJSON_HYDROFABRIC", ELEMENT_ID="upstream/gages-01073000"
    )
    plan, found = shelf.made(of, tmp_path / "out")
    assert plan.datasets == ("gauge_01073000",)
    whole = detect_folder(sample("ngen-gauge-01073000/gauge_01073000.gpkg")).domain.to_plain()
    assert found.domain.to_plain()["HYDROFABRIC_ID"] == whole["HYDROFABRIC_ID"]
