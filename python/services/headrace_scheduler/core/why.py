"""Why a job waits, in a sentence and a next step; and why one could never start.

`plan` only notes a `Why` per job (ten thousand sentences would cost more than the plan); the
sentence is made by `explain` when somebody asks.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from typing import assert_never

from headrace_model.ids import JobId, NodeId
from headrace_model.node import NodeState
from headrace_model.resources import NOTHING, Paradigm, Resources
from headrace_scheduler.core.placement import CPU, Reason, can_hold, undivided, whole_cpus
from headrace_scheduler.core.snapshot import Node, WaitingJob


@dataclass(frozen=True, slots=True)
class Why:
    """A reason with its numbers.

    `at_ms`: when the job may start (NOT_BEFORE, BACK_OFF) or will at the latest (RESERVED; None
    when that can't be known). `job`: whose reservation is in the way. `nodes`: what is reserved.
    """

    reason: Reason
    at_ms: int | None = None
    job: JobId | None = None
    nodes: tuple[NodeId, ...] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a person reads: why the job waits, and what to do (or that there is nothing to do)."""

    sentence: str
    next_step: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a job could never start; `largest` is what could, asked in the same way."""

    largest: Resources
    sentence: str


def never_fits(
    resources: Resources, paradigm: Paradigm, backend: str, nodes: Sequence[Node]
) -> Refusal | None:
    """Refuse at submit what all known nodes together couldn't hold even if they were empty.

    `nodes` are all nodes that were not removed; drained and lost ones count, since they may come
    back. While no node is known nothing is refused: a fresh installation takes jobs
    before its first node has joined, and they wait as "no node has joined yet". Once there
    are nodes and none offers the backend, the job is refused with nothing as the largest fit.
    """
    if not nodes:
        return None
    rooms = [node.capacity for node in nodes if backend in node.backends]
    if not rooms:
        offered = sorted({name for node in nodes for name in node.backends})
        return Refusal(
            NOTHING,
            f"no known node offers the backend {backend!r} "
            f"(offered: {', '.join(offered) or 'none'})",
        )
    if can_hold(resources, paradigm, rooms):
        return None
    return Refusal(
        largest_fit(resources, paradigm, rooms),
        f"the job asks {_asked(resources, paradigm)}; "
        f"{_largest(resources, paradigm, rooms, 'when all nodes with its backend are empty')}",
    )


def largest_fit(resources: Resources, paradigm: Paradigm, rooms: Iterable[Resources]) -> Resources:
    """The largest request of this kind that such rooms hold (none of them holds `resources`).

    For a job on one node: the room that holds the greatest part of it. Else as many whole CPUs as
    fit with the same memory per CPU, and if not even one does, what one node has at best.
    """
    rooms = list(rooms)
    if not undivided(resources, paradigm):
        cpus = sum(whole_cpus(resources, r.millicpus, r.memory_bytes) for r in rooms) * CPU
        if cpus:
            return Resources(cpus, resources.memory_bytes * cpus // resources.millicpus)

    def part_held(room: Resources) -> tuple[Fraction, int, int]:
        parts = [
            Fraction(has, wants)
            for has, wants in (
                (room.millicpus, resources.millicpus),
                (room.memory_bytes, resources.memory_bytes),
            )
            if wants > 0
        ]
        return min(parts, default=Fraction(1)), room.millicpus, room.memory_bytes

    return max(rooms, key=part_held, default=NOTHING)


def explain(job: WaitingJob, why: Why, nodes: Sequence[Node]) -> Explanation:
    """Make the sentence for a reason that `plan` gave over the same nodes."""
    match why.reason:
        case Reason.HELD:
            return Explanation(
                "The job is held by its owner.",
                f"Let it go with `headrace jobs release {job.id}`.",
            )
        case Reason.NOT_BEFORE:
            return Explanation(
                f"The job may not start before {_time(why.at_ms)} (start_not_before).",
                "It starts by itself after that time.",
            )
        case Reason.BACK_OFF:
            return Explanation(
                f"Attempt {job.attempt} may not start before {_time(why.at_ms)}: "
                f"attempt {job.attempt - 1} ended, and the retry waits a while (back-off).",
                f"It starts by itself; `headrace jobs history {job.id}` tells how attempt "
                f"{job.attempt - 1} ended.",
            )
        case Reason.NO_NODE_KNOWN | Reason.NO_NODE_UP | Reason.NO_BACKEND | Reason.TOO_LARGE:
            return _explain_nodes(job, why.reason, nodes)
        case Reason.RESERVED | Reason.BEHIND_RESERVATION | Reason.NO_ROOM | Reason.NEXT_PLAN:
            return _explain_queue(job, why, nodes)
        case _:
            assert_never(why.reason)


def _explain_nodes(job: WaitingJob, reason: Reason, nodes: Sequence[Node]) -> Explanation:
    """The reasons that only a change of the nodes can end."""
    if reason is Reason.NO_NODE_KNOWN:
        return Explanation(
            "No node has joined yet.", "Join one: start the agent on a machine with a join secret."
        )
    able = [node for node in nodes if job.backend in node.backends]
    if reason is Reason.NO_BACKEND and not able:
        return Explanation(
            f"No known node offers the backend {job.backend!r}.",
            "Join a node that offers it, or cancel the job and submit it for another backend.",
        )
    if reason is not Reason.TOO_LARGE:
        concerned = able if reason is Reason.NO_BACKEND else nodes
        what = f" that offers the backend {job.backend!r}" if reason is Reason.NO_BACKEND else ""
        return Explanation(f"No node{what} is up: {_down(concerned)}.", _repair(concerned))
    rooms = [node.capacity for node in able if node.state is NodeState.UP]
    sentence = f"The job asks {_asked(job.resources, job.paradigm)}; " + _largest(
        job.resources, job.paradigm, rooms, "even when all nodes that are up are empty"
    )
    if can_hold(job.resources, job.paradigm, [node.capacity for node in able]):
        return Explanation(
            f"{sentence}. It needs a node that is not up: {_down(able)}.", _repair(able)
        )
    return Explanation(
        f"{sentence}.", "Join a larger node, or cancel the job and submit it asking less."
    )


def _explain_queue(job: WaitingJob, why: Why, nodes: Sequence[Node]) -> Explanation:
    """The reasons that time ends: other jobs have what this one needs."""
    if why.reason is Reason.NEXT_PLAN:
        return Explanation(
            "Its turn has not come: many jobs are starting right now.",
            "Nothing to do; the scheduler looks at it again within moments.",
        )
    if why.reason is Reason.BEHIND_RESERVATION:
        return Explanation(
            f"There is room, but it is reserved for job {why.job}, which is ahead in the queue, "
            "and this job would be in its way.",
            "Wait, or submit with a `limits.time` so short that it ends before that job starts.",
        )
    rooms = [
        node.free for node in nodes if job.backend in node.backends and node.state is NodeState.UP
    ]
    sentence = (
        f"The job asks {_asked(job.resources, job.paradigm)}; "
        + _largest(job.resources, job.paradigm, rooms, "now")
        + ". It fits only after running jobs have ended"
    )
    if why.reason is Reason.NO_ROOM:
        return Explanation(f"{sentence}.", "Wait, or submit it asking less.")
    names = _names(why.nodes)
    if why.at_ms is None:
        return Explanation(
            f"{sentence}; it is the first in the queue, and {names} is being cleared for it, but "
            "jobs without a time limit run there.",
            "Wait, or stop one of the jobs that run there.",
        )
    return Explanation(
        f"{sentence}; it is the first in the queue and has a reservation on {names}, "
        f"at {_time(why.at_ms)} at the latest.",
        "Nothing to do; it starts by itself.",
    )


def _asked(resources: Resources, paradigm: Paradigm) -> str:
    where = " on one node" if undivided(resources, paradigm) else f" ({paradigm})"
    return _amount(resources) + where


def _largest(
    resources: Resources, paradigm: Paradigm, rooms: Sequence[Resources], when: str
) -> str:
    if can_hold(resources, paradigm, rooms):
        return f"that much fits {when}"  # the nodes changed since the plan
    fit = _amount(largest_fit(resources, paradigm, rooms))
    if undivided(resources, paradigm):
        return f"the nearest that one node has is {fit}, {when}"
    return f"the largest that fits is {fit}, {when}"


def _amount(resources: Resources) -> str:
    cpus = f"{Fraction(resources.millicpus, CPU).__float__():.3f}".rstrip("0").rstrip(".")
    plural = "" if resources.millicpus == CPU else "s"
    return f"{cpus} CPU{plural} and {_bytes(resources.memory_bytes)}"


def _bytes(count: int) -> str:
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= size:
            return f"{count / size:.2f}".rstrip("0").rstrip(".") + f" {unit}"
    return f"{count} B"


def _time(at_ms: int | None) -> str:
    if at_ms is None:
        return "an unknown time"
    try:
        return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):  # after the year 9999
        return f"{at_ms} ms"


def _names(nodes: Sequence[NodeId]) -> str:
    shown = ", ".join(nodes[:3])
    more = len(nodes) - 3
    return f"{shown} and {more} more" if more > 0 else shown


def _down(nodes: Sequence[Node]) -> str:
    texts = []
    for state in (NodeState.DRAINED, NodeState.LOST):
        ids = sorted(node.id for node in nodes if node.state is state)
        if ids:
            texts.append(f"{_names(ids)} {'is' if len(ids) == 1 else 'are'} {state}")
    return "; ".join(texts) or "the nodes have changed just now"


def _repair(nodes: Sequence[Node]) -> str:
    drained = sorted(node.id for node in nodes if node.state is NodeState.DRAINED)
    if drained:
        return f"Put it back with `headrace nodes undrain {drained[0]}`, or join another node."
    return "See that the agent runs on the lost machine, or join another node."
