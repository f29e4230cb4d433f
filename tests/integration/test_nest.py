"""The nest: outlives its clients, is outlived by nothing, listens to nobody rude."""

import asyncio
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from headrace_adapters.backends.process import ProcessBackend
from headrace_model.errors import Conflict, Unavailable
from headrace_model.worker import (
    ExitCause,
    RunningWorker,
    WorkerExit,
)
from tests.support.process_bench import (
    BARE,
    ESCAPE,
    PATH,
    WAIT_S,
    Bench,
    lives,
    pid_in,
    pid_of,
    start_time,
    stat_fields,
)
from tests.support.wait import wait_until

BOOT_ID = Path("/proc/sys/kernel/random/boot_id").read_text().strip()

pytestmark = pytest.mark.usefixtures("no_blocking")


@pytest.fixture(params=[True, False], ids=["cgroups", "sampled"])
async def bench(request: pytest.FixtureRequest, state_dir: Path) -> AsyncIterator[Bench]:
    found = Bench(state_dir, use_cgroups=request.param)
    await found.backend.open()
    try:
        yield found
    finally:
        await found.end()


async def test_exits_before_the_client_came_are_told(bench: Bench) -> None:
    await bench.run("sh", "-c", "exit 4")
    other = ProcessBackend(bench.nest)
    await other.open()
    async with asyncio.timeout(WAIT_S), contextlib.aclosing(other.exits()) as exits:
        found = await anext(exits)
    await other.close()
    assert found.exit_code == 4


async def test_workers_outlive_a_killed_client_and_are_adopted(bench: Bench) -> None:
    code = f"""
import asyncio
from pathlib import Path
from headrace_adapters.backends.process import ProcessBackend
from headrace_model.worker import WorkerKey, WorkerLaunch
async def main():
    backend = ProcessBackend(Path({str(bench.nest)!r}))
    await backend.open()
    out = Path({str(bench.folder / "out")!r})
    key = WorkerKey({bench.job!r}, 1, 0)
    print(repr(await backend.start(WorkerLaunch(
        key, ("sleep", "600"), {{"PATH": {PATH!r}}}, out.parent, out, out))), flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""
    client = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220 - a client that can be killed
    assert client.stdout is not None
    printed = await asyncio.to_thread(client.stdout.readline)
    client.kill()
    await asyncio.to_thread(client.wait)
    client.stdout.close()
    (state,) = await bench.backend.list()
    assert isinstance(state, RunningWorker)
    assert repr(state.handle) == printed.strip()
    assert state.handle is not None
    assert lives(pid_of(state.handle))


async def test_after_the_nests_death_survivors_are_killed_and_lost(bench: Bench) -> None:
    pid = bench.folder / "daemon"
    first = await bench.start("sh", "-c", "trap '' TERM; sleep 600; sleep 600", memory=10**9)
    script = f"{ESCAPE}\ntime.sleep(600)"
    second = await bench.start(sys.executable, "-c", script, "marked", str(pid), BARE, rank=1)
    await bench.run("sh", "-c", "exit 5", rank=2)
    await wait_until(lambda: pid_in(pid) > 0, "the daemon")
    old = bench.nest_pid()
    os.kill(old, signal.SIGKILL)
    for rank, handle in enumerate((first, second)):
        found = await bench.exit_of(rank=rank)
        assert (found.cause, found.exit_code, found.signal) == (ExitCause.LOST, None, None)
        assert found.handle == handle
        assert not lives(pid_of(handle))
    assert not lives(pid_in(pid))
    assert (await bench.exit_of(rank=2)).exit_code == 5
    assert bench.nest_pid() != old
    assert (await bench.run("true", attempt=2)).exit_code == 0, "the new nest works"


async def test_a_request_in_the_moment_of_the_nests_death_goes_to_the_next_one(
    bench: Bench,
) -> None:
    await bench.run("true")
    died = os.pidfd_open(bench.nest_pid())
    try:
        signal.pidfd_send_signal(died, signal.SIGKILL)
        # The loop may not run meanwhile: the first to notice must be the write of the request.
        assert select.select([died], [], [], WAIT_S)[0]
    finally:
        os.close(died)
    (ended,) = await bench.backend.list()
    assert isinstance(ended, WorkerExit)


async def test_a_stop_survives_the_death_of_the_nest(bench: Bench) -> None:
    handle = await bench.start("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done")
    await wait_until(lambda: bench.out() == "ready\n", "the worker to ignore SIGTERM")
    stop = asyncio.create_task(bench.backend.stop(bench.job, 1, 600))
    await bench.backend.list()
    os.kill(bench.nest_pid(), signal.SIGKILL)
    await asyncio.wait_for(stop, WAIT_S)
    assert not lives(pid_of(handle))
    assert (await bench.exit_of()).cause is ExitCause.LOST


async def test_a_polite_signal_does_not_end_the_nest(bench: Bench) -> None:
    nest = bench.nest_pid()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        os.kill(nest, number)
    await bench.run("true")
    assert bench.nest_pid() == nest


async def test_a_nest_dead_between_the_fork_and_the_journal_leaves_nothing(bench: Bench) -> None:
    await bench.end()
    key = f"{bench.job}.3.0"
    intent = {
        "key": key,
        "boot": BOOT_ID,
        "memory": None,
        "exclusive": False,
    }
    (bench.nest / "journal").write_text(json.dumps({"intent": intent}) + '\n{"started":"' + key)
    orphan = subprocess.Popen(["sleep", "600"], env={"PATH": PATH, "HEADRACE_WORKER": key})  # noqa: ASYNC220 - stands for a worker
    await bench.backend.open()
    found = await bench.exit_of(attempt=3)
    assert (found.cause, found.handle) == (ExitCause.LOST, None)
    assert await asyncio.to_thread(orphan.wait) == -signal.SIGKILL


async def test_workers_of_an_earlier_boot_are_lost_and_nothing_is_killed(bench: Bench) -> None:
    await bench.end()
    stranger = subprocess.Popen(["sleep", "600"], start_new_session=True)  # noqa: ASYNC220 - has the pid of a worker before the boot
    key = f"{bench.job}.3.0"
    lines = [
        {"intent": {"key": key, "boot": "another", "memory": None, "exclusive": False}},
        {"started": key, "pid": stranger.pid, "start": start_time(stranger.pid)},
    ]
    (bench.nest / "journal").write_text("".join(json.dumps(line) + "\n" for line in lines))
    await bench.backend.open()
    assert (await bench.exit_of(attempt=3)).cause is ExitCause.LOST
    assert lives(stranger.pid)
    stranger.kill()
    await asyncio.to_thread(stranger.wait)


async def test_a_long_list_comes_whole_and_in_order(bench: Bench) -> None:
    await bench.end()
    with (bench.nest / "journal").open("w") as journal:
        for rank in range(1234):
            key = f"{bench.job}.3.{rank}"
            intent = {"key": key, "boot": "another", "memory": None, "exclusive": False}
            journal.write(json.dumps({"intent": intent}) + "\n")
    await bench.backend.open()
    await wait_until(lambda: len(bench.backend._ends.known) == 1234, "all exits")
    ranks = [state.key.rank for state in await bench.backend.list()]
    assert ranks == list(range(1234))


def connect(bench: Bench) -> socket.socket:
    raw = socket.socket(socket.AF_UNIX)
    raw.settimeout(WAIT_S)
    raw.connect(str(bench.nest / "socket"))
    return raw


async def test_a_client_that_never_reads_holds_up_nobody(bench: Bench) -> None:
    with connect(bench) as raw:
        raw.sendall(b'{"v":1,"id":1,"op":"subscribe"}\n')
        raw.setblocking(False)
        asked = b'{"v":1,"id":1,"op":"ping"}\n' * 1000
        sent = 0
        with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
            while sent < 400_000:
                sent += raw.send(asked[: len(asked) - sent % 27])
        assert (await bench.run("true")).exit_code == 0


def send_much(raw: socket.socket, data: bytes, times: int) -> None:
    for _ in range(times):
        raw.sendall(data)


async def test_a_client_that_leaves_too_much_unread_is_dropped(bench: Bench) -> None:
    asked = b'{"v":1,"id":1,"op":"' + b"x" * 1_000_000 + b'"}\n'
    with connect(bench) as raw, pytest.raises((BrokenPipeError, ConnectionResetError)):
        await asyncio.to_thread(send_much, raw, asked, 60)
    assert (await bench.run("true")).exit_code == 0


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"hello", "INVALID_INPUT"),
        (b'{"v":2,"id":1,"op":"ping"}', "INVALID_INPUT"),
        (b'{"v":1,"id":1,"op":"dance"}', "INVALID_INPUT"),
        (b'{"v":1,"id":1,"op":"spawn"}', "INVALID_INPUT"),
        (b'{"v":1,"id":1,"op":"spawn","key":"../x"}', "INVALID_INPUT"),
        (b'{"v":1,"id":1,"op":"stop","job":"a","attempt":"one"}', "INVALID_INPUT"),
    ],
)
async def test_what_is_no_request_gets_an_error(bench: Bench, line: bytes, code: str) -> None:
    with connect(bench) as raw:
        raw.sendall(line + b"\n")
        reply = json.loads(await asyncio.to_thread(raw.makefile("rb").readline))
    assert reply["error"]["code"] == code
    assert await bench.backend.list() == ()


async def test_a_line_without_end_ends_the_connection(bench: Bench) -> None:
    with connect(bench) as raw, pytest.raises((BrokenPipeError, ConnectionResetError)):
        await asyncio.to_thread(send_much, raw, b"x" * 1_000_000, 20)
    assert (await bench.run("true")).exit_code == 0


async def test_a_folder_has_one_nest(bench: Bench) -> None:
    second = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "headrace_adapters.backends.nest", str(bench.nest)
    )
    assert await second.wait() == 75
    others = [ProcessBackend(bench.nest) for _ in range(4)]
    os.kill(bench.nest_pid(), signal.SIGKILL)
    await asyncio.gather(*(other.open() for other in others))
    await asyncio.gather(*(other.close() for other in others))
    # Those that found the folder taken may still be about to end.
    await wait_until(lambda: len(bench.nest_pids()) == 1, "one nest alone")


async def test_only_the_owner_may_speak_to_the_nest(bench: Bench) -> None:
    for name, mode in ((".", 0o700), ("socket", 0o600), ("journal", 0o600), ("log", 0o600)):
        assert (bench.nest / name).stat().st_mode & 0o777 == mode, name


async def test_the_nest_holds_nothing_of_its_starter(bench: Bench) -> None:
    nest = bench.nest_pid()
    assert os.getsid(nest) == nest
    links = {os.readlink(f"/proc/{nest}/fd/{name}") for name in os.listdir(f"/proc/{nest}/fd")}
    own = (str(bench.nest), "/dev/null", "socket:", "anon_inode:[eventpoll]")
    assert [link for link in links if not link.startswith(own)] == []
    assert int(stat_fields(nest)[21]) * os.sysconf("SC_PAGE_SIZE") < 30_000_000


async def test_a_nest_with_living_workers_does_not_shut_down(bench: Bench) -> None:
    await bench.start("sleep", "600")
    with pytest.raises(Conflict):
        await bench.backend.shut_down()
    assert len(await bench.backend.list()) == 1


async def test_a_folder_may_have_a_long_path(state_dir: Path) -> None:
    folder = state_dir / ("long" * 50)
    folder.mkdir()
    bench = Bench(folder, use_cgroups=False)
    await bench.backend.open()
    try:
        assert (await bench.run("true")).exit_code == 0
    finally:
        await bench.end()


async def test_a_nest_that_cant_start_is_told(state_dir: Path) -> None:
    backend = ProcessBackend(state_dir / "nest", python="/bin/false")
    with pytest.raises(Unavailable, match="ended with status 1"):
        await backend.open()
    backend = ProcessBackend(state_dir / "nest", python="/no/python")
    with pytest.raises(Unavailable, match="can't be started with /no/python"):
        await backend.open()
