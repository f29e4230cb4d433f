"""The node agent's shell: registers the node, drives each attempt to what its record says."""

import asyncio
import time
from contextlib import suppress
from secrets import token_hex
from typing import TYPE_CHECKING

from headrace_agent.attempt import AttemptOnNode, Tools
from headrace_agent.folders import AttemptFolder, attempt_folders, read_epoch, write_epoch
from headrace_agent.settings import Settings
from headrace_model.errors import Conflict, Fenced, HeadraceError, Unavailable
from headrace_model.ids import JobId, NodeId
from headrace_model.node import NodeState
from headrace_model.resources import Resources
from headrace_model.work import Fact, Verb, Work
from headrace_service.hints import Pending
from headrace_service.logs import logger
from headrace_wire.jobfile import load_jobtext
from headrace_wire.records import decode_work

if TYPE_CHECKING:
    from headrace_adapters.backends.process import ProcessBackend
    from headrace_adapters.redis.connection import Redis
    from headrace_adapters.redis.events import Events
    from headrace_adapters.redis.jobs import JobStore
    from headrace_adapters.redis.nodes import NodeStore

_AGAIN_S = 0.5
_TRIM_S = 60.0
BACKENDS = frozenset({"process"})


class Agent:
    """Serves one node. `has_state_lock`: it alone uses this state folder."""

    def __init__(
        self,
        redis: "Redis",
        jobs: "JobStore",
        nodes: "NodeStore",
        events: "Events",
        backend: "ProcessBackend",
        tools: Tools,
        capacity: Resources,
        settings: Settings,
        *,
        has_state_lock: bool,
    ) -> None:
        self._redis = redis
        self._jobs = jobs
        self._nodes = nodes
        self._events = events
        self._backend = backend
        self._tools = tools
        self._capacity = capacity
        self._settings = settings
        self._has_state_lock = has_state_lock
        self._node = NodeId(settings.node_name)
        self._log = logger("agent")
        self._incarnation = ""
        self._registered = asyncio.Event()
        self._renewed = time.monotonic()
        self._changed: Pending[str] = Pending()
        self._comparing = asyncio.Lock()
        self._attempts: dict[str, AttemptOnNode] = {}
        self._doing: dict[str, tuple[str, asyncio.Task[None]]] = {}
        self._quarantined: frozenset[str] = frozenset()
        self._exclusive: set[tuple[JobId, int]] = set()

    async def report(self, fact: Fact) -> bool:
        """Tell a fact; waits out a fence, since the agent then registers anew."""
        while True:
            await self._registered.wait()
            try:
                kept = await self._jobs.report(self._node, self._incarnation, [fact])
            except Fenced:
                self._registered.clear()
                continue
            except Unavailable:
                await asyncio.sleep(_AGAIN_S)
                continue
            self._log.info(
                f"reported {fact.kind}",
                action="fact",
                job=fact.job,
                attempt=fact.attempt,
                cause=fact.cause,
            )
            return bool(kept)

    async def run(self) -> None:
        """Serve the node for ever."""
        await self._backend.open()
        by = await self._backend.memory_limit_by()
        self._log.info(f"memory limits are kept by {by}", action="open", node=self._node)
        await self._adopt()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._hold_node())
                group.create_task(self._listen())
                group.create_task(self._watch_exits())
                group.create_task(self._reconcile_all())
                group.create_task(self._sweep())
                group.create_task(self._guard_exclusive())
        finally:
            for _, task in self._doing.values():
                task.cancel()
            tasks = [task for _, task in self._doing.values()]
            await asyncio.gather(*tasks, return_exceptions=True)
            self._doing.clear()

    async def _adopt(self) -> None:
        """Compare the epoch: attempts of another Redis are left alone for an admin."""
        epoch = await asyncio.to_thread(read_epoch, self._settings.state_dir)
        there = await asyncio.to_thread(attempt_folders, self._settings.state_dir)
        self._quarantined = frozenset()
        if epoch is not None and epoch != self._redis.epoch:
            self._quarantined = frozenset(there)
            self._log.warning(
                "Redis was restored or replaced: what Redis does not know is kept, not removed",
                action="quarantine",
                runs=sorted(there),
            )
        await asyncio.to_thread(write_epoch, self._settings.state_dir, self._redis.epoch)

    async def _hold_node(self) -> None:
        """Register the node and raise its counter."""
        while True:
            try:
                if not self._registered.is_set():
                    await self._register()
                before = time.monotonic()
                state = await self._nodes.renew(self._node, self._incarnation)
                self._renewed = before
                if state is NodeState.LOST:
                    # Compare first, then come back: nothing may be placed here beside a stale
                    # worker.
                    await self._reconcile(thorough=True)
                    self._registered.clear()
                    continue
            except Fenced as error:
                self._log.warning(f"registers anew: {error}", action="fenced", node=self._node)
                self._registered.clear()
                await self._redis.open()
                await self._adopt()
            except Unavailable as error:
                self._log.warning(f"not renewed: {error}", action="renew", node=self._node)
            await asyncio.sleep(self._settings.renew_s)

    async def _register(self) -> None:
        incarnation, seen = token_hex(8), None
        while True:
            try:
                wait = await self._nodes.register(
                    self._node,
                    incarnation,
                    self._capacity,
                    BACKENDS,
                    has_state_lock=self._has_state_lock,
                    seen_counter=seen,
                )
            except Conflict as error:
                self._log.error(f"the node is served already: {error}", action="register")
                wait = None
                await asyncio.sleep(self._settings.node_lost_s)
                continue
            if wait is None:
                break
            seen = wait
            await asyncio.sleep(self._settings.node_lost_s)
        self._incarnation = incarnation
        self._registered.set()
        self._changed.add("")
        self._log.info(f"serves node {self._node}", action="register", node=self._node)

    async def _listen(self) -> None:
        async for hint in self._events.follow():
            if not hint or self._node in hint.get("agents", "").split():
                self._changed.add(hint.get("job", ""))

    async def _watch_exits(self) -> None:
        async for ended in self._backend.exits():
            run = f"{ended.key.job}.{ended.key.attempt}"
            self._exclusive.discard((ended.key.job, ended.key.attempt))
            self._attempt(run).on_exit(ended)

    async def _sweep(self) -> None:
        trimmed = time.monotonic()
        while True:
            await asyncio.sleep(self._settings.sweep_s)
            self._changed.add("")
            if time.monotonic() - trimmed > _TRIM_S:
                trimmed = time.monotonic()
                await self._tools.cache.trim()

    async def _guard_exclusive(self) -> None:
        """Kill exclusive workers when Redis was out of reach for too long."""
        while True:
            await asyncio.sleep(min(0.5, self._settings.exclusive_s / 4))
            if not self._exclusive:
                continue
            if time.monotonic() - self._renewed < self._settings.exclusive_s:
                continue
            for job, attempt in tuple(self._exclusive):
                self._attempt(f"{job}.{attempt}").watchdog = True
                self._log.warning("an exclusive worker is killed", action="watchdog", job=job)
                await self._backend.kill(job, attempt)

    def _attempt(self, run: str) -> AttemptOnNode:
        if run not in self._attempts:
            folder = AttemptFolder(self._settings.state_dir / "attempts" / run)
            self._attempts[run] = AttemptOnNode(folder, self._tools)
        return self._attempts[run]

    async def _reconcile_all(self) -> None:
        while True:
            await self._registered.wait()
            changed = await self._changed.take()
            try:
                await self._reconcile(thorough="" in changed)
            except Unavailable as error:
                self._log.warning(f"can't read its work: {error}", action="reconcile")
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
            await self._compare(thorough=thorough)

    async def _compare(self, *, thorough: bool) -> None:
        records = await self._jobs.work(self._node)
        for run, text in records.items():
            doing, task = self._doing.get(run, ("", None))
            if doing == text:
                continue
            if task:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            self._doing[run] = (text, asyncio.create_task(self._do(run, text)))
        known = set(self._doing)
        if thorough:
            known |= (await asyncio.to_thread(attempt_folders, self._settings.state_dir)).keys()
            known |= {f"{w.key.job}.{w.key.attempt}" for w in await self._backend.list()}
        for run in known - records.keys():
            if run not in self._quarantined:
                await self._remove_stale(run)

    async def _remove_stale(self, run: str) -> None:
        """An attempt without a record is over: end its workers and remove its folder."""
        _, task = self._doing.pop(run, ("", None))
        if task:
            if task.done() and run not in self._attempts:
                return  # cleaned by its record, which is gone for that reason
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        job, _, attempt = run.rpartition(".")
        if attempt.isdigit():
            await self._backend.kill(JobId(job), int(attempt))
            await self._backend.clean(JobId(job), int(attempt))
        await asyncio.to_thread(self._attempt(run).folder.remove)
        self._forget(run)
        self._log.info("removed a stale attempt", action="stale", job=job, attempt=attempt)

    def _forget(self, run: str) -> None:
        self._attempts.pop(run, None)
        job, _, attempt = run.rpartition(".")
        if attempt.isdigit():
            self._exclusive.discard((JobId(job), int(attempt)))

    async def _do(self, run: str, record: str) -> None:
        """Do one record to its end, again after what may pass."""
        work: Work = decode_work(record)
        attempt = self._attempt(run)
        if work.verb is Verb.LAUNCH and load_jobtext(work.spec).limits.exclusive:
            self._exclusive.add((work.job, work.attempt))
        pause = _AGAIN_S
        while True:
            try:
                await attempt.do(work)
                if work.verb is Verb.CLEAN:
                    await self._finish(run, record)
                return
            except (HeadraceError, OSError) as error:
                self._log.warning(
                    f"{work.verb} failed and is tried again: {error}",
                    action="retry",
                    job=work.job,
                    attempt=work.attempt,
                )
            except Exception as error:
                self._log.error(
                    f"{work.verb} failed and is tried again: {error!r}",
                    action="retry",
                    job=work.job,
                    attempt=work.attempt,
                    exc_info=True,
                )
            await asyncio.sleep(pause)
            pause = min(pause * 2, 10.0)

    async def _finish(self, run: str, record: str) -> None:
        while True:
            await self._registered.wait()
            with suppress(Fenced):
                await self._jobs.finish_work(self._node, self._incarnation, record)
                self._forget(run)
                return
            self._registered.clear()
