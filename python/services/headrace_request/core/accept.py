"""From a checked spec to the job that is made durable."""

from dataclasses import dataclass
from typing import Final

from headrace_model.errors import Forbidden, InvalidSpec
from headrace_model.estimate import likeness_of
from headrace_model.ids import JobId
from headrace_model.job import CONTAINER, PARALLEL, PROCESS, Ask, Need, NewJob, first_step
from headrace_model.people import User, UserRole
from headrace_model.priority import MOST_OF_USERS
from headrace_model.resources import ANYWHERE
from headrace_model.spec import JobSpec
from headrace_model.status import Event, Status, move
from headrace_model.times import Instant, format_instant

# What helps where no node offers what a job asks.
_OTHERWISE: Final = {
    PROCESS: "join a node that runs processes",
    CONTAINER: "no node runs images: leave `image` out, or add one with the backend docker",
    PARALLEL: "workers reach each other only on nodes with the backend swarm: add some, or have "
    "all ranks on one node by `resources: {paradigm: SINGLE_NODE}`",
}


@dataclass(frozen=True, slots=True)
class Accepted:
    """A job that may be created, and the event that takes it to its first step with work."""

    new: NewJob
    first: Event

    @property
    def status(self) -> Status:
        """The status that the job enters when it is created."""
        return move(Status.ACCEPTED, self.first).to


def refuse_unserved(spec: JobSpec) -> None:
    """Raise `InvalidSpec` for what a job file may say but this release does not serve."""
    if spec.kind == "derivation":
        raise InvalidSpec(
            "derivations are made by Headrace itself, when a job needs data that can be derived",
            path="kind",
            hint="submit the job that needs the data",
        )


def refuse_urgent(spec: JobSpec, user: User) -> None:
    """Raise `Forbidden` where somebody who is no admin asks for a priority of admins."""
    if spec.priority > MOST_OF_USERS and user.role is not UserRole.ADMIN:
        raise Forbidden(
            f"priority {spec.priority} is for admins: others may say up to {MOST_OF_USERS} (high)",
            hint="write `priority: high` or less, or ask an admin of this Headrace",
        )


def refuse_too_late(spec: JobSpec, now_ms: int) -> None:
    """Raise `InvalidSpec` for a deadline that can't be met, however soon the job starts."""
    if spec.deadline_ms is None:
        return
    limit_ms = spec.limits.time_ms or 0
    starts_ms = max(now_ms, spec.start_not_before_ms or now_ms)
    if starts_ms + limit_ms > spec.deadline_ms:
        why = (
            "it is over"
            if spec.deadline_ms <= now_ms
            else ("with `limits.time` and `start_not_before` it can't end by then")
        )
        raise InvalidSpec(
            f"the deadline {format_instant(Instant(spec.deadline_ms))} can't be met: {why}",
            path="deadline",
            hint="give it a later deadline or a shorter `limits.time`; times are UTC",
        )


def ask_of(spec: JobSpec) -> Ask:
    """What the first attempt of a spec asks for."""
    return Ask(
        resources=spec.resources.amount,
        paradigm=spec.resources.paradigm,
        backend=PARALLEL if spec.is_spread else CONTAINER if spec.image else PROCESS,
        time_ms=spec.limits.time_ms,
        not_before_ms=spec.start_not_before_ms,
        deadline_ms=spec.deadline_ms,
        tasks=spec.tasks if spec.array.is_array else None,
        pool=spec.resources.pool,
        constraints=spec.resources.constraints if spec.resources.constraints != ANYWHERE else None,
    )


def without_backend(ask: Ask) -> str:
    """What to do where no node offers what a job asks."""
    return _OTHERWISE[ask.backend]


def needs_of(spec: JobSpec, after: tuple[JobId, ...]) -> frozenset[Need]:
    """The steps that a spec has work for; `after`: the jobs that are still to complete."""
    needs = set()
    if after:
        needs.add(Need.PREREQUISITES)
    if spec.requirements or spec.environment:
        needs |= {Need.DATA_CHECK, Need.STAGING}
    if spec.outputs:
        needs.add(Need.COLLECTION)
    if spec.checkpoint:
        needs.add(Need.CHECKPOINT)
    return frozenset(needs)


def accept(
    spec: JobSpec,
    text: str,
    *,
    job: JobId,
    owner: str,
    after: tuple[JobId, ...] = (),
    request_id: str = "",
    origin: JobId | None = None,
) -> Accepted:
    """Make the new job of a spec that `refuse_unserved` let pass; `text` is its canonical JSON.

    `after`: the jobs of the spec's `after` that are still to complete.
    """
    new = NewJob(
        id=job,
        owner=owner,
        name=spec.name,
        kind=spec.kind,
        spec=text,
        priority=spec.priority,
        ask=ask_of(spec),
        needs=needs_of(spec, after),
        after=after,
        origin=origin,
        likeness=likeness_of(spec, owner),
        request_id=request_id,
    )
    return Accepted(new, first_step(new.needs))
