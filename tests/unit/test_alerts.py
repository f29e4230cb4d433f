"""The alert rules speak of metrics, labels and values that exist, and each gives advice."""

import re
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY

import headrace_service.metrics as metrics
from headrace_client.cli import headrace
from headrace_model.node import NodeState
from headrace_model.status import Event, Role, Status
from headrace_wire.operations.table import OPERATIONS
from tests.unit.test_project import PROJECT

_FILE = PROJECT / "docs" / "headrace-alerts.yaml"
_RULES: list[dict[str, Any]] = yaml.safe_load(_FILE.read_text())["groups"][0]["rules"]
_SELECTOR = re.compile(r"\b((?:headrace_[a-z_]+)|up)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)(=~|=)"([^"]*)"')
_VALUES: dict[str, set[str]] = {
    "status": {*Status, "500", "503"},
    "state": set(NodeState),
    "role": set(Role),
    "event": set(Event),
    "service": {"request", "data", "scheduler"},
    "method": {each.method for each in OPERATIONS},
    "route": {each.path for each in OPERATIONS},
}
every_rule = pytest.mark.parametrize("rule", _RULES, ids=[rule["alert"] for rule in _RULES])


def _known() -> dict[str, set[str]]:
    """The labels of each series that our metrics make, by its name."""
    found: dict[str, set[str]] = {}
    for name in vars(metrics):
        metric = getattr(metrics, name)
        if hasattr(metric, "_labelnames"):
            for series in REGISTRY._get_names(metric):
                found[series] = set(metric._labelnames)
    return found


@every_rule
def test_a_rule_selects_what_there_is(rule: dict[str, Any]) -> None:
    known, selected = _known(), _SELECTOR.findall(rule["expr"])
    assert selected
    for name, matchers in selected:
        if name == "up":
            continue
        assert name in known, f"there is no metric {name}"
        for label, how, value in _MATCHER.findall(matchers):
            assert label in known[name], f"{name} has no label {label}"
            for each in value.split("|") if how == "=~" else [value]:
                assert each in _VALUES[label], f"{label} is never {each}"


@every_rule
def test_a_rule_says_what_it_is_and_what_to_do_in_a_line_each(rule: dict[str, Any]) -> None:
    for text in (rule["annotations"]["summary"], rule["annotations"]["advice"]):
        assert "\n" not in text
        assert text.endswith((".", "ends it."))
    assert rule["labels"]["severity"] in ("page", "warn")


@every_rule
def test_what_an_advice_tells_to_run_exists(rule: dict[str, Any]) -> None:
    for words in re.findall(r"`headrace ([a-z ]+)", rule["annotations"]["advice"]):
        first, *rest = words.split()
        command = headrace.get_command(None, first)  # type: ignore[arg-type] # needs no context
        assert command is not None, words
        if rest and hasattr(command, "commands"):
            assert rest[0] in command.commands, words


def test_brackets_close() -> None:
    for rule in _RULES:
        for one, other in ("()", "[]", "{}"):
            assert rule["expr"].count(one) == rule["expr"].count(other), rule["alert"]


def test_no_alert_has_the_name_of_another() -> None:
    names = [rule["alert"] for rule in _RULES]
    assert len(set(names)) == len(names) > 8
