"""Each waiting job's sentence and next step, and the refusal of what can never fit."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_model.fit import can_hold, largest_fit, never_fits
from headrace_model.ids import JobId, NodeId
from headrace_model.node import NodeState
from headrace_model.resources import NOTHING, Allocation, Paradigm, Resources, Share
from headrace_scheduler.core.placement import Reason, place
from headrace_scheduler.core.plan import plan
from headrace_scheduler.core.snapshot import Node, RunningJob, WaitingJob
from headrace_scheduler.core.why import Explanation, Why, explain
from tests.unit.test_plan import seen

GIB = 1 << 30
T0 = 1_767_225_600_000  # 2026-01-01T00:00:00Z
PROCESS = frozenset({"process"})


def node(name: str, cpus: int = 4, free: int | None = None) -> Node:
    capacity = Resources(cpus * 1000, 16 * GIB)
    left = capacity if free is None else Resources(free * 1000, 16 * GIB)
    return Node(NodeId(name), capacity, left, NodeState.UP, PROCESS)


JOB = WaitingJob(
    id=JobId("me"),
    version=1,
    attempt=1,
    rank=1.0,
    resources=Resources(3000, 2 * GIB),
    paradigm=Paradigm.SINGLE_NODE,
    backend="process",
    held=False,
    not_before_ms=None,
    time_limit_ms=None,
    queued_ms=0,
)


def busy(name: str, cpus: int, ends_ms: int | None) -> RunningJob:
    share = Share(NodeId(name), Resources(cpus * 1000, 0))
    return RunningJob(JobId(f"on-{name}"), Allocation((share,)), ends_ms)


def test_who_waits_in_turn_is_told_of_the_policy():
    told = explain(JOB, Why(Reason.IN_TURN), (node("a"),))
    assert "no job passes another (policy FIFO)" in told.sentence
    assert "resources.yaml" in told.next_step


def explained(
    job: WaitingJob,
    *nodes: Node,
    ahead: tuple[WaitingJob, ...] = (),
    running: tuple[RunningJob, ...] = (),
) -> Explanation:
    made = plan(seen(nodes, (*ahead, job), running), T0)
    return explain(job, made.why(job.id), nodes)


def test_a_held_job_names_the_command_that_releases_it():
    told = explained(replace(JOB, held=True), node("a"))
    assert told.sentence == "The job is held by its owner."
    assert "`headrace jobs release me`" in told.next_step


def test_a_job_with_a_start_time_tells_it_in_utc():
    told = explained(replace(JOB, not_before_ms=T0 + 90_000), node("a"))
    assert "may not start before 2026-01-01T00:01:30Z (start_not_before)" in told.sentence


def test_a_retry_that_backs_off_names_the_attempt_that_ended():
    told = explained(replace(JOB, attempt=3, not_before_ms=T0 + 1000), node("a"))
    assert "Attempt 3" in told.sentence
    assert "attempt 2 ended" in told.sentence
    assert "`headrace jobs history me`" in told.next_step


def test_without_any_node_the_next_step_is_to_join_one():
    told = explained(JOB)
    assert told.sentence == "No node has joined yet."
    assert "join secret" in told.next_step


def test_nodes_that_are_not_up_are_named_with_their_state():
    told = explained(
        JOB,
        replace(node("b"), state=NodeState.LOST),
        replace(node("a"), state=NodeState.DRAINED),
    )
    assert told.sentence == "No node is up: a is DRAINED; b is LOST."
    assert told.next_step == "Join another node: a drained one takes no new work."


def test_only_lost_nodes_send_the_reader_to_the_agent():
    told = explained(JOB, replace(node("b"), state=NodeState.LOST))
    assert "agent" in told.next_step


def test_a_backend_that_no_node_offers_is_named():
    told = explained(replace(JOB, backend="slurm"), node("a"))
    assert told.sentence == "No known node offers the backend 'slurm'."


LARGE = replace(node("b"), pools=frozenset({"large"}))


@pytest.mark.parametrize(
    ("resources", "nodes", "told"),
    [
        (
            Resources(1, 1),
            [node("a")],
            "No known node of the pool 'large' offers the backend 'pro",
        ),
        (
            Resources(1, 1),
            [node("a"), replace(LARGE, state=NodeState.LOST)],
            "No node of the pool 'large' that offers the backend 'process' is up: b is LOST.",
        ),
        (
            Resources(5000, 1),
            [node("a", 8), LARGE],
            "one node has is 4 CPUs and 16 GiB, even when all nodes of the pool 'large' that are "
            "up are empty.",
        ),
        (
            Resources(3000, 1),
            [node("a", 8), replace(LARGE, free=Resources(1000, GIB))],
            "one node has is 1 CPU and 1 GiB, now in the pool 'large'. It fits only after",
        ),
    ],
)
def test_a_job_of_a_pool_is_told_of_its_pool_alone(
    resources: Resources, nodes: list[Node], told: str
) -> None:
    assert told in explained(replace(JOB, resources=resources, pool="large"), *nodes).sentence


def test_a_node_with_a_full_disk_is_named():
    told = explained(JOB, replace(node("a"), state=NodeState.FULL))
    assert told.sentence == "No node is up: a is FULL."
    assert "disk" in told.next_step


def test_a_backend_whose_only_node_is_drained_names_that_node():
    away = replace(node("b"), backends=frozenset({"docker"}), state=NodeState.DRAINED)
    told = explained(replace(JOB, backend="docker"), node("a"), away)
    assert told.sentence == "No node that offers the backend 'docker' is up: b is DRAINED."
    assert "Join another node" in told.next_step


def test_a_job_larger_than_the_present_nodes_is_told_the_largest_fit():
    told = explained(replace(JOB, resources=Resources(9000, GIB)), node("a"), node("b", 8))
    assert "asks 9 CPUs and 1 GiB on one node" in told.sentence
    assert "one node has is 8 CPUs and 16 GiB" in told.sentence
    assert "Join a larger node" in told.next_step


def test_a_job_that_needs_a_drained_node_names_it():
    away = replace(node("big", 64), state=NodeState.DRAINED)
    told = explained(replace(JOB, resources=Resources(9000, GIB)), node("a"), away)
    assert "needs a node that is not up: big is DRAINED" in told.sentence
    assert "Join another node" in told.next_step


def test_the_first_blocked_job_is_told_its_room_and_its_time():
    told = explained(JOB, node("a", free=1), running=(busy("a", 3, T0 + 60_000),))
    assert "asks 3 CPUs and 2 GiB on one node" in told.sentence
    assert "has is 1 CPU and 16 GiB, now" in told.sentence
    assert "reservation on a, at 2026-01-01T00:01:00Z at the latest" in told.sentence


def test_the_first_blocked_job_without_a_known_time_is_told_which_node_is_cleared():
    told = explained(JOB, node("a", free=1), running=(busy("a", 3, None),))
    assert "a is being cleared for it" in told.sentence
    assert "stop one of the jobs" in told.next_step


def test_a_later_job_without_room_waits_for_running_jobs():
    first = replace(JOB, id=JobId("first"))
    told = explained(JOB, node("a", free=1), ahead=(first,), running=(busy("a", 3, T0 + 1),))
    assert "fits only after running jobs have ended" in told.sentence
    assert "first" not in told.sentence


def test_a_job_behind_a_reservation_is_not_told_whose_job_is_ahead():
    first = replace(JOB, id=JobId("first"))
    small = replace(JOB, resources=Resources(2000, GIB))
    told = explained(small, node("a", free=2), ahead=(first,), running=(busy("a", 2, T0 + 1),))
    assert "reserved for a job that is ahead in the queue" in told.sentence
    assert "first" not in told.sentence
    assert "limits.time" in told.next_step


def test_a_job_beyond_the_limit_of_a_plan_is_told_that_its_turn_comes():
    made = plan(seen((node("a"),), (JOB,), ()), T0, limit=0)
    assert "turn has not come" in explain(JOB, made.why(JOB.id), (node("a"),)).sentence


@pytest.mark.parametrize("reason", Reason)
@pytest.mark.parametrize("nodes", [(), (node("a"),), (replace(node("a"), state=NodeState.LOST),)])
def test_every_reason_has_a_sentence_even_if_the_nodes_have_changed_since(reason, nodes):
    for why in (Why(reason), Why(reason, at_ms=10**17, nodes=(NodeId("a"),) * 5)):
        told = explain(JOB, why, nodes)
        assert told.sentence.endswith(".")
        assert told.next_step.endswith(".")
        assert ": ." not in told.sentence


# --- refusal at submit ------------------------------------------------------------------------


def known(*nodes: Node) -> list[tuple[Resources, frozenset[str]]]:
    return [(each.capacity, each.backends) for each in nodes]


def test_nothing_is_refused_before_the_first_node_has_joined():
    assert never_fits(Resources(10**9, 10**15), Paradigm.SINGLE_NODE, "process", ()) is None


def test_a_refusal_names_the_largest_fit():
    refusal = never_fits(
        Resources(9000, GIB), Paradigm.SINGLE_NODE, "process", known(node("a"), node("b", 8))
    )
    assert refusal is not None
    assert refusal.largest == Resources(8000, 16 * GIB)
    assert "asks 9 CPUs and 1 GiB on one node" in refusal.sentence
    assert "8 CPUs and 16 GiB" in refusal.sentence


def test_a_spread_job_is_told_the_most_cpus_with_the_same_memory_each():
    refusal = never_fits(
        Resources(20_000, 40 * GIB), Paradigm.FILL_NODES, "process", known(node("a"), node("b", 8))
    )
    assert refusal is not None
    assert refusal.largest == Resources(12_000, 24 * GIB)


def test_drained_lost_and_full_nodes_count_as_they_may_come_back():
    away = (replace(node("a", 4, free=0), state=NodeState.LOST),)
    assert never_fits(Resources(4000, GIB), Paradigm.SINGLE_NODE, "process", known(*away)) is None


def test_a_backend_that_no_known_node_offers_is_refused():
    refusal = never_fits(Resources(1, 1), Paradigm.SINGLE_NODE, "slurm", known(node("a")))
    assert refusal is not None
    assert refusal.largest == NOTHING
    assert "'slurm' (offered: process)" in refusal.sentence


sizes = st.builds(Resources, st.integers(0, 6000), st.integers(0, 30))


@given(sizes, st.sampled_from(Paradigm), st.lists(sizes, max_size=4))
def test_a_job_is_refused_exactly_if_it_has_no_place_on_empty_nodes(asked, paradigm, rooms):
    nodes = [
        Node(NodeId(f"n{i}"), room, NOTHING, NodeState.UP, PROCESS) for i, room in enumerate(rooms)
    ]
    empty = {n.id: n.capacity for n in nodes}
    refusal = never_fits(asked, paradigm, "process", known(*nodes))
    placed = isinstance(place(asked, paradigm, empty), Allocation)
    assert (refusal is None) == (placed or not nodes)
    if refusal is not None:
        assert refusal.largest == largest_fit(asked, paradigm, rooms)
        assert can_hold(refusal.largest, paradigm, rooms)
