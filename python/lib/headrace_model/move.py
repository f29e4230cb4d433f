"""A decided transition, as a value: what pure code hands to the shell, which has Redis apply it.

The script that applies a move checks status, version, attempt and the writer's term, and then
writes all of the move or nothing.
"""

from dataclasses import dataclass

from headrace_model.cause import Cause
from headrace_model.dataset import Dataset
from headrace_model.estimate import Run
from headrace_model.ids import JobId, NodeId
from headrace_model.job import Ask, Job, NewJob
from headrace_model.requirement import Fulfilment
from headrace_model.resources import Allocation
from headrace_model.status import Desired, Edge, Event, Role, Status, move
from headrace_model.work import FactKind, Work


@dataclass(frozen=True, slots=True)
class Derivation:
    """A child job that makes missing data; a living one with the same `key` is joined instead."""

    key: str  # names the content that it makes
    new: NewJob
    first: Event


@dataclass(frozen=True, slots=True)
class Learned:
    """A run, and the keys that it is kept under."""

    keys: tuple[str, ...]
    run: Run


@dataclass(frozen=True, slots=True)
class Move:
    """One transition of one job with everything that must happen with it."""

    job: JobId
    version: int  # that the decision was made from
    attempt: int
    status: Status  # that the decision was made from
    event: Event | None  # None: only `desired` changes
    to: Status
    writer: Role
    user: str = ""  # who asked for it, where somebody did
    cause: Cause | None = None
    detail: str = ""
    exit_code: int | None = None
    peak_memory_bytes: int | None = None  # the most that a worker that ended was seen to use
    learns: Learned | None = None  # what its run tells of others that are alike
    desired: Desired | None = None
    opens: Ask | None = None  # what attempt + 1 asks
    retries: int | None = None
    losses: int | None = None
    takes: Allocation | None = None  # shares to take from the ledger
    keeps: Allocation | None = None  # what is left of the attempt's shares, when a node has left
    returns: tuple[NodeId, ...] = ()  # nodes whose share of the attempt comes back
    work: tuple[Work, ...] = ()  # records to write, each replacing the attempt's older one
    lost: tuple[NodeId, ...] = ()  # nodes that the decision took for lost: they must still be
    confirmed: tuple[NodeId, ...] = ()  # those of them that an admin confirmed, and must still be
    forgets: tuple[NodeId, ...] = ()  # lost nodes whose record of the attempt is dropped
    consumes: tuple[tuple[NodeId, FactKind], ...] = ()  # facts of the attempt that caused it
    fulfilments: tuple[Fulfilment, ...] | None = None  # recorded, and their datasets linked
    input_bytes: int | None = None  # of those datasets
    children: tuple[Derivation, ...] = ()  # created, or joined where one lives
    seals: tuple[Dataset, ...] = ()  # outputs that become datasets


def move_of(
    job: Job, event: Event, writer: Role, *, cause: Cause | None = None, detail: str = ""
) -> Move:
    """Start a move of `job`; raises `IllegalTransition` where the table has no such edge."""
    edge: Edge = move(job.status, event)
    if edge.writer is not writer:
        raise AssertionError(
            f"{writer} must not write {event} in {job.status}: {edge.writer} does"
        )
    return Move(
        job=job.id,
        version=job.version,
        attempt=job.attempt,
        status=job.status,
        event=event,
        to=edge.to,
        writer=writer,
        cause=cause,
        detail=detail,
    )
