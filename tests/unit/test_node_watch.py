"""A node is lost only by the time that the monitor itself has watched it stand still."""

from hypothesis import given
from hypothesis import strategies as st

from headrace_model.ids import NodeId
from headrace_monitor.core.lost import NodeWatch

N1, N2 = NodeId("node1"), NodeId("node2")
steps = st.lists(st.floats(0.0, 1_000.0), min_size=1, max_size=60)


def test_a_counter_that_stands_still_for_long_enough_loses_its_node() -> None:
    watch = NodeWatch(lost_after_s=5.0, longest_step_s=2.0)
    assert watch.look([(N1, "1", False)], 1.0) == [], "the first look knows nothing"
    assert [watch.look([(N1, "1", False)], 1.0) for _ in range(4)] == [[], [], [], []]
    assert watch.look([(N1, "1", False)], 1.0) == [N1]


def test_a_counter_that_rises_begins_anew() -> None:
    watch = NodeWatch(lost_after_s=2.0, longest_step_s=2.0)
    for counter in ("1", "1", "2", "2", "3", "3"):
        assert watch.look([(N1, counter, False)], 1.0) == []


def test_any_other_counter_is_a_sign_of_life() -> None:
    watch = NodeWatch(lost_after_s=1.0, longest_step_s=2.0)
    assert watch.look([(N1, "9", False)], 1.0) == []
    assert watch.look([(N1, "1", False)], 1.0) == [], "an agent that registered anew counts from 1"


def test_a_pause_of_the_monitor_loses_nobody() -> None:
    watch = NodeWatch(lost_after_s=10.0, longest_step_s=2.0)
    watch.look([(N1, "1", False), (N2, "1", False)], 1.0)
    assert watch.look([(N1, "1", False), (N2, "1", False)], 3_600.0) == []
    assert watch.look([(N1, "2", False), (N2, "1", False)], 3_600.0) == []


def test_a_new_monitor_begins_to_count_when_it_begins_to_watch() -> None:
    old = NodeWatch(lost_after_s=3.0, longest_step_s=2.0)
    for _ in range(3):
        old.look([(N1, "1", False)], 1.0)
    assert NodeWatch(lost_after_s=3.0, longest_step_s=2.0).look([(N1, "1", False)], 1.0) == []


def test_a_node_that_was_left_in_good_order_is_waited_for_longer_but_not_for_ever() -> None:
    watch = NodeWatch(lost_after_s=5.0, longest_step_s=2.0)
    looks = [watch.look([(N1, "1", True), (N2, "1", False)], 1.0) for _ in range(21)]
    assert next(number for number, lost in enumerate(looks) if N2 in lost) == 5
    assert [number for number, lost in enumerate(looks) if N1 in lost] == [20]


def test_a_node_that_was_away_begins_anew() -> None:
    watch = NodeWatch(lost_after_s=2.0, longest_step_s=2.0)
    watch.look([(N1, "1", False)], 1.0)
    watch.look([(N1, "1", False)], 1.0)
    watch.look([], 1.0)
    assert watch.look([(N1, "1", False)], 1.0) == []


@given(steps)
def test_no_look_counts_for_more_than_its_longest_step(since: list[float]) -> None:
    watch = NodeWatch(lost_after_s=10.0, longest_step_s=2.0)
    watched_s = 0.0
    watch.look([(N1, "1", False)], 0.0)
    for step in since:
        watched_s += min(step, 2.0)
        lost = watch.look([(N1, "1", False)], step)
        assert (lost == [N1]) == (watched_s >= 10.0)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=40))
def test_one_node_never_ages_another(lives: list[tuple[bool, bool]]) -> None:
    both = NodeWatch(lost_after_s=3.0, longest_step_s=2.0)
    alone = NodeWatch(lost_after_s=3.0, longest_step_s=2.0)
    first = second = 0
    for one, other in lives:
        first, second = first + one, second + other
        lost = both.look([(N1, str(first), False), (N2, str(second), False)], 1.0)
        assert (N1 in lost) == (alone.look([(N1, str(first), False)], 1.0) == [N1])
