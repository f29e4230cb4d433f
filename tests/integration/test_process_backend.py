"""Real processes under a real nest: started, limited, ended, told about."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from headrace_adapters.backends.process import ProcessBackend
from headrace_model.errors import Conflict
from headrace_model.worker import (
    ExitCause,
    MemoryLimitBy,
    RunningWorker,
    TaskLaunch,
    WorkerExit,
    WorkerKey,
    WorkerLaunch,
    WorkerUsage,
)
from tests.support.process_bench import (
    BARE,
    EAT,
    ESCAPE,
    WAIT_S,
    Bench,
    lives,
    pid_in,
    pid_of,
)
from tests.support.wait import wait_until

pytestmark = pytest.mark.usefixtures("no_blocking")


@pytest.fixture(params=[True, False], ids=["cgroups", "sampled"])
async def bench(request: pytest.FixtureRequest, state_dir: Path) -> AsyncIterator[Bench]:
    found = Bench(state_dir, use_cgroups=request.param)
    await found.backend.open()
    try:
        yield found
    finally:
        await found.end()


async def test_a_workers_output_and_exit_code_are_kept(bench: Bench) -> None:
    found = await bench.run("sh", "-c", "echo out $GIVEN; echo err >&2; exit 3")
    assert (found.cause, found.exit_code, found.signal) == (ExitCause.EXITED, 3, None)
    assert found.handle is not None
    assert abs(found.at_ms - time.time() * 1000) < WAIT_S * 1000
    assert bench.out() == "out yes\n"
    assert (bench.folder / "err.1.0").read_text() == "err\n"


async def test_a_worker_inherits_nothing(bench: Bench) -> None:
    code = (
        "import os, signal, sys\n"
        "print(sorted(os.environ), os.getsid(0) == os.getpid(), sys.stdin.read() == '')\n"
        "print(sorted(int(n) for n in os.listdir('/proc/self/fd'))[:3],"
        " len(os.listdir('/proc/self/fd')))\n"
        "print([s for s in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)"
        " if signal.getsignal(s) is not signal.SIG_DFL], signal.pthread_sigmask(0, []))\n"
        "print(oct(os.umask(0)), open('/proc/self/oom_score_adj').read().strip())"
    )
    await bench.run(sys.executable, "-I", "-c", f"import time; time.sleep(0.05)\n{code}")
    lines = bench.out().splitlines()
    assert lines[0] == "['GIVEN', 'HEADRACE_WORKER', 'LC_CTYPE', 'PATH'] True True"
    assert lines[1] == "[0, 1, 2] 4"  # the fourth is the listing's own
    assert lines[2] == "[] set()"
    assert lines[3] == "0o22 500"


async def test_a_signal_is_told_apart_from_an_exit_code(bench: Bench) -> None:
    found = await bench.run("sh", "-c", "kill -SEGV $$")
    assert (found.cause, found.exit_code, found.signal) == (
        ExitCause.SIGNALED,
        None,
        signal.SIGSEGV,
    )


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("no-such-program",), "there is no program 'no-such-program'"),
        (("/etc/passwd",), "may not be executed"),
        (("a\0b",), "can't be executed"),
        ((), "can't be executed"),
    ],
)
async def test_what_cant_be_executed_is_told_as_a_sentence(
    bench: Bench, argv: tuple[str, ...], words: str
) -> None:
    answer = await bench.backend.start(bench.launch(*argv))
    assert isinstance(answer, WorkerExit)
    assert answer.cause is ExitCause.NOT_STARTED
    assert words in answer.message
    assert await bench.exit_of() == answer
    assert await bench.backend.start(bench.launch("true")) == answer, "a key is used once"


async def test_a_missing_working_directory_or_output_folder_is_told(bench: Bench) -> None:
    launch = bench.launch("true")
    gone = WorkerLaunch(launch.key, ("true",), {}, Path("/no/cwd"), launch.stdout, launch.stderr)
    answer = await bench.backend.start(gone)
    assert isinstance(answer, WorkerExit)
    assert "the working directory /no/cwd" in answer.message
    key = WorkerKey(bench.job, 1, 1)
    gone = WorkerLaunch(key, ("true",), {}, bench.folder, Path("/no/out"), launch.stderr)
    answer = await bench.backend.start(gone)
    assert isinstance(answer, WorkerExit)
    assert "the output file /no/out" in answer.message


async def test_a_worker_over_its_memory_limit_is_ended_as_oom(bench: Bench) -> None:
    code = EAT + "import time; time.sleep(600)"
    found = await bench.run(sys.executable, "-c", code, memory=100_000_000)
    assert (found.cause, found.exit_code, found.signal) == (ExitCause.OOM, None, signal.SIGKILL)
    assert found.peak_memory_bytes >= 90_000_000


async def test_a_child_over_the_limit_ends_the_whole_worker(bench: Bench) -> None:
    code = (
        "import subprocess, sys, time\n"
        f"subprocess.run([sys.executable, '-c', {EAT + 'import time; time.sleep(600)'!r}])\n"
        "time.sleep(600)"
    )
    found = await bench.run(sys.executable, "-c", code, memory=100_000_000)
    assert found.cause is ExitCause.OOM


async def test_a_tiny_memory_limit_harms_nobody_else(bench: Bench) -> None:
    nest = bench.nest_pid()
    code = EAT + "import time; time.sleep(600)"  # a quick one may end between two samples
    found = await bench.run(sys.executable, "-c", code, memory=1_000_000)
    assert found.cause is ExitCause.OOM
    assert bench.nest_pid() == nest


async def test_a_worker_within_its_limit_tells_its_peak(bench: Bench) -> None:
    found = await bench.run(sys.executable, "-c", EAT, memory=1_000_000_000)
    assert (found.cause, found.exit_code) == (ExitCause.EXITED, 0)
    assert 300_000_000 <= found.peak_memory_bytes < 600_000_000


async def test_the_backend_says_what_limits_memory(bench: Bench) -> None:
    await bench.start("sleep", "600", memory=1_000_000_000)
    (state,) = await bench.backend.list()
    assert isinstance(state, RunningWorker)
    assert state.memory_limit_by is await bench.backend.memory_limit_by()
    if not bench.use_cgroups:
        assert state.memory_limit_by is MemoryLimitBy.SAMPLED


async def test_stop_ends_a_tree_that_ignores_sigterm(bench: Bench) -> None:
    pids = bench.folder / "pid"
    script = f"trap '' TERM; sh -c 'trap \"\" TERM; echo $$ > {pids}; sleep 600; sleep 600'; :"
    handle = await bench.start("sh", "-c", script)
    await wait_until(lambda: pid_in(pids) > 0, "the grandchild")
    began = time.monotonic()
    await bench.backend.stop(bench.job, 1, 0.3)
    assert time.monotonic() - began >= 0.3
    assert not lives(pid_of(handle))
    assert not lives(pid_in(pids))
    found = await bench.exit_of()
    assert (found.cause, found.signal) == (ExitCause.SIGNALED, signal.SIGKILL)


async def test_stop_returns_as_soon_as_the_worker_obeys(bench: Bench) -> None:
    await bench.start("sleep", "600")
    async with asyncio.timeout(WAIT_S):
        await bench.backend.stop(bench.job, 1, 10 * WAIT_S)
    assert (await bench.exit_of()).signal == signal.SIGTERM


async def test_grace_holds_for_children_of_a_main_process_that_ended_at_once(
    bench: Bench,
) -> None:
    # A shell dies of the SIGTERM; the model below it wants its grace to save a checkpoint.
    script = "trap 'sleep 0.4; echo saved; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
    await bench.start("sh", "-c", f"sh -c {script!r} & wait; :")
    await wait_until(lambda: bench.out() == "ready\n", "the model to run")
    await bench.backend.stop(bench.job, 1, 30)
    assert bench.out() == "ready\nsaved\n"
    assert (await bench.exit_of()).signal == signal.SIGTERM


async def test_a_stop_reaches_a_stopped_process(bench: Bench) -> None:
    handle = await bench.start("sleep", "600")
    os.kill(pid_of(handle), signal.SIGSTOP)
    await bench.backend.stop(bench.job, 1, 30)
    assert (await bench.exit_of()).signal == signal.SIGTERM


async def test_stop_is_for_one_attempt_and_may_be_repeated(bench: Bench) -> None:
    await bench.start("sleep", "600", attempt=1, rank=0)
    await bench.start("sleep", "600", attempt=1, rank=1)
    other = await bench.start("sleep", "600", attempt=11)
    await asyncio.gather(*(bench.backend.stop(bench.job, 1, 5) for _ in range(3)))
    await bench.backend.stop(bench.job, 1, 5)
    await bench.backend.stop(bench.job, 99, 5)
    assert lives(pid_of(other))
    running = [s.key for s in await bench.backend.list() if isinstance(s, RunningWorker)]
    assert running == [WorkerKey(bench.job, 11, 0)]


@pytest.mark.parametrize("environment", ["marked", "bare"])
async def test_a_daemon_does_not_outlive_its_worker(bench: Bench, environment: str) -> None:
    pid = bench.folder / "daemon"
    script = f"{ESCAPE}\nwhile not os.path.exists(sys.argv[2]): time.sleep(0.01)"
    found = await bench.run(sys.executable, "-c", script, environment, str(pid), BARE)
    assert found.exit_code == 0
    await wait_until(lambda: pid_in(pid) > 0 or not pid.exists(), "the daemon's pid")
    assert not lives(pid_in(pid))


async def test_a_daemon_of_another_worker_is_let_be(bench: Bench) -> None:
    pid = bench.folder / "daemon"
    script = f"{ESCAPE}\ntime.sleep(600)"
    await bench.start(sys.executable, "-c", script, "bare", str(pid), BARE)
    await wait_until(lambda: pid_in(pid) > 0, "the daemon")
    await bench.run("true", rank=1)
    assert lives(pid_in(pid))
    await bench.backend.kill(bench.job, 1)
    assert not lives(pid_in(pid))


async def test_starting_twice_gives_one_process(bench: Bench) -> None:
    script = f"echo x >> {bench.folder / 'runs'}; sleep 600"
    launch = bench.launch("sh", "-c", script)
    other = ProcessBackend(bench.nest)
    await other.open()
    answers = await asyncio.gather(
        *(backend.start(launch) for _ in range(5) for backend in (bench.backend, other))
    )
    await other.close()
    assert len(set(map(repr, answers))) == 1
    runs = bench.folder / "runs"
    await wait_until(lambda: runs.exists() and runs.read_text(), "the worker")
    assert runs.read_text() == "x\n"
    assert len(await bench.backend.list()) == 1


async def test_two_hundred_short_workers_all_tell_their_end(bench: Bench) -> None:
    for rank in range(200):
        await bench.start("true", rank=rank)
    for rank in range(200):
        assert (await bench.exit_of(rank=rank)).exit_code == 0
    await bench.backend.clean(bench.job, 1)
    assert await bench.backend.list() == ()


async def test_usage_counts_the_whole_tree(bench: Bench) -> None:
    code = f"{EAT}\nimport time; time.sleep(600)"
    await bench.start("sh", "-c", f"{sys.executable} -c '{code}'; :")

    async def seen() -> WorkerUsage | None:
        (used,) = await bench.backend.usage()
        return used if used.sample.memory_bytes > 300_000_000 else None

    used = await wait_until(seen, "its memory", within_s=WAIT_S)
    assert used is not None
    assert used.key == WorkerKey(bench.job, 1, 0)
    assert used.sample.cpu_ms > 0


async def test_what_ended_workers_used_is_kept_until_they_are_cleaned(bench: Bench) -> None:
    shared = replace(bench.launch("true"), cwd="/", stdout=str(bench.folder / "slot"))
    cpu_ms = [0]
    for index, turns in enumerate((300_000, 10_000, 10_000)):
        key = WorkerKey(bench.job, 1, 0, 1, index)
        burns = ("sh", "-c", f"i=0; while [ $i -lt {turns} ]; do i=$((i+1)); done")
        await bench.backend.queue(1, shared, [TaskLaunch(key, burns, {})])
        await bench.exit_of_key(key)
        await bench.backend.clean_tasks([key])
        (used,) = await bench.backend.usage()
        assert (used.key, used.sample.memory_bytes) == (WorkerKey(bench.job, 1, 0), 0)
        assert used.sample.cpu_ms > cpu_ms[-1]
        cpu_ms.append(used.sample.cpu_ms)
    assert await bench.backend.usage() == (used,), "nothing was used since"
    await bench.backend.clean(bench.job, 1)
    assert await bench.backend.usage() == ()


async def test_a_living_attempt_is_not_cleaned(bench: Bench) -> None:
    await bench.start("sleep", "600")
    with pytest.raises(Conflict):
        await bench.backend.clean(bench.job, 1)
    await bench.backend.clean(bench.job, 7)
