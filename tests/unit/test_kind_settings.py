"""The settings of a kind: read strictly, written as they were read, and what follows from them."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_client.cli.init import template
from headrace_kinds import registry
from headrace_kinds.settings import Period
from headrace_model.errors import InvalidSpec
from headrace_model.times import parse_instant
from headrace_wire.errors import InvalidJobFile
from headrace_wire.jobfile import dump, dump_text, load_jobfile, load_jobtext
from headrace_wire.jsonschema import job_json_schema
from tests.support.flood_kind import Basis, FloodKind, FloodSettings, Gauge

TIME = ["2015-12-01", "2015-12-03"]
PERIOD = Period(parse_instant(TIME[0]), parse_instant(TIME[1]))


@pytest.fixture(autouse=True)
def _flood(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(registry._BUILT_IN, FloodKind.name, FloodKind())
    registry.all_kinds.cache_clear()
    yield
    registry.all_kinds.cache_clear()


def _job(settings: dict[str, Any] | None = None, **keys: Any) -> dict[str, Any]:
    return {"headrace": 1, "kind": "flood_wave", "settings": settings or {"time": TIME}, **keys}


def _problems(plain: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(InvalidJobFile) as caught:
        load_jobfile(plain)
    return {each.path: each.message for each in caught.value.problems}


def test_settings_of_every_sort_are_read_and_written_back() -> None:
    told = {
        "time": TIME,
        "basis": "stage",
        "gauges": {"outlet": {"weight": 2}, "Upper_1": {}},
        "steps": 3,
        "catchments": ["cat-1"],
        "fast": True,
        "note": "calm",
        "more": {"a": [1, {"b": None}]},
    }
    spec = load_jobfile(_job(told))
    assert spec.kind == "flood-wave"
    assert spec.settings == FloodSettings(
        PERIOD,
        Basis.STAGE,
        (Gauge("Upper_1"), Gauge("outlet", 2.0)),
        3,
        ("cat-1",),
        True,
        "calm",
        {"a": [1, {"b": None}]},
    )
    assert load_jobtext(dump_text(spec)) == spec


def test_the_rest_of_the_job_follows_and_what_the_user_wrote_stays() -> None:
    spec = load_jobfile(_job())
    assert spec.command == ("flood", "--steps", "24", "{output}")
    assert [(each.name, each.content) for each in spec.files] == [("flood.txt", b"flow")]
    (forcing,) = spec.requirements
    assert forcing.domain.time == PERIOD.time
    own = {"category": "FORCING", "format": "AORC_CSV", "domain": {"CATCHMENT_ID": "cat-7"}}
    again = load_jobfile(_job(inputs={"forcing": own, "extra": own}))
    assert [each.name for each in again.requirements] == ["extra", "forcing"]
    assert again.requirements[1].domain.to_plain() == {"CATCHMENT_ID": "cat-7"}


@given(st.integers(2, 50), st.booleans(), st.lists(st.sampled_from("abc"), unique=True))
def test_what_is_completed_is_completed_to_itself(steps: int, fast: bool, ids: list[str]) -> None:
    told = {"time": TIME, "steps": steps, "fast": fast, "catchments": ids}
    spec = load_jobfile(_job(told))
    assert load_jobfile(dump(spec)) == spec
    assert dump(load_jobfile(dump(spec))) == dump(spec)


@pytest.mark.parametrize(
    ("settings", "path", "said"),
    [
        ({}, "settings.time", "this key is missing"),
        ({"time": TIME[::-1]}, "settings.time", "is empty"),
        ({"time": ["2015-12-01"]}, "settings.time", "a list of begin and end"),
        ({"time": "2015"}, "settings.time", "a list of begin and end"),
        ({"time": TIME, "basis": "flwo"}, "settings.basis", "flow"),
        ({"time": TIME, "stepps": 2}, "settings.stepps", "did you mean steps"),
        ({"time": TIME, "steps": 1}, "settings.steps", "is not from 2 to 100"),
        ({"time": TIME, "steps": 60, "fast": True}, "settings.steps", "at most 50"),
        ({"time": TIME, "gauges": {"a": {"weight": "x"}}}, "settings.gauges.a.weight", "number"),
        (
            {"time": TIME, "gauges": {"a": {"weight": float("nan")}}},
            "settings.gauges.a.weight",
            "not from 0 to 10",
        ),
        ({"time": TIME, "gauges": {"a/b": {}}}, "settings.gauges.a/b", "can't be a name"),
        (
            {"time": TIME, "gauges": {name: {} for name in "abcd"}},
            "settings.gauges",
            "at most 3",
        ),
        ({"time": TIME, "note": "x" * 21}, "settings.note", "at most 20"),
        ({"time": TIME, "more": [1]}, "settings.more", "a mapping is expected"),
        ({"time": TIME, "more": {"a": {1: 2}}}, "settings.more", "every key of a mapping"),
        ({"time": TIME, "more": {"a": list(range(30_000))}}, "settings.more", "more than 20,000"),
    ],
)
def test_what_is_wrong_is_told_at_its_key(settings: dict[str, Any], path: str, said: str) -> None:
    problems = _problems({"headrace": 1, "kind": "flood-wave", "settings": settings})
    assert said in problems[path]


def test_a_kind_that_takes_settings_misses_them_and_a_command_takes_none() -> None:
    assert _problems({"headrace": 1, "kind": "flood-wave"}) == {
        "settings.time": "this key is missing"
    }
    plain = {"headrace": 1, "kind": "command", "command": ["true"], "settings": {"a": 1}}
    assert "takes no settings" in _problems(plain)["settings"]


def test_a_stored_job_stays_as_it_was_when_its_kind_fills_in_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = load_jobfile(_job())
    monkeypatch.setattr(FloodKind, "complete", lambda _, it: replace(it, command=("other",)))
    assert load_jobtext(dump_text(spec)) == spec


def test_a_command_or_a_file_of_the_kind_can_not_be_replaced() -> None:
    assert "makes its own" in _problems(_job(command=["true"]))["command"]
    plain = _job(files=["flood.txt"])
    with pytest.raises(InvalidJobFile) as caught:
        load_jobfile(plain, read_file=lambda _: b"mine")
    assert "choose another name" in str(caught.value)
    assert "leave out command, files and inputs that the kind made" in str(caught.value)
    for name in ("rain", "rain/x.csv", "rain.csv"):
        with pytest.raises(InvalidJobFile, match=r"lays rain.* beside the worker itself"):
            load_jobfile(_job(files=[name]), read_file=lambda _: b"mine")


def test_the_json_schema_knows_the_settings_by_the_kind_beside_them() -> None:
    schema = job_json_schema()
    jsonschema.validate(_job(), schema)
    with pytest.raises(jsonschema.ValidationError, match="stepps"):
        jsonschema.validate(_job({"time": TIME, "stepps": 3}), schema)


def test_the_file_of_init_has_every_setting_with_its_sentence() -> None:
    text = template("flood-wave")
    assert "a wave that comes down a river" in text
    assert "  # What it is measured by.\n  #basis: stage\n" in text
    assert load_jobfile(text).settings.time.begin == parse_instant("2015-12-01")


def test_a_plug_in_of_no_use_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "loaded", lambda *_: [("the kind plug-in x", FloodKind())])
    registry.all_kinds.cache_clear()
    with pytest.raises(InvalidSpec, match="there is a kind flood-wave already"):
        registry.all_kinds()
