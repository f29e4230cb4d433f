"""What has to be derived: how job files say it, and that nothing else meets it."""

import json
from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_data.core.checking import decide
from headrace_data.core.matching import Matcher
from headrace_derivations.ngen_run import DERIVATION as NGEN_RUN
from headrace_derivations.registry import all_derivations
from headrace_kinds.derivation import Plan, Recipe, Step, asked_of, derivation_key
from headrace_kinds.ngen_run import NgenRun
from headrace_model.dataset import Category, Dataset, Origin
from headrace_model.domain import Domain
from headrace_model.errors import InvalidInput
from headrace_model.ids import JobId
from headrace_model.requirement import Derived, Fulfilment, Miss, Promise, Requirement, Shape
from headrace_model.status import Status
from headrace_wire.datasets import MatchRequest
from headrace_wire.errors import InvalidJobFile
from headrace_wire.jobfile import dump, dump_text, load_jobfile, load_jobtext
from headrace_wire.schema import from_plain, to_plain
from tests.unit.test_collecting import _job as job
from tests.unit.test_matching import ADA, NOW, dataset

GOLDEN = files("headrace_wire") / "golden"
HERE = Domain.from_plain({"GAUGE_ID": "a"})
plain = st.recursive(
    st.one_of(st.booleans(), st.integers(0, 2), st.sampled_from(["", "1", "true"])),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=4,
)
told = st.dictionaries(st.sampled_from("xy"), plain, max_size=2)


def wanting(settings: dict[str, Any] | None, by: str = "make") -> Requirement:
    derived = None if settings is None else Derived(by, settings)
    return Requirement("flow", Category.OUTPUT, "CSV", HERE, Shape.ONE, derived)


def _steps(wanted: Requirement) -> Iterator[Step]:
    settings = wanted.derived.settings if wanted.derived else {}
    raw = Requirement("raw", Category.FORCING, "RAW", HERE)
    yield Step("make", (raw,), {"settings": settings})


MAKE = Recipe("make", "", ((Category.OUTPUT, "CSV"),), _steps, frozenset("xy"))
RAW = dataset("raw", HERE.to_plain(), "RAW", category=Category.FORCING)


def made_by(plan: Plan) -> Dataset:
    """The dataset that the child of a plan makes."""
    return dataset(
        "made",
        plan.wanted.domain,
        origin=Origin(JobId("child"), 1),
        derivation=derivation_key(plan.content, "ada"),
        derived_from=plan.datasets,
    )


def plan_for(held: Matcher, wanted: Requirement) -> Plan | None:
    return held.plan(wanted, NOW, ADA, [MAKE])


@given(told, st.none() | told)
def test_what_was_derived_meets_the_same_settings_and_no_others(
    settings: dict[str, Any], others: dict[str, Any] | None
) -> None:
    held = Matcher()
    held.add(RAW)
    plan = plan_for(held, wanting(settings))
    assert plan is not None
    held.add(made_by(plan))
    wanted = wanting(others)
    again = plan_for(held, wanted)
    assert again is not None
    found = held.made(wanted, again, NOW, ADA)
    same = others is not None and json.dumps(settings, sort_keys=True) == json.dumps(
        others, sort_keys=True
    )
    assert isinstance(found, Fulfilment) == same
    assert (asked_of(wanting(settings)) == asked_of(wanted)) == same
    assert (wanting(settings).derived == wanted.derived) == same


@given(told)
def test_no_dataset_and_no_promise_stands_in_for_what_has_to_be_derived(
    settings: dict[str, Any],
) -> None:
    held = Matcher()
    held.add(dataset("given", HERE))
    for format_ in ("CSV", "GENERIC"):
        job = JobId(f"job-{format_}")
        held.promise(Promise(job, "out", Category.OUTPUT, format_, HERE, "ada"))
    assert isinstance(held.match(wanting(None), NOW, ADA), Fulfilment)
    assert isinstance(held.match(wanting(settings), NOW, ADA), Miss)


def test_a_recipe_of_another_name_or_without_such_a_setting_is_not_asked() -> None:
    held = Matcher()
    held.add(RAW)
    assert plan_for(held, wanting({"x": 1})) is not None
    assert plan_for(held, wanting({"z": 1})) is None
    assert plan_for(held, wanting({}, "other")) is None
    said = held.explained(Miss(wanting({"z": 1}), (), ()), NOW, ADA, [MAKE]).sentence
    assert said.startswith("it has to be derived by make (z: 1), which nothing here does")


def test_built_in_derivations_take_no_setting_that_they_do_not_name() -> None:
    for each in all_derivations():
        for category, format_ in each.recipe.makes:
            derived = Derived(each.recipe.name, {"no-such": 1})
            wanted = Requirement("x", category, format_, Domain(), derived=derived)
            assert not each.recipe.fits(wanted)


def test_a_miss_says_which_of_the_data_to_read_is_missing() -> None:
    held = Matcher()
    wanted = wanting({"x": True})
    missed = held.match(wanted, NOW, ADA)
    assert isinstance(missed, Miss)
    told = held.explained(missed, NOW, ADA, [MAKE])
    assert told.sentence == (
        "it has to be derived by make (x: true), and its raw is missing (no FORCING dataset of "
        "format RAW covers it: missing GAUGE_ID a; upload such a dataset (`headrace dataset "
        "create`))"
    )


def test_settings_are_said_in_plain_words() -> None:
    settings = {"b": {"format": "AORC_CSV", "ids": ["x", "y"]}, "a": True, "c": None, "d": 1.5}
    said = str(Derived("make", settings))
    assert said == "make (a: true, b: {format: AORC_CSV, ids: [x, y]}, c: null, d: 1.5)"
    assert str(Derived("make")) == "make"
    assert len(str(Derived("make", {"a": "x" * 10_000}))) < 500


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, object()])
def test_settings_are_json(value: object) -> None:
    with pytest.raises(InvalidInput):
        Derived("make", {"x": value})


# ---- on the wire

JOB = {"headrace": 1, "kind": "command", "command": ["true"]}
INPUT = {"category": "CONFIG", "format": "CSV", "domain": {"GAUGE_ID": "a"}}


@given(told)
def test_what_is_asked_is_read_back_from_a_job_and_from_a_question(
    settings: dict[str, Any],
) -> None:
    derived = {"by": "make", "settings": settings}
    spec = load_jobfile(JOB | {"inputs": {"flow": INPUT | {"derived": derived}}})
    (wanted,) = spec.requirements
    assert wanted.derived == Derived("make", settings)
    assert load_jobfile(dump(spec)) == load_jobtext(dump_text(spec)) == spec
    body = json.loads(json.dumps(to_plain(MatchRequest.of(wanted))))
    assert from_plain(MatchRequest, body).requirement == wanted


@pytest.mark.parametrize(
    ("derived", "where", "said"),
    [
        ({}, "inputs.flow.derived.by", "this key is missing"),
        ({"by": "a b"}, "inputs.flow.derived.by", "'a b'"),
        ({"by": "x", "setings": {}}, "inputs.flow.derived.setings", "settings"),
        ({"by": "x", "settings": [1]}, "inputs.flow.derived.settings", "a mapping is expected"),
    ],
)
def test_what_is_wrong_is_said_at_its_place(
    derived: dict[str, Any], where: str, said: str
) -> None:
    with pytest.raises(InvalidJobFile) as raised:
        load_jobfile(JOB | {"inputs": {"flow": INPUT | {"derived": derived}}})
    found = {each.path: each.message for each in raised.value.problems}
    assert said in found[where]


def test_a_job_stored_with_words_in_its_domain_asks_as_one_of_today() -> None:
    """The golden file is never changed: jobs were stored so."""
    text = (GOLDEN / "jobfile-1-ngen.json").read_text()
    stored = json.loads(text)
    new = {key: stored[key] for key in ("headrace", "kind", "name", "settings")}
    assert load_jobtext(text) == load_jobfile(text) == load_jobfile(new)
    config = next(each for each in load_jobtext(text).requirements if each.name == "config")
    assert NgenRun.of(config) is not None
    assert NGEN_RUN.recipe.fits(config)
    assert len(list(NGEN_RUN.recipe.steps(config))) == 1


@pytest.mark.parametrize(
    "words",
    [
        *("x", ["config/format/A", "run/routing/true"], ["a/b/c"], ["run/z/1", "z/a/b"]),
        *(["config/a/b", "run/config/x"], ["config/format/A", "config/format/B"]),
    ],
)
def test_words_of_no_run_are_read_and_lead_nowhere(words: Any) -> None:
    config = INPUT | {"format": "NGEN_RUN_CONFIG", "domain": {"COMPOSITE_SOURCE_ID": words}}
    (wanted,) = load_jobfile(JOB | {"inputs": {"config": config}}).requirements
    assert NgenRun.of(wanted) is None


def test_what_is_derived_is_not_said_missing_beside_what_it_would_be_made_from() -> None:
    raw = Miss(Requirement("raw", Category.FORCING, "RAW", HERE), (), ())
    flow = Miss(wanting({}), (), (), causes=(raw,))
    said = [_detail(misses) for misses in ([flow, raw], [flow], [raw])]
    assert said[0] == said[2] != said[1]
    assert "its raw is missing" in said[1]
    other = replace(raw, missing=HERE.restrictions)
    assert "its raw is missing" in _detail([flow, other])


def _detail(misses: list[Miss]) -> str:
    move = decide(replace(job(), status=Status.AWAITING_DATA_CHECK), misses)
    assert move is not None
    return move.detail
