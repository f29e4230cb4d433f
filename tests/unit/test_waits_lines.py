"""What `jobs why` and `exec plan` write of a job that waits: each thing once."""

from dataclasses import replace

from headrace_client.cli.waits import plan_lines, why_lines
from headrace_model.resources import Paradigm
from headrace_model.status import Status
from headrace_wire.api import ResourcesView
from headrace_wire.why import CauseView, ChangeView, Outcome, PlacedView, PlanView, WhyView

WHY = "The job asks 4 CPUs; the most that is free is 2 CPUs."
SHORTER = "With a time limit of 28m instead of none it starts at once on node1."
LESS = "With 2 CPUs less (2) it starts at once on node1."
CAUSES = (CauseView("RESERVED", WHY), CauseView("TIME", SHORTER), CauseView("CPUS", LESS))
CHANGE = ChangeView("TIME", SHORTER, {"limits.time": "28m"}, ("node1",))
WAITS = PlanView(
    Outcome.WAITS,
    WHY,
    ResourcesView(4, 1 << 30),
    Paradigm.SINGLE_NODE,
    "process",
    {},
    PlacedView(WHY, causes=CAUSES, change=CHANGE),
)


def _count(lines: list[tuple[str, object]], sentence: str) -> int:
    return sum(str(value).count(sentence) for _, value in lines)


def test_why_tells_the_smallest_change_once():
    view = WhyView("j", Status.AWAITING_ALLOCATION, WHY, causes=CAUSES, change=CHANGE)
    lines = why_lines(view)
    assert [_count(lines, each) for each in (WHY, SHORTER, LESS)] == [1, 1, 1]
    assert "--set limits.time=28m" in str(dict(lines)["or"])


def test_a_plan_tells_why_it_waits_and_the_smallest_change_once():
    lines = plan_lines(WAITS)
    assert [_count(lines, each) for each in (WHY, SHORTER, LESS)] == [1, 1, 1]
    assert SHORTER in str(dict(lines)["or"])


def test_a_plan_that_waits_for_another_job_tells_where_it_would_be_placed_too():
    lines = plan_lines(replace(WAITS, sentence="It waits for job x to complete."))
    assert dict(lines)["placement"] == WHY
