"""The work records of an attempt that has been placed, and what jobs in `after:` decide."""

from collections.abc import Mapping
from dataclasses import replace

from headrace_model.cause import Cause
from headrace_model.ids import JobId
from headrace_model.job import Job, Need, step_after_prerequisites
from headrace_model.move import Move, move_of
from headrace_model.resources import Allocation
from headrace_model.status import Event, Role, Status
from headrace_model.times import Instant, format_instant
from headrace_model.units import duration_text
from headrace_model.work import FactKind, Verb, Work


def records(job: Job, allocation: Allocation, verb: Verb) -> tuple[Work, ...]:
    """One record a share, in rank order."""
    return tuple(
        Work(
            node=share.node,
            job=job.id,
            attempt=job.attempt,
            verb=verb,
            spec=job.spec,
            resources=share.resources,
            rank=rank,
            ranks=len(allocation.shares),
        )
        for rank, share in enumerate(allocation.shares)
    )


def place(job: Job, allocation: Allocation) -> Move:
    """Start the attempt: with data to stage first, else at once."""
    stage = Need.STAGING in job.needs
    event = Event.ALLOCATED if stage else Event.LAUNCHED
    verb = Verb.STAGE if stage else Verb.LAUNCH
    move = move_of(job, event, Role.SCHEDULER)
    return replace(move, takes=allocation, work=records(job, allocation, verb))


def launch(job: Job) -> Move:
    """Launch an attempt whose data is in place on every node."""
    if job.allocation is None:
        raise AssertionError(f"job {job.id} is in {job.status} without an allocation")
    move = move_of(job, Event.LAUNCHED, Role.SCHEDULER)
    nodes = job.allocation.nodes
    return replace(
        move,
        work=records(job, job.allocation, Verb.LAUNCH),
        consumes=tuple((node, FactKind.STAGED) for node in nodes),
    )


def past_deadline(job: Job, now_ms: int) -> Move | None:
    """The end of a job that waits for its allocation and can't end by its deadline any more."""
    deadline_ms, limit_ms = job.ask.deadline_ms, job.ask.time_ms
    if job.status is not Status.AWAITING_ALLOCATION or deadline_ms is None:
        return None
    if now_ms + (limit_ms or 0) <= deadline_ms:
        return None
    limit = f", and may run {duration_text(limit_ms)}" if limit_ms else ""
    return move_of(
        job,
        Event.DEADLINE_PASSED,
        Role.SCHEDULER,
        cause=Cause.DEADLINE,
        detail=f"it had to end by {format_instant(Instant(deadline_ms))}{limit}",
    )


def after_prerequisites(job: Job, others: Mapping[JobId, Status]) -> Move | None:
    """What a job in AWAITING_PREREQUISITES does, given the statuses of its `after:` jobs.

    A prerequisite that is STOPPED may be restarted: the job goes on waiting for it.
    """
    for other in job.after:
        status = others.get(other)
        if status is None or (status.final and status is not Status.COMPLETED):
            ended = f"ended in {status}" if status else "is gone"
            return move_of(
                job,
                Event.PREREQUISITE_FAILED,
                Role.SCHEDULER,
                cause=Cause.PREREQUISITE,
                detail=f"job {other}, which had to complete first, {ended}",
            )
    if all(others[other] is Status.COMPLETED for other in job.after):
        return move_of(job, step_after_prerequisites(job.needs), Role.SCHEDULER)
    return None
