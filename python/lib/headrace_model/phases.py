"""How long a job was in each phase of its way, by its history."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from headrace_model.status import Status


@dataclass(frozen=True, slots=True)
class Step:
    """An entry of a history, as far as phases need it. `attempt`: the one that was current."""

    at_ms: int
    attempt: int
    before: Status | None  # None: it was submitted
    after: Status


@dataclass(frozen=True, slots=True)
class Phase:
    """A stay in one status within one attempt; `ended_ms` is None while it lasts."""

    attempt: int
    status: Status
    began_ms: int
    ended_ms: int | None


def phases(steps: Sequence[Step], attempt: int) -> tuple[Phase, ...]:
    """The stays that the steps (oldest first) lead through, but for the end of a closed job.

    `attempt`: the job's current one. Steps that change no status lengthen the stay that they
    are in. A step tells the attempt that it ends; so what lies before it belongs to that.
    """
    found: list[Phase] = []
    for place, step in enumerate(steps):
        after = steps[place + 1] if place + 1 < len(steps) else None
        if after is None and step.after.closed:
            break
        stay = Phase(
            after.attempt if after else attempt,
            step.after,
            step.at_ms,
            after.at_ms if after else None,
        )
        last = found[-1] if found else None
        if last and (last.attempt, last.status) == (stay.attempt, stay.status):
            found[-1] = replace(last, ended_ms=stay.ended_ms)
        elif stay.status is not Status.ACCEPTED:
            found.append(stay)
    return tuple(found)
