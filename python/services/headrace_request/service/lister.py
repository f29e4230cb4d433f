"""Pages of jobs, read from the indexes of the statuses."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace_model.job import Job
from headrace_model.people import Act, User, may
from headrace_model.status import Status
from headrace_request.core.listing import Chunk, Filter, Place, merge

if TYPE_CHECKING:
    from headrace_adapters.redis.jobs import JobStore

_SCANNED = 2_000  # jobs looked at for one page: a rare match must not read them all at once
_CHUNK = 200
_LARGEST_CHUNK = 100_000


@dataclass(frozen=True, slots=True)
class Page:
    """Jobs in order, and from where to go on (None: there are no more)."""

    jobs: tuple[Job, ...]
    go_on: Place | None


class Lister:
    """Lists the jobs that a user may see, the last that moved first."""

    def __init__(self, store: "JobStore") -> None:
        self._store = store

    async def page(
        self,
        user: User,
        statuses: Sequence[Status],
        wanted: Filter,
        *,
        limit: int,
        after: Place | None,
    ) -> Page:
        """Read up to `limit` jobs; a page may hold fewer, even none, and still go on."""
        taken: list[Job] = []
        scanned, chunk = 0, min(limit + 1, _CHUNK)
        while True:
            found = await self._chunk(statuses, chunk, after)
            jobs = {job.id: job for job in await self._store.get_many(p.job for p in found.places)}
            for place in found.places:
                if len(taken) == limit:
                    return Page(tuple(taken), after)
                scanned, after = scanned + 1, place
                job = jobs.get(place.job)
                if job is None:
                    continue
                if wanted.since_ms is not None and place.entered_ms < wanted.since_ms:
                    return Page(tuple(taken), None)
                if may(user, Act.SEE_JOB, user.standing(job.owner, job.shared)) and wanted.takes(
                    job
                ):
                    taken.append(job)
            if found.go_on is None:
                return Page(tuple(taken), None)
            if len(taken) == limit or scanned >= _SCANNED:
                return Page(tuple(taken), after)
            if not found.places:
                # More jobs moved in one millisecond than a chunk holds.
                chunk = min(chunk * 4, _LARGEST_CHUNK)

    async def _chunk(self, statuses: Sequence[Status], chunk: int, after: Place | None) -> Chunk:
        before_ms = after.entered_ms if after else None
        indexes = await asyncio.gather(
            *(
                self._store.latest_in_status(status, before_ms=before_ms, limit=chunk)
                for status in statuses
            )
        )
        return merge(indexes, chunk, after)
