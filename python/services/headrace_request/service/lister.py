"""Pages of jobs: found in the read model, shown as Redis has them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace_model.job import Job
from headrace_model.listing import Filter, Place
from headrace_model.people import User, sees
from headrace_model.status import Status
from headrace_request.service.feed import Feed
from headrace_wire.records import read_job

if TYPE_CHECKING:
    from headrace_adapters.redis.jobs import JobStore
    from headrace_adapters.sqlite.model import ReadModel


@dataclass(frozen=True, slots=True)
class Page:
    """Jobs in order, and from where to go on (None: there are no more).

    `incomplete` says in a sentence what may be missing for now.
    """

    jobs: tuple[Job, ...]
    go_on: Place | None
    incomplete: str | None = None


class Lister:
    """Lists the jobs that a user may see, the last that moved first."""

    def __init__(self, model: "ReadModel", feed: Feed, store: "JobStore") -> None:
        self._model = model
        self._feed = feed
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
        """Read up to `limit` jobs; a page may hold fewer, even none, and still go on.

        What was done before the call is in the list. Raises `Unavailable`.
        """
        await self._feed.reach_now()
        found = await self._model.page(user, statuses, wanted, limit=limit, after=after)
        live = await self._store.get_many(h.listed.id for h in found.hits if h.fields is None)
        jobs = {job.id: job for job in live} | {
            hit.listed.id: read_job(hit.listed.id, {"spec": "{}", **hit.fields})
            for hit in found.hits
            if hit.fields is not None
        }
        # What moved since is judged as it is now: above all by whom it is shared with.
        shown = (jobs[hit.listed.id] for hit in found.hits if hit.listed.id in jobs)
        return Page(
            tuple(
                job
                for job in shown
                if job.status in statuses
                and wanted.takes(job)
                and sees(user, job.owner, job.shared)
            ),
            found.go_on,
            await self._feed.incomplete(),
        )
