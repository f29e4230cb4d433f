"""Paging through all jobs, the last that moved first, over one index a status.

The order is (entered_ms, id), falling. An index answers in this order; a page of the whole is
merged from a chunk of each.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from headrace_model.errors import InvalidInput, InvalidName
from headrace_model.ids import JobId, parse_job_id
from headrace_model.job import Job
from headrace_model.status import Status


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A place in the order: when a job entered its status (ms since 1970), and its id."""

    entered_ms: int
    job: JobId


@dataclass(frozen=True, slots=True)
class Chunk:
    """What merging gave: places in order, and from where to go on (None: that was all)."""

    places: tuple[Place, ...]
    go_on: Place | None


@dataclass(frozen=True, slots=True)
class Filter:
    """Which jobs are wanted; None and "" take any. `q`: part of the name or id."""

    kind: str | None = None
    owner: str | None = None
    q: str = ""
    since_ms: int | None = None

    def takes(self, job: Job) -> bool:
        """Tell whether the job is wanted."""
        q = self.q.lower()
        return (
            (self.kind is None or job.kind == self.kind)
            and (self.owner is None or job.owner == self.owner)
            and (not q or q in job.name or q in job.id)
            and (self.since_ms is None or job.entered_ms >= self.since_ms)
        )


def merge(
    indexes: Iterable[Sequence[tuple[JobId, int]]], asked: int, after: Place | None
) -> Chunk:
    """Merge chunks of at most `asked` entries each into places below `after`.

    An index that gave all `asked` entries may have more, so nothing below its last entry can be
    told yet: the merged chunk ends at the highest such entry.
    """
    places: set[Place] = set()
    horizon: Place | None = None
    for entries in indexes:
        these = [Place(entered_ms, job) for job, entered_ms in entries]
        places.update(these)
        if len(these) >= asked:
            horizon = max(these[-1], horizon) if horizon else these[-1]
    told = [
        place
        for place in places
        if (after is None or place < after) and (horizon is None or place >= horizon)
    ]
    return Chunk(tuple(sorted(told, reverse=True)), horizon)


def statuses_named(names: Iterable[str]) -> tuple[Status, ...]:
    """Find statuses by whole name, phase or step, any case; all when none is named.

    Raises `InvalidInput` for a name that fits nothing.
    """
    wanted: dict[Status, None] = {}
    for name in names:
        key = name.strip().upper().replace("-", "_")
        found = [s for s in Status if key in (s.value, *s.value.split(":"))]
        if not found:
            steps = ", ".join(
                s.value.partition(":")[2] for s in Status if s is not Status.ACCEPTED
            )
            raise InvalidInput(f"{name[:60]!r} is not a status; known are {steps}")
        wanted.update(dict.fromkeys(found))
    return tuple(wanted or Status)


def write_cursor(place: Place) -> str:
    """Write a place as the text that a client sends back."""
    return urlsafe_b64encode(json.dumps([place.entered_ms, place.job]).encode()).decode()


def read_cursor(text: str) -> Place:
    """Read what `write_cursor` wrote; raises `InvalidInput` for anything else."""
    try:
        entered_ms, job = json.loads(urlsafe_b64decode(text.encode()))
        if type(entered_ms) is int and 0 <= entered_ms < 2**53 and isinstance(job, str):
            return Place(entered_ms, parse_job_id(job))
    except (ValueError, TypeError, RecursionError, InvalidName):
        pass
    raise InvalidInput(
        "this cursor is not one that a list of jobs gave", hint="start again without a cursor"
    )


def names_of_outputs(text: str) -> Mapping[str, str]:
    """The datasets of a job's outputs, by output name; `text` is the job's `outputs`."""
    outputs: Mapping[str, str] = json.loads(text) if text else {}
    return outputs
