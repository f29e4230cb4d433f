"""The jobs that hold allocations, kept so that a plan knows what comes back when without sorting.

Of each node there are compact sums: what has come back by each end, the first end first. They are
made when they are asked for, and made anew only for nodes whose jobs have changed since.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Collection, Iterable, Iterator, Sequence, Set
from itertools import islice
from math import inf
from typing import Final

import numpy as np
from numpy.typing import NDArray

from headrace_model.ids import JobId, NodeId
from headrace_model.resources import Resources
from headrace_scheduler.core.snapshot import RunningJob

Moments = NDArray[np.float64]
Amounts = NDArray[np.int64]
_MOST: Final = 2**60


def words(amounts: Iterable[int]) -> Amounts:
    """Amounts as machine words: more than 2**60 of something is as much as that."""
    known = list(amounts)
    try:
        return np.array(known, dtype=np.int64)
    except OverflowError:
        return np.array([max(-_MOST, min(each, _MOST)) for each in known], dtype=np.int64)


class Returns:
    """What comes back to one node: `amounts[:, i]` is all that has come back by `ends_ms[i]`, of
    millicpus, of bytes and of each of `names`. It begins with nothing, long ago."""

    __slots__ = ("amounts", "ends_ms", "names")

    def __init__(self, parts: Sequence[tuple[int, Resources]] = ()) -> None:
        self.names = sorted({name for _, part in parts for name, _ in part.generic})
        self.ends_ms: Moments = np.array([-inf, *(ends_ms for ends_ms, _ in parts)])
        amounts = [0, *(part.millicpus for _, part in parts)]
        amounts += [0, *(part.memory_bytes for _, part in parts)]
        for name in self.names:
            amounts += [0, *(dict(part.generic).get(name, 0) for _, part in parts)]
        table = words(amounts).reshape(-1, len(parts) + 1)
        self.amounts: Amounts = np.cumsum(table, axis=1)


_NOTHING: Final = Returns()


class Running(Collection[RunningJob]):
    """Jobs that hold allocations; those whose end is known by that end."""

    def __init__(self, jobs: Iterable[RunningJob] = ()) -> None:
        self._jobs = {job.id: job for job in jobs}
        known = [(job.end_ms, job) for job in self._jobs.values() if job.end_ms is not None]
        self._ends = sorted((ends_ms, job.id) for ends_ms, job in known)
        self._parts: dict[NodeId, list[tuple[int, JobId, Resources]]] = {}
        self._returns: dict[NodeId, Returns] = {}
        for ends_ms, job in known:
            for share in job.allocation.shares:
                part = ends_ms, job.id, share.resources
                self._parts.setdefault(share.node, []).append(part)
        for parts in self._parts.values():
            parts.sort(key=_end)

    def __len__(self) -> int:
        return len(self._jobs)

    def __iter__(self) -> Iterator[RunningJob]:
        return iter(self._jobs.values())

    def __contains__(self, job: object) -> bool:
        return isinstance(job, RunningJob) and self._jobs.get(job.id) == job

    @property
    def ids(self) -> Set[JobId]:
        """The ids of all of them."""
        return self._jobs.keys()

    def get(self, id: JobId) -> RunningJob | None:
        """What is known of a job; None: nothing."""
        return self._jobs.get(id)

    def put(self, job: RunningJob) -> None:
        """Take a job in, in place of what was known of it."""
        self.drop(job.id)
        self._jobs[job.id] = job
        if job.end_ms is None:
            return
        insort(self._ends, (job.end_ms, job.id))
        for share in job.allocation.shares:
            parts = self._parts.setdefault(share.node, [])
            insort(parts, (job.end_ms, job.id, share.resources), key=_end)
            self._returns.pop(share.node, None)

    def drop(self, id: JobId) -> None:
        """Forget a job, known or not."""
        job = self._jobs.pop(id, None)
        if job is None or job.end_ms is None:
            return
        end = (job.end_ms, id)
        del self._ends[bisect_left(self._ends, end)]
        for share in job.allocation.shares:
            parts = self._parts[share.node]
            del parts[bisect_left(parts, end, key=_end)]
            if not parts:
                del self._parts[share.node]
            self._returns.pop(share.node, None)

    def ends(self, after_ms: float) -> Iterator[tuple[int, RunningJob]]:
        """Jobs whose end is known and lies after that moment, in the order of their ends."""
        begin = bisect_right(self._ends, after_ms, key=_first)
        return ((ends_ms, self._jobs[id]) for ends_ms, id in islice(self._ends, begin, None))

    def parts(self, node: NodeId) -> Sequence[tuple[int, JobId, Resources]]:
        """What comes back to a node, in the order of the ends."""
        return self._parts.get(node, ())

    def returns(self, node: NodeId) -> Returns:
        """What comes back to a node, summed up."""
        found = self._returns.get(node)
        if found is None:
            parts = self._parts.get(node)
            if not parts:
                return _NOTHING
            found = Returns([(ends_ms, part) for ends_ms, _, part in parts])
            self._returns[node] = found
        return found


def _first(end: tuple[int, JobId]) -> int:
    return end[0]


def _end(part: tuple[int, JobId, Resources]) -> tuple[int, JobId]:
    return part[:2]
