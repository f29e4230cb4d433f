"""What a job waits for, in a sentence and a next step, outside of AWAITING_ALLOCATION.

Why a job waits in the queue only the scheduler can tell.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from headrace_model.cause import next_step
from headrace_model.ids import JobId, NodeId
from headrace_model.job import Job
from headrace_model.status import Desired, Status


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a job is where it is, and what to do (or that there is nothing to do).

    `causes`: what each of the things that it waits for does now, where there are several.
    """

    sentence: str
    next_step: str
    causes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the data service says of an input: `result` is fulfilled, promised, derivable or
    missing; `job`: whose promise it is; `datasets`: what it is met or made by."""

    name: str
    result: str
    why: str
    job: str | None = None
    datasets: tuple[str, ...] = ()
    size_bytes: int = 0


_NOTHING: Final = "Nothing to do; it goes on by itself."
_STEPS: Final = {
    Status.ACCEPTED: "The job is being accepted.",
    Status.AWAITING_DATA_CHECK: "The data that the job needs is being looked for, or a live job "
    "is still to make it (`headrace dataset match` tells).",
    Status.AWAITING_DERIVATION: "Child jobs make data that the job needs.",
    Status.AWAITING_ALLOCATION: "The job waits in the queue for its nodes.",
    Status.AWAITING_DATA: "Its data is being put beside its nodes.",
    Status.AWAITING_SCHEDULING: "Its data is in place; its workers are started next.",
    Status.SCHEDULED: "Its workers are starting.",
    Status.RUNNING: "It runs; it waits for nothing.",
    Status.AWAITING_COLLECTION: "Its workers are done; its outputs are being collected.",
    Status.STOPPING: "What still runs of it is being stopped.",
}


def waits_for(
    job: Job,
    others: Sequence[Job] = (),
    silent: Sequence[NodeId] = (),
    wanted: Sequence[Wanted] = (),
) -> Reason:
    """Tell what the job waits for; `others` are the jobs in its `after` or its children.

    `silent`: lost nodes of an exclusive job where its workers may still live. `wanted`: what is
    known of its inputs.
    """
    if job.status is Status.STOPPED:
        return Reason(
            "The job is stopped.",
            f"Start it again with `headrace jobs restart {job.id}`.",
        )
    if job.status is Status.COMPLETED:
        return Reason("The job has completed.", f"See `headrace jobs outputs {job.id}`.")
    if job.status.closed:
        why = f"The job is over: {job.status}"
        why += f" ({job.cause})" if job.cause else ""
        why += f": {job.detail}" if job.detail else "."
        if job.cause is None:
            return Reason(why, f"Run it anew with `headrace jobs retry {job.id}`.")
        step = next_step(job.cause, job.id)
        return Reason(why, f"{step[0].upper()}{step[1:]}.")
    if silent:
        named, verb = _first(silent), "answers" if len(silent) == 1 else "answer"
        return Reason(
            f"{named} no longer {verb}, and a worker of this exclusive job may live there.",
            f"It goes on when {named} is back. Where the machine is off an admin can say so: "
            f"`headrace nodes confirm-lost {silent[0]}`.",
        )
    sentence, causes = _awaited(job, others, wanted)
    if job.desired is Desired.HOLD:
        return Reason(
            f"{sentence} Besides, it is held.",
            f"Let it go with `headrace jobs release {job.id}`.",
            (*causes, ("HELD", "The job is held by its owner.")),
        )
    return Reason(sentence, _next_of(job, others), causes)


def _awaited(
    job: Job, others: Sequence[Job], wanted: Sequence[Wanted]
) -> tuple[str, tuple[tuple[str, str], ...]]:
    """What a live job waits for, in a sentence and one by one."""
    sentence = _STEPS.get(job.status, f"The job is in {job.status}.")
    open_ones = [other for other in others if other.status is not Status.COMPLETED]
    data = tuple(("DATA", _of_input(each)) for each in wanted if each.result != "fulfilled")
    match job.status:
        case Status.AWAITING_PREREQUISITES:
            ids = [other.id for other in open_ones] or job.after
            causes = tuple(("PREREQUISITE", _now(other)) for other in open_ones)
            return f"It waits for {_jobs(ids)} to complete.", causes
        case Status.AWAITING_DERIVATION if job.children:
            ids = [other.id for other in open_ones] or job.children
            causes = tuple(("DERIVATION", _now(other)) for other in open_ones)
            return f"Data that it needs is made by {_jobs(ids)}.", (*causes, *data)
        case Status.AWAITING_DATA_CHECK:
            if job.detail:
                return f"It waits for data: {job.detail}", data
            return (data[0][1] if data else sentence), data
        case _ if job.allocation:
            return f"{sentence[:-1]} on {_nodes(job)}.", ()
        case _:
            return sentence, ()


def _next_of(job: Job, others: Sequence[Job]) -> str:
    """What to do: look at what the job it waits for waits for itself."""
    if job.status in (Status.AWAITING_PREREQUISITES, Status.AWAITING_DERIVATION):
        for other in others:
            if not other.status.closed:
                return (
                    "Nothing to do; it goes on by itself. "
                    f"`headrace jobs why {other.id}` tells what that job waits for."
                )
    return _NOTHING


def _now(other: Job) -> str:
    return f"Job {other.id} is in {other.status}."


def _of_input(wanted: Wanted) -> str:
    if wanted.result == "promised":
        return f"The input {wanted.name!r} waits for job {wanted.job}: {wanted.why}."
    return f"The input {wanted.name!r} is {wanted.result}: {wanted.why}."


def _nodes(job: Job) -> str:
    shares = job.allocation.shares if job.allocation else ()
    return _first([share.node for share in shares])


def _jobs(jobs: Sequence[JobId]) -> str:
    return f"job{'s' if len(jobs) > 1 else ''} {_first(jobs)}"


def _first(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
