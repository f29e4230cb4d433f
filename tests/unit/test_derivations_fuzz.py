"""Damaged data is derived from, or refused with a sentence, and nothing else happens."""

import json
import tempfile
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace_derivations.base import Work
from headrace_derivations.registry import derivation_named
from headrace_kinds.derivation import Step
from headrace_model.dataset import Category
from headrace_model.errors import HeadraceError
from tests.support.deriving import wanted
from tests.support.format_samples import CFE, REALIZATION, SAMPLES

TIME: Final = {"TIME": ["2015-12-01T00:00Z", "2015-12-01T02:00Z"]}
RUN: Final = TIME | {"COMPOSITE_SOURCE_ID": ["x", "y", "z"]}
INIT: Final = {"CATCHMENT_ID": ["cat-1", "cat-3"]}
CASES: Final[dict[str, tuple[str, Category, str, dict[str, Any]]]] = {
    "geojson": (
        "hydrofabric-subset", Category.HYDROFABRIC, "NGEN_GEOJSON_HYDROFABRIC",
        {"ELEMENT_ID": "upstream/nex-3"},
    ),
    "geopackage": (
        "hydrofabric-subset", Category.HYDROFABRIC, "NGEN_GEOPACKAGE_HYDROFABRIC_V2",
        {"ELEMENT_ID": "downstream/cat-1"},
    ),
    "unpack": ("unpack", Category.OUTPUT, "NGEN_CSV_OUTPUT", TIME),
    "pack": ("pack", Category.OUTPUT, "ARCHIVED_NGEN_CSV_OUTPUT", TIME),
    "part": ("ngen-output", Category.OUTPUT, "NGEN_CSV_OUTPUT", TIME),
    "realization": ("realization", Category.CONFIG, "NGEN_REALIZATION_CONFIG", TIME | INIT),
    "bmi-init": ("bmi-init", Category.CONFIG, "BMI_CONFIG", INIT),
    "composite": ("composite", Category.CONFIG, "NGEN_JOB_COMPOSITE_CONFIG", RUN),
}  # fmt: skip
"""By name: the derivation, and what is wanted of it."""


def test_samples_of_all_that_is_derived_from_are_damaged() -> None:
    sources = {need.format for case in CASES for step in ways(case) for need in step.inputs}
    assert sources <= set(SAMPLES)


def ways(case: str) -> list[Step]:
    name, category, format_, domain = CASES[case]
    found = list(derivation_named(name).recipe.steps(wanted(category, format_, **domain)))
    if case == "composite":  # of the ways to tell three sources apart the whole one
        return [each for each in found if {"init-configs", "t-route"} <= _roles(each)]
    return found


def _roles(step: Step) -> set[str]:
    return {need.name for need in step.inputs}


def derived(case: str, step: Step, files: dict[str, tuple[str, bytes]]) -> int:
    """Run a step on files by role; returns how many files came out of it."""
    with tempfile.TemporaryDirectory() as at:
        roles = {}
        for role, (name, data) in files.items():
            roles[role] = Path(at, "in", role)
            roles[role].mkdir(parents=True)
            (roles[role] / name).write_bytes(data)
        output = Path(at, "out")
        output.mkdir()
        work = Work(roles, output, step.parameters, lambda _line: None)
        derivation_named(CASES[case][0]).run(work)
        return len(list(output.rglob("*")))


def good(step: Step) -> dict[str, tuple[str, bytes]]:
    """Sound samples for all inputs of a step, by role."""
    realization = deepcopy(REALIZATION)
    realization["routing"] = {"t_route_config_file_with_path": "./route.yaml"}
    modules = realization["global"]["formulations"][0]["params"]["modules"]
    modules[0]["params"]["init_config"] = "./{{id}}.ini"
    template = CFE.replace("=4.2[]", "={{areasqkm}}[]").encode()
    known = SAMPLES | {
        "BMI_CONFIG_TEMPLATE": ("cfe.ini", template),
        "NGEN_REALIZATION_CONFIG": ("run.json", json.dumps(realization).encode()),
    }
    return {need.name: known[str(need.format)] for need in step.inputs}


@pytest.mark.parametrize("case", sorted(CASES))
def test_sound_samples_are_derived_from(case: str) -> None:
    assert derived(case, ways(case)[0], good(ways(case)[0])) > 0


@pytest.mark.parametrize("case", sorted(CASES))
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_samples_are_derived_from_or_refused(case: str, data: st.DataObject) -> None:
    step = data.draw(st.sampled_from(ways(case)))
    files = good(step)
    role = data.draw(st.sampled_from(sorted(files)))
    name, sound = files[role]
    damaged = bytearray(sound)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(sound) - 1))
        new = data.draw(st.binary(max_size=4))
        damaged[at : at + data.draw(st.integers(0, 4))] = new
    cut = data.draw(st.one_of(st.just(len(damaged)), st.integers(0, len(damaged))))
    said = "derived"
    try:
        derived(case, step, files | {role: (name, bytes(damaged[:cut]))})
    except HeadraceError as error:
        said = error.message
    assert said


@pytest.mark.parametrize("case", ["realization", "composite"])
@pytest.mark.parametrize("wrong", [7, None, "x", [7], {"x": 7}])
@pytest.mark.parametrize(
    "path", ["global", "catchments", "catchments.cat-1", "catchments.cat-1.forcing", "modules"]
)
def test_configs_of_another_shape_are_derived_from_or_refused(
    case: str, path: str, wrong: object
) -> None:
    step = ways(case)[0]
    role = next(each for each in good(step) if each in ("partial", "realization"))
    name, sound = good(step)[role]
    config = json.loads(sound)
    formulations = [{"name": "unknown", "params": {"modules": wrong}}]
    own = {"forcing": {}, "formulations": formulations}
    config |= {"catchments": {"cat-1": own}}
    *folders, last = path.split(".")
    at = config
    for each in folders:
        at = at[each]
    at[last] = wrong
    said = "derived"
    try:
        derived(case, step, good(step) | {role: (name, json.dumps(config).encode())})
    except HeadraceError as error:
        said = error.message
    assert said
