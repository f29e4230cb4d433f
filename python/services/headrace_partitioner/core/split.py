"""Cutting the order of catchments into parts of about the same weight, where it cuts few edges.

The heaviest part comes as near to the mean as the order allows, or within `TOLERANCE` of it
(chains on chains: A. Pinar and C. Aykanat, Fast optimal load balancing algorithms for 1D
partitioning, J. Parallel Distrib. Comput. 64, 2004, 974-996). Inside that each cut is made near
its place where the fewest edges are open. Where the blocks of the file are more even for no more
cut edges, as they may be where few catchments have nothing to do with each other, these it is.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Final

from headrace_partitioner.core.config import cut_edges, outlet_receivers
from headrace_partitioner.core.drainage import Drainage
from headrace_partitioner.core.order import order_of
from headrace_partitioner.errors import PartitioningFailed

TOLERANCE: Final = 0.05
"""By how much of the mean a part may be heavier, so that fewer edges are cut."""


def split(drainage: Drainage, parts: int) -> list[int]:
    """The part, 0 to `parts` - 1, of each catchment; none is empty.

    Raises `PartitioningFailed` for more parts than catchments, or fewer than one. Takes
    O(n log n + parts log n log weight).
    """
    count = len(drainage.ids)
    if not 1 <= parts <= count:
        raise PartitioningFailed(
            f"{count:,} catchments can't be split into {parts:,} partitions",
            hint=f"ask for 1 to {count:,}: a partition has a catchment or more",
        )
    naive = in_file_order(drainage, parts)
    found = _in_river_order(drainage, parts)
    evener = _heaviest(drainage, naive, parts) < _heaviest(drainage, found, parts)
    return naive if evener and _cut(drainage, naive) <= _cut(drainage, found) else found


def _in_river_order(drainage: Drainage, parts: int) -> list[int]:
    order = order_of(drainage)
    sums = list(accumulate((drainage.weights[each] for each in order.catchments), initial=0))
    ends = _ends(sums, order.open, parts)
    found = [0] * len(drainage.ids)
    begin = 0
    for part, end in enumerate(ends):
        for place in range(begin, end):
            found[order.catchments[place]] = part
        begin = end
    return found


def _heaviest(drainage: Drainage, assigned: Sequence[int], parts: int) -> int:
    weights = [0] * parts
    for part, weight in zip(assigned, drainage.weights, strict=True):
        weights[part] += weight
    return max(weights)


def _cut(drainage: Drainage, assigned: Sequence[int]) -> int:
    return sum(1 for _ in cut_edges(drainage, assigned, outlet_receivers(drainage, assigned)))


def in_file_order(drainage: Drainage, parts: int) -> list[int]:
    """The naive split: blocks of the same number of catchments, as the file has them."""
    count = len(drainage.ids)
    found = [0] * count
    for place, catchment in enumerate(drainage.in_file):
        found[catchment] = place * parts // count
    return found


def lightest(sums: Sequence[int], parts: int) -> int:
    """The least weight that so many parts of a sequence must be allowed to have.

    `sums` are the sums of the first 0, 1, ... weights.
    """
    low = max(-(-sums[-1] // parts), max(b - a for a, b in pairwise(sums)))
    high = sums[-1]
    while low < high:
        middle = (low + high) // 2
        if _fits(sums, parts, middle):
            high = middle
        else:
            low = middle + 1
    return low


def _fits(sums: Sequence[int], parts: int, most: int) -> bool:
    at = 0
    for _ in range(parts):
        at = _reach(sums, at, most)
    return at == len(sums) - 1


def _reach(sums: Sequence[int], begin: int, most: int) -> int:
    """How far a part that begins there goes if it may weigh so much."""
    return bisect_right(sums, sums[begin] + most) - 1


def _ends(sums: Sequence[int], opens: Sequence[int], parts: int) -> list[int]:
    """Where each part ends: as few open edges as there are near the place of an even split."""
    count, total = len(sums) - 1, sums[-1]
    mean = total / parts
    most = max(lightest(sums, parts), int(mean * (1 + TOLERANCE)))
    earliest = _earliest(sums, parts, most)
    ends: list[int] = []
    begin = 0
    for part in range(1, parts):
        # What is between these can be reached, and leaves parts enough for the rest.
        low = max(earliest[part], begin + 1)
        high = min(_reach(sums, begin, most), count - parts + part)
        aim = mean * part
        near = bisect_left(sums, aim)
        first = min(bisect_left(sums, aim - mean * TOLERANCE / 2), near - 1)
        last = max(bisect_right(sums, aim + mean * TOLERANCE / 2) - 1, near)
        first, last = min(max(first, low), high), max(min(last, high), low)
        begin = min(range(first, last + 1), key=lambda at: (opens[at], abs(sums[at] - aim), at))
        ends.append(begin)
    return [*ends, count]


def _earliest(sums: Sequence[int], parts: int, most: int) -> list[int]:
    """By part the earliest place of its begin from which the rest fits into the parts left."""
    found = [0] * (parts + 1)
    at = found[parts] = len(sums) - 1
    for part in range(parts - 1, 0, -1):
        at = bisect_left(sums, sums[at] - most)
        found[part] = max(at, part)
    return found
