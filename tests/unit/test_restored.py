"""What is decided after a restore: by the agent, the data service and the monitor."""

from dataclasses import replace

import pytest

from headrace_agent.core.restored import Seen, compare
from headrace_data.core.restoring import UNDER_WAY, UNFINISHED, found_outputs, made_by_jobs
from headrace_model.cause import Cause
from headrace_model.dataset import Dataset, DatasetState, Origin
from headrace_model.ids import DatasetId
from headrace_model.spec import Retry
from headrace_model.status import Event, Status
from headrace_model.work import Fact, FactKind, Verb
from headrace_monitor.core.decide import Seen as MonitorSees
from headrace_monitor.core.decide import decide
from tests.support.script_scenes import new_dataset, sealed
from tests.unit.test_monitor_decide import BOTH, N1, N2, NOW, RUNNING, STOPPING

OLD = Seen("old")


def test_what_redis_expects_and_the_node_has_goes_on():
    assert compare(OLD, "new", {"a.1"}, {"a.1": Verb.LAUNCH}) == Seen("new")


def test_what_redis_does_not_know_is_kept():
    found = compare(OLD, "new", {"a.1", "b.2"}, {"a.1": Verb.STOP})
    assert found == Seen("new", quarantined=frozenset({"b.2"}))


@pytest.mark.parametrize("verb", Verb)
def test_only_what_needs_an_earlier_step_is_gone_with_its_folder(verb: Verb):
    found = compare(OLD, "new", set(), {"a.1": verb})
    assert ("a.1" in found.gone) == (verb in (Verb.LAUNCH, Verb.COLLECT))


def test_the_same_redis_finds_nothing_new():
    seen = Seen("old", frozenset({"b.1", "c.1"}), frozenset({"d.1", "e.1"}))
    found = compare(seen, "old", {"b.1", "x.1"}, {"d.1": Verb.LAUNCH, "y.1": Verb.LAUNCH})
    assert found == Seen("old", frozenset({"b.1"}), frozenset({"d.1"}))


def test_a_node_that_lost_its_disk_keeps_nothing_and_has_nothing():
    found = compare(None, "new", {"b.1"}, {"a.1": Verb.LAUNCH})
    assert found == Seen("new", gone=frozenset({"a.1"}))


def _made(attempt: int, output: str) -> Dataset:
    made = replace(
        new_dataset(name=f"{output}{attempt}"),
        id=DatasetId(f"{RUNNING.id}.{attempt}.{output}"),
        origin=Origin(RUNNING.id, attempt),
        output=output,
    )
    return sealed(made)


@pytest.mark.parametrize("status", UNFINISHED)
def test_a_job_whose_outputs_are_all_there_is_completed_by_them(status: Status):
    job = replace(RUNNING, status=status, attempt=2)
    made = made_by_jobs([_made(1, "a"), _made(2, "a"), _made(2, "b")])
    move = found_outputs(job, ["a", "b"], made)
    assert move
    assert (move.event, move.to) == (Event.OUTPUTS_FOUND, Status.COMPLETED)
    assert [each.id for each in move.seals] == [f"{job.id}.2.a", f"{job.id}.2.b"]
    holds = status in UNDER_WAY
    assert move.returns == ((N1, N2) if holds else ())
    assert [work.verb for work in move.work] == ([Verb.CLEAN] * 2 if holds else [])


def test_outputs_of_two_attempts_are_not_one_jobs_outputs():
    made = made_by_jobs([_made(1, "a"), _made(2, "b")])
    assert found_outputs(RUNNING, ["a", "b"], made) is None


def test_what_is_not_sealed_does_not_count():
    made = made_by_jobs([replace(_made(1, "a"), state=DatasetState.OPEN)])
    assert found_outputs(RUNNING, ["a"], made) is None


def test_a_job_without_outputs_is_never_found():
    assert found_outputs(RUNNING, [], made_by_jobs([_made(1, "a")])) is None


def _seen(**more: object) -> MonitorSees:
    nothing = {"facts": {}, "lost": frozenset(), "holding": BOTH, "now_ms": NOW}
    return MonitorSees(**{**nothing, "retry": Retry(limit=0), **more})  # type: ignore[arg-type] # a test's own


def test_an_attempt_that_a_restore_found_gone_is_replaced_and_costs_no_retry():
    gone = Fact(N1, RUNNING.id, 1, FactKind.EXITED, Cause.RESTORED)
    move = decide(RUNNING, _seen(facts={(N1, FactKind.EXITED): gone}))
    assert move
    assert (move.event, move.cause) == (Event.ATTEMPT_LOST, Cause.RESTORED)
    stopping = replace(STOPPING, cause=Cause.RESTORED)
    end = decide(stopping, _seen(lost=BOTH))
    assert end
    assert (end.event, end.retries) == (Event.RETRY, 0)
