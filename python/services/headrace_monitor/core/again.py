"""Whether a failed attempt is followed by another one, and what that one asks."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from headrace_model.cause import RETRYABLE, Cause
from headrace_model.fit import can_hold, undivided
from headrace_model.job import Ask, Job
from headrace_model.resources import Resources
from headrace_model.spec import MOST_RAISED, Retry
from headrace_model.units import rough_size

FIRST_BACK_OFF_MS: Final = 1_000
LONGEST_BACK_OFF_MS: Final = 60_000
MOST_LOSSES: Final = 10
"""However often a job may be tried again: so many nodes are lost with it and no more."""
FEWEST_LOSSES: Final = 3
"""Fewer may be chance, and say nothing of the job."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`ask` of the next attempt, None: there is none; cause and detail of the one that ended."""

    ask: Ask | None
    cause: Cause | None
    detail: str
    losses: int


def judge(
    job: Job, retry: Retry, asked: Resources, rooms: Sequence[Resources], now_ms: int
) -> Verdict:
    """Judge an attempt that ended with `job.cause`.

    `asked` is what the job asked at first; `rooms` are the nodes that it may use, as far as they
    may be used, when they are empty.
    """
    cause, detail = job.cause, job.detail
    lost = cause is Cause.NODE_LOST
    losses = job.losses + lost
    retried = cause is Cause.RESTORED or (
        cause in RETRYABLE and cause in retry.on and job.retries < retry.limit
    )
    if lost and losses >= FEWEST_LOSSES and not (retried and losses < MOST_LOSSES):
        told = f"{losses} times a machine was lost while it ran there; the last time: {detail}"
        return Verdict(None, Cause.POISON, told, losses)
    ask = job.ask
    if retried and cause is Cause.OOM:
        before = _had(job)
        more, why = _more_memory(ask, before, retry, asked, rooms)
        if more <= before:
            told = f"{detail}; it is not tried again with more than {rough_size(before)}: {why}"
            return Verdict(None, cause, told, losses)
        detail = f"{detail}; attempt {job.attempt + 1} asks {rough_size(more)}"
        ask = replace(ask, resources=replace(ask.resources, memory_bytes=more))
    if not retried:
        return Verdict(None, cause, detail, losses)
    pause_ms = min(FIRST_BACK_OFF_MS << min(job.retries, 16), LONGEST_BACK_OFF_MS)
    return Verdict(replace(ask, not_before_ms=now_ms + pause_ms), cause, detail, losses)


def _has_whole_nodes(ask: Ask) -> bool:
    return ask.constraints is not None and ask.constraints.whole_node


def _had(job: Job) -> int:
    """How much memory the attempt had: all of its whole nodes, else what it asked."""
    asked = job.ask.resources.memory_bytes
    if job.allocation is None or not _has_whole_nodes(job.ask):
        return asked
    return max(asked, job.allocation.total.memory_bytes)


def _more_memory(
    ask: Ask, had: int, retry: Retry, asked: Resources, rooms: Sequence[Resources]
) -> tuple[int, str]:
    """Twice the memory, or as much as may be; and what bounds that.

    More than it `had`, so that one that had a whole node goes to a larger one. Nodes alone bound
    that: it keeps nobody from memory that it does not use.
    """
    limit, why = retry.memory_limit_bytes, "that is `retry.memory_limit`"
    if limit is None and _has_whole_nodes(ask):
        limit = 2 * had
    elif limit is None:
        limit = MOST_RAISED * asked.memory_bytes
        why = (
            f"that is {MOST_RAISED} times what it asked at first; `retry.memory_limit` allows more"
        )
    more = min(2 * had, limit)
    if can_hold(replace(ask.resources, memory_bytes=more), ask.cut, rooms):
        return more, why
    why = "no node that it may use has more"
    if not undivided(ask.resources, ask.cut):
        return 0, why
    rest = replace(ask.resources, memory_bytes=0)
    largest = [room.memory_bytes for room in rooms if rest.fits_in(room)]
    return min(more, max(largest, default=0)), why
