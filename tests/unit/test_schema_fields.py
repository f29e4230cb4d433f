"""Each field of a view is on the wire, whatever it is called."""

from dataclasses import fields

import pytest

from headrace_model.status import Status
from headrace_wire.schema import from_plain, schema_of, to_plain
from headrace_wire.why import PlanView, WhenView, WhyView


@pytest.mark.parametrize("view", [WhenView, WhyView, PlanView])
def test_no_field_of_a_view_is_lost(view: type) -> None:
    assert {each.name for each in fields(view)} == {*schema_of(view)().fields}


def test_when_it_was_foreseen_is_told() -> None:
    view = WhenView("x", Status.RUNNING, "s", made="2026-01-01")
    assert to_plain(view)["made"] == "2026-01-01"
    assert from_plain(WhenView, to_plain(view)) == view
