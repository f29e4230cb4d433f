"""What is refused at submit, since no known node could ever hold it."""

from dataclasses import replace

import pytest

from headrace_model.bounds import Bounds
from headrace_model.errors import InvalidSpec, NeverFits
from headrace_model.ids import NodeId
from headrace_model.job import Ask
from headrace_model.resources import Paradigm, Resources
from headrace_request.core.fits import KnownNode, refuse_unplaceable

A, B = NodeId("a"), NodeId("b")
PROCESS = frozenset({"process"})
NODES = [
    KnownNode(A, Resources(4_000, 400), PROCESS),
    KnownNode(B, Resources(8_000, 800), PROCESS),
]
ASK = Ask(Resources(6_000, 1), Paradigm.SINGLE_NODE, "process")
LARGE = {"large": frozenset({B}), "small": frozenset({A}), "later": frozenset({NodeId("c")})}


def refused(ask: Ask, bounds: Bounds | None) -> NeverFits:
    with pytest.raises(NeverFits) as told:
        refuse_unplaceable(ask, NODES, bounds)
    return told.value


def test_what_an_admin_lets_be_used_bounds_what_could_ever_fit() -> None:
    refuse_unplaceable(ASK, NODES, Bounds())
    told = refused(ASK, Bounds({A: Resources(4_000, 400), B: Resources(5_000, 800)}))
    assert "asks 6 CPUs" in told.message
    assert "one node has is 5 CPUs" in told.message
    assert "resources.yaml" in str(told.hint)
    told = refused(replace(ASK, resources=Resources(9_000, 1)), Bounds())
    assert "resources.yaml" not in str(told.hint)


def test_nodes_that_the_file_does_not_name_give_nothing() -> None:
    told = refused(replace(ASK, resources=Resources(1, 1)), Bounds({}))
    assert "0 CPUs" in told.message
    assert "resources.yaml" in str(told.hint)


def test_a_job_of_a_pool_must_fit_there() -> None:
    refuse_unplaceable(replace(ASK, pool="large"), NODES, Bounds(None, LARGE))
    told = refused(replace(ASK, pool="small"), Bounds(None, LARGE))
    assert "4 CPUs and 400 B, when all nodes of the pool 'small' with its backend" in told.message
    told = refused(replace(ASK, pool="large", backend="container"), Bounds(None, LARGE))
    assert "no known node of the pool 'large' offers the backend 'container'" in told.message


def test_a_pool_of_which_no_node_has_joined_waits_as_a_fresh_installation_does() -> None:
    refuse_unplaceable(replace(ASK, pool="later"), NODES, Bounds(None, LARGE))


@pytest.mark.parametrize(
    ("pools", "hint"),
    [(LARGE, "did you mean large?"), ({}, "no pools are named here: leave it out")],
)
def test_a_pool_that_there_is_not_is_refused_with_the_nearest(
    pools: dict[str, frozenset[NodeId]], hint: str
) -> None:
    with pytest.raises(InvalidSpec, match=r"resources\.pool: there is no pool 'lagre'") as told:
        refuse_unplaceable(replace(ASK, pool="lagre"), NODES, Bounds(None, pools))
    assert told.value.hint == hint


def test_while_no_scheduler_has_told_only_the_nodes_count() -> None:
    refuse_unplaceable(replace(ASK, pool="lagre"), NODES, None)
    refused(replace(ASK, pool="lagre", resources=Resources(9_000, 1)), None)
