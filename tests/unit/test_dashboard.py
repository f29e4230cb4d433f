"""The Grafana dashboard speaks of metrics, labels and values that exist, and its panels fit."""

import json
from typing import Any

import pytest

from tests.unit.test_alerts import _MATCHER, _SELECTOR, _VALUES, _known
from tests.unit.test_project import PROJECT

_BOARD: dict[str, Any] = json.loads((PROJECT / "docs" / "headrace-dashboard.json").read_text())
_PANELS: list[dict[str, Any]] = _BOARD["panels"]
_MORE: dict[str, set[str]] = {**_VALUES, "resource": {"cpus", "memory_bytes"}}
every_panel = pytest.mark.parametrize("panel", _PANELS, ids=[each["title"] for each in _PANELS])


@every_panel
def test_a_panel_shows_what_there_is(panel: dict[str, Any]) -> None:
    known = _known()
    for target in panel["targets"]:
        selected = _SELECTOR.findall(target["expr"])
        assert selected
        for name, matchers in selected:
            assert name in known, f"there is no metric {name}"
            for label, how, value in _MATCHER.findall(matchers):
                assert label in known[name], f"{name} has no label {label}"
                for each in value.split("|") if how == "=~" else [value]:
                    assert each in _MORE[label] or each == "CLOSED:.*", f"{label}: {each}"
        for one, other in ("()", "[]", "{}"):
            assert target["expr"].count(one) == target["expr"].count(other)


@every_panel
def test_a_panel_says_what_it_shows_from_the_source_that_is_chosen(panel: dict[str, Any]) -> None:
    assert panel["description"].endswith(".")
    (variable,) = _BOARD["templating"]["list"]
    assert panel["datasource"]["uid"] == f"${{{variable['name']}}}"


def test_no_panel_lies_on_another() -> None:
    taken = set()
    for panel in _PANELS:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in _PANELS}) == len(_PANELS)
