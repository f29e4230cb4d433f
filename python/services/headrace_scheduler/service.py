"""The scheduler's shell: keeps the queue, has the core plan, applies the plan."""

import asyncio
import time
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from headrace_model.errors import Conflict, HeadraceError, NotFound, Stale
from headrace_model.ids import JobId
from headrace_model.job import Job
from headrace_model.move import Move
from headrace_model.resources import Allocation
from headrace_model.status import Role, Status
from headrace_scheduler.core.launch import after_prerequisites, launch, past_deadline, place
from headrace_scheduler.core.plan import plan
from headrace_scheduler.core.snapshot import Node
from headrace_scheduler.holders import Holders
from headrace_scheduler.limits_file import LimitsFile
from headrace_scheduler.owners import Owners
from headrace_scheduler.queue import Queue, nodes_of
from headrace_scheduler.settings import Settings
from headrace_service.hints import Pending
from headrace_service.leader import Leader
from headrace_service.logs import logger
from headrace_service.metrics import MAINTENANCE, REFUSALS, TRANSITIONS

if TYPE_CHECKING:
    from headrace_adapters.redis.events import Events
    from headrace_adapters.redis.jobs import JobStore
    from headrace_adapters.redis.maintenance import MaintenanceStore
    from headrace_adapters.redis.nodes import NodeStore
    from headrace_adapters.redis.quotas import QuotaStore
    from headrace_adapters.redis.resources import ResourcesStore

_PLACED_AT_ONCE = 100
_PREPARED = 2_000  # jobs that are read before a replica leads, so that it can start some at once
_LOOKED_AT_ONCE = 2_000  # jobs that wait for others, a sweep
# Only a plan that was applied here leads to these, and it reads its jobs anew by itself.
_OWN = (Status.AWAITING_DATA, Status.SCHEDULED)
_OFFSET_S = 5.0  # how often the clock of Redis is compared with ours


class Scheduler:
    """Places waiting jobs and launches staged ones while it leads."""

    def __init__(
        self,
        jobs: "JobStore",
        nodes: "NodeStore",
        maintenance: "MaintenanceStore",
        limits: LimitsFile,
        resources: "ResourcesStore",
        quotas: "QuotaStore",
        events: "Events",
        leader: Leader,
        settings: Settings,
    ) -> None:
        self._jobs = jobs
        self._nodes = nodes
        self._holders = Holders(nodes)
        self._maintenance = maintenance
        self._limits = limits
        self._resources = resources
        self._owners = Owners(quotas)
        self._told: str | None = None  # of the file, since this replica leads
        self._events = events
        self._leader = leader
        self._settings = settings
        self._log = logger(Role.SCHEDULER)
        self._changed: Pending[JobId | None] = Pending()  # None: nodes changed, or time came
        self._arrived = False  # a hint told of a job that waits for its allocation
        self._clock_offset_ms = 0.0
        self._queue: Queue | None = None  # while it leads
        self._prepared: asyncio.Task[Queue] | None = None  # while it may lead soon
        self._leads = asyncio.Event()  # and hears all hints itself
        self._dependents: dict[JobId, None] = {}  # that may be free now, the longest known first

    @property
    def queue(self) -> Queue | None:
        """The queue as a leader keeps it, once it has read it all; else None."""
        return None if self._queue is None or self._queue.unread else self._queue

    async def run(self) -> None:
        """Try to lead, and act while leading."""
        await self._leader.run(self._act, self._prepare)

    async def _prepare(self) -> None:
        """Read the head of the queue, and whose jobs all are: this replica may lead soon.

        What changes meanwhile is noted as by one that leads, whose first plan reads it anew; until
        that one hears of changes itself, or the one who led has renewed after all.
        """
        if not await self._jobs.is_ranked():
            return  # the order is not known before somebody leads
        self._leads.clear()
        beginning: asyncio.Task[Queue] | None = None
        try:
            async with asyncio.TaskGroup() as group:
                listening = asyncio.Event()
                hearing = group.create_task(self._listen(listening))
                await listening.wait()
                await self._open_nodes()
                await self._set_clock()
                if self._leads.is_set():
                    hearing.cancel()
                    return
                self._prepared = beginning = asyncio.create_task(self._begin())
                # Who leads goes on with it, however far it is.
                queue = await asyncio.shield(beginning)
                while self._prepared and queue.unread and len(queue) < _PREPARED:
                    await queue.read_on()
                await self._leads.wait()
                hearing.cancel()  # who leads hears of changes by now
        finally:
            if beginning is not None and beginning is self._prepared:
                self._prepared = None
                beginning.cancel()
                await asyncio.gather(beginning, return_exceptions=True)

    async def _begin(self) -> Queue:
        queue = Queue(self._jobs)
        await queue.begin()
        await self._owners.arrange(queue, self._now_ms())
        return queue

    async def _act(self, term: int) -> None:
        beginning, self._prepared = self._prepared, None
        try:
            async with asyncio.TaskGroup() as group:
                listening = asyncio.Event()
                group.create_task(self._listen(listening))
                await listening.wait()
                self._leads.set()
                self._told = None
                await self._tell_limits(term)
                await self._set_clock()
                await self._jobs.rank_queue(Role.SCHEDULER, term)
                self._queue = queue = await (beginning or self._begin())
                if beginning is not None:  # shares and quotas were those of some seconds ago
                    await self._owners.arrange(queue, self._now_ms())
                self._changed.add(None)
                group.create_task(self._read(queue))
                group.create_task(self._sweep(queue, term))
                group.create_task(self._plan_all(queue, term))
        finally:
            if beginning is not None:
                beginning.cancel()  # where leading has ended before it was taken over
            self._queue = None
            MAINTENANCE.set(0)  # who leads next looks for itself

    async def _read(self, queue: Queue) -> None:
        """Read the queue from its head; what has been read is planned meanwhile."""
        while queue.unread:
            await queue.read_on()
            self._changed.add(None)
        self._log.info(f"has read the queue: {len(queue)} jobs wait", action="queue_read")

    async def _listen(self, listening: asyncio.Event) -> None:
        async for hint in self._events.follow():
            listening.set()
            match hint.get("kind"):
                case "job" if hint["to"] not in _OWN:
                    self._changed.add(JobId(hint["job"]))
                    self._arrived |= hint["to"] == Status.AWAITING_ALLOCATION
                case "node" | "maintenance" | "restore" | None:
                    self._changed.add(None)
                case _:
                    pass

    async def _sweep(self, queue: Queue, term: int) -> None:
        """Find what hints missed."""
        waiting: Iterator[JobId] = iter(())  # for others: what is left of a round over all
        while True:
            await asyncio.sleep(self._settings.sweep_s)
            await self._set_clock()
            await queue.mend()
            await queue.relearn()
            await self._owners.arrange(queue, self._now_ms())
            await self._limits.look()
            await self._tell_limits(term)
            MAINTENANCE.set(await self._maintenance.get() is not None)
            some = list(islice(waiting, _LOOKED_AT_ONCE))
            if len(some) < _LOOKED_AT_ONCE:
                waiting = iter(await self._jobs.in_status(Status.AWAITING_PREREQUISITES))
                some += islice(waiting, _LOOKED_AT_ONCE - len(some))
            self._dependents.update(dict.fromkeys(some))
            self._changed.add(None, *await self._jobs.in_status(Status.AWAITING_SCHEDULING))

    async def _tell_limits(self, term: int) -> None:
        """Tell what plans are bound by: who takes jobs in can't read the file."""
        if (text := self._limits.text) != self._told:
            await self._resources.publish(text, term)
            self._told = text

    async def _set_clock(self) -> None:
        self._clock_offset_ms = await self._jobs.now_ms() - time.time() * 1000

    def _now_ms(self) -> int:
        return int(time.time() * 1000 + self._clock_offset_ms)

    async def _plan_all(self, queue: Queue, term: int) -> None:
        while True:
            start = queue.next_change_ms()
            pause_s = None if start is None else max(0.0, (start - self._now_ms()) / 1000)
            changed = await self._changed.take(pause_s)
            ids = [id for id in changed if id is not None]
            if len(queue) or self._arrived:
                # There will be a plan: what it needs is read in one round trip.
                self._arrived = False
                jobs, nodes = await asyncio.gather(queue.refresh(ids), self._open_nodes())
            else:
                jobs, nodes = await queue.refresh(ids), None
            if over := [job.id for job in jobs if job.status.final]:
                freed = await self._jobs.dependents(over)
                self._dependents.update(dict.fromkeys(sorted(freed)))
            for job in jobs:
                match job.status:
                    case Status.AWAITING_PREREQUISITES:
                        self._dependents[job.id] = None
                    case Status.AWAITING_SCHEDULING:
                        await self._apply(job, launch(job), term)
                    case _:
                        pass
            await self._free_some(term)
            await self._end_overdue(queue, term)
            if len(queue):
                if queue.has_strangers or queue.has_spent:
                    await self._owners.arrange(queue, self._now_ms())
                now_nodes = await self._open_nodes() if nodes is None else nodes
                await self._plan(queue, now_nodes, {job.id: job for job in jobs}, term)

    async def _end_overdue(self, queue: Queue, term: int) -> None:
        """End the jobs that can't end by their deadlines any more."""
        now_ms = self._now_ms()
        if not (late := queue.overdue(now_ms)[:_PLACED_AT_ONCE]):
            return
        for job in await self._jobs.get_many(late):
            if move := past_deadline(job, now_ms):
                await self._apply(job, move, term)
        await queue.refresh(late)

    async def _open_nodes(self) -> tuple[Node, ...]:
        """The nodes for a plan, in one round trip; none while nothing may start."""
        nodes, said, restored = await asyncio.gather(
            self._nodes.offers(), self._maintenance.get(), self._jobs.restored_from()
        )
        return () if said or restored else self._limits.limit(nodes_of(nodes))

    async def _free_some(self, term: int) -> None:
        """Let some jobs go on of which others may have ended; the rest after the next plan, so
        that nobody's job waits until all of them have gone on.
        """
        some = list(islice(self._dependents, _PLACED_AT_ONCE))
        for id in some:
            del self._dependents[id]
        jobs = [
            job
            for job in await self._jobs.get_many(some)
            if job.status is Status.AWAITING_PREREQUISITES
        ]
        named: set[JobId] = set()
        for at, job in enumerate(jobs):
            if at and len(named) + len(job.after) > _LOOKED_AT_ONCE:
                self._dependents.update((each.id, None) for each in jobs[at:])
                del jobs[at:]
                break
            named.update(job.after)
        others = {each.id: each.status for each in await self._jobs.get_many(named)}
        async with asyncio.TaskGroup() as group:
            for job in jobs:
                if move := after_prerequisites(job, others):
                    group.create_task(self._apply(job, move, term))
        if self._dependents:
            self._changed.add(None)

    async def _plan(
        self, queue: Queue, nodes: tuple[Node, ...], read: dict[JobId, Job], term: int
    ) -> None:
        """Plan and apply what can start now; `read` are jobs just read."""
        now_ms = self._now_ms()
        held = await self._holders.of(queue.lines(now_ms), nodes)
        snapshot = queue.snapshot(nodes, now_ms, held, self._limits.policy)
        planned = plan(snapshot, now_ms, limit=_PLACED_AT_ONCE)
        if not planned.placements:
            return
        allocations = {each.job: each.allocation for each in planned.placements}
        jobs = [read[id] for id in allocations if id in read]
        jobs += await self._jobs.get_many(allocations.keys() - read.keys())
        versions = {each.job: each.version for each in planned.placements}
        async with asyncio.TaskGroup() as group:
            for job in jobs:
                if job.version == versions[job.id]:
                    group.create_task(self._place(job, allocations[job.id], term))
        await queue.refresh(allocations)
        if len(planned.placements) == _PLACED_AT_ONCE:
            self._changed.add(None)

    async def _place(self, job: Job, allocation: Allocation, term: int) -> None:
        await self._apply(job, place(job, allocation), term)

    async def _apply(self, job: Job, move: Move, term: int) -> None:
        try:
            await self._jobs.apply(move, term)
        except (Stale, NotFound) as error:
            self._refused(job, error)
            return
        except Conflict as error:
            if error.code != "NO_ROOM":
                raise
            self._refused(job, error)
            return
        TRANSITIONS.labels(Role.SCHEDULER, move.event).inc()
        self._log.info(
            f"{move.status}→{move.to}",
            action="transition",
            job=job.id,
            attempt=job.attempt,
            on=move.event,
            nodes=move.takes.nodes if move.takes else None,
        )

    def _refused(self, job: Job, error: HeadraceError) -> None:
        """Redis knows better than the snapshot: read the job again and plan anew."""
        REFUSALS.labels(Role.SCHEDULER, error.code).inc()
        self._changed.add(job.id)
