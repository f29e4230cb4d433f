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
    """Why a job is where it is, and what to do (or that there is nothing to do)."""

    sentence: str
    next_step: str


_NOTHING: Final = "Nothing to do; it goes on by itself."
_STEPS: Final = {
    Status.ACCEPTED: "The job is being accepted.",
    Status.AWAITING_DATA_CHECK: "The data that the job needs is being looked for, or a live job "
    "is still to make it (`headrace dataset match` tells).",
    Status.AWAITING_DERIVATION: "Child jobs make data that the job needs.",
    Status.AWAITING_PARTITIONING: "The job's catchments are being divided among its workers.",
    Status.AWAITING_ALLOCATION: "The job waits in the queue for its nodes.",
    Status.AWAITING_DATA: "Its data is being put beside its nodes.",
    Status.AWAITING_SCHEDULING: "Its data is in place; its workers are started next.",
    Status.SCHEDULED: "Its workers are starting.",
    Status.RUNNING: "It runs; it waits for nothing.",
    Status.AWAITING_COLLECTION: "Its workers are done; its outputs are being collected.",
    Status.STOPPING: "What still runs of it is being stopped.",
}


def waits_for(job: Job, others: Sequence[Job] = (), silent: Sequence[NodeId] = ()) -> Reason:
    """Tell what the job waits for; `others` are the jobs in its `after` or its children.

    `silent`: lost nodes of an exclusive job where its workers may still live.
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
    where = f" on {_nodes(job)}" if job.allocation else ""
    sentence = _STEPS.get(job.status, f"The job is in {job.status}.")
    if job.status is Status.AWAITING_PREREQUISITES:
        open_ones = [other.id for other in others if other.status is not Status.COMPLETED]
        sentence = f"It waits for {_jobs(open_ones or job.after)} to complete."
    elif job.status is Status.AWAITING_DERIVATION and job.children:
        sentence = f"Data that it needs is made by {_jobs(job.children)}."
    elif job.status is Status.AWAITING_DATA_CHECK and job.detail:
        sentence = f"It waits for data: {job.detail}"
    elif where:
        sentence = f"{sentence[:-1]}{where}."
    if job.desired is Desired.HOLD:
        return Reason(
            f"{sentence} Besides, it is held.",
            f"Let it go with `headrace jobs release {job.id}`.",
        )
    return Reason(sentence, _NOTHING)


def _nodes(job: Job) -> str:
    shares = job.allocation.shares if job.allocation else ()
    return _first([share.node for share in shares])


def _jobs(jobs: Sequence[JobId]) -> str:
    return f"job{'s' if len(jobs) > 1 else ''} {_first(jobs)}"


def _first(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
