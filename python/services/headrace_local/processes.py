"""The processes of a home, found by the marks in their environment.

A mark stays with a process whoever started or adopted it, so what a killed supervisor left is
found without trusting a file that may be older than the machine's last restart.
"""

import os
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from headrace_adapters.backends.proc_tree import MARKER, TICKS_PER_S, read_stat

HOME_ID: Final = "HEADRACE_HOME_ID"
PROCESS: Final = "HEADRACE_HOME_PROCESS"
"""Names what a process is: supervisor, redis or services."""

_POLL_S: Final = 0.01
_KILLED_WITHIN_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Found:
    """A living process; `start_time` in clock ticks since boot tells it from a recycled pid."""

    pid: int
    start_time: int
    name: str

    @property
    def alive(self) -> bool:
        """Tell whether it still lives; a zombie does not."""
        stat = read_stat(self.pid)
        return stat is not None and not stat.dead and stat.start_time == self.start_time

    @property
    def uptime_s(self) -> float:
        """For how long it has been running, in seconds."""
        since_boot_s = float(Path("/proc/uptime").read_text().split()[0])
        return max(0.0, since_boot_s - self.start_time / TICKS_PER_S)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; nothing when the process is gone."""
        if self.alive:
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return


def marks(home_id: str, name: str) -> dict[str, str]:
    """The environment variables by which `find` finds a process."""
    return {HOME_ID: home_id, PROCESS: name}


def find(home_id: str, *names: str) -> list[Found]:
    """The living processes of a home with one of these names, the longest running first."""
    found = [
        Found(pid, start_time, environ[PROCESS])
        for pid, start_time, environ in _environments()
        if environ.get(HOME_ID) == home_id and environ.get(PROCESS) in names
    ]
    return sorted(found, key=lambda each: (each.start_time, each.pid))


def is_living(pid: int, home_id: str, name: str) -> bool:
    """Tell whether this is the living process of a home with this name, as `find` would.

    `find` looks at all processes of the machine, which costs more than who waits should take.
    """
    found = _environment(pid)
    return found is not None and (found[1].get(HOME_ID), found[1].get(PROCESS)) == (home_id, name)


def find_workers(attempts: Path) -> list[Found]:
    """The living processes of workers whose attempt lies in this folder; `name` is the worker's.

    What a worker hid by changing its environment is known to the nest alone.
    """
    below = f"{attempts}/"
    return [
        Found(pid, start_time, environ[MARKER])
        for pid, start_time, environ in _environments()
        if MARKER in environ and environ.get("HEADRACE_JOB_FILE", "").startswith(below)
    ]


def find_nests(home_id: str) -> list[Found]:
    """The nest of a home: it inherits the home's mark and is no process of the supervisor."""
    return [
        Found(pid, start_time, "nest")
        for pid, start_time, environ in _environments()
        if environ.get(HOME_ID) == home_id and PROCESS not in environ and _is_nest(pid)
    ]


def listens(pid: int, port: int) -> bool:
    """Tell whether a process listens at a TCP port (IPv4); a dead one does not.

    Read from `/proc/<pid>/net/tcp` (proc(5)): local address and port in hexadecimal, state 0A is
    LISTEN, the tenth column is the inode that a file descriptor of the process links to.
    """
    try:
        lines = Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
        rows = [line.split() for line in lines]
        sockets = {
            f"socket:[{row[9]}]"
            for row in rows
            if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == port
        }
        return bool(sockets) and any(
            _link_of(entry) in sockets for entry in Path(f"/proc/{pid}/fd").iterdir()
        )
    except OSError:
        return False


def _link_of(entry: Path) -> str:
    try:
        return os.readlink(entry)
    except OSError:
        return ""  # closed meanwhile


def end(processes: Iterable[Found], grace_s: float) -> None:
    """SIGTERM, after `grace_s` SIGKILL; returns when all are gone.

    Raises TimeoutError when one survives even that (it hangs in the kernel).
    """
    waiting = list(processes)
    for each in waiting:
        each.signal(signal.SIGTERM)
        each.signal(signal.SIGCONT)  # a paused process takes no other signal
    if left := wait_gone(waiting, grace_s):
        for each in left:
            each.signal(signal.SIGKILL)
        if stuck := wait_gone(left, _KILLED_WITHIN_S):
            names = ", ".join(f"{each.name} ({each.pid})" for each in stuck)
            raise TimeoutError(f"killed, but not gone: {names}")


def wait_gone(processes: Iterable[Found], within_s: float) -> list[Found]:
    """Wait until the processes are gone; returns those that live on."""
    deadline = time.monotonic() + within_s
    while left := [each for each in processes if each.alive]:
        if time.monotonic() > deadline:
            break
        time.sleep(_POLL_S)
    return left


def _environments() -> Iterator[tuple[int, int, dict[str, str]]]:
    """Pid, start time and HEADRACE_ variables of each living process of this user."""
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid() and (found := _environment(int(name))):
            yield int(name), *found


def _environment(pid: int) -> tuple[int, dict[str, str]] | None:
    """Start time and HEADRACE_ variables of a process; None where it has none or is not ours."""
    try:
        if os.stat(f"/proc/{pid}").st_uid != os.geteuid():
            return None
        text = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return None  # gone meanwhile, or not ours to read
    if b"HEADRACE_" not in text:
        return None
    stat = read_stat(pid)
    if stat is None or stat.dead:
        return None
    entries = (each.partition("=") for each in os.fsdecode(text).split("\0"))
    return stat.start_time, {
        key: value for key, _, value in entries if key.startswith("HEADRACE_")
    }


def _is_nest(pid: int) -> bool:
    try:
        return b"headrace_adapters.backends.nest" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
