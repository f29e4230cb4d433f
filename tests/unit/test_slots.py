"""Slots for the tasks of an array: as many as there is room for, spread as the paradigm says."""

from collections.abc import Mapping
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from headrace_model.fit import slots_in
from headrace_model.ids import NodeId
from headrace_model.node import NodeState
from headrace_model.resources import Allocation, Paradigm, Resources
from headrace_scheduler.core.placement import Reason, Room
from headrace_scheduler.core.plan import plan
from headrace_scheduler.core.snapshot import Node
from tests.unit.test_plan import job, running, seen

NODES = st.dictionaries(
    st.sampled_from([NodeId(name) for name in "abcde"]),
    st.builds(Resources, st.integers(-1, 40), st.integers(-1, 40)),
)
TASK = st.builds(Resources, st.integers(1, 9), st.integers(0, 9))
MOST = st.integers(1, 30)


def one_by_one(task: Resources, room: Resources) -> int:
    """How many tasks fit, by placing them."""
    count = 0
    while task.fits_in(room):
        room, count = room - task, count + 1
    return count


def slots(task: Resources, found: Allocation) -> dict[NodeId, int]:
    return {share.node: share.resources.millicpus // task.millicpus for share in found.shares}


@given(TASK, st.sampled_from(Paradigm), MOST, NODES)
def test_as_many_slots_as_there_is_room_for_each_whole(
    task: Resources, paradigm: Paradigm, most: int, nodes: Mapping[NodeId, Resources]
) -> None:
    found = Room(nodes).find_slots(task, paradigm, most)
    room = {node: min(most, one_by_one(task, free)) for node, free in nodes.items()}
    if not isinstance(found, Allocation):
        assert found is (Reason.NO_ROOM if nodes else Reason.NO_NODE_UP)
        assert not any(room.values())
        return
    taken = slots(task, found)
    for share in found.shares:
        assert share.resources == task.times(taken[share.node])
        assert 1 <= taken[share.node] <= room[share.node]
    top = max(room.values()) if paradigm is Paradigm.SINGLE_NODE else sum(room.values())
    assert sum(taken.values()) == min(most, top)
    assert len(taken) == len(found.shares)
    match paradigm:
        case Paradigm.SINGLE_NODE:
            assert len(taken) == 1
        case Paradigm.FILL_NODES:
            # Only the last one is not full, and none that is left out holds more than one taken.
            assert [taken[s.node] for s in found.shares[:-1]] == [
                room[s.node] for s in found.shares[:-1]
            ]
            left = [room[node] for node in room if node not in taken]
            assert max(left, default=0) <= min(room[node] for node in taken)
        case Paradigm.ROUND_ROBIN:
            # Whoever has fewer than another by two could not take one more.
            for node, count in room.items():
                here = taken.get(node, 0)
                assert here == count or here >= max(taken.values()) - 1


@given(TASK, st.integers(-1, 50), st.integers(-1, 50))
def test_slots_are_counted_as_if_placed_one_by_one(
    task: Resources, cpus: int, memory: int
) -> None:
    usable = cpus >= 0 and memory >= 0
    room = Resources(cpus, memory)
    assert slots_in(task, room) == one_by_one(task, room) or not usable


def node(name: str, cpus: int, free: int) -> Node:
    size = Resources(cpus * 1000, 1000)
    return Node(
        NodeId(name), size, Resources(free * 1000, 1000), NodeState.UP, frozenset({"process"})
    )


def test_an_array_starts_with_what_is_free_and_never_more_than_its_tasks() -> None:
    nodes = (node("a", 4, 1), node("b", 4, 3))
    many = replace(job("many", 1), tasks=100, paradigm=Paradigm.FILL_NODES)
    few = replace(many, tasks=2)
    (placement,) = plan(seen(nodes, (many,), ()), 0).placements
    assert {s.node: s.resources.millicpus for s in placement.allocation.shares} == {
        "a": 1000,
        "b": 3000,
    }
    (placement,) = plan(seen(nodes, (few,), ()), 0).placements
    assert [(s.node, s.resources.millicpus) for s in placement.allocation.shares] == [("b", 2000)]


def test_a_task_is_never_cut_and_an_array_reserves_room_for_one() -> None:
    """Two CPUs a task, one free on each node: it waits as any job of two CPUs on one node."""
    nodes = (node("a", 2, 1), node("b", 2, 1))
    held = (running("x", "a", 1, 50), running("y", "b", 1, None))
    array = replace(job("array", 2), tasks=9, paradigm=Paradigm.ROUND_ROBIN)
    made = plan(seen(nodes, (array, job("late", 1), job("quick", 1, 40)), held), 0)
    assert made.why(array.id).reason is Reason.RESERVED
    assert made.why(array.id).at_ms == 50
    where = {p.job: p.allocation.shares[0].node for p in made.placements}
    assert where["late"] == "b", "what runs on past the reservation keeps off its node"


def test_an_array_whose_task_no_node_can_hold_never_blocks_the_queue() -> None:
    huge = replace(job("huge", 5), tasks=2, paradigm=Paradigm.FILL_NODES)
    made = plan(seen((node("a", 4, 4), node("b", 4, 4)), (huge, job("small", 4)), ()), 0)
    assert made.why(huge.id).reason is Reason.TOO_LARGE
    assert [each.job for each in made.placements] == ["small"]
