"""Which nodes hold the inputs of waiting jobs: asked of Redis, and remembered for some seconds."""

import time
from collections.abc import Mapping, Sequence
from heapq import nlargest
from itertools import chain, islice
from typing import TYPE_CHECKING

from headrace_model.ids import DatasetId, NodeId
from headrace_scheduler.core.snapshot import Node, WaitingJob

if TYPE_CHECKING:
    from headrace_adapters.redis.nodes import NodeStore

_MOST_JOBS = 200  # looked at: a plan places no more than half of that
_MOST_DATASETS = 100
_MOST_NODES = 32  # of a dataset, those with most bytes of it
_GOOD_FOR_S = 2.0

Held = Mapping[DatasetId, Mapping[NodeId, int]]


class Holders:
    """What the agents told of their caches, as far as a plan may want to know it.

    It is only a preference: what is not asked, or old, costs a transfer and delays nothing.
    """

    def __init__(self, nodes: "NodeStore") -> None:
        self._nodes = nodes
        self._known: dict[DatasetId, tuple[float, Mapping[NodeId, int]]] = {}

    async def of(self, lines: Sequence[Sequence[WaitingJob]], nodes: Sequence[Node]) -> Held:
        """Tell who holds what is staged for the first of these jobs; mostly without asking."""
        first = islice(chain.from_iterable(lines), _MOST_JOBS)
        wanted = list(dict.fromkeys(each for job in first for each in job.datasets))
        if not wanted:
            return {}
        del wanted[_MOST_DATASETS:]
        now_s = time.monotonic()
        old = now_s - _GOOD_FOR_S
        self._known = {name: known for name, known in self._known.items() if known[0] > old}
        unknown = [each for each in wanted if each not in self._known]
        if unknown:
            found = await self._nodes.holders([node.id for node in nodes], unknown)
            for dataset, holders in found.items():
                most = nlargest(_MOST_NODES, holders.items(), key=lambda each: (each[1], each[0]))
                self._known[dataset] = now_s, dict(most)
        return {each: self._known[each][1] for each in wanted}
