"""Bars and waiting lines: on standard error of a real terminal, and nowhere else."""

import asyncio
import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from headrace_client.api import AsyncClient
from headrace_client.localfiles import LocalFile
from tests.acceptance.conftest import Headrace, until

_CLI = "from headrace_client.cli import main; main()"
_WITHIN_S = 120.0
_BYTES = 3 * 2**20 + 17
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """Standard error of a command as a terminal; what it shows is read all the time."""

    def __init__(self) -> None:
        self._master, self.slave = pty.openpty()
        termios.tcsetwinsize(self.slave, (40, 120))
        self._seen = b""
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def text(self) -> str:
        """All that was ever shown, without its escapes."""
        return _ESCAPES.sub("", self._seen.decode(errors="replace"))

    def end(self) -> str:
        """Wait until the last writer is gone; gives all that was shown."""
        os.close(self.slave)
        self._reader.join(_WITHIN_S)
        os.close(self._master)
        return self.text

    def _read(self) -> None:
        try:
            while part := os.read(self._master, 65536):
                self._seen += part
        except OSError:
            return  # EIO: the last writer is gone


@contextmanager
def on_terminal(
    headrace: Headrace, *words: str
) -> Iterator[tuple["subprocess.Popen[str]", Terminal]]:
    """`headrace …` with its standard error on a terminal."""
    terminal = Terminal()
    with subprocess.Popen(
        [sys.executable, "-c", _CLI, *words],
        env={**headrace.environ, "TERM": "xterm"},
        stdout=subprocess.PIPE,
        stderr=terminal.slave,
        text=True,
    ) as command:
        try:
            yield command, terminal
        finally:
            if command.poll() is None:
                command.kill()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "data"
    found.mkdir()
    (found / "large").write_bytes(os.urandom(_BYTES))
    (found / "empty").touch()
    return found


def test_transfers_show_a_bar_on_a_terminal_and_json_alone_on_standard_output(
    headrace: Headrace, folder: Path, tmp_path: Path
) -> None:
    words = ("--category", "CONFIG", "--upload", str(folder), "-o", "json")
    with on_terminal(headrace, "dataset", "create", "bars", *words) as (command, terminal):
        out, _ = command.communicate(timeout=_WITHIN_S)
    shown = terminal.end()
    assert json.loads(out)["state"] == "SEALED"
    assert "upload bars" in shown
    assert f"of {3.0} MiB" in shown
    with on_terminal(headrace, "dataset", "download", "bars", str(tmp_path / "copy")) as (
        command,
        terminal,
    ):
        command.communicate(timeout=_WITHIN_S)
    assert "download bars" in terminal.end()
    assert (tmp_path / "copy" / "large").read_bytes() == (folder / "large").read_bytes()


def test_without_a_terminal_nothing_is_shown(headrace: Headrace, folder: Path) -> None:
    words = ("--category", "CONFIG", "--upload", str(folder))
    done = headrace.cli("dataset", "create", "silent", *words)
    assert (done.returncode, done.stderr) == (0, "")
    run = headrace.cli("exec", "run", "-f", "--input", f"d={folder}", "--", "ls", "{d}")
    assert run.stdout.split() == ["empty", "large"]
    assert re.fullmatch(r"headrace: job \w{16}\n", run.stderr)


def test_a_path_input_shows_a_bar_and_a_job_that_waits_says_why(
    headrace: Headrace, folder: Path
) -> None:
    hog = headrace.submit("sleep", "600", resources={"cpus": "2", "memory": "64MiB"})
    words = ("--cpus", "2", "--input", f"d={folder}", "--", "echo", "out")
    with on_terminal(headrace, "exec", "run", "-f", *words) as (command, terminal):
        until(lambda: "inputs" in terminal.text, "the bar of the input")
        until(lambda: "AWAITING_ALLOCATION: The job asks 2 CPU" in terminal.text, "the reason")
        assert headrace.cli("jobs", "cancel", hog).returncode == 0
        out, _ = command.communicate(timeout=_WITHIN_S)
    assert (command.returncode, out) == (0, "out\n")
    terminal.end()


def test_ctrl_c_at_a_wait_leaves_the_job_and_says_how_to_follow_it(headrace: Headrace) -> None:
    hog = headrace.submit("sleep", "600", resources={"cpus": "2", "memory": "64MiB"})
    with on_terminal(headrace, "exec", "run", "-f", "--", "true") as (command, terminal):
        until(lambda: "AWAITING_ALLOCATION: " in terminal.text, "the waiting line")
        command.send_signal(signal.SIGINT)
        assert command.wait(_WITHIN_S) == 130
    shown = terminal.end()
    assert "detached; the job goes on" in shown
    job = re.search(r"headrace jobs logs (\w{16}) --follow", shown)
    assert job
    assert headrace.cli("jobs", "cancel", hog, job[1]).returncode == 0


def test_ctrl_c_at_a_transfer_says_that_it_can_be_taken_up(
    headrace: Headrace, tmp_path: Path
) -> None:
    huge = tmp_path / "huge"
    with huge.open("wb") as file:
        file.truncate(4 * 2**30)  # sparse: it is long to read, and takes no room
    assert headrace.cli("dataset", "create", "cut", "--category", "CONFIG").returncode == 0
    with on_terminal(headrace, "dataset", "upload", "cut", str(huge)) as (command, terminal):
        until(lambda: "upload cut" in terminal.text, "the bar")
        command.send_signal(signal.SIGINT)
        assert command.wait(_WITHIN_S) == 130
    shown = terminal.end()
    assert "interrupted; what has arrived is kept" in shown
    assert "next: the same command takes it up again" in shown


async def test_each_file_is_announced_before_any_moves_and_ends_whole(
    headrace: Headrace, folder: Path, tmp_path: Path
) -> None:
    heard: list[tuple[str, int, int]] = []

    def moved(item: str, at_bytes: int, size_bytes: int) -> None:
        heard.append((item, at_bytes, size_bytes))

    def check() -> None:
        assert sorted(heard[:2]) == [("empty", 0, 0), ("large", 0, _BYTES)]
        ways = [at for item, at, size in heard if (item, size) == ("large", _BYTES)]
        assert ways == sorted(ways)
        assert len(ways) > 3
        assert ways[-1] == _BYTES
        heard.clear()

    files = [LocalFile(folder / name, name) for name in ("empty", "large")]
    async with AsyncClient(headrace.url, headrace.token) as client:
        made = await client.datasets.create({"name": "told", "category": "CONFIG"})
        await client.datasets.upload(made["id"], files, moved)
        check()
        await client.datasets.seal(made["id"])
        await client.datasets.download(made["id"], tmp_path / "copy", moved)
        check()
        # What is there already is told as whole at once.
        await client.datasets.download(made["id"], tmp_path / "copy", moved)
    assert heard[-1][1] == heard[-1][2]
    assert await asyncio.to_thread((tmp_path / "copy" / "large").stat)


def test_with_json_the_workers_output_goes_to_standard_error(headrace: Headrace) -> None:
    done = headrace.cli("exec", "run", "-f", "-o", "json", "--", "echo", "from the worker")
    assert json.loads(done.stdout)["status"] == "CLOSED:COMPLETED"
    assert "from the worker\n" in done.stderr
