"""The data service's shell: takes its part of each job's way while it leads."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from headrace_data.archivist import Archivist
from headrace_data.catalogue import Catalogue, JobHint
from headrace_data.checks import DataChecks
from headrace_data.collection import Collection
from headrace_data.reconciliation import Reconciliation
from headrace_data.staging import Staging
from headrace_data.store_sweep import StoreSweep
from headrace_data.turns import Turns
from headrace_data.upkeep import Upkeep
from headrace_model.errors import Conflict, Fenced, HeadraceError, Stale, Unavailable
from headrace_model.ids import DatasetId, JobId
from headrace_model.job import Job
from headrace_model.move import Move
from headrace_model.status import Desired, Role, Status
from headrace_ports.object_store import ObjectStore
from headrace_service.hints import Pending
from headrace_service.leader import Leader
from headrace_service.logs import logger
from headrace_service.metrics import REFUSALS, TRANSITIONS

if TYPE_CHECKING:
    from headrace_adapters.redis.jobs import JobStore

_MINE = (
    Status.AWAITING_DATA_CHECK,
    Status.AWAITING_DERIVATION,
    Status.AWAITING_DATA,
    Status.AWAITING_COLLECTION,
)
# What entered a status a moment ago has a hint on its way.
_HINT_MS = 2_000
_PARTS_EVERY_S = 3_600.0
_TOMBSTONED = "TOMBSTONED"


@dataclass(slots=True)
class DataService:
    """Moves jobs that wait for data, and keeps the catalogue in order."""

    catalogue: Catalogue
    jobs: "JobStore"
    store: ObjectStore
    checks: DataChecks
    staging: Staging
    collection: Collection
    upkeep: Upkeep
    reconciliation: Reconciliation
    archivist: Archivist
    store_sweep: StoreSweep
    leader: Leader
    sweep_s: float
    unfinished_s: float
    _named: Pending[JobId] = field(default_factory=Pending)
    _leads: bool = False

    def __post_init__(self) -> None:
        self.catalogue.listen(self._hear)

    async def run(self) -> None:
        """Try to lead, and act while leading."""
        await self.leader.run(self._act)

    async def _act(self, term: int) -> None:
        await self.catalogue.ready.wait()
        self._named = Pending()
        self._leads = True
        try:
            for status in _MINE:
                self._named.add(*await self.jobs.in_status(status))
            async with asyncio.TaskGroup() as group:
                turns = Turns(lambda job: self._turn(job, term), self._named, Fenced)
                group.create_task(turns.run())
                group.create_task(self._keep(term))
                group.create_task(self._find_missed())
                group.create_task(self.archivist.run(term))
                group.create_task(self.store_sweep.run(term))
        finally:
            self._leads = False

    def _hear(self, hint: JobHint) -> None:
        if not self._leads:
            return  # nobody takes what a replica that does not lead would name
        if hint.to is None or hint.to in _MINE:
            self._named.add(hint.job)
        if hint.to is not None and hint.to not in _MINE:
            self.checks.left(hint.job)
        if hint.to is not None and hint.to.closed:
            self._named.add(*self.checks.waiting_for(hint.job))
            # A derivation child names its parents itself.
            self._named.add(hint.job)

    async def _keep(self, term: int) -> None:
        """Start in order, then keep the store so; a store that is away is waited for here only."""
        await self._patiently(self.upkeep.start)
        await self.reconciliation.run(term)
        parts_at = 0.0
        while True:
            if (now := asyncio.get_running_loop().time()) >= parts_at:
                parts_at = now + _PARTS_EVERY_S
                await self._patiently(lambda: self.store.sweep_parts(self.unfinished_s))
            await self.upkeep.sweep()
            await asyncio.sleep(self.sweep_s)

    async def _patiently(self, work: Callable[[], Awaitable[object]]) -> None:
        """Try until the store is there: what needs none must go on meanwhile."""
        while True:
            try:
                await work()
            except Unavailable as error:
                logger("data").warning(
                    f"the object store is not in order yet: {error}", action="sweep"
                )
                await asyncio.sleep(self.sweep_s)
            else:
                return

    async def _find_missed(self) -> None:
        """Find the jobs that hints missed."""
        while True:
            before = await self.jobs.now_ms() - _HINT_MS
            for status in _MINE:
                ids = await self.jobs.in_status(status, entered_before_ms=before)
                self._named.add(*(job for job in ids if not self.checks.is_waiting(job)))
            self._named.add(*await self.jobs.untidy(before_ms=before))
            await asyncio.sleep(self.sweep_s)

    async def _turn(self, job_id: JobId, term: int) -> None:
        job = await self.jobs.get(job_id)
        if job.status.closed:
            self._named.add(*job.parents)
            if await self.collection.tidy(job):
                await self.jobs.tidied(job.id)
            return
        change = await self._decide(job, term)
        if change is None:
            return
        try:
            await self.jobs.apply(change, term)
        except (Stale, Fenced) as error:
            REFUSALS.labels(Role.DATA, error.code).inc()
            raise
        except Conflict as error:
            REFUSALS.labels(Role.DATA, error.code).inc()
            if error.code != _TOMBSTONED:
                raise
            # The dataset that was chosen is gone: forget it and match again.
            await self.catalogue.refresh([DatasetId(error.message)])
            raise Stale(error.message) from None
        self._applied(job, change)
        for dataset in change.seals:
            await self._mark(dataset.id)

    async def _decide(self, job: Job, term: int) -> Move | None:
        match job.status:
            case Status.AWAITING_DATA_CHECK:
                return await self.checks.check(job)
            case Status.AWAITING_DERIVATION:
                return await self.checks.after_derivation(job)
            case Status.AWAITING_DATA | Status.AWAITING_COLLECTION if job.desired in (
                Desired.STOP,
                Desired.CANCEL,
            ):
                return None  # the monitor ends it
            case Status.AWAITING_DATA:
                return await self.staging.staged(job)
            case Status.AWAITING_COLLECTION:
                return await self.collection.collect(job, term)
            case _:
                return None

    async def _mark(self, dataset: DatasetId) -> None:
        await self.catalogue.refresh([dataset])
        try:
            await self.upkeep.mark(dataset)
        except HeadraceError as error:
            logger("data").warning(
                f"a SEALED marker is still to be written: {error}", action="mark", dataset=dataset
            )

    def _applied(self, job: Job, change: Move) -> None:
        TRANSITIONS.labels(Role.DATA, str(change.event)).inc()
        logger("data").info(
            f"{job.status}→{change.to}" + (f": {change.detail}" if change.detail else ""),
            action=str(change.event),
            job=job.id,
            attempt=job.attempt,
        )
