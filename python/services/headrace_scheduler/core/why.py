"""Why a job waits, in a sentence and a next step; and why one could never start.

`plan` only notes a `Why` per job (ten thousand sentences would cost more than the plan); the
sentence is made by `explain` when somebody asks.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import assert_never

from headrace_model.fit import asked_text, can_hold, largest_text
from headrace_model.ids import NodeId
from headrace_model.maintenance import Maintenance
from headrace_model.node import NodeState
from headrace_model.quota import What
from headrace_scheduler.core.placement import Reason
from headrace_scheduler.core.quota import Bound
from headrace_scheduler.core.snapshot import Node, WaitingJob


@dataclass(frozen=True, slots=True)
class Why:
    """A reason with its numbers.

    `at_ms`: when the job may start (NOT_BEFORE, BACK_OFF) or will at the latest (RESERVED; None
    when that can't be known). `nodes`: what is reserved. `bound`: the quota that is used up.
    """

    reason: Reason
    at_ms: int | None = None
    nodes: tuple[NodeId, ...] = ()
    bound: Bound | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a person reads: why the job waits, and what to do (or that there is nothing to do)."""

    sentence: str
    next_step: str


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
                f"The job may not start before {time_text(why.at_ms)} (start_not_before).",
                "It starts by itself after that time.",
            )
        case Reason.BACK_OFF:
            return Explanation(
                f"Attempt {job.attempt} may not start before {time_text(why.at_ms)}: "
                f"attempt {job.attempt - 1} ended, and the retry waits a while (back-off).",
                f"It starts by itself; `headrace jobs history {job.id}` tells how attempt "
                f"{job.attempt - 1} ended.",
            )
        case Reason.DEADLINE:
            return Explanation(
                "The job can't end by its deadline any more.",
                "It ends by itself within moments (cause DEADLINE); submit it with a later one.",
            )
        case Reason.QUOTA:
            return _explain_quota(job, why.bound)
        case Reason.NO_NODE_KNOWN | Reason.NO_NODE_UP | Reason.NO_BACKEND | Reason.TOO_LARGE:
            return _explain_nodes(job, why.reason, nodes)
        case Reason.IN_TURN:
            return Explanation(
                "A job that is ahead in the queue waits for room, and here no job passes another "
                "(policy FIFO).",
                "Wait; or an admin chooses another `policy` in resources.yaml.",
            )
        case Reason.MAINTENANCE:
            return _explain_maintenance(job, why, nodes)
        case Reason.RESERVED | Reason.BEHIND_RESERVATION | Reason.NO_ROOM | Reason.NEXT_PLAN:
            return _explain_queue(job, why, nodes)
        case _:
            assert_never(why.reason)


def never_starts(job: WaitingJob, why: Why, nodes: Sequence[Node]) -> bool:
    """Tell whether only another ask, other nodes or quotas would ever let the job start: not what
    time brings, nor nodes that are known and come back."""
    able = [node.capacity for node in nodes if job.may_use(node)]
    match why.reason:
        case Reason.NO_BACKEND:
            return not able
        case Reason.TOO_LARGE:
            return not can_hold(job.resources, job.cut, able)
        case Reason.QUOTA:
            bound = why.bound
            return bound is not None and not bound.ever_holds(job.resources, job.time_limit_ms)
        case Reason.DEADLINE:
            return True
        case _:
            return False


def in_maintenance(said: Maintenance) -> Explanation:
    """Say that nothing starts while an admin keeps new work away."""
    return Explanation(
        f"{said.sentence}. What waits is kept, and nothing new starts.",
        "It starts by itself when an admin ends the maintenance.",
    )


def after_restore(backup: str) -> Explanation:
    """Say that nothing starts before a restored Redis was compared with the store."""
    return Explanation(
        f"Redis was restored from a backup ({backup}), and is still being compared with the "
        "object store.",
        "It starts by itself after that; if this lasts, see that the store and the data service "
        "answer.",
    )


def _explain_quota(job: WaitingJob, bound: Bound | None) -> Explanation:
    if bound is None:
        return Explanation("A quota is used up.", "It starts by itself as jobs end.")
    kind, _, name = bound.who.partition(":")
    whose = bound.whose
    if not bound.ever_holds(job.resources, job.time_limit_ms):
        return Explanation(
            f"It never starts: it asks more than {whose} may use at all, a quota of {bound.text}.",
            "Cancel it and submit it asking less, or have an admin raise the quota "
            f"(`headrace {kind}s change {name} --quota …`).",
        )
    then = (
        f"as days leave the last {bound.days}" if bound.what is What.CPU_HOURS else "as jobs end"
    )
    return Explanation(
        f"A quota is used up: {whose} may use {bound.text}, and use {bound.used_text}.",
        f"It starts by itself {then}; an admin can raise the quota "
        f"(`headrace {kind}s change {name} --quota …`).",
    )


def _explain_nodes(job: WaitingJob, reason: Reason, nodes: Sequence[Node]) -> Explanation:
    """The reasons that only a change of the nodes can end."""
    if reason is Reason.NO_NODE_KNOWN:
        return Explanation(
            "No node has joined yet.", "Join one: start the agent on a machine with a join secret."
        )
    able = [node for node in nodes if job.may_use(node)]
    if reason is Reason.NO_BACKEND and not able and job.labels:
        unlabelled = replace(job, labels=frozenset())
        if any(unlabelled.may_use(node) for node in nodes):
            names = ", ".join(f"{name}={value}" for name, value in sorted(job.labels))
            return Explanation(
                f"No known node{_which(job)} has the labels {names}.",
                "An admin gives a node labels (`headrace nodes label`); or cancel the job and "
                "submit it with other ones.",
            )
    if reason is Reason.NO_BACKEND and not able:
        if job.pool is not None and any(job.backend in node.backends for node in nodes):
            return Explanation(
                f"No known node of the pool {job.pool!r} offers the backend {job.backend!r}.",
                "An admin says in resources.yaml which nodes are in it; or cancel the job and "
                "submit it for another pool, or for none.",
            )
        return Explanation(
            f"No known node offers the backend {job.backend!r}.",
            "Join a node that offers it, or cancel the job and submit it for another backend.",
        )
    if reason is not Reason.TOO_LARGE:
        concerned = able if reason is Reason.NO_BACKEND else nodes
        what = _which(job) if reason is Reason.NO_BACKEND else ""
        return Explanation(f"No node{what} is up: {_down(concerned)}.", _repair(concerned))
    rooms = [node.capacity for node in able if node.state is NodeState.UP]
    sentence = f"{_who(job)} asks {asked_text(job.resources, job.cut)}; " + largest_text(
        job.resources, job.cut, rooms, f"even when all nodes{_of_pool(job)} that are up are empty"
    )
    if can_hold(job.resources, job.cut, [node.capacity for node in able]):
        return Explanation(
            f"{sentence}. It needs a node that is not up: {_down(able)}.", _repair(able)
        )
    return Explanation(
        f"{sentence}.", "Join a larger node, or cancel the job and submit it asking less."
    )


def _explain_maintenance(job: WaitingJob, why: Why, nodes: Sequence[Node]) -> Explanation:
    which = windows_of(job, nodes)
    until = f"It starts at {time_text(why.at_ms)} at the latest" if why.at_ms else "Wait"
    return Explanation(
        f"There is room, but the job may run into a maintenance{which}.",
        f"{until}; or submit it with a `limits.time` so short that it ends before.",
    )


def _explain_queue(job: WaitingJob, why: Why, nodes: Sequence[Node]) -> Explanation:
    """The reasons that time ends: other jobs have what this one needs."""
    if why.reason is Reason.NEXT_PLAN:
        return Explanation(
            "Its turn has not come: many jobs are starting right now.",
            "Nothing to do; the scheduler looks at it again within moments.",
        )
    if why.reason is Reason.BEHIND_RESERVATION:
        at = "" if why.at_ms is None else f" Its own reservation is at {time_text(why.at_ms)}."
        return Explanation(
            "There is room, but it is reserved for a job that is ahead in the queue, and this job "
            f"would be in its way.{at}",
            "Wait, or submit with a `limits.time` so short that it ends before that job starts.",
        )
    sentence = f"{_short_of(job, nodes)}. It fits only after running jobs have ended"
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
        f"{sentence}; it has a reservation on {names}, at {time_text(why.at_ms)} at the latest.",
        "Nothing to do; it starts by itself.",
    )


def _short_of(job: WaitingJob, nodes: Sequence[Node]) -> str:
    """What a job asks, and that there is less now."""
    up = [node for node in nodes if job.may_use(node) and node.state is NodeState.UP]
    asked = f"{_who(job)} asks {asked_text(job.resources, job.cut)}"
    if job.whole_node:
        few = "too few" if any(node.free == node.capacity for node in up) else "none"
        which = f"nodes{_of_pool(job)} that it may use"
        return (
            f"{asked} with nobody else on its nodes (whole_node); {few} of the {which} are empty"
        )
    rooms = [node.free for node in up]
    largest = largest_text(job.resources, job.cut, rooms, f"now{_of_pool(job, 'in')}")
    return f"{asked}; {largest}"


def too_late(job: WaitingJob, at_ms: int | None) -> str:
    """Say that a start lies behind what the deadline lets; empty where it does not."""
    latest_ms = job.latest_start_ms
    if at_ms is None or latest_ms is None or at_ms <= latest_ms:
        return ""
    return (
        f"It is foreseen for {time_text(at_ms)} at the latest, and must start by "
        f"{time_text(latest_ms)} to end by its deadline. Unless room comes back by then it ends "
        "with the cause DEADLINE."
    )


def windows_of(job: WaitingJob, nodes: Sequence[Node]) -> str:
    """Name the first window of maintenance of the nodes that a job may use."""
    usable = [node for node in nodes if job.may_use(node)]
    windows = sorted((w.from_ms, node.id, w.why) for node in usable for w in node.windows)
    if not windows:
        return ""
    begins_ms, node, reason = windows[0]
    return f": of {node} from {time_text(begins_ms)} on ({reason})"


def _of_pool(job: WaitingJob, word: str = "of") -> str:
    return f" {word} the pool {job.pool!r}" if job.pool is not None else ""


def _which(job: WaitingJob) -> str:
    return f"{_of_pool(job)} that offers the backend {job.backend!r}"


def _who(job: WaitingJob) -> str:
    return "The job" if job.tasks is None else "Each of its tasks"


def time_text(at_ms: int | None) -> str:
    """A time for people."""
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
    for state in (NodeState.DRAINED, NodeState.FULL, NodeState.LOST):
        ids = sorted(node.id for node in nodes if node.state is state)
        if ids:
            texts.append(f"{_names(ids)} {'is' if len(ids) == 1 else 'are'} {state}")
    return "; ".join(texts) or "the nodes have changed just now"


def _repair(nodes: Sequence[Node]) -> str:
    if any(node.state is NodeState.FULL for node in nodes):
        return "Make room on the disk of the full machine's state folder, or join another node."
    if any(node.state is NodeState.DRAINED for node in nodes):
        return "Join another node: a drained one takes no new work."
    return "See that the agent runs on the lost machine, or join another node."
