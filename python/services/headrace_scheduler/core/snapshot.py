"""The facts that one call of `plan` decides from. Times are UTC in milliseconds."""

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Final

from headrace_model.bounds import Policy, Window
from headrace_model.estimate import Estimate
from headrace_model.ids import DatasetId, JobId, NodeId
from headrace_model.node import NodeState
from headrace_model.resources import Allocation, Paradigm, Resources
from headrace_scheduler.core.quota import NO_QUOTAS, Quotas

# Where in the queue: the rank and the shift of the owner (ms), then the id. The queue is read and
# planned in this order.
Place = tuple[float, JobId]
END: Place = (inf, JobId(""))
NEW: Final = JobId("~")  # a job that is not submitted: behind all of its rank


# Names with their values.
Labels = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Node:
    """A known node: `capacity` when it is empty, `free` now, the backends that it offers, its
    pools, the labels that admins gave it, and its windows of maintenance."""

    id: NodeId
    capacity: Resources
    free: Resources
    state: NodeState
    backends: frozenset[str]
    pools: frozenset[str] = frozenset()
    labels: Labels = frozenset()
    windows: tuple[Window, ...] = ()


@dataclass(frozen=True, slots=True)
class WaitingJob:
    """A job in AWAITING_ALLOCATION, and the attempt that would start.

    `rank` is made of age and priority (`headrace_model/priority.py`), in ms; with the shift of its
    owner (`core/order.py`) it is the job's place, and the lower one starts first. `resources`
    are those of this attempt (they may be above the spec's after an OOM). `time_limit_ms` is None
    when the job may run for ever. Of an array `resources` are those of one task, and up to `tasks`
    of them are placed, one at least; what else is said of its place is said of one task.
    """

    id: JobId
    version: int
    attempt: int
    rank: float
    resources: Resources
    paradigm: Paradigm
    backend: str
    held: bool
    not_before_ms: int | None
    time_limit_ms: int | None
    queued_ms: int
    tasks: int | None = None
    pool: str | None = None
    datasets: tuple[DatasetId, ...] = ()  # that are staged for it
    labels: Labels = frozenset()  # that its nodes must have
    spread: bool = False  # what goes to one node goes to the emptiest, not to the tightest
    whole_node: bool = False  # nobody else on its nodes, which it holds as a whole
    estimate: Estimate | None = None  # from earlier runs; None: too few of them
    owner: str = ""
    deadline_ms: int | None = None  # it must have ended by then
    staging_ms: int = 0  # what a plan allows until it runs, from when its time limit counts

    def may_use(self, node: Node) -> bool:
        """Tell whether a node is one for this job, whatever room and state it has."""
        return (
            self.backend in node.backends
            and (self.pool is None or self.pool in node.pools)
            and (not self.labels or self.labels <= node.labels)
        )

    def is_due(self, now_ms: int) -> bool:
        """Tell whether it is in the queue now: not held, and may start by now."""
        return not self.held and (self.not_before_ms is None or self.not_before_ms <= now_ms)

    @property
    def where(self) -> Hashable:
        """What decides which nodes it may use, and what of them."""
        return self.backend, self.pool, self.labels, self.whole_node

    @property
    def latest_start_ms(self) -> int | None:
        """When it must have started to end by its deadline, as far as its time limit tells."""
        if self.deadline_ms is None:
            return None
        return self.deadline_ms - (self.time_limit_ms or 0)

    @property
    def cut(self) -> Paradigm:
        """How `resources` may be cut: never those of a task."""
        return self.paradigm if self.tasks is None else Paradigm.SINGLE_NODE

    @property
    def place(self) -> Place:
        """Its place among the jobs of its owner, whose order no share changes."""
        return self.rank, self.id

    def place_in(self, shifts: Mapping[str, int]) -> Place:
        """Its place in the queue, where the jobs of each owner are so far back."""
        return self.rank + shifts.get(self.owner, 0), self.id

    @property
    def line(self) -> Hashable:
        """The line that it waits in: of jobs of one owner that ask alike."""
        return self.alike, self.owner

    @property
    def longest_ms(self) -> int | None:
        """How long it may hold its share; None: nobody knows."""
        return None if self.time_limit_ms is None else self.staging_ms + self.time_limit_ms

    @property
    def likely_ms(self) -> int | None:
        """How long it will hold its share at most, most likely; None: nobody knows."""
        if self.estimate is None:
            return self.longest_ms
        p90_ms = self.estimate.p90_ms
        if self.time_limit_ms is not None:
            p90_ms = min(p90_ms, self.time_limit_ms)
        return self.staging_ms + p90_ms

    @property
    def alike(self) -> Hashable:
        """Of jobs that have this alike one that can't start keeps all behind it from starting."""
        times = self.time_limit_ms, self.staging_ms
        return self.resources, self.paradigm, self.where, times, self.tasks is None


@dataclass(frozen=True, slots=True)
class RunningJob:
    """A job that holds an allocation; `ends_ms` is when it gives it back by what is known.

    `since_ms` is when its attempt got it; `likely_ms` is when it will have given it back most
    likely, by earlier runs, where that is earlier and has not passed.
    """

    id: JobId
    allocation: Allocation
    ends_ms: int | None
    estimate: Estimate | None = None  # from earlier runs; None: too few of them
    owner: str = ""
    since_ms: int | None = None
    likely_ms: int | None = None

    @property
    def end_ms(self) -> int | None:
        """The end that plans reckon with: no promise, what runs on longer holds its share."""
        return self.ends_ms if self.likely_ms is None else self.likely_ms


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that one plan looks at; nodes may come in any order.

    `lines` are the waiting jobs, each line in rank order, all of it `alike` and of one owner; the
    lines are in the order of their first jobs, by `place_in` of `shifts`. No job behind `until` is
    planned: of those before it none is missing. `Node.free` is already without what `running`
    holds. `held` tells how many bytes of a dataset nodes hold that have all of it. `shifts` are
    how far back the jobs of each owner are (ms ≥ 0; who is not in it: 0); `quotas` bound what
    may run at a time.
    """

    nodes: tuple[Node, ...]
    lines: tuple[Sequence[WaitingJob], ...]
    running: Collection[RunningJob]
    until: Place = END
    held: Mapping[DatasetId, Mapping[NodeId, int]] = field(default_factory=dict)
    shifts: Mapping[str, int] = field(default_factory=dict)
    quotas: Quotas = NO_QUOTAS
    policy: Policy = Policy.EASY
