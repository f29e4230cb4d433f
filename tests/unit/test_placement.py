"""Where resources go: each paradigm against brute force on small clusters."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace_model.fit import can_hold, pieces
from headrace_model.ids import NodeId
from headrace_model.resources import Allocation, Paradigm, Resources, generic
from headrace_scheduler.core.placement import Reason, Room, place

paradigms = st.sampled_from(Paradigm)
halves = st.integers(0, 12).map(lambda n: n * 500)
none = st.just(())
asks = st.builds(
    Resources,
    halves | st.integers(0, 6000),
    st.sampled_from([0, 1, 12]) | st.integers(0, 40),
    none | st.dictionaries(st.sampled_from(["gpus", "x"]), st.integers(1, 6)).map(generic),
)
rooms = st.builds(
    Resources,
    st.integers(0, 6).map(lambda n: n * 500) | st.integers(-10, 3000),
    st.just(40) | st.integers(-2, 20),
    none | st.dictionaries(st.sampled_from(["gpus", "x"]), st.integers(-1, 6)).map(generic),
)
clusters = st.lists(rooms, max_size=4).map(
    lambda found: {NodeId(f"n{i}"): room for i, room in enumerate(found)}
)


def exists_by_brute_force(
    asked: Resources, paradigm: Paradigm, free: dict[NodeId, Resources]
) -> bool:
    cpus, memory = asked.millicpus, asked.memory_bytes
    whole, fraction = divmod(cpus, 1000)
    nodes = [
        r
        for r in free.values()
        if r.millicpus >= 0 and r.memory_bytes >= 0 and all(n >= 0 for _, n in r.generic)
    ]

    def has(room: Resources, part: int, whole: int) -> bool:
        here = dict(room.generic)
        return all(n * part <= here.get(name, 0) * whole for name, n in asked.generic)

    if paradigm is Paradigm.SINGLE_NODE or cpus <= 1000:
        return any(
            cpus <= r.millicpus and memory <= r.memory_bytes and has(r, 1, 1) for r in nodes
        )

    def holds(room: Resources, part: int) -> bool:
        fits = part <= room.millicpus and memory * part <= room.memory_bytes * cpus
        return part == 0 or (fits and has(room, part, cpus))

    for counts in itertools.product(range(whole + 1), repeat=len(nodes)):
        if sum(counts) != whole:
            continue
        for with_fraction in range(len(nodes)):
            parts = [
                n * 1000 + (fraction if i == with_fraction else 0) for i, n in enumerate(counts)
            ]
            if all(holds(room, part) for room, part in zip(nodes, parts, strict=True)):
                return True
    return False


@given(asks, paradigms, clusters)
@settings(deadline=None)  # its time depends on the example, not only on the code
def test_a_place_is_found_exactly_if_brute_force_finds_one(asked, paradigm, free):
    exists = exists_by_brute_force(asked, paradigm, free)
    assert isinstance(place(asked, paradigm, free), Allocation) == exists
    assert can_hold(asked, paradigm, free.values()) == exists


@given(asks, paradigms, clusters)
def test_shares_add_up_to_what_was_asked_and_stay_within_each_node(asked, paradigm, free):
    found = place(asked, paradigm, free)
    if isinstance(found, Reason):
        return
    assert found.total == asked
    nodes = [share.node for share in found.shares]
    assert len(set(nodes)) == len(nodes) >= 1
    for share in found.shares:
        part = share.resources
        room = free[share.node]
        assert part.fits_in(room)
        exact = asked.memory_bytes * part.millicpus
        assert asked.millicpus == 0 or abs(part.memory_bytes * asked.millicpus - exact) < (
            asked.millicpus
        )
    uneven = [s for s in found.shares if s.resources.millicpus % 1000]
    assert len(uneven) <= 1


@given(asks, paradigms, clusters, st.randoms())
def test_the_order_in_which_nodes_are_given_changes_nothing(asked, paradigm, free, rng):
    shuffled = list(free.items())
    rng.shuffle(shuffled)
    assert place(asked, paradigm, dict(shuffled)) == place(asked, paradigm, free)


@given(asks, clusters)
def test_round_robin_lets_no_node_get_two_ahead_of_one_that_could_take_more(asked, free):
    found = place(asked, Paradigm.ROUND_ROBIN, free)
    if isinstance(found, Reason) or asked.millicpus <= 1000:
        return
    got = {s.node: s.resources.millicpus // 1000 for s in found.shares}
    limit = {n: pieces(asked, r)[0] for n, r in free.items()}
    most = max(got.values())
    assert all(got.get(n, 0) >= most - 1 or got.get(n, 0) == limit[n] for n in free)


@given(asks, clusters)
def test_fill_nodes_leaves_a_whole_cpu_only_on_the_last_node_it_uses(asked, free):
    found = place(asked, Paradigm.FILL_NODES, free)
    if isinstance(found, Reason) or asked.millicpus <= 1000:
        return
    for share in found.shares[:-1]:
        room = free[share.node]
        limit, _ = pieces(asked, room)
        assert share.resources.millicpus // 1000 == limit


@given(asks, clusters)
def test_single_node_takes_the_node_that_keeps_least(asked, free):
    found = place(asked, Paradigm.SINGLE_NODE, free)
    if isinstance(found, Reason):
        return
    (share,) = found.shares
    able = [
        (bool(room.generic) and not asked.generic, room.millicpus, room.memory_bytes, node)
        for node, room in free.items()
        if asked.fits_in(room)
    ]
    assert share.node == min(able)[3]


@given(asks, clusters)
def test_spread_takes_the_node_that_keeps_most(asked, free):
    found = place(asked, Paradigm.SINGLE_NODE, free, (), True)
    assert isinstance(found, Reason) == isinstance(
        place(asked, Paradigm.SINGLE_NODE, free), Reason
    )
    if isinstance(found, Reason):
        return
    (share,) = found.shares
    able = [
        (bool(room.generic) and not asked.generic, -room.millicpus, -room.memory_bytes, node)
        for node, room in free.items()
        if asked.fits_in(room)
    ]
    assert share.node == min(able)[3]


@given(
    clusters.filter(bool),
    st.lists(
        st.tuples(st.sampled_from([0, 1, 2, 3]), rooms, st.lists(asks, max_size=5)), max_size=6
    ),
    paradigms,
)
def test_an_index_that_is_written_and_searched_answers_as_a_fresh_one(free, steps, paradigm):
    room, current = Room(free), dict(free)
    for position, new, asked_here in steps:
        for asked in asked_here:
            fresh = place(asked, paradigm, current)
            assert room.holds(asked, paradigm) == isinstance(fresh, Allocation)
            assert room.find(asked, paradigm) == fresh
        node = NodeId(f"n{position % len(free)}")
        current[node] = new
        room.set(node, new)


nearness = st.permutations([NodeId(f"n{i}") for i in range(5)]).flatmap(
    lambda nodes: st.integers(0, 5).map(lambda count: nodes[:count])
)
alike = st.lists(
    st.builds(Resources, st.integers(1, 4).map(lambda n: n * 1000), st.integers(9, 20)),
    min_size=1,
    max_size=2,
).flatmap(
    lambda kinds: st.lists(st.sampled_from(kinds), min_size=2, max_size=4).map(
        lambda found: {NodeId(f"n{i}"): room for i, room in enumerate(found)}
    )
)
small_asks = st.builds(Resources, st.integers(1, 9).map(lambda n: n * 500), st.integers(0, 9))


def left(found: Allocation | Reason, free: dict[NodeId, Resources]) -> list[tuple[int, int]]:
    """What is free afterwards, whichever nodes have it."""
    after = dict(free)
    for share in found.shares if isinstance(found, Allocation) else ():
        after[share.node] -= share.resources
    return sorted((room.millicpus, room.memory_bytes) for room in after.values())


@given(small_asks, paradigms, alike, nearness, st.integers(1, 9))
def test_nearness_to_inputs_changes_which_node_it_is_and_nothing_else(
    asked, paradigm, free, near, tasks
):
    here, there = place(asked, paradigm, free), place(asked, paradigm, free, near)
    if isinstance(here, Reason):
        assert there == here
        return
    assert left(there, free) == left(here, free)
    assert [each.resources for each in there.shares] == [each.resources for each in here.shares]
    room = Room(free)
    many, many_near = (room.find_slots(asked, paradigm, tasks, each) for each in ((), near))
    assert left(many_near, free) == left(many, free)


@given(small_asks, alike, nearness)
def test_of_nodes_with_as_much_free_the_nearest_is_taken(asked, free, near):
    found = place(asked, Paradigm.SINGLE_NODE, free, near)
    if isinstance(found, Reason):
        return
    (share,) = found.shares
    rivals = [node for node, room in free.items() if room == free[share.node]]
    first = [node for node in near if node in rivals]
    assert share.node == (first[0] if first else min(rivals))


spread = pytest.mark.parametrize("paradigm", [Paradigm.FILL_NODES, Paradigm.ROUND_ROBIN])


@spread
def test_an_index_forgets_what_it_answered_when_room_changes(paradigm):
    node, two = NodeId("a"), Resources(2000, 2)
    room = Room({node: Resources(1000, 9)})
    assert not room.holds(two, paradigm)
    room.set(node, Resources(2000, 9))
    assert room.holds(two, paradigm)
    room.set(node, Resources(1000, 9))
    assert not room.holds(two, paradigm)


@spread
def test_more_cpus_with_less_memory_each_may_fit_where_fewer_did_not(paradigm):
    room = Room({NodeId("a"): Resources(2000, 10), NodeId("b"): Resources(2000, 10)})
    assert not room.holds(Resources(2000, 24), paradigm)
    assert room.holds(Resources(4000, 20), paradigm)
    assert not room.holds(Resources(3000, 27), paradigm)


@spread
def test_the_fraction_goes_to_a_node_with_less_than_a_cpu_if_no_other_has_a_corner(paradigm):
    free = {NodeId("a"): Resources(2000, 9), NodeId("b"): Resources(700, 9)}
    found = place(Resources(2500, 0), paradigm, free)
    assert cpus(found) == [("a", 2000, 0), ("b", 500, 0)]


@pytest.mark.parametrize("paradigm", Paradigm)
def test_without_nodes_there_is_a_reason(paradigm):
    assert place(Resources(1000, 1), paradigm, {}) is Reason.NO_NODE_UP


@pytest.mark.parametrize("paradigm", Paradigm)
def test_nodes_without_free_room_give_a_reason(paradigm):
    free = {NodeId("a"): Resources(0, 0), NodeId("b"): Resources(0, 0)}
    assert place(Resources(1, 1), paradigm, free) is Reason.NO_ROOM


def cpus(found: Allocation | Reason) -> list[tuple[str, int, int]]:
    assert isinstance(found, Allocation)
    return [(s.node, s.resources.millicpus, s.resources.memory_bytes) for s in found.shares]


UNEVEN = {
    NodeId("a"): Resources(4000, 100),
    NodeId("b"): Resources(2500, 100),
    NodeId("c"): Resources(8000, 100),
}


def test_more_cpus_than_any_node_are_filled_from_the_roomiest_node_on():
    found = place(Resources(10_000, 100), Paradigm.FILL_NODES, UNEVEN)
    assert cpus(found) == [("c", 8000, 80), ("b", 2000, 20)]


def test_more_cpus_than_any_node_are_dealt_until_small_nodes_are_full():
    found = place(Resources(10_500, 100), Paradigm.ROUND_ROBIN, UNEVEN)
    assert cpus(found) == [("c", 4500, 42), ("a", 4000, 38), ("b", 2000, 20)]


def test_more_cpus_than_any_node_have_no_place_on_a_single_node():
    assert place(Resources(9000, 1), Paradigm.SINGLE_NODE, UNEVEN) is Reason.NO_ROOM


def test_a_node_short_of_memory_takes_fewer_cpus():
    free = {NodeId("a"): Resources(8000, 25), NodeId("b"): Resources(4000, 100)}
    found = place(Resources(6000, 60), Paradigm.FILL_NODES, free)
    assert cpus(found) == [("a", 2000, 20), ("b", 4000, 40)]


@pytest.mark.parametrize("paradigm", Paradigm)
def test_less_than_one_cpu_is_never_cut(paradigm):
    free = {NodeId("a"): Resources(400, 10), NodeId("b"): Resources(400, 10)}
    assert place(Resources(600, 2), paradigm, free) is Reason.NO_ROOM
    assert cpus(place(Resources(300, 2), paradigm, free)) == [("a", 300, 2)]


@pytest.mark.parametrize("paradigm", Paradigm)
def test_a_huge_request_and_a_huge_node_take_no_time(paradigm):
    free = {NodeId(f"n{i}"): Resources(10**15, 10**30) for i in range(3)}
    found = place(Resources(10**15 - 1, 10**18), paradigm, free)
    assert isinstance(found, Allocation)
    assert found.total == Resources(10**15 - 1, 10**18)
