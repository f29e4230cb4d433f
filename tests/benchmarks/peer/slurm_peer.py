"""Slurm: a private cluster of one node below the working folder. Argument: pipe.

Its own munged, slurmctld and slurmd, as the user who runs this, on ports of the loopback;
nothing of the machine's own Slurm is read, written or spoken to. It is set up for its best rate:
no accounting, no control groups, a scheduler that looks again at once, and many slots.
"""

import ctypes
import os
import pwd
import secrets
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from arrivals import Arrivals, command
from talk import serve

_READY_S = 45.0
_SLOTS = 128
"""CPUs that the node claims to have: Slurm takes about a second until an ended task's slot is used
again, so with as many slots as two cores its rate is a twentieth (docs/benchmarks.md)."""
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_LIBC = ctypes.CDLL(None)


class Slurm:
    """A running cluster; `with` it. Whatever comes of it becomes a child of this process, so
    `end` finds all of it."""

    def __init__(self) -> None:
        self._folder = Path.cwd()
        self._ending = threading.Lock()
        os.environ["PATH"] += os.pathsep + "/usr/sbin"
        os.environ["SLURM_CONF"] = str(self._folder / "slurm.conf")
        _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def __enter__(self) -> Self:
        # A measurement isn't waited for when the benchmark has gone.
        threading.Thread(target=self._end_with_input, daemon=True).start()
        try:
            self._start()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    def run(self, *words: str) -> str:
        """What a command of Slurm prints; raises CalledProcessError, its words are in the log."""
        return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    def reap(self) -> None:
        """Take note of ended steps, which the cluster leaves to this process."""
        while any(os.waitpid(-1, os.WNOHANG)):
            pass

    def end(self) -> None:
        """Kill every child, and what becomes a child by that, until none is left."""
        with self._ending:
            try:
                while True:
                    for pid in _children():
                        os.kill(pid, signal.SIGKILL)
                    os.waitpid(-1, 0)
            except ChildProcessError:
                return

    def _end_with_input(self) -> None:
        watch = select.poll()
        watch.register(sys.stdin.fileno(), 0)  # its end only, never what it says
        watch.poll()
        self.end()
        os._exit(0)

    def _start(self) -> None:
        key, door = self._folder / "munge.key", self._folder / "munge.socket"
        key.touch(0o600)
        key.write_bytes(secrets.token_bytes(128))
        (self._folder / "slurm.conf").write_text(_configuration(self._folder, door))
        # Forced, because it would have the folder open to every user.
        _daemon(
            "munged", "--foreground", "--force", f"--socket={door}", f"--key-file={key}",
            *(f"--{each}-file={self._folder}/munged.{each}" for each in ("log", "pid", "seed")),
        )  # fmt: skip
        _wait_until(door.exists, "munged has no socket")
        _daemon("slurmctld", "-D", "-c")
        _daemon("slurmd", "-D")
        _wait_until(self._is_idle, "the node of the cluster isn't idle")

    def _is_idle(self) -> bool:
        asked = ["sinfo", "--noheader", "--format=%T"]
        said = subprocess.run(asked, check=False, stdout=subprocess.PIPE, text=True).stdout
        return said.strip() == "idle"


def main(pipe: str) -> None:
    """Start a cluster, measure what is asked for, end the cluster."""
    arrivals = Arrivals(pipe)
    with Slurm() as slurm:

        def tasks(n: int) -> list[float]:
            # By --wrap, the line is the whole script of /bin/sh: one exec here, too.
            submit = [
                "sbatch", "--parsable", f"--array=0-{n - 1}", "--output=/dev/null",
                "--wrap", command(pipe)[-1],
            ]  # fmt: skip
            began = time.monotonic_ns()
            job = slurm.run(*submit)
            ended = arrivals.nth_ns(n)
            running = ["squeue", "--noheader", "--states=all", "--format=%T", f"--jobs={job}"]
            _wait_until(
                lambda: set(slurm.run(*running).split()) == {"COMPLETED"}, "an array doesn't end"
            )
            slurm.reap()
            return [n / ((ended - began) / 1e9)]

        tasks(2)
        serve([], {"tasks": tasks}, {"slurm": slurm.run("sinfo", "--version").split()[-1]})


def _configuration(folder: Path, door: Path) -> str:
    host, user = socket.gethostname().split(".")[0], pwd.getpwuid(os.getuid()).pw_name
    ours, nodes = _free_ports(2)
    for each in ("state", "spool"):
        (folder / each).mkdir()
    lines = {
        "ClusterName": "bench",
        "SlurmctldHost": f"{host}(127.0.0.1)",
        "SlurmUser": user,
        "SlurmdUser": user,
        "SlurmctldPort": ours,
        "SlurmdPort": nodes,
        "CommunicationParameters": "NoCtldInAddrAny,NoInAddrAny",
        "AuthType": "auth/munge",
        "AuthInfo": f"socket={door}",
        "StateSaveLocation": folder / "state",
        "SlurmdSpoolDir": folder / "spool",
        "SlurmctldPidFile": folder / "slurmctld.pid",
        "SlurmdPidFile": folder / "slurmd.pid",
        "SlurmctldLogFile": folder / "slurmctld.log",
        "SlurmdLogFile": folder / "slurmd.log",
        "SlurmctldDebug": "error",
        "SlurmdDebug": "error",
        "ProctrackType": "proctrack/linuxproc",
        "TaskPlugin": "task/none",
        "JobAcctGatherType": "jobacct_gather/none",
        "AccountingStorageType": "accounting_storage/none",
        "SelectType": "select/cons_tres",
        "SelectTypeParameters": "CR_CPU",
        "SchedulerParameters": "batch_sched_delay=0,sched_min_interval=0",
        "SlurmdParameters": "config_overrides",
        "MpiDefault": "none",
        "ReturnToService": 2,
    }
    return "".join(f"{name}={value}\n" for name, value in lines.items()) + (
        f"NodeName={host} NodeAddr=127.0.0.1 CPUs={_SLOTS}\n"
        f"PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE\n"
    )


def _daemon(*words: str) -> None:
    """Start it; it ends at once with this process, however that ends."""
    subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        preexec_fn=lambda: _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0),
    )


def _children() -> list[int]:
    """The processes whose parent this one is."""
    found = []
    for each in Path("/proc").glob("[0-9]*/stat"):
        try:
            # pid (name) state parent …; the name may hold anything
            parent = each.read_text(errors="replace").rpartition(")")[2].split()[1]
        except OSError:
            continue
        if int(parent) == os.getpid():
            found.append(int(each.parent.name))
    return found


def _free_ports(n: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


def _wait_until(holds: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + _READY_S
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(otherwise)
        time.sleep(0.1)


if __name__ == "__main__":
    main(*sys.argv[1:])
