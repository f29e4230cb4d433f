"""Realization configs from partial ones: the period, the forcing, the wanted catchments."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from headrace_derivations.base import DerivationFailed
from headrace_derivations.realization import DERIVATION, PARTIAL, WHOLE
from headrace_formats.detect import Detection, detect_folder
from headrace_formats.errors import FormatError
from headrace_formats.validate import validate_file
from headrace_model.dataset import Category
from headrace_model.requirement import Shape
from tests.support.deriving import contents, run, steps, wanted
from tests.support.format_samples import REALIZATION
from tests.support.samples import sample

TIME = ["2015-12-05T00:00Z", "2015-12-07T12:00Z"]
REALS = [
    "ngen-gauge-01073000/realization_no_routing.json",
    "ngen-gauge-01073000/example_bmi_multi_realization_config_w_routing.json",
    "ngen-sugar-creek/example_bmi_multi_realization_config_w_netcdf.json",
    "ngen-sugar-creek/corrected/realization.json",
]


def partial(of: dict[str, Any] = REALIZATION, **more: Any) -> dict[str, Any]:
    found = deepcopy(of)
    del found["time"]
    return found | more


def for_catchments(*ids: str) -> dict[str, Any]:
    found = partial()
    own = {"formulations": found["global"].pop("formulations")}
    return found | {"catchments": {id_: deepcopy(own) for id_ in ids}}


def folder_of(folder: Path, config: dict[str, Any]) -> Path:
    folder.mkdir()
    (folder / "realization.json").write_text(json.dumps(config))
    return folder


def made(
    tmp_path: Path, config: dict[str, Any], shape: Shape = Shape.EXACT, **domain: Any
) -> tuple[Detection, dict[str, Any]]:
    (step,) = steps(DERIVATION, wanted(Category.CONFIG, WHOLE, shape, **domain))
    source = folder_of(tmp_path / "in", config)
    found = run(DERIVATION, step, tmp_path / "out", partial=source)
    return found, json.loads((tmp_path / "out" / "realization.json").read_text())


@pytest.mark.parametrize("path", REALS)
def test_a_real_config_without_its_time_is_partial_and_gets_another_one(
    tmp_path: Path, path: str
) -> None:
    real = json.loads(sample(path).read_text())
    found = detect_folder(folder_of(tmp_path / "x", partial(real)))
    assert (found.format, found.notes) == (PARTIAL, ())
    assert found.domain.to_plain() == {"CATCHMENT_ID": "ALL"}
    derived, config = made(tmp_path, partial(real), TIME=TIME)
    assert (derived.format, derived.notes) == (WHOLE, ())
    assert derived.domain.to_plain() == {
        "TIME": ["2015-12-05", "2015-12-07T12:00Z"],
        "CATCHMENT_ID": "ALL",
    }
    assert config == real | {
        "time": {
            "start_time": "2015-12-05 00:00:00",
            "end_time": "2015-12-07 11:00:00",
            "output_interval": 3600,
        }
    }


def test_with_the_period_that_it_had_a_config_is_what_it_was(tmp_path: Path) -> None:
    step = {"output_interval": 3600}
    time = ["2015-12-01T00:00Z", "2015-12-31T00:00Z"]
    _, config = made(tmp_path, partial(time=step), TIME=time)
    assert config == REALIZATION


def test_the_step_of_the_partial_config_counts(tmp_path: Path) -> None:
    found, config = made(tmp_path, partial(time={"output_interval": 900}), TIME=TIME)
    assert config["time"]["end_time"] == "2015-12-07 11:45:00"
    assert found.domain.to_plain()["TIME"] == ["2015-12-05", "2015-12-07T12:00Z"]


@pytest.mark.parametrize("forcing", [None, {"provider": "CsvPerFeature"}, {}])
def test_forcing_that_is_missing_is_filled_in(
    tmp_path: Path, forcing: dict[str, Any] | None
) -> None:
    config = partial()
    del config["global"]["forcing"]
    if forcing is not None:
        config["global"]["forcing"] = forcing
    found, filled = made(tmp_path, config, TIME=TIME)
    assert filled["global"]["forcing"] == {
        "file_pattern": ".*{{id}}.*csv",
        "path": "./forcing/",
        "provider": "CsvPerFeature",
    }
    assert found.notes == ()


def test_no_path_is_made_up_for_a_netcdf(tmp_path: Path) -> None:
    config = partial()
    config["global"]["forcing"] = {"provider": "NetCDF"}
    with pytest.raises(DerivationFailed, match=r"global.forcing has no path"):
        made(tmp_path, config, TIME=TIME)


def test_formulations_for_all_become_those_of_exactly_the_wanted_catchments(
    tmp_path: Path,
) -> None:
    config = partial()
    modules = config["global"]["formulations"][0]["params"]["modules"]
    modules[0]["params"]["init_config"] = "./cfe_{{id}}.ini"
    found, filled = made(tmp_path, config, TIME=TIME, CATCHMENT_ID=["cat-52", "cat-27"])
    assert (
        found.domain
        == wanted(Category.CONFIG, WHOLE, TIME=TIME, CATCHMENT_ID=["cat-27", "cat-52"]).domain
    )
    own = filled["catchments"]["cat-27"]
    assert own["formulations"][0]["params"]["modules"][0]["params"]["init_config"] == (
        "./cfe_cat-27.ini"
    )
    assert own["forcing"] == REALIZATION["global"]["forcing"]


def test_formulations_for_all_cover_some_catchments(tmp_path: Path) -> None:
    found, filled = made(tmp_path, partial(), Shape.ONE, TIME=TIME, CATCHMENT_ID="cat-27")
    assert found.domain.to_plain()["CATCHMENT_ID"] == "ALL"
    assert "catchments" not in filled


@pytest.mark.parametrize("shape", list(Shape))
def test_of_named_catchments_the_wanted_stay(tmp_path: Path, shape: Shape) -> None:
    config = for_catchments("cat-52", "cat-27", "cat-67")
    found, _ = made(tmp_path, config, shape, TIME=TIME, CATCHMENT_ID=["cat-27", "cat-52"])
    assert found.domain.to_plain()["CATCHMENT_ID"] == ["cat-27", "cat-52"]


@pytest.mark.parametrize(
    "time",
    [
        ["2015-12-05T00:00Z", "2015-12-05T01:30Z"],
        ["2015-12-05T00:00Z", "2015-12-05T01:00Z"],
        ["2015-12-05T00:00:00.250Z", "2015-12-05T03:00:00.250Z"],
    ],
)
def test_a_period_that_is_no_whole_number_of_steps_is_refused(
    tmp_path: Path, time: list[str]
) -> None:
    with pytest.raises(DerivationFailed, match=r"no whole number, 2 or more, of steps of 3600 s"):
        made(tmp_path, partial(), TIME=time)


def test_two_periods_or_none_can_not_be_told_to_ngen() -> None:
    two = [["2015-12-01", "2015-12-02"], ["2015-12-05", "2015-12-06"]]
    assert steps(DERIVATION, wanted(Category.CONFIG, WHOLE, TIME=two)) == []
    assert steps(DERIVATION, wanted(Category.CONFIG, WHOLE, CATCHMENT_ID="cat-1")) == []


def test_the_same_config_is_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for each in ("a", "b"):
        made(tmp_path / each, partial(), TIME=TIME, CATCHMENT_ID=["cat-1", "cat-2"])
    assert contents(tmp_path / "a" / "out") == contents(tmp_path / "b" / "out")


def test_a_folder_of_two_partial_configs_is_no_source(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "in", partial())
    (source / "other.json").write_text(json.dumps(partial()))
    (step,) = steps(DERIVATION, wanted(Category.CONFIG, WHOLE, TIME=TIME))
    with pytest.raises(DerivationFailed, match=r"is other.json, realization.json"):
        run(DERIVATION, step, tmp_path / "out", partial=source)


def test_a_whole_config_is_not_overwritten(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"it has time.start_time"):
        made(tmp_path, REALIZATION, TIME=TIME)


def test_what_is_wrong_in_a_partial_config_is_said(tmp_path: Path) -> None:
    for config, said in (
        (partial(time={"output_interval": "1h"}), "it must be a number of seconds"),
        ({"global": {"forcing": {}, "x": 1}}, "nothing would be run"),
        (partial() | {"catchments": {"cat-1": 7}}, "catchments.cat-1 must be an object"),
    ):
        (tmp_path / "x").write_text(json.dumps(config))
        found = [str(each) for each in validate_file(tmp_path / "x").findings]
        assert any(said in each for each in found), found
