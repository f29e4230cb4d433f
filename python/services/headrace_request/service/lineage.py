"""Walks from a job or a dataset back to what it came from, and on to what came of it.

Nothing is kept for it: a job's record tells what it took and made, an output's id tells its maker,
and which jobs took a dataset is an index of the read model.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from headrace_model.dataset import Dataset, DatasetState
from headrace_model.errors import NotFound
from headrace_model.ids import DatasetId, JobId
from headrace_model.job import Job
from headrace_model.people import Act, User, check_thing
from headrace_request.core.lineage import Bounds, Lineage, Link, inputs_of, maker_of, outputs_of
from headrace_request.service.feed import Feed
from headrace_request.service.jobs import JobDesk
from headrace_request.service.peers import Peer
from headrace_wire.lineage import LineageView

if TYPE_CHECKING:
    from headrace_adapters.sqlite.model import ReadModel


class LineageDesk:
    """Answers with lineages; archived jobs are in them."""

    def __init__(self, desk: JobDesk, data: Peer, model: "ReadModel", feed: Feed) -> None:
        self._desk = desk
        self._data = data
        self._model = model
        self._feed = feed

    async def of_job(self, job: JobId, user: User, bounds: Bounds) -> LineageView:
        """The lineage of a job; raises `NotFound`, `Forbidden`, `Unavailable`."""
        await self._feed.reach_now()
        found = await self._desk.get(job, user)
        lineage = Lineage(user, bounds.nodes)
        lineage.job(job, found)
        for back in (True, False):
            made = await self._beside(lineage, [found], back=back)
            await self._walk(lineage, made, bounds.depth, back=back)
        return lineage.view(job, await self._feed.incomplete())

    async def of_dataset(self, name: str, user: User, bounds: Bounds) -> LineageView:
        """The lineage of the dataset of a name, `name@N` or id; raises as `of_job`."""
        await self._feed.reach_now()
        found = await self._named(name, user)
        lineage = Lineage(user, bounds.nodes)
        lineage.root(found)
        for back in (True, False):
            await self._walk(lineage, [found.id], bounds.depth, back=back)
        return lineage.view(found.id, await self._feed.incomplete())

    async def _named(self, name: str, user: User) -> Dataset:
        missing = NotFound(
            f"there is no dataset {name[:140]!r}",
            hint="`headrace dataset list` shows those you may see",
        )
        try:
            (found,) = await self._data.datasets((), name)
        except (NotFound, ValueError):  # none: it was deleted since it was named
            raise missing from None
        if found.state not in (DatasetState.OPEN, DatasetState.SEALED):
            raise missing
        act = Act.SEE_DATASET
        check_thing(user, act, act, found.owner, found.shared, missing)
        return found

    async def _walk(
        self, lineage: Lineage, datasets: Sequence[DatasetId], depth: int, *, back: bool
    ) -> None:
        for _ in range(depth):
            jobs = await self._jobs(lineage, datasets, back=back)
            datasets = await self._beside(lineage, jobs, back=back)
            if not datasets:
                return
        if await self._linked(datasets, 1, back=back):
            lineage.cut = True

    async def _jobs(
        self, lineage: Lineage, datasets: Sequence[DatasetId], *, back: bool
    ) -> list[Job]:
        """Take in the jobs that made (or took) datasets; those behind which one may look."""
        links = await self._linked(datasets, lineage.most, back=back)
        ids = list(dict.fromkeys(link.job for link in links))[: lineage.most]
        found = {job.id: job for job in await self._desk.get_many(ids)}
        seen = [job for job in ids if lineage.takes(job) and lineage.job(job, found.get(job))]
        if not back:  # the index does not tell as which inputs
            among = frozenset(datasets)
            links = [
                link
                for job in ids
                for link in (inputs_of(found[job]) if job in found else ())
                if link.dataset in among
            ]
        for link in links:
            lineage.edge(link)
        return [found[job] for job in seen]

    async def _beside(
        self, lineage: Lineage, jobs: Sequence[Job], *, back: bool
    ) -> list[DatasetId]:
        """Take in what jobs took (or made); those behind which one may look."""
        links = [
            (job, link) for job in jobs for link in (inputs_of(job) if back else outputs_of(job))
        ]
        new = dict.fromkeys(link.dataset for _, link in links)
        entries = await self._data.datasets(list(new)[: lineage.most]) if new else []
        found = {each.id: each for each in entries}
        seen = []
        for job, link in links:
            one = link.dataset
            if lineage.takes(one) and lineage.dataset(link, found.get(one), job):
                seen.append(one)
            lineage.edge(link)
        return seen

    async def _linked(self, datasets: Sequence[DatasetId], most: int, *, back: bool) -> list[Link]:
        """The jobs that made (or took) datasets: at most `most` takers of each."""
        if back:
            return [link for one in datasets if (link := maker_of(one))]
        users = await self._model.users_of(datasets, most)
        return [Link(one, job, "") for one in datasets for job in users[one]]
