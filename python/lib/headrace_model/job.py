"""A job as the services see it: what is asked, where it is, what its attempt holds."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from headrace_model.cause import Cause
from headrace_model.estimate import Likeness
from headrace_model.ids import JobId
from headrace_model.people import Shares
from headrace_model.resources import Allocation, Constraints, Paradigm, Resources
from headrace_model.status import Desired, Event, Status

PROCESS: Final = "process"
CONTAINER: Final = "container"
PARALLEL: Final = "parallel"
"""What a job may ask of its nodes: to run processes, images, images whose workers reach each
other from node to node."""


class Need(StrEnum):
    """A step that a job has work for; steps without work are passed over."""

    PREREQUISITES = "prerequisites"
    DATA_CHECK = "data_check"
    STAGING = "staging"
    COLLECTION = "collection"
    CHECKPOINT = "checkpoint"  # no step: it may leave one in the store until it is final


@dataclass(frozen=True, slots=True)
class Ask:
    """What one attempt asks for: the spec's resources, or others after a failure.

    Of an array `resources` are those of one task, and `tasks` is how many it runs at most at a
    time: those that have not ended. Of an ordinary job `tasks` is None.
    """

    resources: Resources
    paradigm: Paradigm
    backend: str  # what the nodes must offer: PROCESS, CONTAINER or PARALLEL
    time_ms: int | None = None
    not_before_ms: int | None = None
    tasks: int | None = None
    pool: str | None = None  # the nodes must be in it
    deadline_ms: int | None = None  # it must have ended by then, or does not start
    constraints: Constraints | None = None  # what else they must be

    @property
    def cut(self) -> Paradigm:
        """How `resources` may be cut over nodes: never those of a task."""
        return self.paradigm if self.tasks is None else Paradigm.SINGLE_NODE


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job that is about to be created."""

    id: JobId
    owner: str
    name: str
    kind: str
    spec: str  # canonical JSON of the JobSpec
    priority: int
    ask: Ask
    needs: frozenset[Need]
    after: tuple[JobId, ...] = ()
    parents: tuple[JobId, ...] = ()  # of a derivation child: the jobs that wait for it
    origin: JobId | None = None  # of a retried job: the job it repeats
    desired: Desired = Desired.RUN
    request_id: str = ""
    likeness: Likeness | None = None  # None: no other run tells of it

    @property
    def tasks(self) -> int | None:
        """How many tasks its array has; None for an ordinary job."""
        return self.ask.tasks


@dataclass(frozen=True, slots=True)
class Job:
    """One job as Redis holds it. Times are milliseconds since 1970 by the clock of Redis."""

    id: JobId
    owner: str
    name: str
    kind: str
    spec: str
    status: Status
    desired: Desired
    version: int  # raised by every transition and every change of `desired`
    attempt: int
    retries: int  # retries since the job was made or restarted
    priority: int
    rank: float  # place in the queue, lower first
    created_ms: int
    entered_ms: int  # when `status` was entered
    ask: Ask
    needs: frozenset[Need]
    after: tuple[JobId, ...]
    parents: tuple[JobId, ...]
    origin: JobId | None
    request_id: str
    allocation: Allocation | None  # of the current attempt, kept after its shares came back
    cause: Cause | None
    detail: str
    exit_code: int | None  # of the worker that ended the last attempt; -n after signal n
    fulfilments: str  # JSON, "" while no data check has passed
    outputs: str  # JSON object output name → dataset id, "" before collection
    children: tuple[JobId, ...] = ()
    derivation: str = ""  # of a derivation child: what names the contents that it makes
    shared: Shares = ()
    peak_memory_bytes: int | None = None  # the most that a worker of the last ended attempt used
    likeness: Likeness | None = None  # None: no other run tells of it
    input_bytes: int = 0  # of its inputs, once they were chosen
    losses: int = 0  # those of `retries` that followed the loss of a node
    taken_ms: int | None = None  # when the last attempt that got shares got them

    @property
    def is_array(self) -> bool:
        """Tell whether it has tasks."""
        return self.ask.tasks is not None

    @property
    def is_spread(self) -> bool:
        """Tell whether its workers work together on several nodes: the first one decides."""
        return self.ask.backend == PARALLEL


def first_step(needs: frozenset[Need], *, fulfilled: bool = False) -> Event:
    """The first step that has work, for a new or restarted job.

    `fulfilled` tells that an earlier data check has passed and its links still hold.
    """
    if Need.PREREQUISITES in needs and not fulfilled:
        return Event.NEEDS_PREREQUISITES
    return step_after_prerequisites(needs, fulfilled=fulfilled)


def step_after_prerequisites(needs: frozenset[Need], *, fulfilled: bool = False) -> Event:
    """The next step once all `after:` jobs have completed."""
    if Need.DATA_CHECK in needs and not fulfilled:
        return Event.NEEDS_DATA_CHECK
    return Event.NEEDS_ALLOCATION
