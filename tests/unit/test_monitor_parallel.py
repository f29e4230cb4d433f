"""What the monitor decides for workers that work together on several nodes."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_model.cause import Cause
from headrace_model.ids import NodeId
from headrace_model.job import PARALLEL, Need
from headrace_model.resources import Allocation, Share
from headrace_model.status import Desired, Event, Status
from headrace_model.work import FactKind, Verb
from headrace_monitor.core.decide import Facts, Seen, decide
from tests.unit.test_monitor_decide import (
    N1,
    N2,
    N3,
    NODES,
    RUNNING,
    SMALL,
    fact,
    moved,
    seen,
)

SPREAD = replace(
    RUNNING,
    ask=replace(RUNNING.ask, backend=PARALLEL),
    allocation=Allocation(tuple(Share(node, SMALL) for node in NODES)),
)
ALL = frozenset(NODES)
LEADER_DONE = fact(N1, FactKind.EXITED)


def stopped(*nodes: NodeId) -> Facts:
    found: Facts = {}
    for node in nodes:
        found = {**found, **fact(node, FactKind.STOPPED)}
    return found


def test_once_the_first_worker_has_ended_well_the_others_are_told_to_stop() -> None:
    move = moved(SPREAD, seen(LEADER_DONE, holding=ALL))
    assert (move.event, move.to) == (Event.LEADER_EXITED, Status.RUNNING)
    assert [(work.node, work.verb) for work in move.work] == [(N2, Verb.STOP), (N3, Verb.STOP)]
    assert move.returns == (N1,), "its share is free at once"
    assert (N1, FactKind.EXITED) in move.consumes


def test_they_are_told_once() -> None:
    assert decide(SPREAD, seen(holding={N2, N3})) is None
    again = fact(N1, FactKind.EXITED)  # its agent was started anew
    assert decide(SPREAD, seen(again, holding={N2, N3})) is None


@pytest.mark.parametrize(
    ("needs", "to", "verb"),
    [
        (frozenset({Need.COLLECTION}), Status.AWAITING_COLLECTION, Verb.COLLECT),
        (frozenset[Need](), Status.COMPLETED, Verb.CLEAN),
    ],
)
def test_when_all_are_gone_every_node_collects(
    needs: frozenset[Need], to: Status, verb: Verb
) -> None:
    job = replace(SPREAD, needs=needs)
    assert decide(job, seen(stopped(N2), holding={N2, N3})) is None
    move = moved(job, seen(stopped(N2, N3), holding={N2, N3}))
    assert (move.to, move.returns, move.exit_code) == (to, NODES, 0)
    assert [(work.node, work.verb) for work in move.work] == [(node, verb) for node in NODES]
    left = {(node, FactKind.STOPPED) for node in (N2, N3)} - set(move.consumes)
    assert not left, "a fact that is left behind would count in a later STOPPING"


def test_another_worker_that_ends_first_does_not_end_the_attempt() -> None:
    assert decide(SPREAD, seen(fact(N2, FactKind.EXITED), holding=ALL)) is None
    both = LEADER_DONE | fact(N2, FactKind.EXITED)
    assert [work.node for work in moved(SPREAD, seen(both, holding=ALL)).work] == [N3]


def test_alone_on_a_node_it_ends_as_any_other() -> None:
    job = replace(SPREAD, allocation=Allocation((Share(N1, SMALL),)))
    assert decide(job, seen(holding={N1})) is None
    assert moved(job, seen(LEADER_DONE, holding={N1})).event is Event.COMPLETED


@pytest.mark.parametrize("node", NODES)
def test_a_worker_that_is_lost_loses_the_attempt(node: NodeId) -> None:
    bad = fact(node, FactKind.EXITED, Cause.ATTEMPT_LOST)
    move = moved(SPREAD, seen(LEADER_DONE | bad, holding=ALL))
    assert (move.event, move.to) == (Event.ATTEMPT_LOST, Status.STOPPING)
    assert [work.node for work in move.work] == list(NODES)


@pytest.mark.parametrize("holding", [ALL, frozenset({N2, N3})])
def test_a_node_that_is_lost_meanwhile_loses_the_attempt(holding: frozenset[NodeId]) -> None:
    job = SPREAD if holding == ALL else replace(SPREAD, version=5)
    move = decide(job, seen(lost={N3}, holding=holding))
    assert move is not None
    assert (move.event, move.cause) == (Event.ATTEMPT_LOST, Cause.NODE_LOST)


def test_who_was_told_to_stop_before_a_cancel_is_told_in_the_same_words() -> None:
    first = moved(SPREAD, seen(LEADER_DONE, holding=ALL))
    cancel = moved(replace(SPREAD, desired=Desired.CANCEL), seen(holding={N2, N3}))
    assert set(first.work) <= set(cancel.work), "else its agent would do it anew"
    assert (N2, FactKind.STOPPED) not in cancel.consumes


@given(st.permutations(NODES), st.data())
def test_in_whatever_order_they_end_the_job_completes_with_every_share_back(
    order: Sequence[NodeId], data: st.DataObject
) -> None:
    """The agents do what the records say; facts come in any order, some more than once."""
    job, holding, facts = SPREAD, set(NODES), {}
    told: set[NodeId] = set()
    own = data.draw(st.sets(st.sampled_from([N2, N3])))  # these end by themselves
    events = []
    for _ in range(20):
        able = [n for n in order if n == N1 or n in told or n in own]
        if new := [n for n in able if not any(node == n for node, _ in facts) and n in holding]:
            kind = FactKind.STOPPED if new[0] in told else FactKind.EXITED
            facts |= fact(new[0], kind)
        by = Seen(dict(facts), frozenset(), frozenset(holding), seen().retry, seen().now_ms)
        move = decide(job, by)
        if move is None:
            continue
        events.append(move.event)
        told |= {work.node for work in move.work if work.verb is Verb.STOP}
        holding -= set(move.returns)
        for used in move.consumes:
            facts.pop(used, None)
        if move.to is not Status.RUNNING:
            break
    assert events[-1] is Event.COMPLETED
    assert events.count(Event.LEADER_EXITED) <= 1
    assert (holding, facts) == (set(), {})
