"""The kind `ngen`: what a job comes to, and which ngen runs it."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace_derivations.hydrofabric import DERIVATION as SUBSET
from headrace_derivations.hydrofabric import GEOJSON
from headrace_kinds.ngen_program import NgenProgram, refuse_without_ngen
from headrace_kinds.ngen_run import NgenRun
from headrace_kinds.progress import Reading, read_line
from headrace_kinds.registry import kind_named
from headrace_model.errors import InvalidSpec, NeverFits
from headrace_model.requirement import Derived, Shape
from headrace_model.spec import JobSpec, Parallel
from headrace_wire.errors import InvalidJobFile
from headrace_wire.jobfile import dump, load_jobfile

TIME = ["2015-12-01", "2015-12-02"]
BARE = ["catchments.geojson", "all", "nexuses.geojson", "all", "config/realization.json"]


def job(settings: dict[str, Any] | None = None, **keys: Any) -> JobSpec:
    plain = {"headrace": 1, "kind": "ngen", "settings": {"time": TIME, **(settings or {})}, **keys}
    spec = load_jobfile(plain)
    assert load_jobfile(dump(spec)) == spec, "what is completed is complete"
    return spec


def domains(spec: JobSpec) -> dict[str, Any]:
    return {each.name: each.domain.to_plain() for each in spec.requirements}


def problems(settings: dict[str, Any] | None = None, **keys: Any) -> dict[str, str]:
    with pytest.raises(InvalidJobFile) as raised:
        job(settings, **keys)
    return {each.path: each.message for each in raised.value.problems}


def test_a_period_alone_makes_a_job_by_domain() -> None:
    spec = job()
    assert list(spec.command) == ["ngen", *BARE]
    assert spec.parallel is None
    found = domains(spec)
    assert set(found) == {"config", "fabric", "forcing"}
    assert found["forcing"] == {"TIME": TIME}
    assert [(each.name, each.format) for each in spec.outputs] == [("model", "NGEN_CSV_OUTPUT")]


def test_catchments_ask_for_a_fabric_of_exactly_these() -> None:
    spec = job({"catchments": ["cat-27"], "hydrofabric_uid": "ab", "hydrofabric_data_id": "hy"})
    fabric = next(each for each in spec.requirements if each.name == "fabric")
    assert fabric.domain.to_plain() == {"CATCHMENT_ID": "cat-27", "HYDROFABRIC_DATA_ID": "hy"}
    assert fabric.shape == "EXACT"
    config = next(each for each in spec.requirements if each.name == "config")
    run = NgenRun.of(config)
    assert run is not None
    assert run.asked_of("fabric") == fabric
    assert fabric.derived == Derived("hydrofabric-subset", {"hydrofabric_id": ["ab"]})
    (step,) = (each for each in SUBSET.recipe.steps(fabric) if each.inputs[0].format == GEOJSON)
    assert step.inputs[0].domain.to_plain() == {
        "CATCHMENT_ID": "cat-27",
        "HYDROFABRIC_DATA_ID": "hy",
        "HYDROFABRIC_ID": "ab",
    }


NAMES = st.none() | st.sampled_from(["a", "b"])
CATCHMENTS = st.lists(st.sampled_from(["cat-1", "cat-2"]), unique=True)


@settings(max_examples=60, deadline=None)
@given(NAMES, NAMES, CATCHMENTS, st.sampled_from([1, 2]), st.data())
def test_what_runs_is_what_the_config_is_checked_against(
    uid: str | None, name: str | None, catchments: list[str], cpus: int, data: st.DataObject
) -> None:
    said = {"hydrofabric_uid": uid, "hydrofabric_data_id": name, "catchments": catchments}
    indexes = data.draw(
        st.dictionaries(
            st.sampled_from(["DATA_ID", "HYDROFABRIC_ID", "HYDROFABRIC_DATA_ID", "ELEMENT_ID"]),
            st.sampled_from(["a", "b"]),
        )
    )
    shape = data.draw(st.sampled_from(list(Shape)))
    of = data.draw(CATCHMENTS)
    domain = {**indexes, **({"CATCHMENT_ID": of} if of else {})}
    own = {"category": "HYDROFABRIC", "format": GEOJSON, "domain": domain, "shape": shape.value}
    inputs = data.draw(st.sampled_from([{}, {"fabric": own}]))
    try:
        spec = job(
            {key: each for key, each in said.items() if each},
            inputs=inputs,
            resources={"cpus": cpus},
        )
    except InvalidJobFile:
        return
    by_name = {each.name: each for each in spec.requirements}
    run = NgenRun.of(by_name["config"])
    assert run is not None
    checked = run.asked_of("fabric")
    assert checked.domain == by_name["fabric"].domain
    if not inputs:
        assert checked == by_name["fabric"]
        assert (checked.shape is Shape.EXACT) == bool(catchments)
        asked = [checked, *(need for each in SUBSET.recipe.steps(checked) for need in each.inputs)]
        assert uid is None or asked[-1].domain.to_plain()["HYDROFABRIC_ID"] == uid
    if "partitions" in by_name and uid and not inputs:
        assert by_name["partitions"].domain.to_plain()["HYDROFABRIC_ID"] == uid
    if checked.shape is Shape.EXACT:
        assert checked == by_name["fabric"], "ngen runs all that it finds there"


def test_cpus_are_ranks_and_need_a_partition_config() -> None:
    spec = job({"catchments": ["cat-27", "cat-52"]}, resources={"cpus": 2})
    assert list(spec.command) == ["mpirun", "-n", "2", "ngen", *BARE, "partitions.json"]
    assert spec.parallel is Parallel.MPI
    assert domains(spec)["partitions"] == {"CATCHMENT_ID": ["cat-27", "cat-52"], "LENGTH": "2"}
    named = job({"partition_config_data_id": "p"}, resources={"cpus": 2})
    assert domains(named)["partitions"] == {"DATA_ID": "p"}
    said = problems(resources={"cpus": 2})
    assert "name the catchments" in said["settings.catchments"]


def test_ranks_may_have_about_the_same_area() -> None:
    by_area = {"catchments": ["cat-27", "cat-52"], "balance": "area"}
    spec = job(by_area, resources={"cpus": 2})
    partitions = next(each for each in spec.requirements if each.name == "partitions")
    assert partitions.derived == Derived("partition", {"balance": "area"})
    assert (
        partitions.domain
        == job({"catchments": ["cat-27", "cat-52"]}, resources={"cpus": 2}).requirements[-1].domain
    )
    named = {**by_area, "partition_config_data_id": "p"}
    said = problems(named, resources={"cpus": 2})
    assert "leave one of them out" in said["settings.balance"]


def test_less_than_two_cpus_are_one_rank() -> None:
    assert job(resources={"cpus": "1500m"}).command[0] == "ngen"
    assert job(resources={"cpus": "100m"}).command[0] == "ngen"


def test_a_geopackage_netcdf_forcing_and_netcdf_output() -> None:
    spec = job({"fabric": "GEOPACKAGE", "forcing": "NETCDF", "output": "NETCDF"})
    assert list(spec.command) == [
        *("ngen", "fabric.gpkg", "all", "fabric.gpkg", "all", "config/realization.json")
    ]
    assert {each.name: each.input for each in kind_named("ngen").links(spec)} == {
        "config": "config",
        "fabric.gpkg": "fabric",
        "forcing.nc": "forcing",
    }
    assert spec.outputs[0].format == "NGEN_NETCDF_OUTPUT"
    formats = {each.name: each.format for each in spec.requirements}
    assert formats["fabric"] == "NGEN_GEOPACKAGE_HYDROFABRIC_V2"
    assert formats["forcing"] == "NETCDF_AORC_DEFAULT"


def test_t_route_and_an_archive_write_where_the_agent_looks() -> None:
    routed = job({"fabric": "GEOPACKAGE", "routing": True})
    assert routed.command[:5] == (
        *("sh", "-c", 'mkdir -p "$1" && shift && exec "$@"', "ngen", "../output/routing"),
    )
    assert [each.name for each in routed.outputs] == ["model", "routing"]
    config = next(each for each in routed.requirements if each.name == "config")
    run = NgenRun.of(config)
    assert run is not None
    assert run.output == "model"
    archived = job({"archive": True})
    assert archived.outputs[0].format == "ARCHIVED_NGEN_CSV_OUTPUT"
    assert archived.command[4:6] == ("../output/ngen", "ngen")


def test_the_users_own_inputs_say_what_the_config_is_checked_against() -> None:
    spec = job(
        inputs={
            "forcing": {
                "category": "FORCING",
                "format": "AORC_CSV",
                "domain": {"DATA_ID": "mine"},
            },
            "fabric": {
                "category": "HYDROFABRIC",
                "format": "NGEN_GEOJSON_HYDROFABRIC",
                "domain": {"ELEMENT_ID": "upstream/nex-26"},
            },
        },
    )
    config = next(each for each in spec.requirements if each.name == "config")
    run = NgenRun.of(config)
    assert run is not None
    assert run.asked_of("forcing").domain.to_plain() == {"DATA_ID": "mine"}
    assert run.asked_of("fabric").domain.to_plain() == {"ELEMENT_ID": "upstream/nex-26"}
    assert domains(spec)["forcing"] == {"DATA_ID": "mine"}


@pytest.mark.parametrize(
    ("settings", "path", "said"),
    [
        ({"routing": True}, "settings.routing", "GeoPackages only"),
        (
            {"routing": True, "fabric": "GEOPACKAGE", "output": "NETCDF"},
            "settings.output",
            "t-route reads CSV",
        ),
        ({"archive": True, "output": "NETCDF"}, "settings.archive", "CSV output"),
        (
            {"config_data_id": "a", "config_sources": ["b"]},
            "settings.config_data_id",
            "whole composite config",
        ),
        ({"time": ["2015-12-02", "2015-12-01"]}, "settings.time", "is empty"),
        ({"forcing": "GRIB"}, "settings.forcing", "CSV"),
    ],
)
def test_settings_that_do_not_go_together(settings: dict[str, Any], path: str, said: str) -> None:
    found = problems(settings)
    assert said in found[path]


def test_local_files_and_unchecked_configs_are_refused() -> None:
    assert (
        "headrace dataset create"
        in problems(inputs={"forcing": {"path": "./x"}})["inputs.forcing.path"]
    )
    composite = {
        "category": "CONFIG",
        "format": "NGEN_JOB_COMPOSITE_CONFIG",
        "domain": {"DATA_ID": "x"},
    }
    assert "settings.config_data_id" in problems(inputs={"config": composite})["inputs.config"]
    assert "makes its own" in problems(command=["ngen", "all"])["command"]


@pytest.mark.parametrize(
    ("before", "after", "at"),
    [
        ({}, {"time": ["2015-12-01", "2015-12-03"]}, "inputs.forcing.domain.TIME"),
        ({"forcing_data_id": "a"}, {"forcing_data_id": "b"}, "inputs.forcing.domain.DATA_ID"),
        (
            {"hydrofabric_data_id": "a"},
            {"hydrofabric_data_id": "b"},
            "inputs.fabric.domain.HYDROFABRIC_DATA_ID",
        ),
        (
            {"hydrofabric_uid": "a"},
            {"hydrofabric_uid": "b"},
            "inputs.fabric.domain.HYDROFABRIC_ID",
        ),
        ({"catchments": ["a"]}, {"catchments": ["b"]}, "inputs.fabric"),
        ({"catchments": ["a"]}, {"hydrofabric_uid": "b"}, "inputs.fabric"),
        ({}, {"hydrofabric_uid": "b"}, "inputs.fabric"),
    ],
)
def test_settings_that_were_changed_in_a_job_that_is_filled_in_are_refused(
    before: dict[str, Any], after: dict[str, Any], at: str
) -> None:
    plain = dump(job(before))
    plain["settings"] |= after
    with pytest.raises(InvalidJobFile) as raised:
        load_jobfile(plain)
    (said,) = (each.message for each in raised.value.problems if each.path == at)
    assert f"settings.{next(iter(after))}" in said
    assert "leave out command, files and inputs that the kind made" in said


def test_steps_are_progress() -> None:
    patterns = kind_named("ngen").progress(job())
    assert read_line(patterns, "Running timestep 300") == Reading(step=300)
    assert read_line(patterns, "Finished 720 timesteps.") == Reading(100.0, 720, 720)
    assert read_line(patterns, "NGen Framework 0.3.0") is None


def test_an_ngen_that_is_configured_runs_jobs_that_name_none() -> None:
    spec = job()
    with pytest.raises(NeverFits) as raised:
        refuse_without_ngen(spec)
    assert "HEADRACE_NGEN_IMAGE or HEADRACE_NGEN_EXECUTABLE" in (raised.value.hint or "")
    on_nodes = NgenProgram(executable="/opt/ngen", library_root="/opt").given_to(spec)
    assert on_nodes.command[0] == "/opt/ngen"
    refuse_without_ngen(on_nodes)
    config = next(each for each in on_nodes.requirements if each.name == "config")
    run = NgenRun.of(config)
    assert run is not None
    assert run.library_root == "/opt"
    imaged = NgenProgram(image="noaa/ngen:1").given_to(spec)
    assert (imaged.image, imaged.command[0]) == ("noaa/ngen:1", "ngen")
    refuse_without_ngen(imaged)
    for each in (on_nodes, imaged):
        assert load_jobfile(dump(each)) == each


def test_a_job_that_names_its_own_keeps_it() -> None:
    configured = NgenProgram("noaa/ngen:1", "/opt/ngen", "/opt")
    for own in (job({"executable": "/mine"}), job(image="mine/ngen:2")):
        assert configured.given_to(own) == own
        refuse_without_ngen(own)
    other = load_jobfile({"headrace": 1, "kind": "command", "command": ["true"]})
    assert configured.given_to(other) == other
    refuse_without_ngen(other)


@pytest.mark.parametrize("kind", ["calibration", "ngen-cal"])
def test_an_ngen_that_is_configured_runs_inside_a_calibration(kind: str) -> None:
    spec = load_jobfile(calibration(kind))
    with pytest.raises(NeverFits, match="the model to calibrate names none") as raised:
        refuse_without_ngen(spec)
    assert "settings.model.settings.executable" in (raised.value.hint or "")
    on_nodes = NgenProgram(executable="/opt/ngen", library_root="/opt").given_to(spec)
    refuse_without_ngen(on_nodes)
    assert on_nodes.image is None
    assert planned(on_nodes) == ["/opt/ngen", *BARE]
    assert on_nodes.settings.model.settings.library_root == "/opt"
    (config,) = (each for each in on_nodes.requirements if each.name == "config")
    run = NgenRun.of(config)
    assert run is not None
    assert run.library_root == "/opt"
    imaged = NgenProgram(image="noaa/ngen:1").given_to(spec)
    refuse_without_ngen(imaged)
    assert (imaged.image, planned(imaged)) == ("noaa/ngen:1", ["ngen", *BARE])
    for each in (on_nodes, imaged):
        assert load_jobfile(dump(each)) == each
        assert NgenProgram("other", "/other", "/other").given_to(each) == each
    own = load_jobfile(calibration(kind, executable="/mine"))
    assert NgenProgram("other", "/other", "/other").given_to(own) == own
    tagged = load_jobfile(calibration(kind, version="v2"))
    assert NgenProgram(image="noaa/ngen:1").given_to(tagged).image == "noaa/ngen:v2"
    with pytest.raises(InvalidSpec) as wrong:
        NgenProgram(executable="/opt/ngen").given_to(tagged)
    assert wrong.value.path == "settings.model.settings.version"


def calibration(kind: str, **run: Any) -> dict[str, Any]:
    """A job file that calibrates ngen, of either kind."""
    init = {"name": "maxsmc", "min": 0.2, "max": 1.0, "init": 0.4}
    told: dict[str, Any] = {"parameters": {"maxsmc": {**init, "key": "/m", "file": "*.json"}}}
    del told["parameters"]["maxsmc"]["name"]
    told["parameters"]["maxsmc"]["input"] = "config"
    if kind == "ngen-cal":
        model = {"type": "ngen", "params": {"CFE": [init]}}
        general = {"strategy": {"type": "estimation"}, "iterations": 4}
        told = {"config": {"general": general, "model": model}}
    told |= {
        "model": {"kind": "ngen", "settings": {"time": TIME, **run}},
        "train": TIME,
        "locations": [{"name": "02146562", "simulated": "nex-26"}],
    }
    return {"headrace": 1, "kind": kind, "settings": told}


def planned(spec: JobSpec) -> list[str]:
    """The command of the model, as the worker of a calibration is told it."""
    (plan,) = (each for each in spec.files if each.name == "calibration.json")
    found: list[str] = json.loads(plan.content)["model"]["command"]
    return found


def test_a_version_is_the_tag_of_the_image_that_is_configured() -> None:
    spec = job({"version": "v2"})
    for image, tagged in (
        ("noaa/ngen:1", "noaa/ngen:v2"),
        ("ngen", "ngen:v2"),
        ("host:5000/ngen@sha256:" + "0" * 64, "host:5000/ngen:v2"),
    ):
        assert NgenProgram(image=image).given_to(spec).image == tagged
    with pytest.raises(InvalidSpec) as raised:
        NgenProgram(executable="/opt/ngen").given_to(spec)
    assert raised.value.path == "settings.version"
