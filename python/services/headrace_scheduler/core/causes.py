"""All that keeps a waiting job from starting, ranked, with the smallest change that would help.

First stands what the plan says (`why.explain`), then each change of the ask that would suffice
alone, the smallest first, and last the nodes that take no work and would hold it.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, assert_never

from headrace_model.fit import amount_text
from headrace_model.ids import NodeId
from headrace_model.node import NodeState
from headrace_model.resources import NOTHING, Allocation, Resources
from headrace_model.units import cpus_text, duration_text, size_text
from headrace_scheduler.core.change import Anew, Change, Part, changes
from headrace_scheduler.core.order import with_job
from headrace_scheduler.core.placement import Reason
from headrace_scheduler.core.plan import plan
from headrace_scheduler.core.snapshot import Node, Snapshot, WaitingJob
from headrace_scheduler.core.why import (
    Explanation,
    Why,
    explain,
    never_starts,
    time_text,
    too_late,
    windows_of,
)

NODES: Final = "NODES"
# With these nothing in the ask is in the way.
_NOT_THE_ASK: Final = frozenset({Reason.NOT_BEFORE, Reason.BACK_OFF, Reason.HELD})


@dataclass(frozen=True, slots=True)
class Cause:
    """One thing that is in the way: a `Reason`, a `Part` of the ask, or NODES."""

    cause: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Advice:
    """A change that lets the job start now: what to set in its job file, and where it starts."""

    cause: str
    sentence: str
    set: Mapping[str, str]
    nodes: tuple[NodeId, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """Why a job waits in the queue: `causes`, the plan's own first; its place, which it has once
    it may start; `change` is None where nothing smaller would start now. With `starts` the next
    plan starts it there; `never`: see `never_starts`."""

    explanation: Explanation
    causes: tuple[Cause, ...] = ()
    change: Advice | None = None
    position: int | None = None
    starts: Allocation | None = None
    never: bool = False


def answer(snapshot: Snapshot, job: WaitingJob, anew: Anew, now_ms: int) -> Answer:
    """Say all about a job that waits; `snapshot` is the whole queue without it."""
    with_it = with_job(snapshot, job)
    ahead = ahead_of(job, snapshot)
    planned = plan(with_it, now_ms, limit=ahead + 2)
    position = ahead + 1 if job.is_due(now_ms) else None
    if starts := planned.allocation_of(job.id):
        said = Explanation(f"It starts with the next plan on {_nodes(starts.nodes)}.", _NOTHING)
        return Answer(said, position=position, starts=starts)
    why = planned.why(job.id)
    told = explain(job, why, snapshot.nodes)
    first = Cause(why.reason, told.sentence)
    if why.reason in _NOT_THE_ASK:
        return Answer(told, (first,), _freed(job, why, snapshot, now_ms), position)
    never = never_starts(job, why, snapshot.nodes)
    found = [_advice(job, anew, each) for each in changes(snapshot, job, anew, now_ms)]
    causes = [first, *_of_time(with_it, job, why, now_ms)]
    if causes[-1].cause == Reason.MAINTENANCE != why.reason:
        causes = [causes[-1], *causes[:-1]]
        if why.reason is Reason.BEHIND_RESERVATION:  # who is ahead waits for the window too
            causes.remove(first)
            told = explain(job, replace(why, reason=Reason.MAINTENANCE), snapshot.nodes)
        told = Explanation(causes[0].sentence, told.next_step)
    causes += (Cause(each.cause, each.sentence) for each in found)
    if there := _closed_nodes(with_it, job, now_ms):
        causes.append(there)
    return Answer(told, tuple(causes), found[0] if found else None, position, never=never)


def _of_time(with_it: Snapshot, job: WaitingJob, why: Why, now_ms: int) -> Iterator[Cause]:
    """A deadline that the start lies behind; windows of maintenance without which it would start
    at once."""
    if late := too_late(job, why.at_ms):
        yield Cause(Reason.DEADLINE, late)
    which = windows_of(job, with_it.nodes)
    if not which or why.reason is Reason.MAINTENANCE:
        return
    nodes = tuple(replace(each, windows=()) for each in with_it.nodes)
    limit = sum(map(len, with_it.lines)) + 1
    if plan(replace(with_it, nodes=nodes), now_ms, limit=limit).allocation_of(job.id):
        at = f" (it starts at {time_text(why.at_ms)} at the latest)" if why.at_ms else ""
        sentence = f"But for a maintenance{which} it would start at once{at}."
        yield Cause(Reason.MAINTENANCE, sentence)


def ahead_of(job: WaitingJob, snapshot: Snapshot) -> int:
    """How many waiting jobs that may start now stand before this one."""
    shifts = snapshot.shifts
    place = job.place_in(shifts)
    lines = snapshot.lines  # each in the order of places
    return sum(bisect_left(line, place, key=lambda job: job.place_in(shifts)) for line in lines)


_NOTHING: Final = "Nothing to do; it starts by itself."


def _freed(job: WaitingJob, why: Why, snapshot: Snapshot, now_ms: int) -> Advice | None:
    """What lets a job go that is held, or was to start later; None where it would wait then."""
    if why.reason is Reason.BACK_OFF:
        return None
    free = replace(job, held=False, not_before_ms=None)
    tried = with_job(snapshot, free)
    starts = plan(tried, now_ms, limit=ahead_of(free, snapshot) + 2).allocation_of(job.id)
    if starts is None:
        return None
    nodes = starts.nodes
    if why.reason is Reason.HELD:
        return Advice(why.reason, f"Released it starts at once on {_nodes(nodes)}.", {}, nodes)
    sentence = f"Without start_not_before it starts at once on {_nodes(nodes)}."
    return Advice(why.reason, sentence, {"start_not_before": "null"}, nodes)


def _advice(job: WaitingJob, anew: Anew, change: Change) -> Advice:
    condition, keys = _condition(job, anew, change)
    sentence = f"{condition} it starts at once on {_nodes(change.nodes)}."
    return Advice(change.part, sentence, keys, change.nodes)


def _condition(job: WaitingJob, anew: Anew, change: Change) -> tuple[str, dict[str, str]]:
    """What is changed, for people, and as keys of the job file."""
    left, asked = change.job.resources, job.resources
    cpus, memory = cpus_text(left.millicpus), size_text(left.memory_bytes)
    less = asked.millicpus - left.millicpus, asked.memory_bytes - left.memory_bytes
    fewer = amount_text(Resources(*less)).split(" and ")
    match change.part:
        case Part.PRIORITY:
            text = f"With priority {change.priority} instead of {anew.priority}"
            return text, {"priority": str(change.priority)}
        case Part.POOL if change.job.pool is None:
            return f"Outside of the pool {job.pool!r}", {"resources.pool": "null"}
        case Part.POOL:
            return f"In the pool {change.job.pool!r}", {"resources.pool": str(change.job.pool)}
        case Part.TIME:
            limit = duration_text(change.job.time_limit_ms or 0)
            was = "none" if job.time_limit_ms is None else duration_text(job.time_limit_ms)
            return f"With a time limit of {limit} instead of {was}", {"limits.time": limit}
        case Part.MEMORY:
            return f"With {fewer[1]} less memory ({memory})", {"resources.memory": memory}
        case Part.CPUS:
            keys = {"resources.cpus": cpus}
            if left.memory_bytes != asked.memory_bytes:
                text = f"With {fewer[0]} less ({cpus}), each with its memory ({memory} in all),"
                return text, {**keys, "resources.memory": memory}
            return f"With {fewer[0]} less ({cpus})", keys
        case Part.CPUS_AND_MEMORY:
            text = f"With {fewer[0]} and {fewer[1]} of memory less ({cpus} and {memory})"
            return text, {"resources.cpus": cpus, "resources.memory": memory}
        case Part.PARADIGM:
            paradigm = change.job.paradigm.value
            return f"On several nodes ({paradigm})", {"resources.paradigm": paradigm}
        case _:
            assert_never(change.part)


def _closed_nodes(with_it: Snapshot, job: WaitingJob, now_ms: int) -> Cause | None:
    """Whether the job would start if all nodes that it may use took work."""
    closed = [
        each for each in with_it.nodes if each.state is not NodeState.UP and job.may_use(each)
    ]
    if not closed:
        return None
    ids = {each.id for each in closed}
    held = dict.fromkeys(ids, NOTHING)
    for running in with_it.running:
        for share in running.allocation.shares:
            if share.node in held:
                held[share.node] += share.resources
    nodes = tuple(
        _opened(each, held[each.id]) if each.id in ids else each for each in with_it.nodes
    )
    tried = plan(replace(with_it, nodes=nodes), now_ms, limit=sum(map(len, with_it.lines)) + 1)
    starts = tried.allocation_of(job.id)
    if starts is None:
        return None
    states = {each.id: each.state for each in closed}
    if there := [node for node in starts.nodes if node in ids]:
        which = _nodes([f"{node} ({states[node]})" for node in there])
        return Cause(NODES, f"It would start at once on {which} if that took work.")
    return Cause(NODES, "It would start at once if all nodes took work.")


def _opened(node: Node, held: Resources) -> Node:
    return replace(node, state=NodeState.UP, free=node.capacity - held)


def _nodes(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
