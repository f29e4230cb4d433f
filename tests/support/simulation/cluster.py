"""The services of a cluster as simulated processes, wired by their own `build`."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import headrace_agent.main as agent_main
import headrace_monitor.main as monitor_main
import headrace_scheduler.main as scheduler_main
from headrace_adapters.redis.arrays import ArrayStore
from headrace_adapters.redis.connection import Redis
from headrace_adapters.redis.events import Events
from headrace_adapters.redis.jobs import Idempotency, JobStore
from headrace_adapters.redis.nodes import NodeStore
from headrace_adapters.redis.quotas import QuotaStore
from headrace_adapters.redis.resources import ResourcesStore
from headrace_agent.environments import NodePython
from headrace_agent.logs import LogAnswers
from headrace_agent.settings import Settings as AgentSettings
from headrace_model.errors import Unavailable
from headrace_monitor.settings import Settings as MonitorSettings
from headrace_request.service.cached import Cached
from headrace_request.service.jobs import JobDesk
from headrace_request.service.waiters import Waiters
from headrace_scheduler.settings import Settings as SchedulerSettings
from headrace_service.lifecycle import Service, _Running
from tests.support.simulation.loop import Process, SimulatedLoop
from tests.support.simulation.machine import Machine, SimulatedBackend
from tests.support.simulation.trace import Trace
from tests.support.simulation.wire import Network

T = TypeVar("T")
_URL = "unix:///simulated"
_UP_AGAIN_S = 0.5  # a supervisor's pause
_ANSWER_S = 30.0  # how long a client waits

Stopping = Callable[[], Awaitable[None]]


class Door:
    """What users reach of a request service."""

    def __init__(self, redis: Redis) -> None:
        events = Events(redis)
        store, self.nodes = JobStore(redis), NodeStore(redis)
        cached = Cached(self.nodes.all, 1.0)
        self.waiters = Waiters(events, missed=redis.open)
        self.waiters.listen({"node"}, lambda _: cached.forget())
        self.desk = JobDesk(
            store,
            ArrayStore(redis),
            _NoArchive(),  # nothing is as old as that
            cached,
            Cached(ResourcesStore(redis).get, 1.0),
            Cached(_has_room, 1.0),
            self.waiters,
            Idempotency,
            QuotaStore(redis),
        )


class _NoArchive:
    async def find_all(self, _: Any) -> list[Any]:
        return []

    async def find(self, _: Any) -> None:
        return None


async def _has_room() -> None:
    return None


class Cluster:
    """Boots, crashes, pauses and stops the processes. `sweep_s`: of all services."""

    def __init__(
        self,
        loop: SimulatedLoop,
        trace: Trace,
        network: Network,
        chance: Random,
        folder: Path,
        *,
        sweep_s: float,
    ) -> None:
        self.processes: dict[str, Process] = {}
        self.machines: dict[str, Machine] = {}
        self.doors: dict[str, Door] = {}
        self._stops: dict[str, Stopping] = {}
        self._builds: dict[str, Callable[[], Service]] = {}
        self._kept: list[object] = []  # what crashed must not be tidied up by the collector
        self._loop = loop
        self._trace = trace
        self._network = network
        self._chance = chance
        self._folder = folder
        self._sweep_s = sweep_s
        self._skew: dict[str, float] = {}
        folder.mkdir(parents=True)
        self._token = folder / "token"
        self._token.write_text("i" * 40)
        agent_main._running = self._machine_of
        agent_main._lock = self._lock

    def add_scheduler(self, name: str) -> None:
        """A replica of the scheduler."""
        settings = SchedulerSettings(**self._common(name))
        self._add(name, partial(scheduler_main.build, settings))

    def add_monitor(self, name: str) -> None:
        """A replica of the monitor."""
        settings = MonitorSettings(**self._common(name))
        self._add(name, partial(monitor_main.build, settings))

    def add_request(self, name: str) -> None:
        """A request service."""
        self._add(name, partial(self._build_request, name))

    def add_agent(self, machine: Machine, cpus: float, memory_bytes: int) -> None:
        """A machine and its agent."""
        self.machines[machine.name] = machine
        settings = AgentSettings(
            **self._common(machine.name),
            node=machine.name,
            cpus=cpus,
            memory_bytes=memory_bytes,
            gpus=0,
        )
        self._add(machine.name, partial(self._build_agent, settings))

    def is_up(self, name: str) -> bool:
        """Tell whether a process lives."""
        return name in self.processes and self.processes[name].alive

    def boot(self, name: str) -> None:
        """Start a process that is not there."""
        if self.is_up(name):
            return
        process = self.processes[name] = Process(name, self._skew[name])
        self._trace.say(f"{name:8} boots")
        self._kept.append(self._loop.start(process, self._serve(process)))
        self._kept.append(process)

    def crash(self, name: str) -> None:
        """Kill -9."""
        if self.is_up(name):
            self._trace.say(f"{name:8} crashes")
            self._end(self.processes[name])

    def pause(self, name: str, for_s: float) -> None:
        """Have a process take no step for a while."""
        process = self.processes[name]
        if process.alive and not process.paused:
            self._trace.say(f"{name:8} pauses for {for_s:.2f} s")
            process.paused = True
            self._loop.later(for_s, self._resume, process)

    def stop(self, name: str) -> None:
        """SIGTERM, and a new one afterwards."""
        process = self.processes[name]
        if process.alive and name in self._stops:
            self._trace.say(f"{name:8} is told to stop")
            self._kept.append(self._loop.start(process, self._stop(process)))

    async def ask(self, name: str, what: Callable[[Door], Awaitable[T]]) -> T:
        """Ask a request service, as over HTTP: raises `Unavailable` where no answer comes."""
        await asyncio.sleep(self._chance.expovariate(1 / 0.002))
        if not self.is_up(name) or name not in self.doors:
            raise Unavailable(f"{name} does not listen")
        process, door = self.processes[name], self.doors[name]
        answer: asyncio.Future[T] = self._loop.create_future()

        async def handle() -> None:
            try:
                result = await what(door)
            except Exception as error:
                _settle(answer, error=error)
            else:
                _settle(answer, result)

        self._kept.append(self._loop.start(process, handle()))
        try:
            async with asyncio.timeout(_ANSWER_S):
                return await answer
        except TimeoutError:
            raise Unavailable(f"{name} does not answer") from None

    def _add(self, name: str, build: Callable[[], Service]) -> None:
        self._builds[name] = build
        self._skew[name] = self._chance.uniform(-0.5, 0.5) if self._chance.random() < 0.5 else 0.0
        self.boot(name)

    def _common(self, name: str) -> dict[str, Any]:
        state = self._folder / name
        state.mkdir()
        return {
            "state_dir": state,
            "redis_url": _URL,
            "internal_token_file": self._token,
            "sweep_s": self._sweep_s,
        }

    async def _serve(self, process: Process) -> None:
        name = process.name
        running = _Running(self._builds[name]())
        self._stops[name] = running.stop
        try:
            await running.start()
        except Exception as error:
            self._trace.say(f"{name:8} ends: {error}")
            self._end(process)
            self._loop.later(_UP_AGAIN_S, self.boot, name)

    async def _stop(self, process: Process) -> None:
        await self._stops.pop(process.name)()
        self._trace.say(f"{process.name:8} has stopped")
        self._end(process)
        self._loop.later(_UP_AGAIN_S, self.boot, process.name)

    def _end(self, process: Process) -> None:
        process.alive = False
        process.parked.clear()
        self._stops.pop(process.name, None)
        self.doors.pop(process.name, None)
        self._network.crash(process)

    def _resume(self, process: Process) -> None:
        if process.alive and process.paused:
            self._trace.say(f"{process.name:8} goes on")
            self._loop.resume(process)

    def _build_request(self, name: str) -> Service:
        redis = Redis(_URL)
        door = Door(redis)

        async def opened() -> None:
            self.doors[name] = door

        return Service(
            name=name, open=[redis.open, opened], loops=[door.waiters.run], close=[redis.close]
        )

    def _build_agent(self, settings: AgentSettings) -> Service:
        built = agent_main.build(settings)
        # Nobody follows logs here, and nothing that is promised hangs on it.
        loops = [
            each
            for each in built.loops
            if not isinstance(getattr(each, "__self__", None), LogAnswers)
        ]
        return Service(name=built.name, loops=loops, close=built.close)

    def _machine_of(self, settings: AgentSettings, _: Redis) -> "agent_main._Running":
        backend = SimulatedBackend(self.machines[settings.node], self._tick)
        return agent_main._Running(
            backend, NodePython({}), agent_main._no_engine, agent_main._no_swarm, None
        )

    def _tick(self) -> float:
        return self._chance.expovariate(1 / 0.002)

    @staticmethod
    def _lock(state: Path) -> int:
        # A killed process gives its lock up; two agents at a time have no place here.
        return os.open(state / "agent.lock", os.O_RDWR | os.O_CREAT, 0o600)


def _settle(answer: "asyncio.Future[Any]", result: Any = None, error: Any = None) -> None:
    if answer.done():
        return
    if error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(result)
