"""The monitor's shell: reads facts, has the core decide, applies the move."""

import asyncio
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from headrace_model.bounds import Bounds
from headrace_model.cause import Cause
from headrace_model.errors import Fenced, NotFound, Stale
from headrace_model.ids import JobId, NodeId
from headrace_model.job import Job
from headrace_model.node import NodeState
from headrace_model.resources import ANYWHERE, Resources
from headrace_model.spec import Retry
from headrace_model.status import HAS_ATTEMPT, Role, Status
from headrace_monitor.core.decide import Seen, decide
from headrace_monitor.core.lost import NodeWatch
from headrace_monitor.series import SeriesRecorder
from headrace_monitor.settings import Settings
from headrace_monitor.webhooks import WebhookSender
from headrace_service.hints import Pending
from headrace_service.leader import Leader
from headrace_service.logs import logger
from headrace_service.metrics import JOBS, NODES, REFUSALS, TRANSITIONS
from headrace_wire.jobfile import load_or_nothing

if TYPE_CHECKING:
    from headrace_adapters.redis.arrays import ArrayStore
    from headrace_adapters.redis.events import Events
    from headrace_adapters.redis.jobs import JobStore
    from headrace_adapters.redis.nodes import NodeRecord, NodeStore
    from headrace_adapters.redis.resources import ResourcesStore

_WATCHED = (*HAS_ATTEMPT, Status.STOPPING)
_PLACED = (Status.AWAITING_DATA, Status.SCHEDULED)
_LOOK_S = 1.0
_AT_ONCE = 64  # jobs decided side by side, so that their scripts share round trips


class Monitor:
    """Watches attempts and nodes while it leads."""

    def __init__(
        self,
        jobs: "JobStore",
        arrays: "ArrayStore",
        nodes: "NodeStore",
        resources: "ResourcesStore",
        events: "Events",
        leader: Leader,
        settings: Settings,
        series: SeriesRecorder,
        webhooks: WebhookSender,
    ) -> None:
        self._webhooks = webhooks
        self._series = series
        self._jobs = jobs
        self._arrays = arrays
        self._nodes = nodes
        self._resources = resources
        self._events = events
        self._leader = leader
        self._settings = settings
        self._log = logger(Role.MONITOR)
        self._pending: Pending[JobId] = Pending()
        self._lost: frozenset[NodeId] = frozenset()
        self._confirmed: frozenset[NodeId] = frozenset()
        self._known: list[NodeRecord] = []

    async def run(self) -> None:
        """Try to lead, and act while leading."""
        await self._leader.run(self._act)

    async def _act(self, term: int) -> None:
        self._note_lost(await self._nodes.all())
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._listen())
                group.create_task(self._sweep())
                group.create_task(self._watch_nodes(term))
                group.create_task(self._decide_all(term))
                group.create_task(self._series.run(term))
                group.create_task(self._webhooks.run(term))
        finally:
            JOBS.clear()  # another replica counts from now on
            NODES.clear()

    async def _listen(self) -> None:
        async for hint in self._events.follow():
            match hint.get("kind"):
                case "fact":
                    self._pending.add(JobId(hint["job"]))
                case "job" if hint["to"] in _WATCHED and not _just_placed(hint):
                    self._pending.add(JobId(hint["job"]))
                case _:
                    pass

    async def _sweep(self) -> None:
        """Find what hints missed, and jobs whose time limit is over."""
        while True:
            for status in _WATCHED:
                self._pending.add(*await self._jobs.in_status(status))
            for status, number in (await self._jobs.counts()).items():
                JOBS.labels(status).set(number)
            await asyncio.sleep(self._settings.sweep_s)

    async def _watch_nodes(self, term: int) -> None:
        watch = NodeWatch(self._settings.node_lost_s, longest_step_s=2 * _LOOK_S)
        before = time.monotonic()
        while True:
            records = await self._nodes.all()
            now = time.monotonic()
            served = [n for n in records if n.state is not NodeState.LOST]
            still = watch.look([(n.id, n.counter, n.left) for n in served], now - before)
            before = now
            counters = {n.id: n.counter for n in served}
            for node in still:
                if await self._nodes.lose(node, counters[node], term):
                    self._log.warning(f"node {node} is lost", action="node_lost", node=node)
            if still:
                records = await self._nodes.all()
            self._note_lost(records)
            await asyncio.sleep(_LOOK_S)

    def _note_lost(self, records: "list[NodeRecord]") -> None:
        lost = frozenset(node.id for node in records if node.state is NodeState.LOST)
        confirmed = frozenset(node.id for node in records if node.confirmed)
        news = (lost - self._lost) | (confirmed - self._confirmed)
        for node in records:
            if node.id in news:
                self._pending.add(*(JobId(run.rpartition(".")[0]) for run in node.held))
        self._lost, self._confirmed, self._known = lost, confirmed, records
        for state in NodeState:
            NODES.labels(state).set(sum(node.state is state for node in records))

    async def _decide_all(self, term: int) -> None:
        while True:
            taken = sorted(await self._pending.take())
            for first in range(0, len(taken), _AT_ONCE):
                some = taken[first : first + _AT_ONCE]
                async with asyncio.TaskGroup() as group:
                    for job in await self._jobs.get_many(some):
                        if job.status in _WATCHED:
                            group.create_task(self._decide_one(job, term))

    async def _decide_one(self, job: Job, term: int) -> None:
        """Move one job on until there is nothing more to do now."""
        try:
            while move := decide(job, await self._look_at(job)):
                if move.cause is Cause.RESTORED and await self._jobs.restored_from():
                    return  # its outputs may be in the store: the data service looks first
                await self._jobs.apply(move, term)
                TRANSITIONS.labels(Role.MONITOR, move.event).inc()
                self._log.info(
                    f"{move.status}→{move.to}",
                    action="transition",
                    job=job.id,
                    attempt=job.attempt,
                    on=move.event,
                    cause=move.cause,
                )
                if move.to not in _WATCHED:
                    return
                job = await self._jobs.get(job.id)
        except Stale:
            REFUSALS.labels(Role.MONITOR, Stale.code).inc()
            if self._lost:  # one may have come back
                self._note_lost(await self._nodes.all())
            self._pending.add(job.id)
        except NotFound:
            return
        except Fenced:
            raise
        except Exception as error:
            # One damaged job must not keep the others waiting; the sweep tries it again.
            self._log.error(f"can't decide: {error!r}", action="decide", job=job.id, exc_info=True)

    async def _look_at(self, job: Job) -> Seen:
        nodes = [share.node for share in job.allocation.shares] if job.allocation else []
        facts, now_ms = await asyncio.gather(
            self._jobs.facts(job.id, job.attempt, nodes), self._jobs.now_ms()
        )
        stopping = job.status is Status.STOPPING
        ends = stopping or not self._lost.isdisjoint(nodes)
        spec = load_or_nothing(job.spec) if ends else None
        return Seen(
            facts=facts,
            lost=self._lost,
            holding=await self._jobs.holders(job) if stopping or job.is_spread else frozenset(),
            retry=spec.retry if spec else Retry(),
            now_ms=now_ms,
            array=await self._arrays.read(job.id) if job.is_array else None,
            exclusive=spec is not None and spec.limits.exclusive,
            confirmed=self._confirmed,
            asked=spec.resources.amount if spec else None,
            rooms=await self._rooms(job) if job.cause is Cause.OOM else (),
        )

    async def _rooms(self, job: Job) -> list[Resources]:
        """The nodes that a job may use, as far as they may be used, when they are empty."""
        bounds = await self._resources.get() or Bounds()
        labels = set((job.ask.constraints or ANYWHERE).labels)
        return [
            bounds.usable(node.id, node.capacity)
            for node in self._known
            if job.ask.backend in node.backends
            and (job.ask.pool is None or job.ask.pool in bounds.pools_of(node.id))
            and labels <= set(node.labels.items())
        ]


def _just_placed(hint: Mapping[str, str]) -> bool:
    """Tell whether the scheduler has just placed or launched the job.

    There is nothing to decide then: the facts and wishes that follow bring hints of their own.
    """
    return hint["to"] in _PLACED and hint["from"] != hint["to"]
