"""The node agent's shell: serves its node, drives each attempt there to what its record says."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from headrace_agent.attempt import AttemptOnNode, Tools
from headrace_agent.folders import AttemptFolder, attempt_folders
from headrace_agent.inventory import Look, Teller
from headrace_agent.quarantine import Quarantine
from headrace_agent.settings import Settings
from headrace_agent.tenure import Swarm, Tenure
from headrace_agent.watchdog import Watchdog
from headrace_model.errors import Fenced, HeadraceError, Unavailable
from headrace_model.ids import JobId, NodeId
from headrace_model.node import NodeState
from headrace_model.resources import Resources, generic
from headrace_model.work import Fact, FactKind, Verb
from headrace_model.worker import RunningWorker
from headrace_ports.backend import Backend
from headrace_service.hints import Pending
from headrace_service.logs import logger
from headrace_service.threads import finish
from headrace_wire.jobfile import load_or_nothing
from headrace_wire.records import decode_work

if TYPE_CHECKING:
    from headrace_adapters.redis.connection import Redis
    from headrace_adapters.redis.events import Events
    from headrace_adapters.redis.jobs import JobStore
    from headrace_adapters.redis.nodes import NodeStore

T = TypeVar("T")
_AGAIN_S = 0.5
_TRIM_S = 60.0
_STALE = "stale"  # in the place of a record: Redis has none


class Agent:
    """Serves one node. `has_state_lock`: it alone uses this state folder."""

    def __init__(
        self,
        redis: "Redis",
        jobs: "JobStore",
        nodes: "NodeStore",
        events: "Events",
        backend: Backend,
        tools: Tools,
        capacity: Resources,
        look: Look,
        swarm: Swarm,
        settings: Settings,
        *,
        has_state_lock: bool,
    ) -> None:
        self._redis = redis
        self._jobs = jobs
        self._events = events
        self._backend = backend
        self._tools = tools
        self._capacity = capacity
        self._settings = settings
        self._has_state_lock = has_state_lock
        self._node = NodeId(settings.node_name)
        self._log = logger("agent")
        self._tenure = Tenure(nodes, self._node, swarm, settings, has_state_lock=has_state_lock)
        self._changed: Pending[str] = Pending()
        self._comparing = asyncio.Lock()
        self._attempts: dict[str, AttemptOnNode] = {}
        self._doing: dict[str, tuple[str, asyncio.Task[None]]] = {}
        self._quarantine = Quarantine(settings.state_dir, self._node, jobs, nodes)
        self._offers_less = False  # since workers in quarantine use the rest
        self._watchdog = Watchdog(self._kill_exclusive, settings.exclusive_s)
        self._teller = Teller(
            look,
            lambda found, held: self.fenced(
                lambda run: nodes.describe(self._node, run, found, held)
            ),
        )

    async def report(self, fact: Fact) -> bool:
        """Tell a fact; waits out a fence, since the agent then registers anew."""
        kept = await self.fenced(lambda run: self._jobs.report(self._node, run, [fact]))
        self._log.info(
            f"reported {fact.kind}",
            action="fact",
            job=fact.job,
            attempt=fact.attempt,
            cause=fact.cause,
        )
        if fact.kind is FactKind.STAGED:
            self._teller.staged()
        return bool(kept)

    async def fenced(self, call: Callable[[str], Awaitable[T]]) -> T:
        """Call Redis with this agent's incarnation; waits out a fence or an absent Redis."""
        return await self._tenure.fenced(call)

    async def run(self) -> None:
        """Serve the node for ever."""
        await self._backend.open()
        by = await self._backend.memory_limit_by()
        self._log.info(f"memory limits are kept by {by}", action="open", node=self._node)
        for worker in await self._backend.list():
            if isinstance(worker, RunningWorker) and worker.exclusive:
                self._watchdog.watch(worker.key.job, worker.key.attempt)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._hold_node())
                group.create_task(self._listen())
                group.create_task(self._watch_exits())
                group.create_task(self._reconcile_all())
                group.create_task(self._sweep())
                group.create_task(self._watchdog.run())
                group.create_task(self._teller.run())
        finally:
            await self._tenure.leave()
            await self._give_up([*self._doing])

    async def _adopt(self) -> None:
        """Compare the epoch: what another Redis does not know is left alone for an admin."""
        await self._redis.open()
        here = await self._runs_here()
        if not await self._quarantine.compare(self._redis.epoch, here):
            return
        # What was done for the other Redis may have to be done, and told, again.
        await self._give_up(
            [
                run
                for run, (_, task) in self._doing.items()
                if task.done() or run in self._quarantine.runs
            ]
        )

    async def _give_up(self, runs: list[str]) -> None:
        """Do these no more; returns when nothing of it goes on."""
        tasks = [self._doing.pop(run)[1] for run in runs]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _runs_here(self) -> frozenset[str]:
        """Every "<job>.<attempt>" that has a folder or a worker on this node."""
        there = await asyncio.to_thread(attempt_folders, self._settings.state_dir)
        held = {f"{w.key.job}.{w.key.attempt}" for w in await self._backend.list()}
        return frozenset(held | there.keys())

    async def _hold_node(self) -> None:
        """Register the node and raise its counter."""
        adopted = False
        while True:
            try:
                if not adopted:
                    await self._adopt()
                    adopted = True
                if not self._tenure.holds:
                    await self._register()
                before = time.monotonic()
                state = await self._tenure.renew()
                self._watchdog.renewed(before)
                if state is NodeState.LOST:
                    await self._come_back()
                    self._tenure.lapse()
                    continue
            except Fenced as error:
                self._log.warning(f"registers anew: {error}", action="fenced", node=self._node)
                self._tenure.lapse()
                adopted = False
            except Unavailable as error:
                self._log.warning(f"not renewed: {error}", action="renew", node=self._node)
            await asyncio.sleep(self._settings.renew_s)

    async def _come_back(self) -> None:
        """End what is over before the node offers its room again.

        Nothing may be placed beside a stale worker.
        """
        await self._reconcile(thorough=True)
        ending = [task for text, task in self._doing.values() if _ends_workers(text)]
        await asyncio.gather(*ending, return_exceptions=True)

    async def _end_stale_workers(self) -> set[str]:
        """End workers of attempts that are over; returns the attempts whose workers live on.

        The node may have been lost while no agent served it. Only who alone uses the state folder
        may do so: the workers could be of the agent that serves the node still.
        """
        if not self._has_state_lock:
            return set()
        records = await self._jobs.work(self._node)
        living: set[str] = set()
        for worker in await self._backend.list():
            if isinstance(worker, RunningWorker):
                living.add(f"{worker.key.job}.{worker.key.attempt}")
        living -= self._quarantine.unknown
        over = {run for run in living if _ends_workers(records.get(run, _STALE))}
        for run in over:
            await self._attempt(run).bar()
        parts = [(run.rpartition("."), _grace_s(records.get(run))) for run in over]
        await asyncio.gather(
            *(self._backend.stop(JobId(job), int(number), s) for (job, _, number), s in parts)
        )
        return living - over

    async def _offered(self) -> Resources:
        """What the node offers: all of it, but for what workers in quarantine use."""
        self._offers_less = bool(self._quarantine.unknown)
        if not self._offers_less:
            return self._capacity
        workers = [w for w in await self._backend.list() if isinstance(w, RunningWorker)]
        used = await self._quarantine.share(f"{w.key.job}.{w.key.attempt}" for w in workers)
        left = self._capacity - used
        pieces = generic({name: max(0, amount) for name, amount in left.generic})
        return Resources(max(0, left.millicpus), max(0, left.memory_bytes), pieces)

    def _offer_again(self) -> None:
        """A worker has ended: register anew where it may have been one in quarantine."""
        if self._offers_less:
            self._tenure.lapse()

    async def _register(self) -> None:
        await self._tenure.register(self._offered, self._end_stale_workers)
        self._teller.registered()
        self._changed.add("")

    async def _listen(self) -> None:
        async for hint in self._events.follow():
            if hint.get("kind") == "array":
                for attempt in self._attempts_of(hint["job"]):
                    attempt.on_array_change()
            elif not hint or self._node in hint.get("agents", "").split():
                self._changed.add(hint.get("job", ""))

    async def _watch_exits(self) -> None:
        async for ended in self._backend.exits():
            run = f"{ended.key.job}.{ended.key.attempt}"
            if ended.key.is_task:
                self._attempt(run).on_task_exit(ended)
                continue
            self._watchdog.leave(ended.key.job, ended.key.attempt)
            attempt = self._attempt(run)
            try:
                await finish(attempt.folder.remove_secrets)
            except OSError as error:  # its STOP or CLEAN tries again
                self._log.warning(f"secrets still lie there: {error}", action="secrets", run=run)
            await attempt.bar()
            attempt.on_exit(ended)
            self._offer_again()

    async def _sweep(self) -> None:
        trimmed = time.monotonic()
        while True:
            await asyncio.sleep(self._settings.sweep_s)
            self._changed.add("")
            if time.monotonic() - trimmed > _TRIM_S:
                trimmed = time.monotonic()
                await self._trim()

    async def _trim(self) -> None:
        """Keep the caches within their limits; the node's work does not depend on it."""
        for cache in (self._tools.cache, self._tools.environments):
            try:
                await cache.trim()
            except OSError as error:
                self._log.warning(f"can't be made smaller: {error}", action="trim")

    async def _kill_exclusive(self, job: JobId, attempt: int) -> None:
        struck = self._attempt(f"{job}.{attempt}")
        struck.watchdog = True
        try:
            await finish(struck.folder.note_watchdog)
        except OSError as error:  # the kill matters more
            self._log.warning(f"not noted: {error}", action="watchdog", job=job)
        await struck.bar()
        await self._backend.kill(job, attempt)

    def _attempts_of(self, job: str) -> list[AttemptOnNode]:
        return [a for run, a in self._attempts.items() if run.startswith(f"{job}.")]

    def _attempt(self, run: str) -> AttemptOnNode:
        if run not in self._attempts:
            folder = AttemptFolder(
                self._settings.state_dir / "attempts" / run, self._tools.worker_user
            )
            self._attempts[run] = AttemptOnNode(folder, self._tools)
        return self._attempts[run]

    async def _reconcile_all(self) -> None:
        while True:
            await self._tenure.held()
            changed = await self._changed.take()
            try:
                await self._reconcile(thorough="" in changed)
            except Fenced:
                self._tenure.lapse()
            except (HeadraceError, OSError) as error:
                self._log.warning(f"can't compare its work: {error}", action="reconcile")
                await asyncio.sleep(_AGAIN_S)
                self._changed.add("")

    async def _reconcile(self, *, thorough: bool) -> None:
        """Have each attempt do its record; end and remove what Redis does not know.

        `thorough` looks for such attempts in the folders and the nest too, not only among
        those that this agent took up: no hint tells of others.
        """
        # One at a time: an older reading of the records would take for stale what a newer one
        # has just begun.
        async with self._comparing:
            records = await self._jobs.work(self._node)
            if thorough:
                await self._quarantine.tell(self._tenure.incarnation)
            for run, text in records.items():
                if self._doing.get(run, ("", None))[0] != text:
                    self._begin(run, text)
            known = set(self._doing)
            if thorough:
                known |= await self._runs_here()
            for run in known - records.keys() - self._quarantine.runs:
                self._begin(run, _STALE)

    def _begin(self, run: str, text: str) -> None:
        """Have a run do `text`, a record or _STALE, once what it does now is cancelled."""
        doing, before = self._doing.get(run, ("", None))
        if text == _STALE and before:
            if doing == _STALE and not before.done():
                return
            if before.done() and run not in self._attempts:
                self._doing.pop(run)  # cleaned by its record, which is gone for that reason
                return
        if before:
            before.cancel()
        self._doing[run] = (text, asyncio.create_task(self._do(run, text, before)))

    async def _remove_stale(self, run: str) -> None:
        """An attempt without a record is over: end its workers and remove its folder."""
        job, _, attempt = run.rpartition(".")
        await self._attempt(run).bar()
        if attempt.isdigit():
            await self._backend.stop(JobId(job), int(attempt), 0.0)
            await self._backend.clean(JobId(job), int(attempt))
        await asyncio.to_thread(self._attempt(run).folder.remove)
        self._forget(run)
        self._offer_again()
        self._log.info("removed a stale attempt", action="stale", job=job, attempt=attempt)

    def _forget(self, run: str) -> None:
        self._attempts.pop(run, None)
        job, _, attempt = run.rpartition(".")
        if attempt.isdigit():
            self._watchdog.leave(JobId(job), int(attempt))

    async def _do(self, run: str, text: str, before: asyncio.Task[None] | None) -> None:
        """Do one record to its end, again after what may pass."""
        if before:
            await asyncio.gather(before, return_exceptions=True)
        work = None if text == _STALE else decode_work(text)
        if work and work.verb is Verb.LAUNCH and load_or_nothing(work.spec).limits.exclusive:
            self._watchdog.watch(work.job, work.attempt)
        what = work.verb if work else "remove"
        pause = _AGAIN_S
        while True:
            try:
                if work is None:
                    await self._remove_stale(run)
                    return
                if run in self._quarantine.runs:  # a new attempt of this name
                    await self._remove_stale(run)
                    await self._quarantine.let_go(run)
                if missing := self._quarantine.missing(work):
                    await self.report(missing)
                    return
                await self._attempt(run).do(work)
                if work.verb is Verb.CLEAN:
                    await self._finish(run, text)
                return
            except (HeadraceError, OSError) as error:
                self._log.warning(
                    f"{what} failed and is tried again: {error}", action="retry", run=run
                )
            except Exception as error:
                self._log.error(
                    f"{what} failed and is tried again: {error!r}",
                    action="retry",
                    run=run,
                    exc_info=True,
                )
            if self._doing.get(run, ("", None))[1] is not asyncio.current_task():
                # Given up while it failed: until Python 3.13 a task group then tells of the
                # failure and forgets the cancel, and who waits for the end would wait for ever.
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, 10.0)

    async def _finish(self, run: str, record: str) -> None:
        await self.fenced(lambda inc: self._jobs.finish_work(self._node, inc, record))
        self._forget(run)


def _grace_s(record: str | None) -> float:
    """How long a worker has to end; none without a record: nobody waits for what it does."""
    return load_or_nothing(decode_work(record).spec).limits.grace_ms / 1000 if record else 0.0


def _ends_workers(text: str) -> bool:
    """Tell whether a record, or its absence, means that no worker of the attempt may live."""
    return text == _STALE or decode_work(text).verb is Verb.STOP
