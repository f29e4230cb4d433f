"""Composite configs from real realization configs, init configs and configs of t-route."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from headrace_derivations.base import DerivationFailed
from headrace_derivations.composite import COMPOSITE, DERIVATION
from headrace_derivations.composite_parts import FORMATS
from headrace_formats.detect import Detection, detect_folder
from headrace_kinds.derivation import Step
from headrace_model.dataset import Category
from headrace_model.domain import Domain
from headrace_model.requirement import Shape
from tests.support.deriving import contents, run, steps, wanted
from tests.support.samples import sample

GAUGE = "ngen-gauge-01073000"
CATCHMENTS = [f"cat-{n}" for n in (11223, 11224, 11371, 11410, 11509)]
DECEMBER = ["2015-12-01", "2015-12-31"]


def folder_of(folder: Path, *paths: str) -> Path:
    folder.mkdir(parents=True)
    for path in paths:
        source = sample(path)
        if source.is_dir():
            shutil.copytree(source, folder / source.name)
        else:
            shutil.copy(source, folder)
    return folder


def init_configs(tmp_path: Path) -> Path:
    return folder_of(tmp_path / "init", *(f"{GAUGE}/{each}" for each in ("CFE", "NOAH", "PET")))


def way(*parts: str, shape: Shape = Shape.ONE, **domain: Any) -> Step:
    """The first way that has these parts of those that the requirement allows."""
    found = steps(DERIVATION, wanted(Category.CONFIG, COMPOSITE, shape, **domain))
    return next(each for each in found if {need.name for need in each.inputs} == set(parts))


def made(tmp_path: Path, step: Step, **inputs: Path) -> tuple[Detection, dict[str, Any]]:
    roles = {name.replace("_", "-"): path for name, path in inputs.items()}
    found = run(DERIVATION, step, tmp_path / "out", **roles)
    (path,) = (tmp_path / "out").glob("*.json")
    return found, json.loads(path.read_text())


def paths_in(value: Any) -> list[str]:
    """All init configs that are no /dev/null, in order."""
    if isinstance(value, list):
        return [path for each in value for path in paths_in(each)]
    if not isinstance(value, dict):
        return []
    own = [value["init_config"]] if value.get("init_config", "") not in ("", "/dev/null") else []
    return own + [path for each in value.values() for path in paths_in(each)]


def test_a_real_run_with_routing_is_put_together(tmp_path: Path) -> None:
    step = way(
        *("realization", "init-configs", "t-route"),
        TIME=DECEMBER,
        CATCHMENT_ID=CATCHMENTS,
        COMPOSITE_SOURCE_ID=["a", "b", "c"],
    )
    found, config = made(
        tmp_path,
        step,
        realization=folder_of(
            tmp_path / "real", f"{GAUGE}/example_bmi_multi_realization_config_w_routing.json"
        ),
        init_configs=init_configs(tmp_path),
        t_route=folder_of(tmp_path / "route", f"{GAUGE}/routing_config.yaml"),
    )
    assert found.format == COMPOSITE
    told = found.domain.to_plain()
    assert (told["TIME"], told["CATCHMENT_ID"]) == (DECEMBER, CATCHMENTS)
    assert (
        told["GLOBAL_CHECKSUM"]
        == (detect_folder(tmp_path / "init").domain.to_plain()["GLOBAL_CHECKSUM"])
    )
    assert paths_in(config) == [
        "./init-configs/PET/{{id}}_pet_config.txt",
        "./init-configs/NOAH/{{id}}.input",
        "./init-configs/CFE/{{id}}_bmi_config_cfe_pass.txt",
    ]
    assert config["routing"]["t_route_config_file_with_path"] == "./t-route/routing_config.yaml"
    for path in (*paths_in(config), config["routing"]["t_route_config_file_with_path"]):
        for id_ in CATCHMENTS:
            assert (tmp_path / "out" / path.replace("{{id}}", id_)).is_file()


def test_models_with_files_of_the_same_name_get_each_its_own(tmp_path: Path) -> None:
    step = way("realization", "init-configs", TIME=DECEMBER, CATCHMENT_ID=["cat-27", "cat-52"])
    name = "example_bmi_multi_realization_config_w_noah_pet_cfe.json"
    _, config = made(
        tmp_path,
        step,
        realization=folder_of(tmp_path / "real", f"ngen-sugar-creek/{name}"),
        init_configs=sample("ngen-sugar-creek/bmi"),
    )
    assert paths_in(config) == [
        "./init-configs/fortran/noah-owp-modular-init-{{id}}.namelist.input",
        "./init-configs/c/pet/{{id}}_bmi_config.ini",
        "./init-configs/c/cfe/{{id}}_bmi_config.ini",
    ]


def test_a_config_for_all_catchments_and_formulations_of_single_ones(tmp_path: Path) -> None:
    config = json.loads(sample("ngen-sugar-creek/corrected/realization.json").read_text())
    own = json.loads(json.dumps(config["global"]).replace("cfe_{{id}}", "cfe_cat-52"))
    config["catchments"] = {"cat-52": own}
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "run.json").write_text(json.dumps(config))
    init = folder_of(
        tmp_path / "init",
        "ngen-sugar-creek/corrected/pet.ini",
        *(f"ngen-sugar-creek/corrected/cfe_cat-{n}.ini" for n in (27, 52, 67)),
    )
    step = way("realization", "init-configs", TIME=DECEMBER)
    found, written = made(tmp_path, step, realization=tmp_path / "real", init_configs=init)
    assert found.format == COMPOSITE
    assert paths_in(written) == [
        "./init-configs/pet.ini",
        "./init-configs/cfe_{{id}}.ini",
        "./init-configs/pet.ini",
        "./init-configs/cfe_cat-52.ini",
    ]
    assert {
        path: contents(tmp_path / "out")[f"init-configs/{path}"] for path in contents(init)
    } == (contents(init))


def test_init_configs_may_lie_in_several_sets(tmp_path: Path) -> None:
    step = way(
        *("realization", "init-configs", "init-configs-2", "init-configs-3"),
        TIME=DECEMBER,
        COMPOSITE_SOURCE_ID=["a", "b", "c", "d"],
    )
    _, config = made(
        tmp_path,
        step,
        realization=folder_of(tmp_path / "real", f"{GAUGE}/realization_no_routing.json"),
        init_configs=folder_of(tmp_path / "cfe", f"{GAUGE}/CFE"),
        init_configs_2=sample(f"{GAUGE}/PET"),
        init_configs_3=sample(f"{GAUGE}/NOAH"),
    )
    assert paths_in(config) == [
        "./init-configs/{{id}}_pet_config.txt",
        "./init-configs/{{id}}.input",
        "./init-configs/CFE/{{id}}_bmi_config_cfe_pass.txt",
    ]


def _broken(tmp_path: Path, change: str) -> None:
    """A realization config of the gauge and its init configs, one thing changed."""
    real, init = f"{GAUGE}/realization_no_routing.json", init_configs(tmp_path)
    if change == "routes":
        real = f"{GAUGE}/example_bmi_multi_realization_config_w_routing.json"
    if change == "lacks one":
        (init / "PET" / "cat-11410_pet_config.txt").unlink()
    if change == "lacks all":
        shutil.rmtree(init / "PET")
    if change == "twice":
        shutil.copytree(init / "PET", init / "more" / "PET")
    reals = folder_of(tmp_path / "real", real)
    if change == "two":
        shutil.copy(reals / "realization_no_routing.json", reals / "other.json")
    step = way("realization", "init-configs", TIME=DECEMBER, CATCHMENT_ID=CATCHMENTS)
    made(tmp_path, step, realization=reals, init_configs=init)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("lacks one", r"PET/.* there is no init config for cat-11410$"),
        ("lacks all", r"\{\{id\}\}_pet_config.txt: no init config is like it; "),
        ("twice", r"several .* like it: init-configs/PET/.*, init-configs/more/PET/"),
        ("routes", "routes by .*routing_config.yaml, and no config of t-route is given"),
        ("two", "there must be one realization config"),
    ],
)
def test_paths_that_lead_nowhere_are_said(tmp_path: Path, change: str, said: str) -> None:
    with pytest.raises(DerivationFailed, match=said):
        _broken(tmp_path, change)


def test_two_sets_with_the_same_file_are_refused(tmp_path: Path) -> None:
    step = way(
        *("realization", "init-configs", "init-configs-2"),
        TIME=DECEMBER,
        COMPOSITE_SOURCE_ID=["a", "b", "c"],
    )
    with pytest.raises(DerivationFailed, match=r"two sources have a file cat-11223.input"):
        made(
            tmp_path,
            step,
            realization=folder_of(tmp_path / "real", f"{GAUGE}/realization_no_routing.json"),
            init_configs=sample(f"{GAUGE}/NOAH"),
            init_configs_2=sample(f"{GAUGE}/NOAH"),
        )


def asked(**domain: Any) -> list[dict[str, dict[str, Any]]]:
    """Of each way, the domains of the inputs by role."""
    of = wanted(Category.CONFIG, COMPOSITE, Shape.ONE, **domain)
    return [
        {need.name: need.domain.to_plain() for need in each.inputs}
        for each in steps(DERIVATION, of)
    ]


def test_without_source_ids_it_is_what_covers_time_and_catchments() -> None:
    assert asked(TIME=DECEMBER, CATCHMENT_ID="cat-1", GLOBAL_CHECKSUM="0a") == [
        {
            "realization": {"TIME": DECEMBER, "CATCHMENT_ID": "cat-1"},
            "init-configs": {"CATCHMENT_ID": "cat-1", "GLOBAL_CHECKSUM": "0a"},
        }
    ]


def test_source_ids_are_tried_as_each_part() -> None:
    found = asked(TIME=DECEMBER, COMPOSITE_SOURCE_ID=["x", "y"])
    assert found == [
        {"realization": {"TIME": DECEMBER, "DATA_ID": "x"}, "init-configs": {"DATA_ID": "y"}},
        {"realization": {"TIME": DECEMBER, "DATA_ID": "y"}, "init-configs": {"DATA_ID": "x"}},
    ]
    three = asked(COMPOSITE_SOURCE_ID=["x", "y", "z"])
    assert {
        "realization": {"DATA_ID": "z"},
        "t-route": {"DATA_ID": "x"},
        "init-configs": {"DATA_ID": "y"},
    } in three
    assert len(three) == 3 * 5
    told = asked(COMPOSITE_SOURCE_ID=["x", "y"], REALIZATION_CONFIG_DATA_ID="y")
    assert [each["realization"] for each in told] == [{"DATA_ID": "y"}]
    assert asked(COMPOSITE_SOURCE_ID=["v", "w", "x", "y", "z"]) == []
    assert asked(COMPOSITE_SOURCE_ID="x") == asked(FILE_NAME="x") == []


def test_what_is_exact_may_have_formulations_for_all() -> None:
    of = wanted(Category.CONFIG, COMPOSITE, TIME=DECEMBER, CATCHMENT_ID="cat-1")
    found = [each.inputs for each in steps(DERIVATION, of)]
    assert [need[0].domain for need in found] == [
        Domain.from_plain({"TIME": DECEMBER, "CATCHMENT_ID": ids}) for ids in ("ALL", "cat-1")
    ]
    assert {each.shape for need in found for each in need} == {Shape.EXACT}
    assert {each.format for need in found for each in need} <= set(FORMATS.values())
