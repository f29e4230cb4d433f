"""When a job that is not in the queue started, or why that can't be foreseen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headrace_model.estimate import Estimate
from headrace_model.ids import JobId
from headrace_model.job import Job
from headrace_model.status import HAS_ATTEMPT, Desired, Status
from headrace_model.times import instant_text


@dataclass(frozen=True, slots=True)
class Begin:
    """`at_ms`: when the job got its nodes; None: it has not, or never did."""

    sentence: str
    at_ms: int | None = None


def begin_of(
    job: Job,
    estimate: Estimate | None = None,
    open_ones: Sequence[Job] = (),
    starts: Mapping[JobId, str] | None = None,
) -> Begin:
    """Tell it of a job outside of AWAITING_ALLOCATION.

    `open_ones`: those that it waits for and that have not completed; `starts`: when these start,
    as far as that is foreseen.
    """
    taken_ms = job.taken_ms
    if job.status is Status.STOPPED:
        return Begin(f"It is stopped; `headrace jobs restart {job.id}` queues it anew.", taken_ms)
    if job.status.closed:
        over = f"was over at {instant_text(job.entered_ms)} ({job.status})"
        if taken_ms is None:
            return Begin(f"It never started: it {over}.")
        return Begin(f"It started at {instant_text(taken_ms)} and {over}.", taken_ms)
    if taken_ms is not None and job.status in (*HAS_ATTEMPT, Status.STOPPING):
        if job.status is not Status.RUNNING:
            return Begin(f"It has its nodes since {instant_text(taken_ms)}.", taken_ms)
        ends = ends_of(job, estimate)
        return Begin(f"It started at {instant_text(taken_ms)} and runs{ends}.", taken_ms)
    held = f" It is held: `headrace jobs release {job.id}`." if job.desired is Desired.HOLD else ""
    if job.status in (Status.AWAITING_PREREQUISITES, Status.AWAITING_DERIVATION) and open_ones:
        each = "; ".join(_waited_for(other, starts or {}) for other in open_ones[:3])
        more = f"; and {len(open_ones) - 3} more" if len(open_ones) > 3 else ""
        return Begin(
            f"It comes into the queue once these have completed, so its start can't be told yet: "
            f"{each}{more}.{held}"
        )
    return Begin(
        "It is not in the queue yet, so its start can't be told: "
        f"`headrace jobs why {job.id}` tells what it waits for.{held}"
    )


def _waited_for(other: Job, starts: Mapping[JobId, str]) -> str:
    at = starts.get(other.id)
    then = f"starts at {at} or about then" if at else f"is in {other.status}"
    return f"job {other.id} {then}"


def ends_of(job: Job, estimate: Estimate | None) -> str:
    """When a running job ends, as far as that is known: the rest of a sentence."""
    said = []
    limit_ms = job.ask.time_ms
    if estimate and (limit_ms is None or estimate.p90_ms < limit_ms):
        by = instant_text(job.entered_ms + estimate.p90_ms)
        said.append(f"9 of 10 such jobs would be over by {by} ({estimate.basis})")
    if limit_ms is not None:
        said.append(f"its time limit ends it at {instant_text(job.entered_ms + limit_ms)}")
    return "; " + "; ".join(said) if said else ""
