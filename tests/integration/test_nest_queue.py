"""Tasks that wait in the nest: so many at a time, each once, whoever hands them over again."""

import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from headrace_adapters.backends.process import ProcessBackend
from headrace_model.worker import (
    ExitCause,
    RunningWorker,
    TaskLaunch,
    WorkerExit,
    WorkerKey,
    WorkerLaunch,
)
from tests.support.process_bench import EAT, PATH, WAIT_S, Bench
from tests.support.wait import wait_until

pytestmark = pytest.mark.usefixtures("no_blocking")


@pytest.fixture
async def bench(state_dir: Path) -> AsyncIterator[Bench]:
    found = Bench(state_dir, use_cgroups=True)
    await found.backend.open()
    try:
        yield found
    finally:
        await found.end()


class Array:
    """An attempt with tasks on a bench."""

    def __init__(self, bench: Bench, memory_bytes: int | None = None) -> None:
        self.bench = bench
        self.job = bench.job
        key = WorkerKey(bench.job, 1, 0)
        self.shared = WorkerLaunch(
            key=key,
            argv=("unused",),
            env={"PATH": PATH, "SHARED": "all"},
            cwd=str(bench.folder),
            stdout=str(bench.folder / "0"),
            stderr="",
            memory_bytes=memory_bytes,
        )

    def key(self, index: int, lease: int = 1) -> WorkerKey:
        return WorkerKey(self.job, 1, 0, lease, index)

    async def queue(self, slots: int, indices: Sequence[int], *argv: str, lease: int = 1) -> None:
        tasks = [
            TaskLaunch(self.key(index, lease), argv, {"TASK": str(index)}) for index in indices
        ]
        await self.bench.backend.queue(slots, self.shared, tasks)

    async def exits(self, count: int) -> dict[int, WorkerExit]:
        """Wait until so many tasks have ended."""

        async def ended() -> dict[int, WorkerExit] | None:
            states = await self.bench.backend.list()
            found = {each.key.index: each for each in states if isinstance(each, WorkerExit)}
            return found if len(found) >= count else None

        found = await wait_until(ended, f"{count} tasks to end", within_s=WAIT_S)
        assert found is not None
        return found

    def said(self, ended: WorkerExit, stream: str = "out") -> str:
        """What a task printed, by what the nest says of its place."""
        assert ended.log is not None
        begin, end = ended.log.span(stream)
        assert end is not None
        text = (self.bench.folder / f"0.{ended.log.slot}.{stream}").read_text()
        return text[begin:end]


async def test_tasks_run_with_their_own_words_in_as_many_slots_as_there_are(bench: Bench) -> None:
    array = Array(bench)
    script = "echo $TASK $SHARED; echo e$TASK >&2; exit $((TASK % 2))"
    await array.queue(3, range(20), "sh", "-c", script)
    ended = await array.exits(20)
    assert {i: each.exit_code for i, each in ended.items()} == {i: i % 2 for i in range(20)}
    for index, each in ended.items():
        assert array.said(each) == f"{index} all\n"
        assert array.said(each, "err") == f"e{index}\n"
        assert each.log is not None
        assert each.log.slot in (0, 1, 2)
    assert len(list(bench.folder.glob("0.*.out"))) <= 3, "no file for each task"


async def test_no_more_run_at_a_time_than_there_are_slots(bench: Bench) -> None:
    array = Array(bench)
    await array.queue(2, range(5), "sleep", "600")

    async def running() -> list[int]:
        states = await bench.backend.list()
        return [each.key.index for each in states if isinstance(each, RunningWorker)]

    async def two() -> bool:
        return len(await running()) == 2

    await wait_until(two, "two to run", within_s=WAIT_S)
    assert sorted(await running()) == [0, 1]
    await bench.backend.stop(array.job, 1, 0.0)
    assert sorted(await array.exits(2)) == [0, 1], "what waits does not start after a stop"
    assert await running() == []


async def test_what_is_handed_over_again_runs_once(bench: Bench) -> None:
    array = Array(bench)
    for _ in range(3):
        await array.queue(1, range(6), "sh", "-c", "echo $TASK >> all")
    await array.exits(6)
    await array.queue(1, range(6), "sh", "-c", "echo $TASK >> all")
    await array.queue(1, [9], "true")
    await array.exits(7)
    assert (bench.folder / "all").read_text() == "".join(f"{i}\n" for i in range(6))


async def test_a_task_that_is_taken_again_under_another_lease_is_another_run(bench: Bench) -> None:
    array = Array(bench)
    await array.queue(1, [4], "false")
    await array.exits(1)
    await array.queue(1, [4], "true", lease=2)

    async def both() -> bool:
        return len(await bench.backend.list()) == 2

    await wait_until(both, "both runs", within_s=WAIT_S)
    found = {each.key.lease for each in await bench.backend.list()}
    assert found == {1, 2}


async def test_forgotten_tasks_are_gone_and_the_others_stay(bench: Bench) -> None:
    array = Array(bench)
    await array.queue(2, range(4), "true")
    await array.exits(4)
    await bench.backend.clean_tasks([array.key(0), array.key(2), array.key(77)])
    assert sorted(each.key.index for each in await bench.backend.list()) == [1, 3]
    again = ProcessBackend(bench.nest)
    await again.open()
    try:
        assert sorted(each.key.index for each in await again.list()) == [1, 3]
    finally:
        await again.close()


async def test_tasks_that_can_not_start_or_eat_too_much_do_not_hold_up_the_rest(
    bench: Bench,
) -> None:
    array = Array(bench, memory_bytes=48 * 2**20)
    await array.queue(1, range(30), "no-such-program")
    await array.queue(1, [30], sys.executable, "-c", EAT + "import time; time.sleep(600)")
    await array.queue(1, [31], "true")
    ended = await array.exits(32)
    assert {each.cause for i, each in ended.items() if i < 30} == {ExitCause.NOT_STARTED}
    assert ended[30].cause is ExitCause.OOM
    assert (ended[31].cause, ended[31].exit_code) == (ExitCause.EXITED, 0)


async def test_the_queue_goes_on_without_anybody_and_dies_with_the_nest(bench: Bench) -> None:
    array = Array(bench)
    await array.queue(1, range(8), "sh", "-c", "echo $TASK; sleep 0.05")
    await bench.backend.close()
    bench.backend = ProcessBackend(bench.nest)
    await bench.backend.open()
    assert set(await array.exits(8)) == set(range(8))

    await array.queue(1, range(10, 14), "sleep", "600")

    async def begun() -> bool:
        return any(isinstance(each, RunningWorker) for each in await bench.backend.list())

    await wait_until(begun, "one to run", within_s=WAIT_S)
    os.kill(bench.nest_pid(), signal.SIGKILL)
    ended = await array.exits(9)
    assert ended[10].cause is ExitCause.LOST
    assert array.said(ended[0]) == "0\n", "where its output lies outlives the nest"
    assert not any(isinstance(each, RunningWorker) for each in await bench.backend.list())
