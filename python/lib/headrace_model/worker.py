"""Workers as every backend speaks of them: what is launched, how it is found again, how it ended.

No word of a container engine or of a batch system is used here, so that all backends share it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NewType, TypeAlias

from headrace_model.ids import JobId
from headrace_model.usage import Sample


@dataclass(frozen=True, slots=True, order=True)
class WorkerKey:
    """Names one worker: the job, the attempt (from 1) and the rank in the attempt (from 0).

    A run of an array's task is a worker too; it has the number of its range lease (from 1) and
    its index (from 0). Of other workers both are 0.
    """

    job: JobId
    attempt: int
    rank: int
    lease: int = 0
    index: int = 0

    @property
    def is_task(self) -> bool:
        """Tell whether this is a run of a task."""
        return self.lease > 0

    @property
    def of_rank(self) -> "WorkerKey":
        """The key of its rank, which all tasks there share."""
        return WorkerKey(self.job, self.attempt, self.rank)

    def __str__(self) -> str:
        task = f".{self.lease}.{self.index}" if self.is_task else ""
        return f"{self.job}.{self.attempt}.{self.rank}{task}"


@dataclass(frozen=True, slots=True)
class Mount:
    """A folder or file of the node as a worker in an image sees it."""

    source: str  # on the node
    target: str  # inside
    read_only: bool = True


@dataclass(frozen=True, slots=True)
class Inside:
    """What a worker that runs inside an image has beside its command."""

    image: str
    mounts: tuple[Mount, ...]
    millicpus: int
    ranks: int = 1
    """Workers that reach each other by the names rank-0, rank-1, … and share a key; 1: none."""


@dataclass(frozen=True, slots=True)
class WorkerLaunch:
    """All that a backend needs to start one worker.

    `env` is the whole environment, nothing is inherited but what an image brings. `stdout` and
    `stderr` are files of the node that are appended to and made where missing. `memory_bytes`
    None means no limit. `exclusive` marks a worker with side effects outside its output.
    `inside` None: a plain process of the node.
    """

    key: WorkerKey
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: str
    stdout: str
    stderr: str
    memory_bytes: int | None = None
    exclusive: bool = False
    inside: Inside | None = None


@dataclass(frozen=True, slots=True)
class TaskLaunch:
    """What tells one task of an attempt from the others; the rest is the same `WorkerLaunch`."""

    key: WorkerKey
    argv: tuple[str, ...]
    env: Mapping[str, str]  # on top of what all share


@dataclass(frozen=True, slots=True)
class TaskLog:
    """Where a task's output lies in the two files that the tasks of its slot write to in turn.

    The ends are None while it runs.
    """

    slot: int
    out_begin: int
    err_begin: int
    out_end: int | None = None
    err_end: int | None = None

    def span(self, stream: str) -> tuple[int, int | None]:
        """Begin and end of one stream, `out` or `err`."""
        if stream == "out":
            return self.out_begin, self.out_end
        return self.err_begin, self.err_end


Handle = NewType("Handle", str)
"""Names a running worker for ever, in words that only its backend reads."""


class ExitCause(StrEnum):
    """Why a worker is no longer there."""

    EXITED = "EXITED"
    """It ended by itself; `exit_code` is set."""
    SIGNALED = "SIGNALED"
    """A signal ended it; `signal` is set."""
    OOM = "OOM"
    """It went over its memory limit and was killed."""
    NOT_STARTED = "NOT_STARTED"
    """It could not be executed; `message` says why."""
    LOST = "LOST"
    """What watched over it died first: it is gone, and nobody can know its exit code."""


class MemoryLimitBy(StrEnum):
    """What enforces a worker's memory limit."""

    CGROUP_V2 = "CGROUP_V2"
    CGROUP_V1 = "CGROUP_V1"
    SAMPLED = "SAMPLED"
    """Resident memory summed over the tree some times a second: a quick burst can pass it."""


@dataclass(frozen=True, slots=True)
class WorkerExit:
    """The end of a worker: its process and everything that it started are gone.

    `peak_memory_bytes` is the highest use known, 0 where nothing was measured; `at_ms` is the
    wall clock when the end was noted, in ms since 1970.
    """

    key: WorkerKey
    handle: Handle | None
    cause: ExitCause
    exit_code: int | None
    signal: int | None
    peak_memory_bytes: int
    at_ms: int
    message: str = ""
    log: TaskLog | None = None  # of a task


@dataclass(frozen=True, slots=True)
class RunningWorker:
    """A worker whose process, or something that it started, is still there.

    `handle` is None for the remains of a worker whose start was never seen to succeed.
    """

    key: WorkerKey
    handle: Handle | None
    exclusive: bool
    memory_limit_by: MemoryLimitBy | None
    log: TaskLog | None = None  # of a task


WorkerState: TypeAlias = RunningWorker | WorkerExit


@dataclass(frozen=True, slots=True)
class WorkerUsage:
    """What a worker uses; `key` names a rank: the tasks of an array that it runs are one."""

    key: WorkerKey
    sample: Sample
