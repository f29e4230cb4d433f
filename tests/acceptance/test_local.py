"""`headrace local` as a user types it: real processes, one state folder, nothing left behind."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace_adapters.backends.process import ProcessBackend
from headrace_adapters.redis.users import UserStore
from headrace_local import processes
from headrace_local.admin import user_name
from headrace_local.config import Config, save
from headrace_local.folders import find_home, prepare
from headrace_local.health import any_free_port
from headrace_local.layout import Home
from headrace_local.redis_users import connect
from headrace_model.ids import JobId
from headrace_model.people import UserRole
from headrace_model.worker import WorkerKey, WorkerLaunch
from tests.support.preloaded import run
from tests.support.wait import T, wait_until

_CLI = "from headrace_local.cli import local; local(prog_name='headrace local')"
_PARTS = ("supervisor", "redis", "services")
_WITHIN_S = 120.0


class Local:
    """The command line, for one home."""

    def __init__(self, root: Path) -> None:
        self.home: Home = find_home(root)

    def __call__(self, *words: str, typed: str = "") -> "subprocess.CompletedProcess[str]":
        return run(self.command(*words), typed=typed, timeout=_WITHIN_S, env=self.environ)

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-c", _CLI, *words]

    @property
    def environ(self) -> dict[str, str]:
        return {**os.environ, "HEADRACE_HOME": str(self.home.root)}

    def up(self, *words: str) -> str:
        done = self("up", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self("status", "-o", "json").stdout)
        return found

    def pids(self) -> dict[str, int]:
        return {each.name: each.pid for each in processes.find(self.home.id, *_PARTS)}


def until(condition: Callable[[], T], what: str) -> T:
    return asyncio.run(wait_until(condition, what, within_s=_WITHIN_S))


@pytest.fixture
def local(state_dir: Path) -> Iterator[Local]:
    found = Local(state_dir / "home")
    yield found
    if found.home.config.exists():
        done = found("reset", "--yes")
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def running(run_root: Path) -> Iterator[Local]:
    """One that is up, with one CPU, for the tests that leave it so."""
    found = Local(run_root / "running" / "home")
    found.home.root.parent.mkdir()
    found.up("--cpus", "1")
    yield found
    done = found("reset", "--yes")
    assert done.returncode == 0, done.stderr


@pytest.fixture
def made(local: Local) -> Local:
    """One that is down, as after an `up` and a `down`."""
    prepare(local.home)
    save(local.home, Config(port=any_free_port()))
    return local


def test_before_the_first_up_status_says_so_with_code_3(local: Local) -> None:
    done = local("status")
    assert done.returncode == 3
    assert "`headrace local up` makes one" in done.stdout


def test_up_starts_what_status_shows_and_down_stops_it(local: Local) -> None:
    said = local.up("--cpus", "1.5", "--memory", "1GiB")
    shown = local.status()
    assert shown["url"] in said
    assert shown["ready"] is True
    assert shown["url"] == json.loads(local.home.client.read_text())["url"]
    assert {p["name"] for p in shown["processes"] if p["pid"]} >= set(_PARTS)
    assert shown["jobs"] == {}
    assert local("status").returncode == 0

    done = local("down")
    assert done.returncode == 0
    assert "Headrace is down." in done.stdout
    assert local.pids() == {}
    assert processes.find_nests(local.home.id) == []
    stopped = local("status")
    assert stopped.returncode == 3
    assert "redis      stopped" in stopped.stdout
    again = local("down")
    assert again.returncode == 0
    assert "was not up" in again.stdout


def test_a_second_up_changes_nothing(running: Local) -> None:
    before = running.pids()
    assert "already up" in running.up()
    assert running.pids() == before


def test_an_up_with_other_options_than_what_runs_is_refused(running: Local) -> None:
    done = running("up", "--cpus", "2")
    assert done.returncode == 1
    assert "another --cpus" in done.stderr


def test_two_ups_at_the_same_time_start_one_headrace(local: Local) -> None:
    both = [subprocess.Popen(local.command("up"), env=local.environ) for _ in range(2)]
    assert [each.wait(_WITHIN_S) for each in both] == [0, 0]
    until(lambda: len(processes.find(local.home.id, *_PARTS)) == 3, "one of each")
    assert local.status()["ready"] is True


@pytest.mark.parametrize("name", ["redis", "services"])
def test_what_is_killed_comes_back_by_itself(running: Local, name: str) -> None:
    before = running.pids()
    os.kill(before[name], signal.SIGKILL)
    until(lambda: running.pids().get(name) not in (None, before[name]), f"another {name}")
    until(lambda: running("status").returncode == 0, "Headrace to be ready")
    after, others = running.pids(), set(_PARTS) - {name}
    assert {each: after[each] for each in others} == {each: before[each] for each in others}


def test_up_takes_over_from_a_killed_supervisor(local: Local) -> None:
    local.up()
    before = local.pids()
    url = local.status()["url"]
    os.kill(before["supervisor"], signal.SIGKILL)
    assert url in local.up()
    assert set(local.pids()) == set(_PARTS)
    assert set(local.pids().values()).isdisjoint(before.values())
    assert len(processes.find(local.home.id, *_PARTS)) == 3


def test_down_ends_what_a_killed_supervisor_left(local: Local) -> None:
    local.up()
    os.kill(local.pids()["supervisor"], signal.SIGKILL)
    assert "Headrace is down." in local("down").stdout
    assert local.pids() == {}


def test_down_ends_paused_processes_too(local: Local) -> None:
    local.up()
    for pid in local.pids().values():
        os.kill(pid, signal.SIGSTOP)
    assert local("down").returncode == 0
    assert local.pids() == {}


def test_the_first_admin_survives_the_loss_of_redis_and_of_the_token_file(local: Local) -> None:
    local.up()
    token = local.home.admin_token.read_text()
    local("down")
    for path in sorted(local.home.redis.rglob("*.aof*"), reverse=True):
        path.unlink()
    local.up()
    assert local.home.admin_token.read_text() == token
    assert _admin_of(local) == "admin"
    local("down")
    local.home.admin_token.unlink()
    local.up()
    assert local.home.admin_token.read_text() != token
    assert _admin_of(local) == "admin"


def _admin_of(local: Local) -> str | None:
    """The role that Redis knows for the token in the file."""

    async def lookup() -> str | None:
        redis = connect(local.home)
        try:
            found = await UserStore(redis).lookup(local.home.admin_token.read_text().strip())
        finally:
            await redis.close()
        return found[0].role if found else None

    return asyncio.run(lookup())


def test_who_lost_the_admin_is_made_one_again_on_the_machine(running: Local) -> None:
    local = running
    lost = local.home.admin_token.read_text()

    async def lose() -> None:
        """Another admin demotes the machine's owner, shuts them out and revokes what they have."""
        redis = connect(local.home)
        try:
            await redis.open()
            users = UserStore(redis)
            await users.create_user("eve", UserRole.ADMIN)
            await users.set_role(user_name(), UserRole.VIEWER)
            await users.set_disabled(user_name(), True)
        finally:
            await redis.close()

    asyncio.run(lose())
    assert _admin_of(local) is None
    done = local("reset-admin", "-o", "json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["user"] == user_name()
    token = local.home.admin_token.read_text()
    assert token != lost
    assert token.strip() not in done.stdout + done.stderr
    assert _admin_of(local) == "admin"


@contextlib.contextmanager
def _taken_port() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


def test_a_wanted_port_that_is_taken_is_refused_and_nothing_starts(local: Local) -> None:
    with _taken_port() as port:
        done = local("up", "--port", str(port))
    assert done.returncode == 1
    assert f"another program listens on port {port}" in done.stderr
    assert local.pids() == {}


def test_a_remembered_port_that_is_taken_is_replaced(local: Local) -> None:
    free = any_free_port()
    local.up("--port", str(free))
    local("down")
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", free))
        taken.listen()
        local.up()
        shown = local.status()
    assert not shown["url"].endswith(f":{free}")
    assert json.loads(local.home.client.read_text())["url"] == shown["url"]


def test_nothing_secret_is_in_arguments_environments_and_logs(running: Local) -> None:
    local = running
    secrets = [
        path.read_text().strip().encode()
        for path in (
            local.home.admin_token,
            local.home.internal_token,
            *local.home.passwords.iterdir(),
        )
    ]
    seen = b""
    nests = [each.pid for each in processes.find_nests(local.home.id)]
    for pid in (*local.pids().values(), *nests):
        for name in ("cmdline", "environ"):
            seen += Path(f"/proc/{pid}/{name}").read_bytes()
    for log in local.home.logs.iterdir():
        seen += log.read_bytes()
    assert [secret for secret in secrets if secret in seen] == []


def test_nobody_else_can_read_the_state(local: Local) -> None:
    previous = os.umask(0)  # the most careless user
    try:
        local.up()
        wide = [path for path in _all_below(local.home.root) if _mode(path) & 0o077]
    finally:
        os.umask(previous)
    assert wide == []


def _all_below(root: Path) -> list[Path]:
    """Not by Path.rglob: files come and go while one looks."""
    found = [(Path(folder), [*folders, *names]) for folder, folders, names in os.walk(root)]
    return [root, *(folder / name for folder, inside in found for name in inside)]


def _mode(path: Path) -> int:
    try:
        return stat.S_IMODE(path.lstat().st_mode)
    except FileNotFoundError:
        return 0


def test_reset_asks_first_and_then_removes_everything(local: Local) -> None:
    local.up()
    kept = local("reset", typed="n\n")
    assert kept.returncode == 1
    assert local.status()["ready"] is True
    done = local("reset", typed="y\n")
    assert done.returncode == 0
    assert not local.home.root.exists()
    assert local.pids() == {}


def test_reset_leaves_what_is_not_ours(made: Local) -> None:
    mine = made.home.root / "mine.txt"
    mine.write_text("precious")
    made("reset", "--yes")
    assert [path.name for path in made.home.root.iterdir()] == ["mine.txt"]


def test_a_folder_with_other_things_in_it_is_refused(local: Local) -> None:
    local.home.root.mkdir()
    (local.home.root / "thesis.tex").write_text("precious")
    done = local("up")
    assert done.returncode == 1
    assert "is not empty and no state folder" in done.stderr
    assert [path.name for path in local.home.root.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("name", ["a b\"c'd\\e%20", "l" + "o" * 120 + "ng"])
def test_any_path_will_do(state_dir: Path, name: str) -> None:
    local = Local(state_dir / name)
    try:
        local.up()
        assert local.status()["ready"] is True
    finally:
        local("reset", "--yes")
    assert not local.home.root.exists()
    assert local.home.sockets == local.home.run or not local.home.sockets.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_foreground_up_takes_all_with_it_when_it_is_told_to_end(
    local: Local, number: signal.Signals
) -> None:
    command = subprocess.Popen(local.command("up", "--foreground"), env=local.environ)
    until(lambda: local("status").returncode == 0, "Headrace to be ready")
    command.send_signal(number)
    assert command.wait(_WITHIN_S) == 130
    assert local.pids() == {}


def test_an_interrupted_up_leaves_nothing(local: Local) -> None:
    command = subprocess.Popen(local.command("up"), env=local.environ)
    until(lambda: "supervisor" in local.pids(), "the supervisor")
    command.send_signal(signal.SIGINT)
    assert command.wait(_WITHIN_S) == 130
    assert local.pids() == {}


def test_a_failed_up_shows_the_end_of_the_log(local: Local) -> None:
    local.up()
    local("down")
    (aof,) = local.home.redis.rglob("*.incr.aof")
    aof.write_bytes(b"*1\r\nthis is no command\r\n" * 3)
    done = local("up")
    assert done.returncode == 1
    assert "end of" in done.stderr
    assert "redis.log" in done.stderr
    assert local.pids() == {}


def test_redis_gets_the_ballast_of_a_full_disk_and_it_is_laid_again(local: Local) -> None:
    local.up()
    ballast = local.home.redis / "ballast"
    first = until(lambda: ballast.exists() and ballast.stat(), "the ballast")
    assert first.st_size == 32 * 2**20
    with local.home.log("redis").open("a") as log:
        log.write("# Error writing to the AOF file: No space left on device\n")
    os.kill(local.pids()["redis"], signal.SIGKILL)
    until(lambda: "its ballast" in local.home.log("supervisor").read_text(), "its release")
    until(lambda: local("status").returncode == 0, "Headrace to be ready")
    until(ballast.exists, "another ballast")


class TestWorkers:
    """Of a home that is down: the nest and its workers live on their own."""

    @pytest.fixture
    def worker(self, made: Local, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A worker that runs until it is stopped, as the agent would start it."""
        folder = made.home.attempts / "0123456789abcdef.1"
        folder.mkdir(parents=True)
        monkeypatch.setenv(processes.HOME_ID, made.home.id)  # the agent's nest inherits it
        asyncio.run(_start_worker(made.home.nest, folder))
        return folder

    def test_down_counts_them_and_lets_them_live(self, local: Local, worker: Path) -> None:
        done = local("down")
        assert "1 worker of running jobs live" in done.stdout
        assert len(processes.find_workers(worker.parent)) == 1

    def test_down_can_end_them(self, local: Local, worker: Path) -> None:
        assert local("down", "--stop-workers").returncode == 0
        assert processes.find_workers(worker.parent) == []
        assert processes.find_nests(local.home.id) == []

    def test_reset_ends_them_even_when_their_nest_was_killed(
        self, local: Local, worker: Path
    ) -> None:
        (nest,) = processes.find_nests(local.home.id)
        os.kill(nest.pid, signal.SIGKILL)
        assert local("reset", "--yes").returncode == 0
        assert processes.find_workers(worker.parent) == []
        assert not local.home.root.exists()


async def _start_worker(nest: Path, folder: Path) -> None:
    backend = ProcessBackend(nest)
    try:
        await backend.start(
            WorkerLaunch(
                key=WorkerKey(JobId("0123456789abcdef"), 1, 0),
                argv=("sleep", "600"),
                env={
                    "PATH": os.environ["PATH"],
                    "HEADRACE_JOB_FILE": str(folder / "job.json"),
                    "HEADRACE_TEST_ROOT": os.environ["HEADRACE_TEST_ROOT"],
                },
                cwd=folder,
                stdout=folder / "0.out",
                stderr=folder / "0.err",
            )
        )
    finally:
        await backend.close()
