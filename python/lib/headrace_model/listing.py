"""Lists of jobs: what is asked for, what a list knows of a job, and the order of lists.

The order is (entered_ms, id), falling: the job that moved last comes first.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from headrace_model.ids import DatasetId, JobId
from headrace_model.job import Job
from headrace_model.people import Shares
from headrace_model.status import Status


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A place in the order: when a job entered its status (ms since 1970), and its id."""

    entered_ms: int
    job: JobId


@dataclass(frozen=True, slots=True)
class Listed:
    """What a list has to know of a job to find it, and which datasets it takes."""

    id: JobId
    name: str
    kind: str
    owner: str
    status: Status
    entered_ms: int
    shared: Shares = ()
    inputs: tuple[DatasetId, ...] = ()

    @property
    def place(self) -> Place:
        """Where it stands in the order."""
        return Place(self.entered_ms, self.id)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which jobs are wanted; None and "" take any. `q`: part of the name or id."""

    kind: str | None = None
    owner: str | None = None
    q: str = ""
    since_ms: int | None = None

    def takes(self, job: Job | Listed) -> bool:
        """Tell whether the job is wanted."""
        q = self.q.lower()
        return (
            (self.kind is None or job.kind == self.kind)
            and (self.owner is None or job.owner == self.owner)
            and (not q or q in job.name or q in job.id)
            and (self.since_ms is None or job.entered_ms >= self.since_ms)
        )


@dataclass(frozen=True, slots=True)
class Hit:
    """A job of a page. `fields` of one that is archived, as Redis had them; None: it is live."""

    listed: Listed
    fields: Mapping[str, str] | None


@dataclass(frozen=True, slots=True)
class Archived:
    """A job that is in a pack; `fields`: those of them that lists show."""

    listed: Listed
    fields: Mapping[str, str]
