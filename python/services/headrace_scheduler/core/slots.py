"""Where the tasks of an array run: as many slots as there is room for, each for one task.

A slot is the whole of what one task asks, on one node. An attempt takes k slots of a node, k ≥ 1,
of as many nodes as its paradigm says, and never more slots than it has tasks that have not ended.
"""

from collections.abc import Iterable, Sequence

from headrace_model.fit import slots_in
from headrace_model.ids import NodeId
from headrace_model.resources import Allocation, Generic, Paradigm, Resources, Share

# A node with its free millicpus, bytes and pieces.
Free = tuple[int, int, NodeId, Generic]


def share_out(
    task: Resources,
    paradigm: Paradigm,
    most: int,
    rooms: Iterable[Free],
    near: Sequence[NodeId],
    spread: bool = False,
) -> Allocation | None:
    """Take up to `most` slots; None where there is none.

    * SINGLE_NODE: all on the node that holds most of them.
    * FILL_NODES: the node that holds most is filled first, and so on.
    * ROUND_ROBIN: dealt one by one, over and over, beginning with the node that holds most.

    Among nodes that hold as many (or all) the one with the least free room (with `spread`: the
    most) is taken, then the one that is first in `near`, then by id.
    """
    ranks = {node: rank for rank, node in enumerate(near, start=-len(near))}
    sign = -1 if spread else 1
    able = []
    for cpus, memory, node, pieces in rooms:
        slots = min(slots_in(task, Resources(cpus, memory, pieces)), most)
        if slots > 0:
            able.append((-slots, sign * cpus, sign * memory, ranks.get(node, 0), node))
    if not able:
        return None
    able.sort()
    limits = [-each[0] for each in able]
    match paradigm:
        case Paradigm.SINGLE_NODE:
            counts: Sequence[int] = limits[:1]
        case Paradigm.FILL_NODES:
            counts = _filled(limits, most)
        case Paradigm.ROUND_ROBIN:
            counts, _ = dealt(limits, min(most, sum(limits)))
    return Allocation(
        tuple(
            Share(node, task.times(count))
            for count, (*_, node) in zip(counts, able, strict=False)
            if count
        )
    )


def _filled(limits: Sequence[int], most: int) -> list[int]:
    counts = []
    for limit in limits:
        counts.append(min(limit, most))
        most -= counts[-1]
    return counts


def dealt(limits: list[int], wanted: int) -> tuple[list[int], int]:
    """Deal `wanted` (≤ the sum of limits) one by one; also who would be next (an index).

    Whole rounds are dealt at once, so that the time depends on the nodes and not on the CPUs.
    """
    counts = [0] * len(limits)
    active = list(range(len(limits)))
    following = 0
    while wanted:
        rounds = min(wanted // len(active), min(limits[i] - counts[i] for i in active))
        if rounds == 0:
            for i in active[:wanted]:
                counts[i] += 1
            following = active[wanted]
            break
        for i in active:
            counts[i] += rounds
        wanted -= rounds * len(active)
        active = [i for i in active if counts[i] < limits[i]]
    return counts, following
