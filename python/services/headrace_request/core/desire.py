"""What a verb of a user does to a job: a move, nothing (it is so already), or a refusal.

Rules: docs/design.md, section 3. Where no attempt holds anything, the move takes the edge at once;
where an attempt exists only `desired` changes, and the monitor acts on it.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import assert_never

from headrace_model.cause import Cause
from headrace_model.job import Job, first_step
from headrace_model.move import Move, move_of
from headrace_model.status import HOLDS_NOTHING, Desired, Event, Role, Status


class DesireVerb(StrEnum):
    """What a user can ask of a job that exists; `retry` makes a new one and is not here."""

    STOP = "stop"
    RESTART = "restart"
    CANCEL = "cancel"
    HOLD = "hold"
    RELEASE = "release"


@dataclass(frozen=True, slots=True)
class Done:
    """The job is already as the verb wants it: repeating a verb is success."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the job's state forbids the verb, and what to do instead."""

    sentence: str
    next_step: str


Answer = Move | Done | Refusal


def desire(job: Job, verb: DesireVerb, unfinished: int | None = None) -> Answer:
    """Decide what `verb` does to `job`; total: every status and `desired` has an answer.

    `unfinished`: how many tasks of an array have still to end.
    """
    if job.status is Status.ACCEPTED:
        # The script that creates a job leaves this status at once; nothing is stored in it.
        return Refusal(f"job {job.id} is just being accepted", "try again in a moment")
    match verb:
        case DesireVerb.STOP:
            return _stop(job)
        case DesireVerb.CANCEL:
            return _cancel(job)
        case DesireVerb.RESTART:
            return _restart(job, unfinished)
        case DesireVerb.HOLD:
            return _hold(job)
        case DesireVerb.RELEASE:
            return _release(job)
        case _:
            assert_never(verb)


def _stop(job: Job) -> Answer:
    if job.status is Status.STOPPED:
        return Done()
    if job.status.final:
        return _over(job)
    if job.desired is Desired.CANCEL:
        return _being_canceled(job)
    if job.status in HOLDS_NOTHING:
        return _end(job, Event.STOP, Desired.STOP, Cause.STOPPED)
    return Done() if job.desired is Desired.STOP else _wish(job, Desired.STOP)


def _cancel(job: Job) -> Answer:
    if job.status is Status.CANCELED:
        return Done()
    if job.status.final:
        return _over(job)
    if job.status in HOLDS_NOTHING or job.status is Status.STOPPED:
        return _end(job, Event.CANCEL, Desired.CANCEL, Cause.CANCELED)
    return Done() if job.desired is Desired.CANCEL else _wish(job, Desired.CANCEL)


def _restart(job: Job, unfinished: int | None) -> Answer:
    if job.desired is Desired.CANCEL and not job.status.final:
        return _being_canceled(job)
    if job.status is Status.STOPPED:
        event = first_step(job.needs, fulfilled=bool(job.fulfilments))
        # What a failure raised stays raised; a back-off does not: a person asks for it now.
        tasks = job.ask.tasks if unfinished is None else max(1, unfinished)
        ask = replace(job.ask, not_before_ms=None, tasks=tasks)
        start = move_of(job, event, Role.REQUEST)
        return replace(start, desired=Desired.RUN, opens=ask, retries=0, losses=0)
    # Its last attempt was opened by a restart, which set `retries` to 0. A client whose answer was
    # lost asks again, and the job may have completed by then.
    restarted = job.desired is Desired.RUN and job.attempt > 1 and job.retries == 0
    if restarted and (job.status is Status.COMPLETED or not job.status.final):
        return Done()
    if job.status.final:
        return _over(job)
    if job.desired is Desired.STOP:
        return Refusal(
            f"job {job.id} is still being stopped", "restart it once it is CLOSED:STOPPED"
        )
    return Refusal(
        f"job {job.id} is not stopped: it is in {job.status}",
        f"stop it first: `headrace jobs stop {job.id}`",
    )


def _hold(job: Job) -> Answer:
    if job.status is Status.STOPPED:
        return _stopped(job)
    if job.status.final:
        return _over(job)
    if job.desired is Desired.CANCEL:
        return _being_canceled(job)
    if job.status in HOLDS_NOTHING:
        return Done() if job.desired is Desired.HOLD else _wish(job, Desired.HOLD)
    return Refusal(
        f"job {job.id} has got its nodes ({job.status}) and can't be held any more",
        f"use stop: `headrace jobs stop {job.id}`",
    )


def _release(job: Job) -> Answer:
    if job.status is Status.STOPPED:
        return _stopped(job)
    if job.status.final:
        return _over(job)
    match job.desired:
        case Desired.HOLD:
            return _wish(job, Desired.RUN)
        case Desired.RUN:
            return Done()
        case Desired.STOP:
            return Refusal(
                f"job {job.id} is being stopped, not held",
                "restart it once it is CLOSED:STOPPED",
            )
        case Desired.CANCEL:
            return _being_canceled(job)
        case _:
            assert_never(job.desired)


def _end(job: Job, event: Event, desired: Desired, cause: Cause) -> Move:
    return replace(move_of(job, event, Role.REQUEST, cause=cause), desired=desired)


def _wish(job: Job, desired: Desired) -> Move:
    return Move(
        job=job.id,
        version=job.version,
        attempt=job.attempt,
        status=job.status,
        event=None,
        to=job.status,
        writer=Role.REQUEST,
        desired=desired,
    )


def _over(job: Job) -> Refusal:
    return Refusal(
        f"job {job.id} is over ({job.status}), and what is over stays as it is",
        f"run it anew as another job: `headrace jobs retry {job.id}`",
    )


def _stopped(job: Job) -> Refusal:
    return Refusal(f"job {job.id} is stopped", f"start it again: `headrace jobs restart {job.id}`")


def _being_canceled(job: Job) -> Refusal:
    return Refusal(
        f"job {job.id} is being canceled, and that is never taken back",
        f"run it anew as another job once it is over: `headrace jobs retry {job.id}`",
    )
