"""One seed: a cluster, its people, what goes wrong, and what must hold in the end."""

import asyncio
import gc
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from traceback import format_exception
from typing import Any, TextIO

from headrace_adapters.redis import connection
from headrace_model.worker import ExitCause, WorkerExit, WorkerKey, WorkerLaunch
from tests.support.simulation import patches, wire
from tests.support.simulation.admin import NODE_BYTES, site_of
from tests.support.simulation.broken import Broken
from tests.support.simulation.cluster import Cluster
from tests.support.simulation.invariants import Invariants
from tests.support.simulation.loop import BEGIN_S, PROCESS, SimulatedLoop
from tests.support.simulation.machine import End, Machine
from tests.support.simulation.plants import Plant
from tests.support.simulation.redis_host import RedisHost, Served, scripts_on_simulated_clock
from tests.support.simulation.results import judge, write_output
from tests.support.simulation.trace import Trace
from tests.support.simulation.users import Users
from tests.support.simulation.wire import NetFaults, Network

_CALM_WITHIN_S = 400.0  # of simulated time, after the last fault
_PAUSES_S = (1.0, 5.0, 7.0, 12.0, 20.0)
_MOST_TURNS = 2_000_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a seed. `broken`: the sentence of what did not hold; empty: all did."""

    seed: int
    broken: str
    digest: str
    lines: int
    steps: int
    looks: int
    fenced: int
    simulated_s: float
    real_s: float
    faults: dict[str, int]
    edges: dict[str, int]  # of the table of moves, how often each was taken
    starts: dict[str, int]  # attempts that started, by what they asked
    tail: tuple[str, ...]


class Story:
    """Runs one seed on a Redis that is handed from seed to seed."""

    def __init__(
        self, seed: int, host: RedisHost, folder: Path, plant: Plant, out: TextIO | None = None
    ) -> None:
        self.seed = seed
        self._chances = 0
        self.chance = self._new_chance("story")
        threads = self._new_chance("threads")
        self.loop = SimulatedLoop(lambda: threads.expovariate(1 / 0.0005))
        self.trace = Trace(self.loop, out)
        self.host = host
        host.now_s = lambda: BEGIN_S + self.loop.now_s
        self._folder = folder
        self._plant = plant
        self._broken: str | None = None
        self._faults: dict[str, int] = {}
        self._is_calm = False
        self.network = Network(
            self.loop, host, self.trace, self._new_chance("network"), self._after_step
        )
        self.network.on_death = self._redis_died
        self.network.strike = self._strike
        self.site = site_of(self._new_chance("site"))
        self.invariants = Invariants(host, self.site.rules)
        self._live: dict[str, set[tuple[str, WorkerKey]]] = {}  # workers of exclusive jobs
        self._ended_well: set[WorkerKey] = set()
        self._hands: list[asyncio.Task[None]] = []

    def run(self) -> Outcome:
        """Run it to its end."""
        began = patches.REAL_MONOTONIC()
        patches.begin(self.loop, self.trace, str(self.seed))
        scripts = scripts_on_simulated_clock(self._plant.change_script)
        connection._load_scripts = lambda: scripts
        self.host.name_scripts(scripts)
        self.host.begin()
        wire.use(self.network)
        self.loop.set_exception_handler(self._unhandled)
        asyncio.set_event_loop(self.loop)
        main = self.loop.create_task(self._main())
        try:
            self.loop.run_until_complete(main)
        except RuntimeError:
            if self._broken is None:
                raise
        except Broken as error:
            self._breaks(str(error))
        except Exception as error:
            told = "".join(format_exception(error)[-12:])
            self._breaks(f"the simulation itself fails: {told}")
        outcome = self._outcome(patches.REAL_MONOTONIC() - began)
        self._leave(main)
        return outcome

    def _new_chance(self, what: str) -> Random:
        return Random(f"{self.seed} {what}")

    async def _main(self) -> None:
        chance, site = self.chance, self.site
        self.cluster = cluster = Cluster(
            self.loop,
            self.trace,
            self.network,
            self._new_chance("cluster"),
            self._folder,
            sweep_s=self._plant.sweep_s,
            resources=site.resources,
        )
        for number in (1, 2):
            cluster.add_scheduler(f"sched{number}")
            cluster.add_monitor(f"mon{number}")
        doors = [f"request{number}" for number in (1, 2)]
        for door in doors:
            cluster.add_request(door)
        for number in (1, 2):
            cluster.add_data(f"data{number}")
        for node in site.nodes:
            cluster.add_agent(self._machine(node), site.cpus, NODE_BYTES, site.gpus)
        last_s = chance.uniform(5.0, 40.0)
        users = self._users = Users(
            cluster, self.invariants, self.trace, self._new_chance("users"), doors, last_s, site
        )
        self._set_faults()
        until_s = last_s + chance.uniform(5.0, 20.0)
        people = self.loop.create_task(users.run(chance.randint(3, 10)))
        await self._blows(until_s)
        self._calm()
        try:
            async with asyncio.timeout(_CALM_WITHIN_S):
                await people
                while self._left(users):
                    await asyncio.sleep(1.0)
        except TimeoutError:
            left = [*self._left(users), *([] if people.done() else ["people still ask"])]
            raise Broken(f"{_CALM_WITHIN_S:g} s after the last fault: {left}") from None
        self._judge(users)

    def _machine(self, name: str) -> Machine:
        chance = self._new_chance(f"machine {name}")
        return Machine(name, self.loop, self.trace, chance, self._end_of, self._worker_seen)

    def _end_of(self, launch: WorkerLaunch) -> End:
        """How a worker ends: as its job says, mostly."""
        chance = self._new_chance(f"worker {launch.key}")
        _, way, seconds = launch.argv
        after_s = float(seconds) * chance.uniform(0.5, 1.0)
        if chance.random() < 0.3:
            way = "ok"
        match way:
            case "ok":
                return End(after_s)
            case "exit":
                return End(after_s, exit_code=3)
            case "oom":
                return End(after_s, ExitCause.OOM, None, 9)
            case "signal":
                return End(after_s, ExitCause.SIGNALED, None, 11)
            case "lost":
                return End(after_s, ExitCause.LOST, None)
            case _:
                return End(1e6)

    def _worker_seen(
        self, machine: Machine, launch: WorkerLaunch, ended: WorkerExit | None
    ) -> None:
        """Never two live attempts of an exclusive job."""
        key = launch.key
        living = self._live.setdefault(key.job, set())
        if ended is not None:
            living.discard((machine.name, key))
            if ended.cause is ExitCause.EXITED and ended.exit_code == 0:
                self._ended_well.add(key)
                write_output(launch)
        elif launch.exclusive:
            living.add((machine.name, key))
            if len({each.attempt for _, each in living}) > 1:
                self._breaks(f"exclusive job {key.job} has two live attempts: {sorted(living)}")

    def _set_faults(self) -> None:
        """Each seed has some kinds of faults of the network, each at its own rate."""
        rates = {
            "lost_request": 0.02,
            "lost_answer": 0.03,
            "cut_within": 0.01,
            "slow": 0.01,
            "late_leader": 0.1,
            "late_agent": 0.02,
            "silent": 0.003,
            "lost_hint": 0.2,
            "refused": 0.3,
            "redis_dies": 0.003,
            "sender_dies": 0.02,
            "sender_pauses": 0.01,
            "lost_http": 0.1,
        }
        chosen = {
            name: rate * self.chance.random()
            for name, rate in rates.items()
            if self.chance.random() < 0.4
        }
        self.network.faults = NetFaults(**chosen)
        told = " ".join(f"{name}={rate:.4f}" for name, rate in chosen.items())
        self.trace.say(f"world    faults of the network: {told}")

    async def _blows(self, until_s: float) -> None:
        """Kill, pause, stop at chosen moments."""
        blows: list[Callable[[], None]] = [
            self._crash,
            self._crash,
            self._pause,
            self._pause,
            self._stop,
            self._kill_redis,
            self._lose_machine,
            self._lose_workers,
        ]
        moments = sorted(
            self.chance.uniform(0.0, until_s) for _ in range(self.chance.randrange(9))
        )
        for moment in moments:
            await asyncio.sleep(moment - self.loop.now_s)
            blow = self.chance.choice(blows)
            name = blow.__name__.strip("_")
            self._faults[name] = self._faults.get(name, 0) + 1
            blow()
        await asyncio.sleep(max(0.0, until_s - self.loop.now_s))

    def _any(self) -> str:
        return self.chance.choice(list(self.cluster.processes))

    def _crash(self, name: str = "") -> None:
        name = name or self._any()
        self.cluster.crash(name)
        self.loop.later(self.chance.expovariate(1 / 3.0), self.cluster.boot, name)

    def _pause(self, name: str = "") -> None:
        self.cluster.pause(name or self._any(), self.chance.choice(_PAUSES_S))

    def _strike(self, fault: str, name: str) -> None:
        self._crash(name) if fault == "sender_dies" else self._pause(name)

    def _stop(self) -> None:
        self.cluster.stop(self._any())

    def _kill_redis(self) -> None:
        if self.host.is_up:
            lost = self.host.crash(None, 0)
            self.trace.say(f"redis    is killed; {lost} bytes were not on the disk")
            self._redis_died()

    def _redis_died(self) -> None:
        self._faults["redis"] = self._faults.get("redis", 0) + 1
        self.network.redis_died()
        self.loop.later(self.chance.expovariate(1 / 1.0), self._start_redis)

    def _start_redis(self) -> None:
        if self.host.is_up:
            return
        self.host.start()
        self.trace.say("redis    is back")
        self._guard(self.invariants.after_restart)

    def _lose_machine(self) -> None:
        """The power of a machine goes, and comes back."""
        name = self.chance.choice(list(self.cluster.machines))
        self.trace.say(f"{name:8} loses its power")
        self.cluster.crash(name)
        self.cluster.machines[name].lose_workers()
        off_s = self.chance.expovariate(1 / 12.0)
        if self.chance.random() < 0.3:
            off_s += 40.0
            self.loop.later(15.0, self._confirm, name)
        self.loop.later(off_s, self.cluster.boot, name)

    def _confirm(self, name: str) -> None:
        if not self.cluster.is_up(name) and not self.cluster.machines[name].running:
            self._hands.append(self.loop.create_task(self._users.confirm_lost(name)))

    def _lose_workers(self) -> None:
        name = self.chance.choice(list(self.cluster.machines))
        self.trace.say(f"{name:8} loses its workers")
        self.cluster.machines[name].lose_workers()

    def _calm(self) -> None:
        """No more faults: what is down comes back by itself, what is silent is found out."""
        for name, number in self.network.counts.items():
            self._faults[name] = number
        self.network.faults = NetFaults()
        self._is_calm = True
        self.trace.say("world    no more faults from here on")

    def _left(self, users: Users) -> list[str]:
        """What is still to end."""
        if not self.host.is_up:
            return ["Redis is down"]
        left = self.invariants.at_rest()
        for machine in self.cluster.machines.values():
            left += [f"{machine.name} runs {key}" for key in machine.running]
            folder = self._folder / machine.name / "attempts"
            if folder.exists():
                left += [f"{machine.name} keeps {each.name}" for each in sorted(folder.iterdir())]
        return left

    def _judge(self, users: Users) -> None:
        """What must hold at the end beside what holds always."""
        judge(self.invariants.state, self._ended_well, self._folder / "store")
        unknown = self.invariants.histories().keys() - users.jobs.keys()
        if unknown:
            raise Broken(f"jobs were made more than once, or for nobody: {sorted(unknown)}")

    def _after_step(self, commands: list[list[bytes]], served: Served) -> None:
        self._guard(lambda: self.invariants.after_step(commands, served))
        if self.loop.turns > _MOST_TURNS:
            self._breaks("it goes round in circles")

    def _guard(self, check: Callable[[], None]) -> None:
        try:
            check()
        except Broken as error:
            self._breaks(str(error))

    def _breaks(self, sentence: str) -> None:
        if self._broken is None:
            self._broken = sentence
            self.trace.say(f"BROKEN   {sentence}")
        self.loop.stop()

    def _unhandled(self, _: Any, told: dict[str, Any]) -> None:
        error = told.get("exception")
        process = PROCESS.get()
        who = process.name if process else "world"
        self.trace.say(f"{who:8} unhandled {type(error).__name__}: {error}")
        if process is None and error is not None:
            self._breaks(f"the simulation itself fails: {error!r}")

    def _outcome(self, real_s: float) -> Outcome:
        return Outcome(
            seed=self.seed,
            broken=self._broken or "",
            digest=self.trace.digest,
            lines=self.trace.lines,
            steps=self.network.steps,
            looks=self.invariants.looks,
            fenced=self.invariants.fenced,
            simulated_s=self.loop.now_s,
            real_s=real_s,
            faults=self._faults,
            edges=self.invariants.edges,
            starts=dict(self.invariants.ledger.counts),
            tail=tuple(self.trace.tail) if self._broken else (),
        )

    def _leave(self, main: "asyncio.Task[None]") -> None:
        """Nothing of this seed runs on, or is heard of, in the next."""
        for process in self.cluster.processes.values():
            process.alive = False
        self._hands.clear()
        for task in (main, *asyncio.all_tasks(self.loop)):
            task._log_destroy_pending = False
        self.loop.set_exception_handler(lambda *_: None)
        hook, sys.unraisablehook = sys.unraisablehook, lambda *_: None
        self.loop.forget()
        del self.cluster
        asyncio.set_event_loop(None)
        self.loop.close()
        gc.collect()
        sys.unraisablehook = hook
        shutil.rmtree(self._folder, ignore_errors=True)
        if not self.host.is_up:
            self.host.close()
