"""The kind `bmi`: what a job comes to, and what is refused before it waits."""

import json
from pathlib import Path
from typing import Any

import pytest

from headrace_bmi.config import read_config
from headrace_bmi.template import NAMES
from headrace_kinds.bmi import BmiSettings
from headrace_kinds.progress import read_line
from headrace_kinds.registry import kind_named
from headrace_model.spec import JobSpec, Parallel
from headrace_wire.errors import InvalidJobFile
from headrace_wire.jobfile import dump, load_jobfile

BARE = ["python3", "-m", "headrace_bmi", "bmi.json", "{forcing}", "{output}"]
TIME = ["1979-01-01", "1979-01-11"]
TOLD: dict[str, Any] = {
    "model": "HBV:HBV",
    "time": TIME,
    "config": '{"f": "{{forcing}}", "d": "{{start:%Y}}"}',
    "variables": {"Q_OUT": "Q"},
}


def job(settings: dict[str, Any] | None = None, **keys: Any) -> JobSpec:
    spec = load_jobfile(
        {"headrace": 1, "kind": "bmi", "settings": TOLD | (settings or {}), **keys}
    )
    assert load_jobfile(dump(spec)) == spec, "what is completed is complete"
    return spec


def problems(settings: dict[str, Any] | None = None, **keys: Any) -> dict[str, str]:
    with pytest.raises(InvalidJobFile) as raised:
        job(settings, **keys)
    return {each.path: each.message for each in raised.value.problems}


def test_a_few_settings_make_a_job_by_domain(tmp_path: Path) -> None:
    spec = job({"catchments": ["cat-1", "cat-2"], "hydrofabric_data_id": "drb"})
    assert list(spec.command) == BARE
    assert spec.parallel is None
    (forcing,) = spec.requirements
    assert forcing.format == "BMI_FORCING_NETCDF"
    assert forcing.domain.to_plain() == {
        "CATCHMENT_ID": ["cat-1", "cat-2"],
        "HYDROFABRIC_DATA_ID": "drb",
        "TIME": TIME,
    }
    assert [(each.name, each.format) for each in spec.outputs] == [("model", "NGEN_CSV_OUTPUT")]
    (file,) = spec.files
    path = tmp_path / file.name
    path.write_bytes(file.content)
    config = read_config(path)
    assert (config.steps, config.model, config.catchments) == (10, "HBV:HBV", ("cat-1", "cat-2"))
    assert config.variables == (("Q_OUT", "Q"),)
    assert config.config == TOLD["config"]


def test_columns_stay_in_the_order_in_which_they_are_written() -> None:
    spec = job({"variables": {"Z": "Q", "A": "Sp"}})
    assert list(json.loads(spec.files[0].content)["variables"]) == ["Z", "A"]
    assert list(json.loads(job({"step": "1h"}).files[0].content).items())[4] == ("step_s", 3600)


def test_cpus_are_ranks_that_deal_the_catchments() -> None:
    spec = job(resources={"cpus": 2})
    assert list(spec.command) == ["mpirun", "-n", "2", *BARE]
    assert spec.parallel is Parallel.MPI
    assert job(resources={"cpus": "1500m"}).parallel is None


def test_a_partition_config_is_the_users() -> None:
    inputs = {"partitions": {"category": "CONFIG", "format": "NGEN_PARTITION_CONFIG"}}
    inputs["partitions"]["domain"] = {"DATA_ID": "p"}  # type: ignore[assignment]
    spec = job(resources={"cpus": 2}, inputs=inputs)
    assert list(spec.command[-2:]) == ["--partitions", "{partitions}"]


def test_what_the_user_wrote_stays() -> None:
    own = {"category": "FORCING", "format": "AORC_CSV", "domain": {"DATA_ID": "mine"}}
    output = {"category": "OUTPUT", "format": "GENERIC", "domain": {"DATA_ID": "flows"}}
    spec = job(inputs={"forcing": own}, outputs={"model": output}, env={"A": "b"})
    assert spec.requirements[0].format == "AORC_CSV"
    assert spec.outputs[0].format == "GENERIC"
    assert dict(spec.env) == {"A": "b"}


def test_progress_is_that_of_the_worker() -> None:
    patterns = kind_named("bmi").progress(job())
    found = read_line(patterns, "HEADRACE_PROGRESS 3/10")
    assert found is not None


def test_the_places_of_a_template_are_those_of_the_worker() -> None:
    text = " ".join(f"{{{{{name}}}}}" for name in NAMES)
    assert job({"config": text}).settings.config == text
    assert BmiSettings is kind_named("bmi").settings


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("model", "HBV", "module:Class"),
        ("config", "{{forcin}}", "known are id"),
        ("parameters", {"Imax": 2}, "config says no {{Imax}}, so the model would never see it"),
        ("parameters", {"steps": 2}, "can't be a parameter's name"),
        ("parameters", {"d": [2]}, "must be a number or text"),
        ("variables", {}, "one at least"),
        ("variables", {"Q": 3}, "can't be a name"),
        ("variables", {"Q,R": "Q"}, "can't be a name"),
        ("inputs", {"P": ""}, "can't be a name"),
        ("step", "500ms", "whole seconds"),
        ("step", "400d", "at most 366d"),
        ("config_name", "../x", "name of a file"),
        ("catchments", ["wb-3"], "no id such as"),
        ("catchments", ["cat-3", "cat-3"], "twice"),
        ("time", ["1979-01-01", "1979-01-02 05:00"], "no whole number of steps"),
        ("time", ["1979-01-01T00:00:00.5Z", "1979-01-02T00:00:00.5Z"], "whole seconds"),
        ("forcing", "no such", "format"),
    ],
)
def test_what_is_wrong_names_its_key(key: str, value: Any, said: str) -> None:
    found = problems({key: value})
    assert list(found) == [f"settings.{key}"]
    assert said in found[f"settings.{key}"]


def test_parameters_are_values_for_the_template(tmp_path: Path) -> None:
    spec = job({"config": "{{forcing}} {{K_0}}", "parameters": {"K_0": 0.25}})
    (tmp_path / "bmi.json").write_bytes(spec.files[0].content)
    assert read_config(tmp_path / "bmi.json").parameters == {"K_0": "0.25"}
    with pytest.raises(InvalidJobFile, match=r"known are id, .*, K_0"):
        job({"config": "{{K_0}} {{K_1}}", "parameters": {"K_0": 0.25}})


def test_too_many_steps_are_refused() -> None:
    found = problems({"time": ["1900-01-01", "2100-01-01"], "step": "1m"})
    assert "at most 5,000,000" in found["settings.time"]


def test_a_further_output_is_refused() -> None:
    found = problems(outputs={"more": {"format": "GENERIC"}})
    assert "only output" in found["outputs.more"]


def test_a_command_of_ones_own_is_refused() -> None:
    assert "makes its own" in problems(command=["true"])["command"]
