"""EASY and conservative backfill as a textbook has them, for jobs on one node: each job is looked
at on each node, step by step. The peer of the planner, which has to decide the same.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import inf

from headrace_model.ids import JobId, NodeId
from headrace_scheduler.core.snapshot import Node, RunningJob, WaitingJob

# When, and the free millicpus and bytes from then on.
_Step = list[float]


class Textbook:
    """A plan: `reservations` is how many jobs that have no room get one."""

    def __init__(
        self, nodes: Sequence[Node], running: Iterable[RunningJob], reservations: int
    ) -> None:
        ends: dict[NodeId, list[tuple[float, int, int]]] = {node.id: [] for node in nodes}
        for job in running:
            for share in job.allocation.shares:
                amount = share.resources
                ends[share.node].append(
                    (job.ends_ms or inf, amount.millicpus, amount.memory_bytes)
                )
        self._steps: dict[NodeId, list[_Step]] = {}
        for node in nodes:
            room = [0.0, node.free.millicpus, node.free.memory_bytes]
            steps = self._steps[node.id] = [room]
            for at_ms, cpus, memory in sorted(ends[node.id]):
                steps.append([at_ms, steps[-1][1] + cpus, steps[-1][2] + memory])
        self._left = reservations

    def plan(self, waiting: Iterable[WaitingJob], now_ms: float) -> Mapping[JobId, NodeId]:
        """Which jobs start, and where."""
        for steps in self._steps.values():
            for step in steps[1:]:
                step[0] = max(step[0], now_ms + 1)
            steps[0][0] = now_ms
        found: dict[JobId, NodeId] = {}
        for job in waiting:
            lasts_ms = job.time_limit_ms or inf
            at_ms, node = self._first(job, lasts_ms, now_ms, 1)
            if node is not None:
                found[job.id] = node
            elif self._left:
                at_ms, node = self._first(job, lasts_ms, inf, 2**30)
                self._left -= 1
            if node is not None:
                self._take(job, node, at_ms, at_ms + lasts_ms)
        return found

    def _first(
        self, job: WaitingJob, lasts_ms: float, by_ms: float, most: int
    ) -> tuple[float, NodeId | None]:
        """The first moment by `by_ms` at which the job fits, and the tightest node then."""
        cpus, memory = job.resources.millicpus, job.resources.memory_bytes
        best: tuple[float, float, float, NodeId | None] = (inf, inf, inf, None)
        for node, steps in self._steps.items():
            for number, step in enumerate(steps[:most]):
                if step[0] > min(best[0], by_ms):
                    break
                if step[1] < cpus or step[2] < memory:
                    continue
                least_cpus, least_memory = step[1], step[2]
                for later in steps[number + 1 :]:
                    if later[0] >= step[0] + lasts_ms or least_cpus < cpus:
                        break
                    if later[0] > step[0]:
                        least_cpus = min(least_cpus, later[1])
                        least_memory = min(least_memory, later[2])
                    else:  # at the same moment
                        least_cpus, least_memory = later[1], later[2]
                if least_cpus >= cpus and least_memory >= memory:
                    best = min(best, (step[0], least_cpus, least_memory, node))
                    break
        return best[0], best[3]

    def _take(self, job: WaitingJob, node: NodeId, begin_ms: float, end_ms: float) -> None:
        steps = self._steps[node]
        for at_ms in (begin_ms, end_ms):
            at = sum(step[0] <= at_ms for step in steps)
            if at_ms < inf and steps[at - 1][0] != at_ms:
                steps.insert(at, [at_ms, steps[at - 1][1], steps[at - 1][2]])
        for step in steps:
            if begin_ms <= step[0] < end_ms:
                step[1] -= job.resources.millicpus
                step[2] -= job.resources.memory_bytes
