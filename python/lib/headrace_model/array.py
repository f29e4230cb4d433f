"""The tasks of an array: what each is, which ranges of them nodes hold, how many a node takes.

One record holds all tasks of a job. Each task is in one state; beside the states stand the open
range leases. A task that a node holds belongs to the NEWEST open lease whose range covers it: one
that failed and was taken again is inside two ranges, and the older one says nothing of it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import ceil
from typing import Final

from headrace_model.cause import Cause
from headrace_model.ids import NodeId


class TaskState(StrEnum):
    """Where a task is. The order is that of the numbers in the record."""

    WAITING = "WAITING"
    RUNNING = "RUNNING"  # in a range that a node holds; it may wait there for a free slot
    DONE = "DONE"
    FAILED = "FAILED"  # it has used up its retries


STATES: Final = tuple(TaskState)

# Begin and end (not included) of consecutive tasks.
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class TaskCounts:
    """How many tasks are in each state."""

    total: int
    waiting: int
    running: int
    done: int
    failed: int

    @property
    def unfinished(self) -> int:
        """How many have still to end."""
        return self.waiting + self.running


@dataclass(frozen=True, slots=True)
class RangeLease:
    """A range that a node holds; `left` are those of its tasks that have not ended."""

    number: int
    span: Span
    left: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Taken:
    """The answer to a node that asked for tasks: ranges it did not know of, and the counts."""

    counts: TaskCounts
    leases: tuple[RangeLease, ...] = ()


@dataclass(frozen=True, slots=True)
class TaskFailure:
    """How a run of a task went wrong, and how many have; `exit_code` is -n after signal n."""

    index: int
    tries: int
    cause: Cause
    exit_code: int | None = None
    detail: str = ""

    @property
    def sentence(self) -> str:
        """What went wrong, in few words."""
        if self.cause is Cause.EXIT_CODE and self.exit_code is not None:
            return f"exit code {self.exit_code}"
        return self.detail or self.cause.value


@dataclass(frozen=True, slots=True)
class FailedTask:
    """A node's report of a failed run; `again`: its cause is one that is retried."""

    index: int
    cause: Cause
    again: bool
    exit_code: int | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class TaskReport:
    """What ended in one lease. `part` names what the store holds of the done tasks' outputs."""

    lease: int
    done: tuple[Span, ...] = ()
    failed: tuple[FailedTask, ...] = ()
    part: str = ""


@dataclass(frozen=True, slots=True)
class OutputPart:
    """A document in the store that describes outputs, and the tasks that it counts for."""

    digest: str
    spans: tuple[Span, ...]

    def covers(self, index: int) -> bool:
        """Tell whether the outputs of a task are those that this part describes."""
        return any(begin <= index < end for begin, end in self.spans)


@dataclass(frozen=True, slots=True)
class ArrayRecord:
    """The whole record of one array; `states` has one number a task, an index into `STATES`."""

    counts: TaskCounts
    states: bytes
    failures: Mapping[int, TaskFailure]
    parts: tuple[OutputPart, ...]

    def state(self, index: int) -> TaskState:
        """The state of one task."""
        return STATES[self.states[index]]

    def page(self, state: TaskState | None, begin: int, limit: int) -> tuple[list[int], int]:
        """At most `limit` tasks from `begin` on, and where the next page begins (-1: nowhere)."""
        total = len(self.states)
        if state is None:
            end = min(total, begin + limit)
            return list(range(begin, end)), end if end < total else -1
        wanted = STATES.index(state)
        found: list[int] = []
        at = self.states.find(wanted, begin)
        while at >= 0 and len(found) < limit:
            found.append(at)
            at = self.states.find(wanted, at + 1)
        return found, at

    def first_failed(self, limit: int) -> list[TaskFailure]:
        """The first tasks that failed for good."""
        indices, _ = self.page(TaskState.FAILED, 0, limit)
        return [self.failures[index] for index in indices if index in self.failures]


def spans_of(indices: Iterable[int]) -> tuple[Span, ...]:
    """The fewest spans that hold exactly these tasks, in order."""
    spans: list[Span] = []
    for index in sorted(set(indices)):
        if spans and spans[-1][1] == index:
            spans[-1] = (spans[-1][0], index + 1)
        else:
            spans.append((index, index + 1))
    return tuple(spans)


def indices_of(spans: Sequence[Span]) -> list[int]:
    """All tasks of spans, in their order."""
    return [index for begin, end in spans for index in range(begin, end)]


LONGEST_LEASE: Final = 1_000
_LEASE_S: Final = 1.0


def lease_size(slots: int, ended_per_s: float, waiting: int, nodes: int) -> int:
    """How many tasks a node should ask for: what it ends in about a second, or fills its slots.

    Of what waits each of several nodes asks at most for half of its part, so that ranges shrink
    near the end and all nodes finish together.
    """
    wanted = max(slots, ceil(ended_per_s * _LEASE_S))
    part = waiting if nodes == 1 else ceil(waiting / (2 * nodes))
    return min(wanted, LONGEST_LEASE, part)


def failed_sentence(record: ArrayRecord) -> str:
    """Why a job with failed tasks failed, for its detail."""
    first = record.first_failed(3)
    named = ", ".join(f"task {each.index} ({each.sentence})" for each in first)
    failed, total = record.counts.failed, record.counts.total
    more = ", …" if failed > len(first) else ""
    return f"{failed:,} of {total:,} tasks failed: {named}{more}"


def lost_from(nodes: Iterable[NodeId], lost: Iterable[NodeId]) -> tuple[NodeId, ...]:
    """The nodes of an attempt that are lost, unless all are: the attempt lives while one does."""
    there, gone = tuple(nodes), set(lost)
    away = tuple(node for node in there if node in gone)
    return away if len(away) < len(there) else ()
