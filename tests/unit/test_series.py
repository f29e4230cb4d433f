"""Series of the cluster beside brute force: rings of any length of use keep what they say."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_model.errors import Fenced, Unavailable
from headrace_model.series import Point, Resolution, Rings, in_order, mean_of, slot_of
from headrace_monitor.series import SeriesRecorder
from headrace_wire.series import read_point, write_point

POINTS = st.builds(Point, st.just(0), *[st.integers(0, 2**50)] * 7)
# From steps within a stretch to gaps of several rounds of a ring.
STEPS = st.sampled_from([1_000, 10_000, 61_000, 3_600_000, 90_000_000])


@given(
    st.lists(st.tuples(STEPS, POINTS), min_size=1, max_size=60),
    st.sampled_from(Resolution),
    st.integers(0, 2 * 10**9),
)
def test_a_ring_holds_the_means_of_its_last_round(
    steps: list[tuple[int, Point]], resolution: Resolution, since_ms: int
) -> None:
    rings, kept, seen, now_ms = Rings(), dict[int, str](), list[Point](), 10**9
    for step_ms, numbers in steps:
        now_ms += step_ms
        point = Point(now_ms, *(getattr(numbers, name) for name in Point.__slots__[1:]))
        seen.append(point)
        held = rings.add(point)[resolution]
        kept[slot_of(resolution, held.at_ms)] = write_point(held)
    assert len(kept) <= resolution.slots
    found = in_order(resolution, filter(None, map(read_point, kept.values())), now_ms, since_ms)
    step_ms = resolution.step_ms
    begins = sorted({point.at_ms - point.at_ms % step_ms for point in seen})
    right = [
        mean_of(begin, [each for each in seen if 0 <= each.at_ms - begin < step_ms])
        for begin in begins
        if begin > max(since_ms, now_ms - step_ms * resolution.slots)
    ]
    assert list(found) == right


def test_what_is_no_point_is_passed_over() -> None:
    for text in ("", "1 2", "a b c d e f g h", "1 2 3 4 5 6 7 -8"):
        assert read_point(text) is None


class _Around:
    """Stands in for the stores: nothing is there, and what is kept fails as the test says."""

    def __init__(self, *fails: Exception | None) -> None:
        self.fails = list(fails)
        self.kept = 0

    async def all(self) -> list[Any]:
        return []

    async def counts(self) -> dict[Any, int]:
        return {}

    async def now_ms(self) -> int:
        return 10**12

    async def record(self, _points: Any, _term: int) -> None:
        if fail := self.fails.pop(0):
            raise fail
        self.kept += 1


async def test_what_can_not_be_kept_is_a_gap_and_never_ends_the_monitor() -> None:
    """A full Redis refuses points; only another leader ends the looking."""
    around: Any = _Around(Unavailable("full"), None, Unavailable("full"), None, Fenced("late"))
    with pytest.raises(Fenced):
        await SeriesRecorder(around, around, around, pace_s=0.0).run(1)
    assert around.kept == 2
