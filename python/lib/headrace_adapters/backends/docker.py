"""The backends docker and swarm: each worker a container of this machine's engine.

With swarm it is made there as a service (`service_maker.py`); all else is the same.

The engine and the containers live on when this object and its program die. All that is known of
a worker stands in its container (`containers.py`); only tasks that wait for a slot are kept here.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from signal import Signals
from typing import Any, Final

from headrace_adapters.backends import containers
from headrace_adapters.backends.container_maker import ContainerMaker, Refused
from headrace_adapters.backends.containers import Known, Slot
from headrace_adapters.backends.docker_engine import Engine
from headrace_adapters.backends.docker_errors import Gone
from headrace_adapters.backends.docker_followers import Followers
from headrace_adapters.backends.ends import Attempt, Ends
from headrace_adapters.backends.service_maker import ServiceMaker
from headrace_model.errors import Conflict, Unavailable
from headrace_model.ids import JobId
from headrace_model.worker import (
    ExitCause,
    Handle,
    MemoryLimitBy,
    TaskLaunch,
    WorkerExit,
    WorkerKey,
    WorkerLaunch,
    WorkerState,
    WorkerUsage,
)

_AGAIN_S: Final = 0.5
_FIRST_LOOK_S: Final = 0.02
_LONGEST_LOOK_S: Final = 0.25
_TELL_S: Final = 10.0


@dataclass(slots=True)
class _Waiting:
    """The tasks of one attempt that have no slot yet."""

    slots: int
    shared: WorkerLaunch
    tasks: deque[TaskLaunch] = field(default_factory=deque)
    keys: set[WorkerKey] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Starting:
    """A worker that is just being started; a task in a slot."""

    slot: int | None
    work: "asyncio.Task[Handle | WorkerExit]"


class DockerBackend:
    """Starts, ends and tells of workers in containers. See `headrace_ports.backend`."""

    def __init__(
        self,
        engine: Engine,
        owner: str,
        user: str,
        network: str,
        services: ServiceMaker | None = None,
    ) -> None:
        """`owner` marks what is ours on an engine that others use too; workers run as `user`
        ("uid:gid") in the engine's `network`. With `services` a swarm makes the containers of
        workers, but not those of tasks."""
        self.engine = engine
        self._owner = owner
        self._containers = ContainerMaker(engine, owner, user, network)
        self._services = services
        self._ends = Ends()
        self._followers = Followers(engine, self._ends, self._fill)
        self._waiting: dict[Attempt, _Waiting] = {}
        self._starting: dict[WorkerKey, _Starting] = {}

    async def open(self) -> None:
        """Find the workers that are there, and follow each; remove what a killed build left."""
        if self._services:
            await self._services.open()
        for found in await self.engine.list([f"{containers.BUILDER}={self._owner}"]):
            with suppress(Gone):
                await self.engine.remove(found["Id"])
        there = await self.engine.list(containers.containers_of(self._owner))
        for found in containers.oldest_first(there):
            if found["State"] != "created":
                await self._follow(found)

    async def close(self) -> None:
        """Let go; the containers stay. The iterators of `exits` end."""
        self._waiting.clear()
        starting = [each.work for each in self._starting.values()]
        for task in starting:
            task.cancel()
        await asyncio.gather(*starting, return_exceptions=True)
        await self._followers.close()
        if self._services:
            await self._services.close()
        self._ends.close()
        await self.engine.close()

    async def start(self, launch: WorkerLaunch) -> Handle | WorkerExit:
        """Start a worker; returns when its program is executed."""
        return await asyncio.shield(self._begin(launch.key, None, lambda: self._start(launch)))

    async def queue(self, slots: int, shared: WorkerLaunch, tasks: Sequence[TaskLaunch]) -> None:
        """Let tasks of one attempt wait for one of its `slots`, and start by themselves."""
        attempt = (shared.key.job, shared.key.attempt)
        waiting = self._waiting.setdefault(attempt, _Waiting(slots, shared))
        waiting.slots, waiting.shared = slots, shared
        known = self._followers.here.keys() | self._starting.keys() | self._ends.known.keys()
        for task in tasks:
            if task.key not in known and task.key not in waiting.keys:
                waiting.tasks.append(task)
                waiting.keys.add(task.key)
        self._fill(attempt)

    async def stop(self, job: JobId, attempt: int, grace_s: float) -> None:
        """End an attempt's workers and return when nothing of them is left.

        Then what they printed is waited for as well, but only for a while: a full disk must not
        keep anybody from ending them.
        """
        self._waiting.pop((job, attempt), None)
        await self._settle(job, attempt)
        kill_at = time.monotonic() + grace_s
        signaled, pause_s = False, _FIRST_LOOK_S
        while living := await self._living(job, attempt):
            late = time.monotonic() >= kill_at
            if late or not signaled:
                await self._signal(living, "SIGKILL" if late else "SIGTERM")
                signaled = True
            left_s = pause_s if late else min(pause_s, kill_at - time.monotonic())
            await asyncio.sleep(max(left_s, 0.0))
            pause_s = min(pause_s * 1.5, _LONGEST_LOOK_S)
        await self._told(self._of(job, attempt))

    async def signal(self, job: JobId, attempt: int, number: int) -> bool:
        """Send a signal to the first process of each worker of an attempt."""
        living = await self._living(job, attempt)
        await self._signal(living, Signals(number).name)
        return bool(living)

    async def kill(self, job: JobId, attempt: int) -> None:
        """`stop` without any grace: SIGKILL at once."""
        await self.stop(job, attempt, 0.0)

    async def list(self) -> tuple[WorkerState, ...]:
        """All workers that were not cleaned, in the order of their start."""
        found = await self.engine.list(containers.containers_of(self._owner))
        states: list[WorkerState] = []
        for each in containers.oldest_first(found):
            known = containers.known_of(each["Id"], each["Labels"])
            running = containers.running_of(known, started=each["State"] != "created")
            states.append(self._ends.known.get(known.key, running))
        there = {state.key for state in states}
        states += [ended for key, ended in self._ends.known.items() if key not in there]
        return tuple(states)

    def exits(self) -> AsyncIterator[WorkerExit]:
        """Exits as they happen, after all earlier ones that were not cleaned."""
        return self._ends.follow()

    async def clean(self, job: JobId, attempt: int) -> None:
        """Remove an attempt's containers; raises `Conflict` while one runs."""
        await self._settle(job, attempt)
        if living := await self._living(job, attempt):
            raise Conflict(f"worker {living[0].key} still lives")
        await self._remove(self._of(job, attempt))
        self._followers.forget_attempt((job, attempt))
        if self._services:
            await self._services.forget(job, attempt)

    async def usage(self) -> tuple[WorkerUsage, ...]:
        """What the workers use, as the last look at each has shown."""
        return self._followers.usage()

    async def clean_tasks(self, keys: Sequence[WorkerKey]) -> None:
        """Remove the containers of some tasks whose exits were told."""
        await self._remove([key for key in keys if key in self._ends.known])

    async def memory_limit_by(self) -> MemoryLimitBy:
        """What enforces memory limits on this machine."""
        version = (await self.engine.about()).get("CgroupVersion")
        return MemoryLimitBy.CGROUP_V2 if version == "2" else MemoryLimitBy.CGROUP_V1

    # ---- starting

    def _begin(
        self,
        key: WorkerKey,
        slot: int | None,
        start: Callable[[], Coroutine[None, None, Handle | WorkerExit]],
    ) -> "asyncio.Task[Handle | WorkerExit]":
        """Start a worker in a task of its own, which goes on when who asked is cancelled."""
        if known := self._starting.get(key):
            return known.work
        work = asyncio.create_task(start())
        self._starting[key] = _Starting(slot, work)

        def over(done: "asyncio.Task[Handle | WorkerExit]") -> None:
            if not done.cancelled():
                done.exception()  # seen: who asked is told, if anybody still waits
            del self._starting[key]
            self._fill((key.job, key.attempt))

        work.add_done_callback(over)
        return work

    async def _start(self, launch: WorkerLaunch, slot: Slot | None = None) -> Handle | WorkerExit:
        if launch.inside is None:
            raise ValueError(f"worker {launch.key} has no image")
        if launch.key in self._ends.known:
            return self._ends.known[launch.key]
        if wrong := await asyncio.to_thread(_make_files, launch):
            return self._refuse(launch, wrong)
        try:
            if self._services and not launch.key.is_task:
                made = await self._services.make(launch, launch.inside)
            else:
                made = await self._containers.make(launch, launch.inside, slot)
        except Gone as error:
            return self._refuse(launch, str(error))
        except Refused as error:
            return self._refuse(launch, error.message, error.cause)
        known = containers.known_of(made.id, made.found["Config"]["Labels"])
        self._followers.follow(known, seen=made.fresh)
        if containers.is_over(made.found):
            await self._told([launch.key])
        return self._ends.known.get(launch.key) or Handle(made.id)

    def _refuse(
        self, launch: WorkerLaunch, why: str, cause: ExitCause = ExitCause.NOT_STARTED
    ) -> WorkerExit:
        """The end of a worker for which there is no container."""
        ended = WorkerExit(launch.key, None, cause, None, None, 0, _now_ms(), why)
        self._ends.learn(ended)
        return ended

    def _fill(self, attempt: Attempt) -> None:
        """Start the tasks that have a free slot."""
        waiting = self._waiting.get(attempt)
        if waiting is None:
            return
        taken = {
            known.slot.number
            for key, known in self._followers.here.items()
            if known.slot and _is_of(key, *attempt) and key not in self._ends.known
        }
        taken |= {
            each.slot
            for key, each in self._starting.items()
            if each.slot is not None and _is_of(key, *attempt)
        }
        for number in range(waiting.slots):
            if number in taken:
                continue
            if not waiting.tasks:
                break
            task = waiting.tasks.popleft()
            waiting.keys.discard(task.key)
            self._begin(task.key, number, partial(self._start_task, waiting, task, number))

    async def _start_task(
        self, waiting: _Waiting, task: TaskLaunch, number: int
    ) -> Handle | WorkerExit:
        shared = waiting.shared
        launch = replace(
            shared,
            key=task.key,
            argv=task.argv,
            env={**shared.env, **task.env},
            stdout=f"{shared.stdout}.{number}.out",
            stderr=f"{shared.stdout}.{number}.err",
        )
        begins = await asyncio.to_thread(_sizes, launch.stdout, launch.stderr)
        try:
            return await self._start(launch, Slot(number, *begins))
        except Unavailable:
            await asyncio.sleep(_AGAIN_S)
            waiting.tasks.append(task)  # to nobody, where the attempt was stopped meanwhile
            waiting.keys.add(task.key)
            raise

    async def _settle(self, job: JobId, attempt: int) -> None:
        """Return when nothing of the attempt is just being started, and all of it is known."""
        if self._services:
            self._services.give_up(job, attempt)
        mine = [each.work for key, each in self._starting.items() if _is_of(key, job, attempt)]
        await asyncio.gather(*mine, return_exceptions=True)
        there = await self.engine.list(containers.containers_of_attempt(self._owner, job, attempt))
        for found in containers.oldest_first(there):
            if found["State"] != "created" or await self._was_started(found["Id"]):
                await self._follow(found)
                continue
            with suppress(Gone):  # who made it died before its start
                await self.engine.remove(found["Id"])

    async def _was_started(self, id_: str) -> bool:
        try:
            return containers.was_started(await self.engine.inspect(id_))
        except Gone:
            return False

    async def _follow(self, listed: Mapping[str, Any]) -> None:
        """Follow a container that an earlier program may have started."""
        known = containers.known_of(listed["Id"], listed["Labels"])
        self._followers.follow(known, seen=False)
        if self._followers.here[known.key].id != known.id:
            # A swarm whose managers changed may run a worker once more: that one is nobody's.
            with suppress(Gone):
                await self.engine.remove(known.id)

    # ---- ending

    async def _living(self, job: JobId, attempt: int) -> Sequence[Known]:
        """The attempt's workers that are not over, whether their ends were told or not."""

        async def is_living(known: Known) -> bool:
            try:
                return not containers.is_over(await self.engine.inspect(known.id))
            except Gone:
                return False

        mine = [
            known
            for key, known in self._followers.here.items()
            if _is_of(key, job, attempt) and key not in self._ends.known
        ]
        living = await asyncio.gather(*map(is_living, mine))
        return [known for known, lives in zip(mine, living, strict=True) if lives]

    async def _signal(self, workers: Sequence[Known], signal: str) -> None:
        async def one(known: Known) -> None:
            with suppress(Gone):
                await self.engine.signal(known.id, signal)

        await asyncio.gather(*map(one, workers))

    async def _told(self, keys: Collection[WorkerKey]) -> None:
        """Wait until these ends are told, for a while."""
        for key in keys:
            with suppress(TimeoutError), self._ends.news((key.job, key.attempt)) as news:
                async with asyncio.timeout(_TELL_S):
                    while key not in self._ends.known:
                        news.clear()
                        await news.wait()

    async def _remove(self, keys: Collection[WorkerKey]) -> None:
        async def one(key: WorkerKey) -> None:
            if known := await self._followers.forget(key):
                with suppress(Gone):
                    await self.engine.remove(known.id)

        await asyncio.gather(*map(one, keys))
        self._ends.forget(keys)

    def _of(self, job: JobId, attempt: int) -> Collection[WorkerKey]:
        keys = self._followers.here.keys() | self._ends.known.keys()
        return [key for key in keys if _is_of(key, job, attempt)]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _make_files(launch: WorkerLaunch) -> str:
    """Make the output files where they are missing; says what is wrong."""
    for path in (launch.stdout, launch.stderr):
        try:
            with open(path, "ab"):
                pass
        except OSError as error:
            return f"the output file {path} can't be written: {error.strerror}"
    return ""


def _is_of(key: WorkerKey, job: JobId, attempt: int) -> bool:
    return (key.job, key.attempt) == (job, attempt)


def _sizes(*paths: str) -> tuple[int, ...]:
    return tuple(Path(path).stat().st_size if Path(path).exists() else 0 for path in paths)
