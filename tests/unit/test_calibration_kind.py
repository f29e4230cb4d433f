"""The kind `calibration`: what it makes of a job file, and what it refuses."""

import json
from pathlib import Path
from typing import Any

import pytest

from headrace_calibration.core.plan import read_plan
from headrace_calibration.folders import RunFolder
from headrace_calibration.metrics import objective_named
from headrace_client.cli.calibration import _config
from headrace_evaluation.core.scoring import METRICS
from headrace_formats.detect import detect_folder
from headrace_kinds.base import Target
from headrace_kinds.calibration_settings import OBJECTIVES
from headrace_kinds.filling import Place, filled_in
from headrace_kinds.ngen_cal import ignored_keys
from headrace_kinds.registry import kind_named
from headrace_model.errors import InvalidInput, InvalidSpec
from headrace_model.requirement import Requirement
from headrace_model.spec import JobSpec
from headrace_wire.jobchanges import parse_change
from headrace_wire.jobfile import dump, dump_text, load_jobfile, load_jobtext
from tests.support.samples import sample


def _job(settings: dict[str, Any] | None = None, **other: Any) -> dict[str, Any]:
    return {
        "headrace": 1,
        "kind": "calibration",
        "files": ["reservoir.json", "model.py"],
        "settings": {
            "model": {
                "kind": "command",
                "command": ["python3", "model.py", "reservoir.json", "{rain}", "{output}"],
                "inputs": {"rain": {"category": "FORCING", "domain": {"DATA_ID": "rain-1"}}},
                "resources": {"cpus": "500m", "memory": "256MiB"},
                "limits": {"time": "5m"},
            },
            "parameters": {
                "fast": {
                    "min": 0.1,
                    "max": 1,
                    "init": 0.2,
                    "file": "reservoir.json",
                    "key": "/fast",
                }
            },
            "train": ["1979-01-01", "1980-01-01"],
            "validate": ["1980-01-01", "1981-01-01"],
            "warm_up": "180d",
            "locations": [{"name": "01434000", "simulated": "flow"}],
            "parallel": 2,
            **(settings or {}),
        },
        **other,
    }


def _file(name: str) -> bytes:
    return b'{"fast": 0, "slow": 0}' if name == "reservoir.json" else b"pass"


def _load(*args: Any, **how: Any) -> JobSpec:
    return load_jobfile(_job(*args, **how), read_file=_file)


class TestWhatItMakes:
    """A job file filled in."""

    def test_it_runs_the_worker_over_the_inputs_of_the_model_and_the_observations(self) -> None:
        spec = _load()
        assert spec.command == (
            *("python3", "-m", "headrace_calibration", "calibration.json"),
            *("{output}", "{checkpoint}", "{observations}", "rain={rain}"),
        )
        assert [each.name for each in spec.inputs] == ["observations", "rain"]
        (seen, _) = spec.inputs
        assert isinstance(seen, Requirement)
        assert seen.domain.to_plain() == {
            "TIME": ["1979-06-30", "1981-01-01"],
            "GAUGE_ID": "01434000",
        }
        assert [(each.name, each.format) for each in spec.outputs] == [
            ("calibration", "CALIBRATION_RESULT")
        ]
        assert spec.checkpoint is not None
        assert spec.resources.amount.millicpus == 1000
        assert spec.resources.amount.memory_bytes == (256 * 2 + 256) << 20

    def test_it_is_complete_once_and_for_all_and_goes_over_the_wire(self) -> None:
        spec = _load()
        assert kind_named("calibration").complete(spec) == spec
        assert load_jobtext(dump_text(spec)) == spec
        assert dump(spec)["settings"]["model"]["kind"] == "command"

    def test_in_an_environment_the_worker_is_a_program_beside_the_agent(self) -> None:
        spec = _load(environment={"pip": ["numpy"]})
        assert spec.command[:2] == ("headrace-calibration", "calibration.json")
        assert kind_named("calibration").complete(spec) == spec
        (asked,) = (
            each
            for each in kind_named("calibration")
            .expand(spec, Target("3.11", "linux"))
            .requirements
            if each.name == "environment"
        )
        assert asked.format == "PIP_LOCK"

    def test_its_worker_reads_what_it_writes(self) -> None:
        spec = _load({"stop": {"time": "2h", "target": 0.9}, "options": {"batch": 2}})
        (text,) = (each.content for each in spec.files if each.name == "calibration.json")
        plan = read_plan(text)
        assert [(each.name, each.high, each.first) for each in plan.space] == [("fast", 1.0, 0.2)]
        assert plan.model.command[-2:] == ("{rain}", "{output}")
        assert plan.model.files == ("model.py", "reservoir.json")
        assert (plan.model.limit_s, plan.rules.time_s, plan.rules.target) == (300, 7200, 0.9)
        assert plan.periods.begin == spec.settings.train.begin
        assert plan.search.options == {"batch": 2}

    def test_inputs_may_stand_at_the_top_and_what_a_user_asks_stays(self) -> None:
        job = _job()
        job["inputs"] = {
            **job["settings"]["model"].pop("inputs"),
            "observations": {"category": "OBSERVATION", "domain": {"DATA_ID": "seen"}},
        }
        job |= {"resources": {"cpus": 4}, "outputs": {"mine": {"format": "CALIBRATION_RESULT"}}}
        spec = load_jobfile(job, read_file=_file)
        assert [each.name for each in spec.inputs] == ["observations", "rain"]
        assert spec.requirements[0].domain.to_plain() == {"DATA_ID": "seen"}
        assert [each.name for each in spec.outputs] == ["mine"]
        assert spec.resources.amount.millicpus == 4000
        assert kind_named("calibration").complete(spec) == spec

    def test_the_output_of_the_model_that_is_compared_may_be_one_of_several(self) -> None:
        job = _job({"output": "flow"})
        outputs = {name: {"format": "TIMESERIES_CSV"} for name in ("stores", "flow")}
        job["settings"]["model"]["outputs"] = outputs
        spec = load_jobfile(job, read_file=_file)
        (text,) = (each.content for each in spec.files if each.name == "calibration.json")
        assert read_plan(text).model.output == "flow"

    def test_a_bmi_model_is_calibrated_by_the_parameters_of_its_config(
        self, tmp_path: Path
    ) -> None:
        job = _job({"unit": "m3 s-1", "simulated_unit": "mm/d", "variable": "Q_OUT"})
        del job["files"]
        job["settings"]["model"] = {
            "kind": "bmi",
            "settings": {
                "model": "HBV:HBV",
                "time": ["1979-01-01", "1981-01-01"],
                "catchments": ["cat-1", "cat-2"],
                "config": "{{forcing}} {{fast}} {{Slow}}",
                "parameters": {"fast": 0.2, "Slow": 0.1},
                "variables": {"Q_OUT": "Q", "ET": "Ea"},
            },
        }
        job["settings"]["parameters"]["fast"] |= {"file": "bmi.json", "key": "/parameters/fast"}
        areas = {"cat-1": 10, "cat-2": 3.5}
        job["settings"]["locations"] = [{"name": "01434000", "areas_km2": areas}]
        spec = load_jobfile(job)
        assert kind_named("calibration").complete(spec) == spec
        stored = load_jobtext(dump_text(spec))
        assert kind_named("calibration").check(stored) == (), "though its settings are sorted now"
        assert stored == spec
        assert [each.name for each in spec.inputs] == ["forcing", "observations"]
        assert [each.name for each in spec.files] == ["bmi.json", "calibration.json"]
        plan = read_plan(spec.files[1].content)
        assert plan.model.command[:3] == ("python3", "-m", "headrace_bmi")
        assert plan.model.programs == ("headrace_bmi",)
        (tmp_path / "bmi.json").write_bytes(spec.files[0].content)
        folder = RunFolder(tmp_path / "run", plan, tmp_path, {"forcing": tmp_path})
        folder.make({"fast": 0.7})
        assert (folder.work / "headrace_bmi/__main__.py").is_file(), (
            "whatever Python the model has"
        )
        assert plan.evaluation["locations"][0]["areas_km2"] == areas
        text = filled_in(spec.files[0].content.decode(), plan.targets[0].places, {"fast": 0.7}, "")
        assert json.loads(text)["parameters"] == {"fast": 0.7, "Slow": 0.1}

    def test_settings_are_changed_on_the_command_line(self) -> None:
        spec = load_jobfile(
            _job(),
            read_file=_file,
            changes=[parse_change("settings.iterations=7"), parse_change("settings.seed=9")],
        )
        assert (spec.settings.iterations, spec.settings.seed) == (7, 9)

    def test_its_objectives_are_the_metrics_of_the_evaluation(self) -> None:
        assert set(OBJECTIVES) == set(METRICS)
        assert objective_named("pbias").loss(-3) == 3
        with pytest.raises(InvalidInput, match="'kgee' is not an objective; did you mean kge"):
            objective_named("kgee")


class TestWhatItRefuses:
    """Each with the key and the next step."""

    @pytest.mark.parametrize(
        ("settings", "why"),
        [
            ({"objective": "kgee"}, "settings.objective: 'kgee' is no metric; did you mean kge"),
            ({"algorithm": "ddz"}, "settings.algorithm"),
            ({"algorithm": "lhs", "options": {"w": 1}}, "lhs has no option 'w'; it has none"),
            ({"options": {"batch": 1.5}}, "batch is a whole number from 1 to 1000"),
            ({"validate": ["1979-06-01", "1981-01-01"]}, "settings.validate: it overlaps train"),
            ({"warm_up": "365d"}, "settings.warm_up: it leaves nothing of train"),
            ({"warm_up": "180"}, "'180' has no unit"),
            ({"parameters": {}}, "settings.parameters"),
            ({"locations": []}, "settings.locations"),
            (
                {"locations": [{"name": "a", "areas_km2": {"cat-1": 0}}]},
                "a number of km2 above 0",
            ),
            (
                {"locations": [{"name": "a"}, {"name": "b"}, {"name": "a", "simulated": "c"}]},
                "settings.locations: 'a' stands there twice",
            ),
            ({"output": "flow"}, "settings.output: the model has no such output; it has none"),
            ({"stop": {"failures": 0}}, "settings.stop.failures"),
        ],
    )
    def test_settings_that_fit_nothing(self, settings: dict[str, Any], why: str) -> None:
        with pytest.raises(InvalidSpec) as raised:
            _load(settings)
        assert why.replace("it has none", "") in str(raised.value)

    @pytest.mark.parametrize(
        ("parameter", "why"),
        [
            ({"min": 2.0}, "parameters.fast.min: 2 is not below max, 1"),
            ({"init": 2.0}, "parameters.fast.init: 2 is outside 0.1 to 1"),
            ({"min": 0.0, "scale": "log"}, "on a log scale it is above 0, not 0"),
            ({"file": "../reservoir.json"}, "no / at its begin and no .."),
            ({"input": "config"}, "the model has no input config; it has rain"),
            (
                {"key": "/fats"},
                "settings.parameters: reservoir.json has nothing at /fats, where fast goes; "
                "did you mean fast?",
            ),
            ({"file": "reservior.json"}, "no file of the job fits reservior.json; did you mean r"),
            ({"key": ""}, "reservoir.json holds no {{fast}}, so the model would never see"),
            (
                {"key": "CFE:satdkk"},
                "parameters.fast.key: CFE has no parameter satdkk; did you mean satdk?",
            ),
            ({"key": "CFE:satdk"}, "reservoir.json has nothing at CFE:satdk"),
        ],
    )
    def test_parameters_that_are_none(self, parameter: dict[str, Any], why: str) -> None:
        job = _job()
        job["settings"]["parameters"]["fast"] |= parameter
        with pytest.raises(InvalidSpec) as raised:
            load_jobfile(job, read_file=_file)
        assert why in str(raised.value)

    @pytest.mark.parametrize("name", ["gw_max_storage_m", "urban_decimal_fraction"])
    def test_a_parameter_of_a_newer_cfe_is_taken(self, name: str) -> None:
        job = _job()
        job["settings"]["parameters"]["fast"]["key"] = f"CFE:{name}"
        load_jobfile(job, read_file=lambda _: b'{"model_type_name": "CFE"}')

    @pytest.mark.parametrize(
        ("model", "why"),
        [
            (
                {"environment": {"pip": ["numpy"]}},
                "settings.model.environment: the model runs inside",
            ),
            ({"image": "model:1"}, "settings.model.image: the model runs inside"),
            ({"array": {"count": 3}}, "settings.model.array: a run of the model is one task"),
            ({"files": ["a.py"]}, "name them in `files` of the whole job"),
            ({"kind": "calibration"}, "can't calibrate a calibration"),
            ({"kind": "comand"}, "'comand' is not a kind; did you mean command"),
            (
                {"command": ["x", "{rian}"]},
                "settings.model.command[1]: {rian} is not a placeholder",
            ),
        ],
    )
    def test_models_that_can_not_run_inside(self, model: dict[str, Any], why: str) -> None:
        job = _job()
        job["settings"]["model"] |= model
        if model.get("kind") == "calibration":
            job["settings"]["model"] = {"kind": "calibration", "settings": _job()["settings"]}
        with pytest.raises(InvalidSpec) as raised:
            load_jobfile(job, read_file=_file)
        assert why in str(raised.value)


class TestPlacesInFiles:
    """How values get into the files of models."""

    def test_patterns_of_several_parameters_may_fit_one_file(self, tmp_path: Path) -> None:
        job = _job()
        limits = {"min": 0.0, "max": 1.0, "init": 0.5}
        job["settings"]["parameters"] = {
            "a": {**limits, "file": "model.*"},
            "b": {**limits, "file": "model.py"},
            "c": {**limits, "file": "*.py", "key": "k"},
        }
        text = b"{{a}} {{b}}\nk = 1\n"
        spec = load_jobfile(job, read_file=lambda _: text)
        (tmp_path / "model.py").write_bytes(text)
        (tmp_path / "reservoir.json").write_bytes(b"")
        (plan,) = (each.content for each in spec.files if each.name == "calibration.json")
        folder = RunFolder(tmp_path / "run", read_plan(plan), tmp_path, {})
        folder.make({"a": 0.25, "b": 0.5, "c": 0.75})
        assert (folder.work / "model.py").read_text() == "0.25 0.5\nk = 0.75\n"
        assert [name for name, _ in folder.parameter_files()] == ["model.py"]

    @pytest.mark.parametrize(
        ("text", "key", "expected"),
        [
            ("k={{ k }}, {{k}}\n", "", "k=3.38e-06, 3.38e-06\n"),
            (
                "soil.k=0.1[m s-1]\nk = 2 ! why\n",
                "soil.k",
                "soil.k=3.38e-06[m s-1]\nk = 2 ! why\n",
            ),
            ("  k = 2, ! why\n", "k", "  k = 3.38e-06, ! why\n"),
        ],
    )
    def test_text_keeps_all_else(self, text: str, key: str, expected: str) -> None:
        assert filled_in(text, [Place("k", key)], {"k": 3.38e-06}, "f") == expected

    def test_a_pointer_reaches_every_member(self) -> None:
        text = '{"c": {"cat-1": {"p": [1, {"k": 0}]}, "cat-2": {"p": [1, {"k": 0}]}}, "a/b": 1}'
        places = [Place("k", "/c/*/p/1/k"), Place("m", "/a~1b")]
        found = json.loads(filled_in(text, places, {"k": 0.5, "m": 2.0}, "f"))
        assert found == {
            "c": {name: {"p": [1, {"k": 0.5}]} for name in ("cat-1", "cat-2")}, "a/b": 2.0
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("text", "key", "why"),
        [
            ("nothing", "", "f holds no {{k}}, so the model would never see the parameter k"),
            ("{{k}} {{q}}", "", "f: {{q}} is no parameter"),
            ("nothing but {{kk}}", "", "f holds no {{k}}, so the model would never see"),
            ("q=1", "k", "f has no line `k=…`; one is needed; known are q"),
            (" soil.satdk = 1", "soil.satdkk", "one is needed; did you mean soil.satdk?"),
            ("k=1\nk=2", "k", "f has 2 lines `k=…`; one is needed"),
            ("{}", "/a/k", "f has nothing at /a/k, where k goes; nothing is known here"),
            ('{"a": {"k": [1]}}', "/a/k", "at /a/k, where k goes; what stands there is no single"),
            ('{"a": [{"kf": 1}]}', "/a/*/kff", "where k goes; did you mean kf?"),
            ('{"a": 3}', "/a/k", "where k goes; a single value stands before k"),
            ('{"model_type_name": "PET"}', "PETT:x", "where k goes; did you mean PET?"),
            ("k=1", "/k", "f is no JSON, which the key /k needs"),
        ],
    )
    def test_a_place_that_is_not_there_is_told(self, text: str, key: str, why: str) -> None:
        with pytest.raises(InvalidInput) as raised:
            filled_in(text, [Place("k", key)], {"k": 0.5}, "f")
        assert why in str(raised.value)


class TestTheFormat:
    """CALIBRATION_RESULT."""

    def test_a_result_without_its_best_is_pointed_out(self, tmp_path: Path) -> None:
        (tmp_path / "iterations.csv").write_text("iteration,kge,best_kge,failure\n0,1,1,\n")
        found = detect_folder(tmp_path, "CALIBRATION_RESULT")
        assert "there is no best.json that tells what was found" in found.notes

    @pytest.mark.parametrize(
        ("name", "content", "said"),
        [
            ("report.html", b"<!doctype html><title>Mine", "no report of a calibration"),
            (
                "parameters.zip",
                b"PK\x03\x04 mine",
                "no archive of a calibration's parameter files",
            ),
            ("notes.dat", b"mine", "none of the files"),
        ],
    )
    def test_another_file_of_such_a_name_is_none(
        self, tmp_path: Path, name: str, content: bytes, said: str
    ) -> None:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InvalidInput, match=said):
            detect_folder(tmp_path, "CALIBRATION_RESULT")

    def test_rows_that_are_cut_are_told(self, tmp_path: Path) -> None:
        (tmp_path / "iterations.csv").write_text("iteration,kge,best_kge,failure\n0,1,1,\n2,1\n")
        with pytest.raises(InvalidInput, match="line 3: it has 2 columns, not 4"):
            detect_folder(tmp_path, "CALIBRATION_RESULT")


def _ngen_cal(**other: Any) -> dict[str, Any]:
    return {
        "general": {
            "strategy": {"type": "estimation", "algorithm": "dds"},
            "iterations": 100,
            "log": True,
        },
        "model": {
            "type": "ngen",
            "binary": "ngen",
            "realization": "realization.json",
            "strategy": "uniform",
            "params": {
                "CFE": [
                    {"name": "satdk", "min": 0.0, "max": 0.000726, "init": 3.38e-06},
                    {"name": "maxsmc", "min": 0.2, "max": 1.0, "init": 0.439},
                ]
            },
            "eval_params": {
                "objective": "nnse",
                "evaluation_start": "2015-12-15 12:00:00",
                "evaluation_stop": "2015-12-25",
            },
        },
        **other,
    }


def _by_ngen_cal(config: dict[str, Any], **settings: Any) -> JobSpec:
    model = {"kind": "ngen", "settings": {"time": ["2015-12-01", "2015-12-30"]}}
    locations = [{"name": "02146562", "simulated": "nex-26"}]
    told = {"config": config, "model": model, "locations": locations, **settings}
    return load_jobfile({"headrace": 1, "kind": "ngen-cal", "settings": told})


class TestNgenCal:
    """The kind `ngen-cal`: a config of NOAA's tool."""

    def test_its_config_comes_to_a_calibration_of_the_run_of_ngen(self) -> None:
        spec = _by_ngen_cal(_ngen_cal(), validate=["2015-12-25", "2015-12-30"])
        (text,) = (each.content for each in spec.files if each.name == "calibration.json")
        plan = read_plan(text)
        assert plan.objective == "nse"
        assert (plan.search.algorithm, plan.search.iterations) == ("dds", 100)
        assert [(each.name, each.first) for each in plan.space] == [
            ("maxsmc", 0.439), ("satdk", 3.38e-06),
        ]  # fmt: skip
        (target,) = plan.targets
        assert (target.input, target.places[0]) == ("config", Place("maxsmc", "CFE:maxsmc"))
        assert plan.model.command[0] == "sh" or "ngen" in plan.model.command[0]
        assert {"config", "fabric", "forcing", "observations"} == {e.name for e in spec.inputs}
        assert {each.name for each in plan.model.links} >= {"config", "forcing"}
        assert load_jobtext(dump_text(spec)) == spec

    def test_iterations_of_a_swarm_are_those_of_each_particle(self) -> None:
        config = _ngen_cal()
        config["general"]["strategy"] = {
            "type": "estimation",
            "algorithm": "pso",
            "parameters": {"pool": 3, "particles": 8, "options": {"c1": 0.1, "w": 0.42}},
        }
        spec = _by_ngen_cal(config)
        (text,) = (each.content for each in spec.files if each.name == "calibration.json")
        plan = read_plan(text)
        assert (plan.search.iterations, plan.parallel) == (800, 3)
        assert plan.search.options == {"particles": 8, "c1": 0.1, "c2": 0.3, "w": 0.42}

    @pytest.mark.parametrize(
        ("part", "key", "value", "why"),
        [
            ("model", "strategy", "independent", "model.strategy: 'independent' can't be mapped"),
            ("model", "type", "none", "model.type: 'none' can't be mapped; ngen can"),
            ("model", "args", "a b", "model.args: it can't be mapped: leave it out"),
            ("general", "plugins", ["some"], "general.plugins: it can't be mapped"),
            ("general", "iterations", 0, "general.iterations: a whole number from 1 on"),
            ("general", "start_iteration", 5, "general.start_iteration"),
            ("general", "strategy", {"type": "estimation", "algorithm": "gwo"}, "'gwo' can't"),
            ("model", "eval_params", {"objective": "custom"}, "eval_params.objective: 'custom'"),
            ("model", "eval_params", {"target": "max"}, "model.eval_params.target: only min"),
            ("model", "eval_params", {}, "evaluation_start: it is not given"),
            ("model", "params", {"CFE": [{"name": "a", "min": 2, "max": 1, "init": 1}]},
             "model.params.CFE[0].min: 2 is not below max, 1"),
            ("model", "params", {"CFE": [{"name": "maxsm", "min": 0, "max": 1, "init": 1}]},
             "model.params.CFE: CFE has no parameter maxsm; did you mean maxsmc?"),
            ("model", "params", {"c_topmodel": {"name": "srmx", "min": 0, "max": 1, "init": 1}},
             "c_topmodel has no parameter srmx; did you mean srmax?"),
        ],
    )  # fmt: skip
    def test_what_can_not_be_mapped_is_told_by_its_key(
        self, part: str, key: str, value: Any, why: str
    ) -> None:
        config = _ngen_cal()
        config[part][key] = value
        with pytest.raises(InvalidSpec) as raised:
            _by_ngen_cal(config)
        assert f"settings.config.{part}" in str(raised.value)
        assert why in str(raised.value)

    def test_keys_that_change_nothing_are_named(self) -> None:
        assert ignored_keys(_ngen_cal()) == ("general.log", "model.binary", "model.realization")

    def test_parameters_go_into_the_modules_of_their_name(self) -> None:
        module = {"name": "bmi_c", "params": {"model_type_name": "CFE", "model_params": {"b": 1}}}
        other = {"name": "bmi_c", "params": {"model_type_name": "PET"}}
        text = json.dumps({"global": {"formulations": [{"params": {"modules": [module, other]}}]}})
        found = json.loads(filled_in(text, [Place("k", "CFE:satdk")], {"k": 0.5}, "f"))
        modules = found["global"]["formulations"][0]["params"]["modules"]
        assert modules[0]["params"]["model_params"] == {"b": 1, "satdk": 0.5}
        assert "model_params" not in modules[1]["params"]
        with pytest.raises(InvalidInput, match="f has nothing at SAC:satdk, where k goes"):
            filled_in(text, [Place("k", "SAC:satdk")], {"k": 0.5}, "f")

    def test_the_example_of_ngen_cal_says_what_of_it_can_not_be_mapped(self) -> None:
        config = _config(sample("ngen-cal/example_config.yaml"))
        with pytest.raises(InvalidSpec, match=r"config\.model\.strategy: 'independent'"):
            _by_ngen_cal(config)
        config["model"]["strategy"] = "uniform"
        spec = _by_ngen_cal(config, train=["2015-12-10", "2015-12-30"])
        (text,) = (each.content for each in spec.files if each.name == "calibration.json")
        names = [each.name for each in read_plan(text).space]
        assert names == ["expon", "maxsmc", "satdk", "slope"]

    def test_yaml_that_makes_much_of_a_little_is_refused(self, tmp_path: Path) -> None:
        lines = ["a0: &a0 [x, x, x, x, x, x, x, x]"]
        lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 8)}]" for n in range(1, 9)]
        (tmp_path / "bomb.yaml").write_text("\n".join(lines))
        with pytest.raises(InvalidInput, match="more than 10,000 values"):
            _config(tmp_path / "bomb.yaml")
