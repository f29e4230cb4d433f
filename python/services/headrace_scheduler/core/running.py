"""The jobs that hold allocations, kept so that a plan knows what comes back when without sorting.

Of each node there are compact sums: what has come back by each end, the first end first. They are
made when they are asked for, and made anew only for nodes whose jobs have changed since.
"""

from array import array
from bisect import bisect_left, bisect_right, insort
from collections.abc import Collection, Iterable, Iterator, Sequence, Set
from itertools import accumulate, islice

from headrace_model.ids import JobId, NodeId
from headrace_model.resources import NOTHING, Resources
from headrace_scheduler.core.snapshot import RunningJob


class Returns:
    """What comes back to one node, where nothing is counted by the piece: `millicpus[i]` and
    `memory_bytes[i]` are all that has come back by `ends_ms[i]`."""

    __slots__ = ("ends_ms", "memory_bytes", "millicpus")

    def __init__(self, parts: Sequence[tuple[int, Resources]]) -> None:
        self.ends_ms = _compact(ends_ms for ends_ms, _ in parts)
        self.millicpus = _compact(accumulate(part.millicpus for _, part in parts))
        self.memory_bytes = _compact(accumulate(part.memory_bytes for _, part in parts))

    def by(self, at_ms: float) -> Resources:
        """All that has come back by then."""
        count = bisect_right(self.ends_ms, at_ms)
        if not count:
            return NOTHING
        return Resources(self.millicpus[count - 1], self.memory_bytes[count - 1])

    def until(self, lack: Resources) -> int | None:
        """The first end by which what lacks has come back; None: it is not known to."""
        first = max(
            bisect_left(self.millicpus, lack.millicpus),
            bisect_left(self.memory_bytes, lack.memory_bytes),
        )
        return self.ends_ms[first] if first < len(self.ends_ms) else None


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

    def returns(self, node: NodeId) -> Returns | None:
        """What comes back to a node, summed up; None: nothing that is known."""
        found = self._returns.get(node)
        if found is None and (parts := self._parts.get(node)):
            found = Returns([(ends_ms, part) for ends_ms, _, part in parts])
            self._returns[node] = found
        return found


def _first(end: tuple[int, JobId]) -> int:
    return end[0]


def _end(part: tuple[int, JobId, Resources]) -> tuple[int, JobId]:
    return part[:2]


def _compact(values: Iterable[int]) -> Sequence[int]:
    """As machine words, unless one is larger than that."""
    found = list(values)
    try:
        return array("q", found)
    except OverflowError:
        return found
