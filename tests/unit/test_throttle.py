"""Token buckets against a count of what was let through."""

from hypothesis import example, given
from hypothesis import strategies as st

from headrace_request.core.throttle import Throttle

_GAPS = st.lists(st.floats(0, 3, allow_nan=False), min_size=1, max_size=60)


@given(_GAPS, st.floats(0.1, 5), st.integers(1, 5))
def test_no_window_lets_more_through_than_the_burst_and_its_share_of_the_rate(
    gaps: list[float], per_s: float, burst: int
) -> None:
    throttle, now, let = Throttle(per_s, burst), 0.0, []
    for gap in gaps:
        now += gap
        if throttle.take("ann", now) == 0:
            let.append(now)
    for first in range(len(let)):
        for last in range(first, len(let)):
            window = let[last] - let[first]
            assert last - first + 1 <= burst + per_s * window + 1e-6


@given(_GAPS, st.floats(0.1, 5), st.integers(1, 5))
@example([0.0, 1.7655943235261242, 1.5718336373509887], 0.125, 1)
def test_who_waits_as_told_is_let_through(gaps: list[float], per_s: float, burst: int) -> None:
    throttle, now = Throttle(per_s, burst), 0.0
    for gap in gaps:
        now += gap
        wait = throttle.take("ann", now)
        if wait:
            assert throttle.take("ann", now + wait) == 0
            now += wait


def test_keys_do_not_share_a_bucket_and_the_oldest_are_forgotten() -> None:
    throttle = Throttle(1.0, 1.0)
    assert throttle.take("ann", 0.0) == 0
    assert throttle.take("ann", 0.0) == 1
    assert throttle.take("bob", 0.0) == 0
    for number in range(10_001):
        throttle.take(f"user{number}", 0.0)
    assert throttle.wait_s("ann", 0.0) == 0


def test_what_is_given_back_can_be_taken_again() -> None:
    throttle = Throttle(0.001, 1.0)
    assert throttle.take("ann", 0.0) == 0
    throttle.give_back("ann")
    assert throttle.take("ann", 0.0) == 0
    throttle.give_back("nobody")
