"""When a node's disk is too full for new attempts."""

import pytest

from headrace_agent.core.disk import Spare, is_full

GIB = 2**30
SPARE = Spare(percent=5, most_bytes=2 * GIB)


@pytest.mark.parametrize(
    ("free", "size", "was", "full"),
    [
        (1 * GIB, 10 * GIB, False, False),  # a tenth of a small disk
        (GIB // 2 - 1, 10 * GIB, False, True),
        (2 * GIB - 1, 1000 * GIB, False, True),
        (2 * GIB, 1000 * GIB, False, False),  # enough, however little of a large disk
        (2 * GIB, 1000 * GIB, True, True),  # it was full: a little more is wanted
        (int(2.5 * GIB), 1000 * GIB, True, False),
        (0, 0, False, False),  # a file system that tells no size
    ],
)
def test_a_share_or_enough_must_stay_free(free: int, size: int, was: bool, full: bool) -> None:
    assert is_full(free, size, SPARE, was=was) is full
