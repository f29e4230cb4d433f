"""One folder per test run, and nothing left behind: neither files nor processes.

A run's folder carries the run's process id and the start time of that process, which together
name it until the machine restarts. Every process that the tests start inherits the folder's
name in HEADRACE_TEST_ROOT; /proc/<pid>/environ keeps it, whoever adopts the process. So a
later run finds what an aborted one left, and a run finds what its own tests leaked.
"""

import contextlib
import os
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

PREFIX = "headrace-test-"
VARIABLE = "HEADRACE_TEST_ROOT"
_DEV_SWARM = Path(__file__).parents[2] / "scripts" / "dev-swarm.sh"

# A unix socket's path may have 107 bytes; the rest is left to what lies below a run's folder.
_LONGEST_TEMP_PATH = 32
_GONE_WITHIN_S = 30.0


@dataclass(frozen=True, slots=True)
class Leftover:
    """A process that outlived its test run."""

    pid: int
    command: str

    def __str__(self) -> str:
        return f"process {self.pid}: {self.command}"


def temp_folder() -> Path:
    """The system's temporary folder, or /tmp where that one's path is too long for sockets."""
    folder = Path(tempfile.gettempdir()).resolve()
    return folder if len(bytes(folder)) <= _LONGEST_TEMP_PATH else Path("/tmp")  # noqa: S108 - the folder below it is made with mode 0700 and a name of its own


def make_root(temp: Path) -> Path:
    """Make this process's own folder in `temp`; raises FileExistsError when it is there."""
    root = temp / f"{PREFIX}{os.getpid()}-{_start_time(os.getpid())}"
    root.mkdir(mode=0o700)
    return root


def remove_stale_roots(temp: Path) -> list[Leftover]:
    """Remove the folders of runs that are gone, first ending their processes; returns those."""
    ended: list[Leftover] = []
    for root in sorted(temp.glob(f"{PREFIX}*")):
        if _is_ours(root) and not _owner_lives(root):
            _end_swarms(root)
            ended += end_leftovers(root)
            remove_root(root)
    return ended


def remove_root(root: Path) -> None:
    """Remove a run's folder; a folder that is gone, or another run is removing, is no error."""
    for mounted in _file_systems(root):
        subprocess.run(["umount", "-l", str(mounted)], capture_output=True, check=False)
    remove_cgroups(root.name)
    shutil.rmtree(root, ignore_errors=True)


def remove_cgroups(name: str) -> None:
    """Remove the empty control groups that containers had below the group `name`, and that one.

    In version 1 each controller has a tree of its own below /sys/fs/cgroup.
    """
    hierarchies = Path("/sys/fs/cgroup")
    for top in (*hierarchies.glob(name), *hierarchies.glob(f"*/{name}")):
        for folder, _, _ in os.walk(top, topdown=False):
            with contextlib.suppress(OSError):
                Path(folder).rmdir()


def end_leftovers(root: Path) -> list[Leftover]:
    """SIGKILL every process of ours that names `root`, until none is left; returns them."""
    ended: dict[int, Leftover] = {}
    deadline = monotonic() + _GONE_WITHIN_S
    while found := list(leftovers(root)):
        if monotonic() > deadline:
            raise RuntimeError(f"killed, but not gone: {', '.join(map(str, found))}")
        for each in found:
            ended[each.pid] = each
            try:
                os.kill(each.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        sleep(0.01)
    return list(ended.values())


def leftovers(root: Path) -> Iterator[Leftover]:
    """The other processes of ours whose environment names exactly `root`; no zombies.

    A worker has an environment of its own: it is known by its job file, which lies below `root`.
    """
    wanted, worker = f"{VARIABLE}={root}".encode(), f"HEADRACE_JOB_FILE={root}/".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if entry.stat().st_uid != os.geteuid():
                continue
            environ = (entry / "environ").read_bytes().split(b"\0")
            if wanted not in environ and not any(each.startswith(worker) for each in environ):
                continue
            command = (
                (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            )
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # gone meanwhile, or not ours to read
        yield Leftover(int(entry.name), command.strip())


def _end_swarms(root: Path) -> None:
    """End the swarms of scripts/dev-swarm.sh: their bridges and rules know no process."""
    for made in root.glob("*/network"):
        environ = {**os.environ, "HEADRACE_DEV_SWARM": str(made.parent)}
        subprocess.run([_DEV_SWARM, "down"], env=environ, capture_output=True, check=False)


def _file_systems(root: Path) -> list[Path]:
    """What a test mounted below `root`, by proc(5)."""
    lines = Path("/proc/self/mounts").read_text().splitlines()
    targets = [Path(line.split()[1]) for line in lines]
    return [each for each in targets if root in each.parents]


def _is_ours(root: Path) -> bool:
    """True for a real folder of this user: the temporary folder is open to everybody."""
    try:
        found = root.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()


def _owner_lives(root: Path) -> bool:
    """True while the process that made `root` lives, and for a name that names no process."""
    pid, _, started = root.name.removeprefix(PREFIX).partition("-")
    if not (pid.isdigit() and started.isdigit()):
        return True
    return _start_time(int(pid)) == int(started)


def _start_time(pid: int) -> int | None:
    """When process `pid` started, in clock ticks since the machine did; None when it is gone.

    The 22nd field of /proc/<pid>/stat (proc(5)); the second, the command in parentheses, may
    hold blanks and parentheses itself. A zombie counts as gone.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] == "Z" else int(fields[19])
