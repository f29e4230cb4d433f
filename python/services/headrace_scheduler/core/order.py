"""The order of the queue: by rank, with the jobs of each owner so far back as their share says.

A place is rank + shift, both in ms: eligible - priority * weight + shift(owner), where a job is
eligible since it could have started, but for the time that it was held. The shift of an
owner moves all of their jobs alike, so that these never pass each other, and it is never
negative and never above `headrace_model.share.MOST_SHIFT_MS`. So of two jobs the one that came so
much later that neither priority nor share makes up for it goes behind, whoever sends how much:
in front of a waiting job only what is there already, or comes within that bounded time, can start.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from heapq import merge

from headrace_model.ids import JobId
from headrace_scheduler.core.snapshot import Place, Snapshot, WaitingJob


def in_order(
    by_owner: Mapping[str, Sequence[tuple[float, JobId]]], shifts: Mapping[str, int]
) -> Iterator[tuple[Place, JobId]]:
    """Jobs by their places; of each owner there are rank and id, in their order."""
    return merge(*(_moved(line, shifts.get(owner, 0)) for owner, line in by_owner.items()))


def with_job(snapshot: Snapshot, job: WaitingJob) -> Snapshot:
    """The snapshot with one job more, in a line of its own, and nothing behind it planned."""
    lines = in_turn((*snapshot.lines, (job,)), snapshot.shifts)
    return replace(snapshot, lines=lines, until=job.place_in(snapshot.shifts))


def in_turn(
    lines: Iterable[Sequence[WaitingJob]], shifts: Mapping[str, int]
) -> tuple[Sequence[WaitingJob], ...]:
    """Lines in the order of their first jobs, as a snapshot has them."""
    return tuple(sorted(lines, key=lambda line: line[0].place_in(shifts)))


def _moved(line: Sequence[tuple[float, JobId]], shift: int) -> Iterator[tuple[Place, JobId]]:
    return (((rank + shift, id), id) for rank, id in line)
