"""What the cluster is like, looked at at a fixed pace while this replica leads."""

import asyncio
from typing import TYPE_CHECKING, Final

from headrace_model.errors import Fenced, HeadraceError
from headrace_model.node import NodeState
from headrace_model.resources import NOTHING
from headrace_model.series import Point, Resolution, Rings
from headrace_model.status import HAS_ATTEMPT, Role, Status
from headrace_service.logs import logger
from headrace_service.metrics import FREE, OFFERED

if TYPE_CHECKING:
    from headrace_adapters.redis.jobs import JobStore
    from headrace_adapters.redis.nodes import NodeRecord, NodeStore
    from headrace_adapters.redis.series import SeriesStore

PACE_S: Final = Resolution.SECONDS.step_ms / 1000


class SeriesRecorder:
    """Keeps a point each ten seconds, in rings of all resolutions."""

    def __init__(
        self, jobs: "JobStore", nodes: "NodeStore", store: "SeriesStore", pace_s: float = PACE_S
    ) -> None:
        self._jobs = jobs
        self._nodes = nodes
        self._store = store
        self._pace_s = pace_s
        self._log = logger(Role.MONITOR)

    async def run(self, term: int) -> None:
        """Look for ever. What can't be kept, since Redis is full perhaps, is a gap."""
        rings, failing = Rings(), False
        try:
            while True:
                try:
                    await self._look(rings, term)
                    failing = False
                except Fenced:
                    raise
                except HeadraceError as error:
                    if not failing:
                        self._log.warning(f"the series have a gap: {error}", action="series")
                    failing = True
                await asyncio.sleep(self._pace_s)
        finally:
            OFFERED.clear()  # another replica looks from now on
            FREE.clear()

    async def _look(self, rings: Rings, term: int) -> None:
        nodes, counts, now_ms = await asyncio.gather(
            self._nodes.all(), self._jobs.counts(), self._jobs.now_ms()
        )
        point = point_of(now_ms, nodes, counts)
        for kind, all_, free in (
            ("cpus", point.millicpus / 1000, point.free_millicpus / 1000),
            ("memory_bytes", point.memory_bytes, point.free_memory_bytes),
        ):
            OFFERED.labels(kind).set(all_)
            FREE.labels(kind).set(free)
        await self._store.record(rings.add(point), term)


def point_of(now_ms: int, nodes: "list[NodeRecord]", counts: dict[Status, int]) -> Point:
    """The cluster as it is."""
    there = [node for node in nodes if node.state is not NodeState.LOST]
    offered = sum((node.capacity for node in there), NOTHING)
    free = sum((node.free for node in there if node.free), NOTHING)
    return Point(
        now_ms,
        len(there),
        offered.millicpus,
        max(0, free.millicpus),
        offered.memory_bytes,
        max(0, free.memory_bytes),
        sum(counts.get(status, 0) for status in (*HAS_ATTEMPT, Status.STOPPING)),
        counts.get(Status.AWAITING_ALLOCATION, 0),
    )
