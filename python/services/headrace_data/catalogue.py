"""The catalogue in memory: every dataset, and what live jobs promise, ready to be matched.

Filled from Redis at the start, kept by events, and read again whole now and then. Each replica
has one; Redis stays the truth.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from heapq import merge
from typing import TYPE_CHECKING

from headrace_data.core.checking import Matched
from headrace_data.core.matching import Matcher
from headrace_data.core.planning import sources_of
from headrace_kinds.base import Expansion, Target
from headrace_kinds.derivation import DERIVATION, Derivable, Plan, Recipe
from headrace_kinds.registry import kind_named
from headrace_model.dataset import Category, Dataset, DatasetState
from headrace_model.errors import HeadraceError, InvalidInput
from headrace_model.ids import DatasetId, JobId
from headrace_model.job import Job, Need
from headrace_model.requirement import Fulfilment, Miss, Promise, Requirement
from headrace_model.status import Status
from headrace_model.visible import Readers, readers_of
from headrace_service.logs import logger
from headrace_wire.jobfile import load_jobtext

if TYPE_CHECKING:
    from headrace_adapters.redis.datasets import DatasetStore
    from headrace_adapters.redis.events import Events
    from headrace_adapters.redis.jobs import JobStore

_AT_ONCE = 200
_LIVE = tuple(status for status in Status if not status.closed)


@dataclass(frozen=True, slots=True)
class JobHint:
    """A job moved; `to` is None where only a fact of it came."""

    job: JobId
    to: Status | None


Listener = Callable[[JobHint], None]


@dataclass(slots=True)
class Catalogue:
    """Reads Redis, writes nothing. `ready` is set once everything was read."""

    store: "DatasetStore"
    jobs: "JobStore"
    events: "Events"
    target: Target
    sweep_s: float
    recipes: Sequence[Recipe] = ()  # what can be made of what
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    _matcher: Matcher = field(default_factory=Matcher)
    _datasets: dict[DatasetId, Dataset] = field(default_factory=dict)
    _deleted: dict[DatasetId, Dataset] = field(default_factory=dict)
    _promising: set[JobId] = field(default_factory=set)
    _listeners: list[Listener] = field(default_factory=list)
    _ordered: list[Dataset] | None = None  # what `all` answers, until a dataset changes
    _seen: dict[str, dict[DatasetId, Dataset]] = field(default_factory=dict)  # by reader
    _seen_ordered: dict[str, list[Dataset]] = field(default_factory=dict)

    def listen(self, listener: Listener) -> None:
        """Have `listener` called for each job that moved, after the catalogue knows of it."""
        self._listeners.append(listener)

    def get(self, dataset: DatasetId) -> Dataset | None:
        """A dataset as last read."""
        return self._datasets.get(dataset)

    def all(self) -> list[Dataset]:
        """Every OPEN, SEALED or DELETED dataset, the newest first."""
        if self._ordered is None:
            self._ordered = sorted(self._datasets.values(), key=_age, reverse=True)
        return self._ordered

    def seen_by(self, readers: Readers) -> Sequence[Dataset]:
        """What somebody may see of all, the newest first; what others keep costs nothing."""
        lists = [self._seen_in_order(key) for key in readers & self._seen.keys()]
        if len(lists) == 1:
            return lists[0]
        # One that is shared in several ways stands in several lists, and so comes in a row.
        once = {each.id: each for each in merge(*lists, key=_age, reverse=True)}
        return list(once.values())

    def deleted(self) -> list[Dataset]:
        """Every dataset that can be brought back."""
        return list(self._deleted.values())

    def promises(self, job: JobId) -> bool:
        """Tell whether a live job is known that promises outputs."""
        return job in self._promising

    async def run(self) -> None:
        """Follow the events for ever; everything is read again where some were missed."""
        again = asyncio.create_task(self._again())
        try:
            async for hint in self.events.follow():
                await self._on(dict(hint))
        finally:
            again.cancel()

    async def match(
        self,
        wanted: Requirement,
        readers: Readers,
        for_job: JobId | None = None,
        *,
        here: bool = False,
    ) -> Matched:
        """Meet a requirement by what `readers` may see, or tell why not; `here`: by datasets that
        are there, without waiting or making any.

        Both are checked against Redis first: what was sealed just before is found, what is shared
        no more is not.
        """
        now = await self.jobs.now_ms()
        found = self._matcher.match(wanted, now, readers, for_job, here=here)
        if isinstance(found, Miss) and await self._catch_up(wanted.category, wanted.format):
            found = self._matcher.match(wanted, now, readers, for_job, here=here)
        while isinstance(found, Fulfilment) and await self.hidden(found.datasets, readers):
            found = self._matcher.match(wanted, now, readers, for_job, here=here)
        if isinstance(found, Miss) and not here:
            return await self._derived(found, now, readers, for_job)
        return found

    async def _derived(
        self, missed: Miss, now_ms: int, readers: Readers, for_job: JobId | None
    ) -> Matched:
        """What was derived already, or can be, now or when a live job has ended."""
        wanted = missed.requirement
        while plan := await self._plan(wanted, now_ms, readers):
            made = self._matcher.made(wanted, plan, now_ms, readers)
            if made is None and await self._catch_up(wanted.category, wanted.format):
                made = self._matcher.made(wanted, plan, now_ms, readers)
            if made is None:
                return Derivable(missed, plan)
            if not await self.hidden(made.datasets, readers):
                return made
        later = self._matcher.plan_later(wanted, now_ms, readers, self.recipes, for_job)
        return later or self._matcher.explained(missed, now_ms, readers, self.recipes)

    async def _plan(self, wanted: Requirement, now_ms: int, readers: Readers) -> Plan | None:
        plan = self._matcher.plan(wanted, now_ms, readers, self.recipes)
        if plan is None:
            sources = sorted(sources_of(wanted, self.recipes), key=lambda e: (e[0], e[1] or ""))
            if any([await self._catch_up(*each) for each in sources]):
                plan = self._matcher.plan(wanted, now_ms, readers, self.recipes)
        while plan is not None and await self.hidden(plan.datasets, readers):
            plan = self._matcher.plan(wanted, now_ms, readers, self.recipes)
        return plan

    async def hidden(
        self, datasets: Sequence[DatasetId], readers: Readers
    ) -> tuple[DatasetId, ...]:
        """Read some datasets again; those that are not SEALED, or that `readers` may not see."""
        await self.refresh(datasets)
        known = {one: self._datasets.get(one) for one in datasets}
        return tuple(
            one
            for one, each in known.items()
            if each is None
            or each.state is not DatasetState.SEALED
            or not readers & readers_of(each.owner, each.shared, made=each.origin is not None)
        )

    async def refresh(self, datasets: Iterable[DatasetId]) -> None:
        """Read some datasets again."""
        ids = list(datasets)
        for start in range(0, len(ids), _AT_ONCE):
            chunk = ids[start : start + _AT_ONCE]
            for one, dataset in (await self._read(chunk)).items():
                self._hold(one, dataset)

    async def reload(self, *, missed: bool = False) -> None:
        """Read everything again; of live jobs the new ones, or all where events were `missed`."""
        ids = await self.store.ids() | set(await self.store.deleted())
        for gone in self._datasets.keys() - ids:
            self._hold(gone, None)
        await self.refresh(ids)
        live = {job for status in _LIVE for job in await self.jobs.in_status(status)}
        for closed in self._promising - live:
            self._withdraw(closed)
        # Whom a job is shared with is told by an event alone.
        await self._promise(live if missed else live - self._promising)
        self.ready.set()

    def expand(self, job: Job) -> Expansion:
        """What a job asks for and promises; raises `InvalidSpec`."""
        spec = load_jobtext(job.spec)
        return kind_named(spec.kind).expand(spec, self.target)

    async def _again(self) -> None:
        while True:
            await asyncio.sleep(self.sweep_s)
            await self.reload()

    async def _catch_up(self, category: Category, format_: str | None) -> bool:
        """Read what Redis has by now and no event told yet; tells whether there was any."""
        if format_ is None:
            ids = await self.store.ids()
        else:
            ids = await self.store.sealed_ids(category, format_)
        new = [one for one in ids if not self._is_sealed(one)]
        await self.refresh(new)
        return any(self._is_sealed(one) for one in new)

    async def _read(self, ids: list[DatasetId]) -> dict[DatasetId, Dataset | None]:
        """Read some entries; None for those that are gone, or that nobody can read."""
        read: dict[DatasetId, Dataset | None] = dict.fromkeys(ids)
        try:
            for entry in await self.store.get_many(ids):
                read[entry.dataset.id] = entry.dataset
        except InvalidInput as error:
            if len(ids) > 1:  # one damaged entry must not take the others with it
                for one in ids:
                    read |= await self._read([one])
            else:
                logger("data").error(f"{error}", action="read", dataset=ids[0])
        return read

    def _is_sealed(self, dataset: DatasetId) -> bool:
        known = self._datasets.get(dataset)
        return known is not None and known.state is DatasetState.SEALED

    async def _on(self, hint: dict[str, str]) -> None:
        match hint.get("kind"):
            case None:
                await self.reload(missed=True)
            case "dataset":
                await self.refresh([DatasetId(hint["dataset"])])
            case "job":
                await self._on_job(JobId(hint["job"]), hint["from"], Status(hint["to"]))
            case "share":
                await self._promise([JobId(hint["job"])])
            case "fact":
                self._tell(JobHint(JobId(hint["job"]), None))
            case _:
                pass

    async def _on_job(self, job: JobId, came_from: str, to: Status) -> None:
        if to.closed:
            self._withdraw(job)
        elif came_from in ("", Status.STOPPED):
            await self._promise([job])
        self._tell(JobHint(job, to))

    def _tell(self, hint: JobHint) -> None:
        for listener in self._listeners:
            listener(hint)

    def _withdraw(self, job: JobId) -> None:
        if job in self._promising:
            self._promising.discard(job)
            self._matcher.withdraw(job)

    async def _promise(self, jobs: Iterable[JobId]) -> None:
        ids = sorted(jobs)
        for start in range(0, len(ids), _AT_ONCE):
            for job in await self.jobs.get_many(ids[start : start + _AT_ONCE]):
                if Need.COLLECTION not in job.needs or job.status.closed:
                    continue
                if job.kind == DERIVATION:
                    continue  # who misses the same becomes a parent of it
                self._promise_outputs(job)
                # A long list is read while requests wait for their answers.
                await asyncio.sleep(0)

    def _promise_outputs(self, job: Job) -> None:
        try:
            outputs = self.expand(job).outputs
        except HeadraceError as error:
            logger("data").warning(
                f"the outputs of a job can't be read: {error}", action="promise", job=job.id
            )
            return
        self._promising.add(job.id)
        for each in outputs:
            self._matcher.promise(
                Promise(
                    job.id,
                    each.name,
                    each.category,
                    each.format,
                    each.domain,
                    job.owner,
                    job.shared,
                )
            )

    def _hold(self, dataset: DatasetId, known: Dataset | None) -> None:
        if known is not None and known.state is DatasetState.TOMBSTONED:
            known = None
        before = self._datasets.get(dataset)
        if before == known:
            return
        if before is not None:
            del self._datasets[dataset]
            self._show(before, add=False)
        if known is not None:
            self._datasets[dataset] = known
            self._show(known, add=True)
        self._ordered = None
        self._deleted.pop(dataset, None)
        if known is not None and known.state is DatasetState.DELETED:
            self._deleted[dataset] = known
        if known is not None and known.state is DatasetState.SEALED:
            self._matcher.add(known)
        else:
            self._matcher.remove(dataset)

    def _show(self, dataset: Dataset, *, add: bool) -> None:
        """Put a dataset into the lists of all who may see it, or take it out."""
        for reader in readers_of(dataset.owner, dataset.shared):
            self._seen_ordered.pop(reader, None)
            held = self._seen.setdefault(reader, {})
            if add:
                held[dataset.id] = dataset
            else:
                del held[dataset.id]
            if not held:
                del self._seen[reader]

    def _seen_in_order(self, reader: str) -> list[Dataset]:
        if reader not in self._seen_ordered:
            held = self._seen[reader].values()
            self._seen_ordered[reader] = sorted(held, key=_age, reverse=True)
        return self._seen_ordered[reader]


def _age(dataset: Dataset) -> tuple[int, str]:
    return dataset.created_ms, dataset.id
