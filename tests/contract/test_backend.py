"""What every backend promises; an adapter joins by a line in `bench`."""

import asyncio
import contextlib
import os
import signal
import time
from abc import abstractmethod
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from headrace_adapters.backends.docker import DockerBackend
from headrace_adapters.backends.docker_engine import Engine
from headrace_adapters.backends.process import ProcessBackend
from headrace_adapters.backends.service_maker import ServiceMaker
from headrace_adapters.redis.connection import Redis
from headrace_adapters.redis.nodes import NodeStore, SwarmClaim
from headrace_adapters.redis.services import ServiceStore
from headrace_model.errors import Conflict
from headrace_model.ids import JobId, NodeId, job_id
from headrace_model.resources import Resources
from headrace_model.usage import Sample
from headrace_model.work import Verb, Work
from headrace_model.worker import (
    ExitCause,
    Inside,
    Mount,
    RunningWorker,
    TaskLaunch,
    WorkerExit,
    WorkerKey,
    WorkerLaunch,
    WorkerUsage,
)
from headrace_ports.backend import Backend
from headrace_wire.records import encode_work
from tests.support.cluster import ClusterProcess, SwarmEngine
from tests.support.docker_engine import DockerEngine
from tests.support.wait import wait_until

pytestmark = pytest.mark.usefixtures("no_blocking")

WAIT_S = 60.0


class Bench:
    """A backend, a job's id, and short ways to launch shell scripts in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.job: JobId = job_id(time.time_ns() // 1_000_000, time.time_ns())
        self.backend = self.another()

    @abstractmethod
    def another(self) -> Backend:
        """Another object for the same workers, as a program that comes after this one makes."""

    def inside(self) -> Inside | None:
        return None

    @property
    def cwd(self) -> str:
        return str(self.folder)

    def launch(self, script: str, *, attempt: int = 1, memory: int | None = None) -> WorkerLaunch:
        return WorkerLaunch(
            key=WorkerKey(self.job, attempt, 0),
            argv=("sh", "-c", script),
            env={"PATH": os.environ["PATH"] if not self.inside() else "/bin", "GIVEN": "yes"},
            cwd=self.cwd,
            stdout=str(self.folder / f"{attempt}.out"),
            stderr=str(self.folder / f"{attempt}.err"),
            memory_bytes=memory,
            inside=self.inside(),
        )

    async def exit_of(self, key: WorkerKey, backend: Backend | None = None) -> WorkerExit:
        async with asyncio.timeout(WAIT_S):
            exits = (backend or self.backend).exits()
            async with contextlib.aclosing(exits):  # type: ignore[type-var] # a generator
                async for found in exits:
                    if found.key == key:
                        return found
        raise AssertionError("exits ended")

    async def run(self, script: str, *, attempt: int = 1, memory: int | None = None) -> WorkerExit:
        launch = self.launch(script, attempt=attempt, memory=memory)
        await self.backend.start(launch)
        return await self.exit_of(launch.key)

    def out(self, attempt: int = 1) -> str:
        return (self.folder / f"{attempt}.out").read_text()

    async def next_program(self) -> None:
        """Go on as the program does that follows this one."""
        await self.backend.close()
        self.backend = self.another()
        await self.backend.open()

    async def close(self) -> None:
        for state in await self.backend.list():
            await self.backend.kill(state.key.job, state.key.attempt)
            await self.backend.clean(state.key.job, state.key.attempt)
        assert await self.backend.list() == ()
        if isinstance(self.backend, ProcessBackend):
            await self.backend.shut_down()
        await self.backend.close()


class Processes(Bench):
    def another(self) -> Backend:
        return ProcessBackend(self.folder / "nest")


class Containers(Bench):
    def __init__(self, folder: Path, engine: DockerEngine) -> None:
        self.engine = engine
        self.image = engine.add_small_image()
        work = folder / "work"
        work.mkdir()
        work.chmod(0o777)
        super().__init__(folder)

    backend: DockerBackend

    @property
    def owner(self) -> str:
        return str(self.folder)[-60:]

    def another(self) -> DockerBackend:
        return DockerBackend(Engine(self.engine.host), self.owner, "10001:10001", "none")

    def inside(self) -> Inside | None:
        return Inside(self.image, (Mount(str(self.folder / "work"), "/w", read_only=False),), 1000)

    @property
    def cwd(self) -> str:
        return "/w"


class Services(Containers):
    """Workers that a swarm makes, with a real cluster agent; the test is the rest of a node's
    agent: it registered the node, and owes all attempts a LAUNCH."""

    def __init__(self, folder: Path, engine: SwarmEngine, redis_url: str) -> None:
        self.redis = Redis(redis_url)
        self.node = NodeId(engine.node)
        self.cluster = ClusterProcess(folder, redis_url, engine.host)
        self.member = engine.member
        super().__init__(folder, engine)
        self.image = engine.docker("image", "inspect", "-f", "{{.Id}}", self.image).stdout.strip()

    def another(self) -> DockerBackend:
        engine = Engine(self.engine.host)
        made = ServiceMaker(
            engine, ServiceStore(self.redis), self.node, owner=self.owner, user="10001:10001"
        )
        return DockerBackend(engine, self.owner, "10001:10001", "none", made)

    async def prepare(self) -> None:
        await self.redis.open()
        await NodeStore(self.redis).register(
            self.node, "bench", Resources(1, 1), frozenset(), has_state_lock=True,
            swarm=SwarmClaim(self.member, str(self.folder)),
        )  # fmt: skip
        for attempt in (1, 2):
            record = encode_work(Work(self.node, self.job, attempt, Verb.LAUNCH))
            run = f"{self.job}.{attempt}"
            await self.redis.command("HSET", f"hr:work:{self.node}", run, record)
            await self.redis.command("HSET", f"hr:held:{self.node}", run, "1000 1048576")
        self.cluster.start()

    async def close(self) -> None:
        await super().close()
        services = ["service", "ls", "-q"]
        await wait_until(
            lambda: not self.engine.docker(*services).stdout, "no service", within_s=WAIT_S
        )
        self.cluster.stop()
        await self.redis.close()


@pytest.fixture(params=["process", "docker", "swarm"])
async def bench(request: pytest.FixtureRequest, state_dir: Path) -> AsyncIterator[Bench]:
    if request.param == "process":
        found: Bench = Processes(state_dir)
    elif request.param == "docker":
        engine = await asyncio.to_thread(request.getfixturevalue, "docker_engine")
        found = await asyncio.to_thread(Containers, state_dir, engine)
    else:
        engine = await asyncio.to_thread(request.getfixturevalue, "swarm_engine")
        redis = await asyncio.to_thread(request.getfixturevalue, "redis_server")
        found = await asyncio.to_thread(Services, state_dir, engine, redis.url)
        await found.prepare()
    await found.backend.open()
    try:
        yield found
    finally:
        await found.close()


async def test_what_a_worker_prints_and_its_exit_code_are_kept(bench: Bench) -> None:
    found = await bench.run("echo out $GIVEN; echo err >&2; exit 3")
    assert (found.cause, found.exit_code, found.signal) == (ExitCause.EXITED, 3, None)
    assert abs(found.at_ms - time.time() * 1000) < WAIT_S * 1000
    assert bench.out() == "out yes\n"
    assert (bench.folder / "1.err").read_text() == "err\n"


async def test_an_end_is_told_after_all_that_was_printed(bench: Bench) -> None:
    await bench.run("yes 0123456789abcdef | head -n 200000")
    assert bench.out() == "0123456789abcdef\n" * 200_000


async def test_a_key_is_used_once(bench: Bench) -> None:
    launch = bench.launch("echo once; sleep 600")
    handles = await asyncio.gather(*(bench.backend.start(launch) for _ in range(3)))
    assert len(set(handles)) == 1
    await bench.backend.kill(bench.job, 1)
    ended = await bench.exit_of(launch.key)
    assert await bench.backend.start(launch) == ended
    assert bench.out() == "once\n"


@pytest.mark.parametrize("program", ["no-such-program", "/etc"])
async def test_what_cant_be_executed_is_told_as_a_sentence(bench: Bench, program: str) -> None:
    launch = replace(bench.launch(""), argv=(program,))
    await bench.backend.start(launch)
    answer = await bench.exit_of(launch.key)
    assert answer.cause is ExitCause.NOT_STARTED
    assert program in answer.message
    assert await bench.backend.start(launch) == answer


async def test_a_missing_output_folder_is_told(bench: Bench) -> None:
    answer = await bench.backend.start(replace(bench.launch("true"), stdout="/no/out"))
    assert isinstance(answer, WorkerExit)
    assert "the output file /no/out" in answer.message


async def test_a_worker_over_its_memory_limit_is_ended_as_oom(bench: Bench) -> None:
    found = await bench.run("exec dd if=/dev/zero of=/dev/null bs=400M count=50",
                            memory=100_000_000)  # fmt: skip
    assert (found.cause, found.exit_code, found.signal) == (ExitCause.OOM, None, signal.SIGKILL)


async def test_stop_ends_who_obeys_at_once_and_who_does_not_after_the_grace(bench: Bench) -> None:
    await bench.backend.start(bench.launch("trap 'exit 7' TERM; while :; do sleep 0.1; done"))
    await bench.backend.start(
        bench.launch("trap '' TERM; echo deaf; while :; do sleep 0.1; done", attempt=2)
    )
    await wait_until(lambda: bench.out(2) == "deaf\n", "the trap", within_s=WAIT_S)
    await bench.backend.stop(bench.job, 1, WAIT_S)
    assert (await bench.exit_of(WorkerKey(bench.job, 1, 0))).exit_code == 7
    await bench.backend.stop(bench.job, 2, 0.5)
    found = await bench.exit_of(WorkerKey(bench.job, 2, 0))
    assert (found.cause, found.signal) == (ExitCause.SIGNALED, signal.SIGKILL)
    await bench.backend.stop(bench.job, 99, 5.0)


async def test_a_signal_reaches_the_first_process_of_a_worker(bench: Bench) -> None:
    script = "trap 'echo asked; exit 3' USR1; echo up; while :; do sleep 0.1; done"
    await bench.backend.start(bench.launch(script))
    await wait_until(lambda: bench.out() == "up\n", "the worker", within_s=WAIT_S)
    assert await bench.backend.signal(bench.job, 1, signal.SIGUSR1)
    assert (await bench.exit_of(WorkerKey(bench.job, 1, 0))).exit_code == 3
    assert bench.out() == "up\nasked\n"
    assert not await bench.backend.signal(bench.job, 1, signal.SIGUSR1), "it has ended"
    assert not await bench.backend.signal(bench.job, 99, signal.SIGUSR1), "it never was"


async def test_stop_reaches_the_children_of_a_shell(bench: Bench) -> None:
    child = "trap 'echo child; exit' TERM; echo up; while :; do sleep 0.1; done"
    script = f"trap : TERM; ({child}) & wait; wait"
    await bench.backend.start(bench.launch(script))
    await wait_until(lambda: bench.out() == "up\n", "the child", within_s=WAIT_S)
    await bench.backend.stop(bench.job, 1, WAIT_S)
    assert bench.out() == "up\nchild\n"


async def test_the_next_program_finds_running_and_ended_workers(bench: Bench) -> None:
    first = await bench.backend.start(
        bench.launch("echo a; while [ ! -e go ]; do sleep 0.1; done; echo b")
    )
    await bench.run("exit 4", attempt=2)
    await wait_until(lambda: bench.out() == "a\n", "its first line", within_s=WAIT_S)
    await bench.next_program()
    states = {state.key.attempt: state for state in await bench.backend.list()}
    assert isinstance(states[1], RunningWorker)
    assert states[1].handle == first
    assert (await bench.exit_of(WorkerKey(bench.job, 2, 0))).exit_code == 4
    (Path(bench.folder) / ("work/go" if bench.inside() else "go")).touch()
    assert (await bench.exit_of(WorkerKey(bench.job, 1, 0))).exit_code == 0
    assert bench.out() == "a\nb\n"


async def test_clean_forgets_what_ended_and_refuses_what_lives(bench: Bench) -> None:
    await bench.backend.start(bench.launch("sleep 600"))
    with pytest.raises(Conflict):
        await bench.backend.clean(bench.job, 1)
    await bench.backend.kill(bench.job, 1)
    await bench.backend.clean(bench.job, 1)
    await bench.backend.clean(bench.job, 1)
    assert await bench.backend.list() == ()


async def test_usage_tells_of_workers_until_they_are_cleaned(bench: Bench) -> None:
    assert await bench.backend.usage() == ()
    held, block = 64 * 2**20, "exec dd if=/dev/zero of=/dev/null count=1000000000"
    began_ms = time.time_ns() // 1_000_000
    await bench.backend.start(bench.launch(f"{block} bs={held}", memory=256 * 2**20))
    seen: list[Sample] = []

    async def grows() -> bool:
        for used in await bench.backend.usage():
            assert used.key == WorkerKey(bench.job, 1, 0)
            if not seen or used.sample.at_ms > seen[-1].at_ms:
                seen.append(used.sample)
        last = seen[-1] if seen else None
        return last is not None and last.memory_bytes >= held and last.cpu_ms > seen[0].cpu_ms

    await wait_until(grows, "what it uses to be seen twice", within_s=WAIT_S)
    for before, after in pairwise(seen):
        assert began_ms <= before.at_ms < after.at_ms
        assert before.cpu_ms <= after.cpu_ms
        assert before.read_bytes <= after.read_bytes
        assert before.written_bytes <= after.written_bytes
    await bench.backend.kill(bench.job, 1)
    await bench.exit_of(WorkerKey(bench.job, 1, 0))
    (used,) = await bench.backend.usage()
    assert used.sample.memory_bytes == 0
    assert used.sample.cpu_ms >= seen[-1].cpu_ms
    await bench.backend.clean(bench.job, 1)
    assert await bench.backend.usage() == ()


async def test_usage_of_tasks_is_that_of_their_rank(bench: Bench) -> None:
    block = "exec dd if=/dev/zero of=/dev/null bs=1M count=1000000000"
    tasks = tasks_of(bench, block, range(2))
    await bench.backend.queue(2, shared(bench), tasks)

    async def seen() -> WorkerUsage | None:
        used = await bench.backend.usage()
        return used[0] if used and used[0].sample.memory_bytes >= 2 * 2**20 else None

    used = await wait_until(seen, "both to be seen", within_s=WAIT_S)
    assert used is not None
    assert used.key == WorkerKey(bench.job, 1, 0)
    await bench.backend.kill(bench.job, 1)
    for task in tasks:
        await bench.exit_of(task.key)
    await bench.backend.clean_tasks([task.key for task in tasks])
    (kept,) = await bench.backend.usage()
    assert kept.key == used.key
    assert kept.sample.memory_bytes == 0
    assert kept.sample.cpu_ms >= used.sample.cpu_ms
    await bench.backend.clean(bench.job, 1)
    assert await bench.backend.usage() == ()


def tasks_of(bench: Bench, script: str, indices: range) -> list[TaskLaunch]:
    return [
        TaskLaunch(WorkerKey(bench.job, 1, 0, 1, index), ("sh", "-c", script), {"I": str(index)})
        for index in indices
    ]


def shared(bench: Bench) -> WorkerLaunch:
    return replace(bench.launch(""), stdout=str(bench.folder / "slot"), argv=())


async def test_tasks_wait_for_a_slot_and_their_logs_lie_one_after_another(bench: Bench) -> None:
    tasks = tasks_of(bench, "echo task $I; exit $((I % 2))", range(6))
    await bench.backend.queue(2, shared(bench), tasks)
    await bench.backend.queue(2, shared(bench), tasks)
    for task in tasks:
        found = await bench.exit_of(task.key)
        assert found.exit_code == task.key.index % 2
        assert found.log is not None
        begin, end = found.log.span("out")
        text = (bench.folder / f"slot.{found.log.slot}.out").read_text()
        assert text[begin:end] == f"task {task.key.index}\n"
    printed = [(bench.folder / f"slot.{slot}.out").read_text() for slot in (0, 1)]
    assert sum(text.count("\n") for text in printed) == 6, "each ran once"
    await bench.backend.clean_tasks([task.key for task in tasks])
    assert await bench.backend.list() == ()


async def test_stop_drops_the_tasks_that_wait(bench: Bench) -> None:
    tasks = tasks_of(bench, "echo $I; sleep 600", range(4))
    await bench.backend.queue(1, shared(bench), tasks)
    log = bench.folder / "slot.0.out"
    await wait_until(lambda: log.exists() and log.read_text() == "0\n", "a task", within_s=WAIT_S)
    await bench.backend.stop(bench.job, 1, 0.0)
    (ended,) = await bench.backend.list()
    assert isinstance(ended, WorkerExit)
    assert log.read_text() == "0\n"
