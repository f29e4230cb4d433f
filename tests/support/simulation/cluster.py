"""The services of a cluster as simulated processes, wired by their own `build`."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import headrace_agent.main as agent_main
import headrace_data.main as data_main
import headrace_monitor.main as monitor_main
import headrace_scheduler.main as scheduler_main
from headrace_adapters.redis.arrays import ArrayStore
from headrace_adapters.redis.connection import Redis
from headrace_adapters.redis.events import Events
from headrace_adapters.redis.jobs import Idempotency, JobStore
from headrace_adapters.redis.nodes import NodeStore
from headrace_adapters.redis.quotas import QuotaStore
from headrace_adapters.redis.resources import ResourcesStore
from headrace_adapters.redis.users import UserStore
from headrace_agent.data_client import DataClient
from headrace_agent.data_client import _error as client_error
from headrace_agent.environments import NodePython
from headrace_agent.logs import LogAnswers
from headrace_agent.settings import Settings as AgentSettings
from headrace_data.internal_api import InternalApi
from headrace_data.library import Library
from headrace_data.settings import Settings as DataSettings
from headrace_kinds.ngen_program import NgenProgram
from headrace_model.domain import Domain
from headrace_model.errors import HeadraceError, Unavailable
from headrace_model.quota import RunLimit
from headrace_model.work import Work
from headrace_monitor.settings import Settings as MonitorSettings
from headrace_request.service.cached import Cached
from headrace_request.service.jobs import JobDesk
from headrace_request.service.waiters import Waiters
from headrace_scheduler.settings import Settings as SchedulerSettings
from headrace_service.http import _HTTP_STATUS
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


class DataDoor:
    """What users and agents reach of a data service."""

    def __init__(self, api: InternalApi, library: Library) -> None:
        self.library = library
        self._asked = {
            "staging": api._stage,
            "outputs": api._outputs,
            "partials": api._partial,
            "logs": api._logs,
        }

    async def post(self, what: str, asked: dict[str, Any]) -> dict[str, Any]:
        """What it answers to an agent."""
        response = await self._asked[what](_Request(json.dumps(asked).encode()))
        return dict(json.loads(response.body))


@dataclass(frozen=True, slots=True)
class _Request:
    body: bytes

    async def read(self) -> bytes:
        return self.body


@dataclass(frozen=True, slots=True)
class _Generic:
    """What a folder holds, without a look at it: readers are programs of their own."""

    format: str = "GENERIC"
    domain: Domain = field(default_factory=Domain)
    notes: tuple[str, ...] = ()


async def _detect(folder: Path, format_: str | None) -> _Generic:
    return _Generic()


async def _detect_output(*_: Any) -> tuple[str, dict[str, Any]]:
    return "GENERIC", Domain().to_plain()


class Door:
    """What users reach of a request service."""

    def __init__(self, redis: Redis) -> None:
        events = Events(redis)
        store, self.nodes = JobStore(redis), NodeStore(redis)
        cached = Cached(self.nodes.all, 1.0)
        self.waiters = Waiters(events, missed=redis.open)
        self.waiters.listen({"node"}, lambda _: cached.forget())
        self.quotas, self.users = QuotaStore(redis), UserStore(redis)
        self.desk = JobDesk(
            store,
            ArrayStore(redis),
            _NoArchive(),  # nothing is as old as that
            cached,
            Cached(ResourcesStore(redis).get, 1.0),
            Cached(_has_room, 1.0),
            self.waiters,
            Idempotency,
            self.quotas,
            Cached(_no_quotas, 1.0),  # a job over a whole quota is taken: it waits
            NgenProgram(),
        )


async def _no_quotas() -> tuple[RunLimit, ...]:
    return ()


class _NoArchive:
    async def find_all(self, _: Any) -> list[Any]:
        return []

    async def find(self, _: Any) -> None:
        return None


async def _has_room() -> None:
    return None


class Cluster:
    """Boots, crashes, pauses and stops the processes. `sweep_s`: of all services; `resources`:
    what resources.yaml says, empty: there is none."""

    def __init__(
        self,
        loop: SimulatedLoop,
        trace: Trace,
        network: Network,
        chance: Random,
        folder: Path,
        *,
        sweep_s: float,
        resources: str = "",
    ) -> None:
        self.processes: dict[str, Process] = {}
        self.machines: dict[str, Machine] = {}
        self.doors: dict[str, Any] = {}  # by name: `Door` or `DataDoor`
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
        self._resources = folder / "resources.yaml"
        self._resources.write_text(resources)
        agent_main._running = self._machine_of
        agent_main._lock = self._lock
        agent_main._detect = _detect_output
        agent_main.DataClient = partial(_Data, self)

    def add_scheduler(self, name: str) -> None:
        """A replica of the scheduler."""
        said = str(self._resources) if self._resources.stat().st_size else ""
        settings = SchedulerSettings(**self._common(name), resources_file=said)
        self._add(name, partial(scheduler_main.build, settings))

    def add_monitor(self, name: str) -> None:
        """A replica of the monitor."""
        settings = MonitorSettings(**self._common(name))
        self._add(name, partial(monitor_main.build, settings))

    def add_request(self, name: str) -> None:
        """A request service."""
        self._add(name, partial(self._build_request, name))

    def add_data(self, name: str) -> None:
        """A replica of the data service; all have one store."""
        settings = DataSettings(**self._common(name), store=str(self._folder / "store"))
        self._add(name, partial(self._build_data, name, settings))

    def any_data(self) -> str:
        """The name of one of the data services."""
        return self._chance.choice([name for name in self._builds if name.startswith("data")])

    def add_agent(self, machine: Machine, cpus: float, memory_bytes: int, gpus: int) -> None:
        """A machine and its agent."""
        self.machines[machine.name] = machine
        settings = AgentSettings(
            **self._common(machine.name),
            node=machine.name,
            cpus=cpus,
            memory_bytes=memory_bytes,
            gpus=gpus,
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

    async def ask(self, name: str, what: Callable[[Any], Awaitable[T]]) -> T:
        """Ask a service, as over HTTP: raises `Unavailable` where no answer comes."""
        await asyncio.sleep(self._chance.expovariate(1 / 0.002))
        if not self.is_up(name) or name not in self.doors or self._network.happens("lost_http"):
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
                found = await answer
                if self._network.happens("lost_http"):
                    raise TimeoutError
                return found
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

    def _build_data(self, name: str, settings: DataSettings) -> Service:
        kept: dict[type, Any] = {}

        def keeping(made: type) -> Callable[..., Any]:
            def make(*args: Any, **options: Any) -> Any:
                kept[made] = made(*args, **options)
                return kept[made]

            return make

        data_main.InternalApi = keeping(InternalApi)
        data_main.Library = keeping(Library)
        built = data_main.build(settings, detect=_detect)
        door = DataDoor(kept[InternalApi], kept[Library])

        async def opened() -> None:
            self.doors[name] = door

        return Service(name=name, open=[*built.open, opened], loops=built.loops, close=built.close)

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


class _Data(DataClient):
    """The agent's client, on the simulated network."""

    def __init__(self, cluster: Cluster, *args: Any) -> None:
        super().__init__(*args)
        self._cluster = cluster

    async def open(self) -> None:
        """Nothing is to be opened."""

    async def _post(self, what: str, work: Work, body: dict[str, Any]) -> dict[str, Any]:
        asked = {"job": work.job, "attempt": work.attempt, "node": self._node, **body}
        try:
            return await self._cluster.ask(
                self._cluster.any_data(), lambda door: door.post(what, asked)
            )
        except HeadraceError as error:
            status = next((code for kind, code in _HTTP_STATUS if isinstance(error, kind)), 500)
            raise client_error(status, error.message) from None


def _settle(answer: "asyncio.Future[Any]", result: Any = None, error: Any = None) -> None:
    if answer.done():
        return
    if error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(result)
