"""A machine of a node: what runs its workers outlives its agent, and may die with it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random

from headrace_model.errors import Conflict
from headrace_model.ids import JobId
from headrace_model.worker import (
    ExitCause,
    Handle,
    MemoryLimitBy,
    RunningWorker,
    TaskLaunch,
    TaskLog,
    WorkerExit,
    WorkerKey,
    WorkerLaunch,
    WorkerState,
    WorkerUsage,
)
from tests.support.simulation.loop import BEGIN_S, SimulatedLoop
from tests.support.simulation.trace import Trace


@dataclass(frozen=True, slots=True)
class End:
    """How a worker will end by itself, and when (s)."""

    after_s: float
    cause: ExitCause = ExitCause.EXITED
    exit_code: int | None = 0
    signal: int | None = None


@dataclass(slots=True)
class _Slots:
    """Tasks of one attempt, which run a few at a time."""

    free: int
    shared: WorkerLaunch
    waiting: dict[WorkerKey, TaskLaunch] = field(default_factory=dict)


class Machine:
    """Its workers. `ends` decides how each will end; `seen` hears of starts and ends."""

    def __init__(
        self,
        name: str,
        loop: SimulatedLoop,
        trace: Trace,
        chance: Random,
        ends: Callable[[WorkerLaunch], End],
        seen: Callable[["Machine", WorkerLaunch, WorkerExit | None], None],
    ) -> None:
        self.name = name
        self.running: dict[WorkerKey, WorkerLaunch] = {}
        self.states: dict[WorkerKey, WorkerState] = {}  # in the order of their start
        self._loop = loop
        self._trace = trace
        self._chance = chance
        self._ends = ends
        self._seen = seen
        self._listening: dict[SimulatedBackend, asyncio.Event] = {}
        self._gone: dict[WorkerKey, asyncio.Event] = {}
        self._slots: dict[tuple[JobId, int], _Slots] = {}

    def start(self, launch: WorkerLaunch) -> Handle | WorkerExit:
        """Start a worker, once."""
        if (known := self.states.get(launch.key)) is not None:
            if isinstance(known, WorkerExit):
                return known
            return known.handle or Handle("")
        if self._chance.random() < 0.02:
            return self._end(launch, End(0.0, ExitCause.NOT_STARTED, exit_code=None))
        return self._begin(launch)

    def queue(self, slots: int, shared: WorkerLaunch, tasks: Sequence[TaskLaunch]) -> None:
        """Let tasks wait for a slot, each once."""
        attempt = (shared.key.job, shared.key.attempt)
        queue = self._slots.setdefault(attempt, _Slots(slots, shared))
        for task in tasks:
            if task.key not in self.states:
                queue.waiting.setdefault(task.key, task)
        self._fill(queue)

    def clean_tasks(self, keys: Sequence[WorkerKey]) -> None:
        """Forget the ends of some tasks."""
        for key in keys:
            if key not in self.running:
                self.states.pop(key, None)

    def _fill(self, queue: _Slots) -> None:
        while queue.free and queue.waiting:
            key = next(iter(queue.waiting))
            task = queue.waiting.pop(key)
            queue.free -= 1
            env = {**queue.shared.env, **task.env}
            self._begin(replace(queue.shared, key=key, argv=task.argv, env=env))

    def _begin(self, launch: WorkerLaunch) -> Handle:
        handle = Handle(f"{self.name} {launch.key}")
        self.running[launch.key] = launch
        self._gone[launch.key] = asyncio.Event()
        self.states[launch.key] = RunningWorker(
            launch.key, handle, launch.exclusive, MemoryLimitBy.SAMPLED
        )
        self._trace.say(f"{self.name:8} starts worker {launch.key}")
        self._seen(self, launch, None)
        end = self._ends(launch)
        self._loop.later(end.after_s, self._end_if_running, launch.key, end)
        return handle

    async def stop(self, job: JobId, attempt: int, grace_s: float) -> None:
        """TERM, then KILL; returns when no worker of the attempt is left."""
        self._slots.pop((job, attempt), None)
        for key in self._of(job, attempt):
            after = self._chance.uniform(0.0, grace_s * 1.2) if self._chance.random() < 0.8 else 0
            end = End(min(after, grace_s), ExitCause.SIGNALED, None, 15 if after < grace_s else 9)
            self._loop.later(end.after_s, self._end_if_running, key, end)
        for key in self._of(job, attempt):
            await self._gone[key].wait()

    def clean(self, job: JobId, attempt: int) -> None:
        """Forget the ends of an attempt."""
        if self._of(job, attempt):
            raise Conflict(f"a worker of {job}.{attempt} lives")
        for key in [each for each in self.states if (each.job, each.attempt) == (job, attempt)]:
            del self.states[key]

    def lose_workers(self) -> None:
        """What watches over the workers dies, and they with it, and what waited."""
        self._slots.clear()
        for key in list(self.running):
            self._end_if_running(key, End(0.0, ExitCause.LOST, None))

    def listen(self, backend: "SimulatedBackend") -> asyncio.Event:
        """An event that is set at each end."""
        return self._listening.setdefault(backend, asyncio.Event())

    def _of(self, job: JobId, attempt: int) -> list[WorkerKey]:
        return [key for key in self.running if (key.job, key.attempt) == (job, attempt)]

    def _end_if_running(self, key: WorkerKey, end: End) -> None:
        if (launch := self.running.pop(key, None)) is not None:
            self._end(launch, end)

    def _end(self, launch: WorkerLaunch, end: End) -> WorkerExit:
        key = launch.key
        before = self.states.get(key)
        handle = before.handle if before else None
        at_ms = int((BEGIN_S + self._loop.now_s) * 1000)
        log = TaskLog(0, 0, 0, 0, 0) if key.is_task else None
        ended = WorkerExit(key, handle, end.cause, end.exit_code, end.signal, 0, at_ms, log=log)
        if end.cause is ExitCause.NOT_STARTED:
            ended = replace(ended, message="there is no such program")
        self.states[key] = ended
        self._trace.say(f"{self.name:8} worker {key} ends: {end.cause} {end.exit_code}")
        self._seen(self, launch, ended)
        if key in self._gone:
            self._gone[key].set()
        for event in self._listening.values():
            event.set()
        queue = self._slots.get((key.job, key.attempt))
        if key.is_task and queue is not None:
            queue.free += 1
            self._fill(queue)
        return ended


class SimulatedBackend:
    """What an agent has of its machine. See `headrace_ports.backend`."""

    def __init__(self, machine: Machine, delay: Callable[[], float]) -> None:
        self._machine = machine
        self._delay = delay
        self._is_open = True

    async def open(self) -> None:
        await asyncio.sleep(self._delay())

    async def close(self) -> None:
        self._is_open = False
        self._machine.listen(self).set()

    async def start(self, launch: WorkerLaunch) -> Handle | WorkerExit:
        await asyncio.sleep(self._delay())
        started = self._machine.start(launch)
        await asyncio.sleep(self._delay())
        return started

    async def queue(self, slots: int, shared: WorkerLaunch, tasks: Sequence[TaskLaunch]) -> None:
        await asyncio.sleep(self._delay())
        self._machine.queue(slots, shared, tasks)

    async def stop(self, job: JobId, attempt: int, grace_s: float) -> None:
        await asyncio.sleep(self._delay())
        await self._machine.stop(job, attempt, grace_s)

    async def kill(self, job: JobId, attempt: int) -> None:
        await self.stop(job, attempt, 0.0)

    async def signal(self, job: JobId, attempt: int, number: int) -> bool:
        await asyncio.sleep(self._delay())
        return any((key.job, key.attempt) == (job, attempt) for key in self._machine.running)

    async def list(self) -> tuple[WorkerState, ...]:
        await asyncio.sleep(self._delay())
        return tuple(self._machine.states.values())

    async def usage(self) -> tuple[WorkerUsage, ...]:
        return ()

    async def exits(self) -> AsyncIterator[WorkerExit]:
        told: dict[WorkerKey, WorkerState] = {}  # a task may run again once it is forgotten
        changed = self._machine.listen(self)
        while self._is_open:
            changed.clear()
            for key, state in list(self._machine.states.items()):
                if isinstance(state, WorkerExit) and told.get(key) is not state:
                    told[key] = state
                    yield state
            if not changed.is_set():
                await changed.wait()

    async def clean(self, job: JobId, attempt: int) -> None:
        await asyncio.sleep(self._delay())
        self._machine.clean(job, attempt)

    async def clean_tasks(self, keys: Sequence[WorkerKey]) -> None:
        await asyncio.sleep(self._delay())
        self._machine.clean_tasks(keys)

    async def memory_limit_by(self) -> MemoryLimitBy:
        return MemoryLimitBy.SAMPLED
