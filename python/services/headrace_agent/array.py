"""The tasks of an array on this node: ranges are taken, run by the nest, and told about.

Redis knows which tasks this node holds and which have ended; the nest knows which run or have run
here. Between the two nothing is kept: after a restart both are asked, and what is held and neither
runs nor has ended is handed to the nest (again).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from headrace_agent.core.tasks import TaskRun, failure, failures, reports, run_of
from headrace_agent.folders import AttemptFolder
from headrace_agent.outputs import Outputs, TaskOutputs
from headrace_agent.tasklogs import TaskLogs
from headrace_model.array import Taken, TaskCounts, TaskReport, indices_of, lease_size
from headrace_model.cause import Cause
from headrace_model.fit import slots_in
from headrace_model.ids import NodeId
from headrace_model.spec import JobSpec
from headrace_model.work import Work
from headrace_model.worker import (
    ExitCause,
    TaskLaunch,
    WorkerExit,
    WorkerKey,
    WorkerLaunch,
)
from headrace_ports.backend import Backend
from headrace_service.threads import finish

if TYPE_CHECKING:
    from headrace_adapters.redis.arrays import ArrayStore

_GATHER_S: Final = 0.05  # how long ends are gathered into one report
_AT_ONCE: Final = 500  # tasks of one report
_LOOK_S: Final = 5.0  # how often the nest is handed over again what it should have


# Calls Redis with the agent's incarnation; waits out a fence or an absent Redis.
Fenced = Callable[[Callable[[str], Awaitable[Any]]], Awaitable[Any]]


class TaskDesk:
    """Arrays in Redis as this node's agent reaches them."""

    def __init__(self, arrays: "ArrayStore", node: NodeId, fenced: Fenced) -> None:
        self._arrays = arrays
        self._node = node
        self._fenced = fenced

    async def take(self, work: Work, *, most: int, known: int) -> Taken:
        """As `ArrayStore.take`."""
        taken: Taken = await self._fenced(
            lambda run: self._arrays.take(
                self._node, run, work.job, work.attempt, most=most, known=known
            )
        )
        return taken

    async def finish(self, work: Work, told: Sequence[TaskReport], *, limit: int) -> TaskCounts:
        """As `ArrayStore.finish`."""
        counts: TaskCounts = await self._fenced(
            lambda run: self._arrays.finish(
                self._node, run, work.job, work.attempt, told, limit=limit
            )
        )
        return counts


class WatchdogKilled(Exception):
    """The agent itself killed the tasks: exclusive, and Redis was out of reach."""


@dataclass(slots=True)
class Ended:
    """Runs that the nest says have ended and nobody has taken up."""

    runs: dict[TaskRun, WorkerExit] = field(default_factory=dict)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, ended: WorkerExit) -> None:
        """Hear of one."""
        self.runs[run_of(ended)] = ended
        self.arrived.set()

    def take(self, most: int) -> list[WorkerExit]:
        """Take some up."""
        taken = [self.runs.pop(run) for run in list(self.runs)[:most]]
        if not self.runs:
            self.arrived.clear()
        return taken


class ArrayOnNode:
    """Runs this node's tasks of one attempt."""

    def __init__(
        self,
        work: Work,
        spec: JobSpec,
        shared: WorkerLaunch,
        launch: Callable[[TaskRun], TaskLaunch],
        folder: AttemptFolder,
        backend: Backend,
        desk: TaskDesk,
        outputs: Outputs,
        ended: Ended,
    ) -> None:
        self._work = work
        self._spec = spec
        self._shared = shared
        self._launch = launch
        self._folder = folder
        self._logs = TaskLogs(folder.logs)
        self._backend = backend
        self._desk = desk
        self._outputs = outputs
        self._ended = ended
        self._slots = slots_in(spec.resources.amount, work.resources) if work.resources else 1
        self._counts = TaskCounts(spec.tasks, spec.tasks, 0, 0, 0)
        self._known = 0  # the highest lease
        self._left: set[TaskRun] = set()  # held here, and not yet told of
        self._telling = 0  # how many of those have ended and are just being told of
        self._ended_per_s = 0.0
        self._handed_s = 0.0  # when the nest was last told of all that it should have
        self._ask = True  # somebody else changed the array: ask even if nothing seems to wait
        self._look = asyncio.Event()

    def changed(self) -> None:
        """Tasks of the array wait again, or all have ended."""
        self._ask = True
        self._look.set()

    async def run(self, watchdog: Callable[[], bool]) -> None:
        """Return when every task of the array has ended, here or elsewhere.

        May be cancelled at any point and run anew. Raises `Stale` when the attempt is over, and
        `WatchdogKilled`.
        """
        for state in await self._backend.list():
            if isinstance(state, WorkerExit) and self._is_mine(state.key):
                self._ended.add(state)
        # Before it is known what this node holds, what has ended would be taken for another's,
        # and would be forgotten and run again.
        await self._take()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._feed())
                group.create_task(self._tell_all(watchdog))
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None

    def _is_mine(self, key: WorkerKey) -> bool:
        return key.is_task and (key.job, key.attempt) == (self._work.job, self._work.attempt)

    # ---- taking

    async def _feed(self) -> None:
        """Keep the nest's queue filled with about a second's work, until all tasks have ended."""
        loop = asyncio.get_running_loop()
        self._handed_s = loop.time()
        while self._counts.unfinished:
            self._look.clear()
            if self._most() or self._ask:
                self._ask = False
                await self._take()
                continue
            try:
                async with asyncio.timeout(_LOOK_S):
                    await self._look.wait()
            except TimeoutError:
                self._ask = True
            if loop.time() - self._handed_s >= _LOOK_S:
                # The nest may have died with its queue; what it knows it passes over.
                self._handed_s = loop.time()
                await self._hand_over(self._left)
        self._ended.arrived.set()

    def _most(self) -> int:
        """How many tasks to take now."""
        size = lease_size(self._slots, self._ended_per_s, self._counts.waiting, self._work.ranks)
        pending = len(self._left) - len(self._ended.runs) - self._telling
        return size if pending < max(self._slots, size // 2) else 0

    async def _take(self) -> None:
        taken = await self._desk.take(self._work, most=self._most(), known=self._known)
        self._counts = taken.counts
        runs: set[TaskRun] = set()
        for lease in taken.leases:
            self._known = max(self._known, lease.number)
            runs.update(TaskRun(index, lease.number) for index in indices_of(lease.left))
        self._left |= runs
        await self._hand_over(runs)

    async def _hand_over(self, runs: set[TaskRun]) -> None:
        ordered = sorted(runs - self._ended.runs.keys(), key=lambda run: (run.lease, run.index))
        if self._spec.outputs:
            await finish(self._folder.make_outputs, ordered)
        # What was told of meanwhile is no longer known to the nest, and would run again.
        left = [run for run in ordered if run in self._left]
        if left:
            tasks = [self._launch(run) for run in left]
            await self._backend.queue(self._slots, self._shared, tasks)

    # ---- telling

    async def _tell_all(self, watchdog: Callable[[], bool]) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        while self._counts.unfinished:
            await self._ended.arrived.wait()
            await asyncio.sleep(_GATHER_S)
            if watchdog():
                raise WatchdogKilled
            ended = self._ended.take(_AT_ONCE)
            if not ended:
                continue
            await self._tell(ended)
            pace = len(ended) / max(loop.time() - began, _GATHER_S)
            began = loop.time()
            self._ended_per_s = (self._ended_per_s + pace) / 2 if self._ended_per_s else pace
            self._look.set()
        self._look.set()

    async def _tell(self, ended: list[WorkerExit]) -> None:
        """Tell how runs ended; what this node no longer holds is only cleaned up."""
        if any(each.cause is ExitCause.LOST for each in ended):
            self._handed_s = 0.0  # the nest has died, and with it what waited there
        mine = [each for each in ended if run_of(each) in self._left]
        self._telling = len(mine)
        try:
            if mine:
                memory = self._spec.resources.amount.memory_bytes
                failed = failures(mine, self._spec.retry, memory)
                done = [run_of(each) for each in mine if run_of(each) not in failed]
                kept = TaskOutputs()
                if self._spec.outputs and done:
                    kept = await self._outputs.collect_tasks(self._work, self._spec, done)
                    for run, why in kept.refused.items():
                        failed[run] = failure(run, Cause.COLLECTION, why, None, self._spec.retry)
                    done = [run for run in done if run not in kept.refused]
                self._counts = await self._desk.finish(
                    self._work, reports(done, failed, kept.parts), limit=self._spec.retry.limit
                )
                self._left.difference_update(run_of(each) for each in mine)
                self._ask |= bool(failed)
        finally:
            self._telling = 0
        await self._clean(ended)

    async def _clean(self, ended: list[WorkerExit]) -> None:
        runs = [run_of(each) for each in ended]
        await finish(self._logs.note, ended)
        if self._spec.outputs:
            await finish(self._folder.remove_outputs, runs)
            self._outputs.forget(runs)
        # Last: until then the nest tells of them again.
        await self._backend.clean_tasks([each.key for each in ended])
