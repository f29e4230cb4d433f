"""Memory limits by control groups, where this user may make them.

Found out by trying: a group is made, given a limit, entered and left again. Version 1 files:
the kernel's Documentation/admin-guide/cgroup-v1/memory.rst; version 2: cgroup-v2.rst. Where
neither works the nest samples resident memory itself (`nest_workers`).
"""

import contextlib
import os
from typing import Final, NamedTuple


class Dialect(NamedTuple):
    """How one version of control groups names what the nest uses."""

    name: str
    entry: str
    limit: str
    swap: str
    swap_is_sum: bool
    used: str
    cached: str
    peak: str
    events: str


V1: Final = Dialect(
    "CGROUP_V1",
    # Moves the calling thread, and the nest has no other. Unlike cgroup.procs it need not shut
    # out every fork of the machine, for which the kernel waits 6 to 20 ms.
    "tasks",
    "memory.limit_in_bytes",
    "memory.memsw.limit_in_bytes",
    True,
    "memory.usage_in_bytes",
    "total_inactive_file",
    "memory.max_usage_in_bytes",
    "memory.oom_control",
)
V2: Final = Dialect(
    "CGROUP_V2",
    "cgroup.procs",
    "memory.max",
    "memory.swap.max",
    False,
    "memory.current",
    "inactive_file",
    "memory.peak",
    "memory.events",
)

_PROBE_BYTES: Final = 1 << 30


def _write(path: str, text: str) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(file, text.encode("ascii"))
    finally:
        os.close(file)


def _read(path: str) -> str:
    with open(path, encoding="ascii") as file:
        return file.read()


def count_in(text: str, wanted: str) -> int:
    """The value of a name in a file of names and values, such as `memory.events`; else 0."""
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        if name == wanted:
            return int(value)
    return 0


class Group:
    """The control group of one worker."""

    def __init__(self, path: str, dialect: Dialect, home: str) -> None:
        self.path = path
        self.dialect = dialect
        self._home = home

    def enter(self) -> None:
        """Move this process in, so that what it starts is born inside. Raises OSError."""
        _write(f"{self.path}/{self.dialect.entry}", "0")

    def leave(self) -> None:
        """Move this process back to where it came from. Raises OSError."""
        _write(f"{self._home}/{self.dialect.entry}", "0")

    def limit(self, memory_bytes: int) -> bool:
        """Set the limit; False when the worker already uses more. Never while this process
        is inside: the kernel could choose it as the victim."""
        try:
            _write(f"{self.path}/{self.dialect.limit}", str(memory_bytes))
        except OSError:
            return False
        # Kernels without swap accounting lack the file; then swap comes on top of the limit.
        with contextlib.suppress(OSError):
            swap = memory_bytes if self.dialect.swap_is_sum else 0
            _write(f"{self.path}/{self.dialect.swap}", str(swap))
        return True

    def oom_kills(self) -> int:
        """How often the kernel has killed a process of the group."""
        try:
            return count_in(_read(f"{self.path}/{self.dialect.events}"), "oom_kill")
        except OSError:
            return 0

    def used_bytes(self) -> int | None:
        """The use now without files that are only cached; None where it can't be read."""
        try:
            used = int(_read(f"{self.path}/{self.dialect.used}"))
            return max(0, used - count_in(_read(f"{self.path}/memory.stat"), self.dialect.cached))
        except (OSError, ValueError):
            return None

    def peak_bytes(self) -> int:
        """The highest use so far; 0 on kernels that don't tell (v2 before Linux 5.19)."""
        try:
            return int(_read(f"{self.path}/{self.dialect.peak}"))
        except (OSError, ValueError):
            return 0

    def pids(self) -> frozenset[int]:
        """The processes inside."""
        try:
            return frozenset(int(pid) for pid in _read(f"{self.path}/cgroup.procs").split())
        except (OSError, ValueError):
            return frozenset()

    def remove(self) -> None:
        """Remove the group; one that still has processes stays."""
        with contextlib.suppress(OSError):
            os.rmdir(self.path)


class MemoryGroups:
    """The groups of one nest: a folder named after it, with one group a worker."""

    def __init__(self, root: str, dialect: Dialect, home: str) -> None:
        self.root = root
        self.dialect = dialect
        self._home = home

    def make(self, key: str) -> Group:
        """Make a worker's group, still without a limit. Raises OSError."""
        group = Group(f"{self.root}/{key}", self.dialect, self._home)
        with contextlib.suppress(FileExistsError):
            os.mkdir(group.path)
        return group

    def existing(self, key: str) -> Group | None:
        """The group that an earlier nest in this folder made for a worker."""
        group = Group(f"{self.root}/{key}", self.dialect, self._home)
        return group if os.path.isdir(group.path) else None

    def remove(self) -> None:
        """Remove the nest's folder, when no worker's group is left in it."""
        with contextlib.suppress(OSError):
            os.rmdir(self.root)

    def try_out(self) -> None:
        """Do once all that a worker needs. Raises OSError."""
        os.makedirs(self.root, exist_ok=True)
        if self.dialect is V2:
            _write(f"{self.root}/cgroup.subtree_control", "+memory")
        probe = self.make(f"probe.{os.getpid()}")
        try:
            if not probe.limit(_PROBE_BYTES):
                raise OSError("the group takes no limit")
            probe.enter()
            probe.leave()
        finally:
            probe.remove()


def mounts_in(mountinfo: str) -> dict[str, tuple[str, str]]:
    """Where the memory controllers are mounted: {"v1" or "v2": (root in the hierarchy, path)}.

    Format of `/proc/self/mountinfo`: proc(5).
    """
    found: dict[str, tuple[str, str]] = {}
    for line in mountinfo.splitlines():
        left, dash, right = line.partition(" - ")
        if not dash:
            continue
        root, path = left.split()[3:5]
        kind, _, options = right.split()[:3]
        if kind == "cgroup2":
            found.setdefault("v2", (root, path))
        elif kind == "cgroup" and "memory" in options.split(","):
            found.setdefault("v1", (root, path))
    return found


def homes_in(cgroups: str) -> dict[str, str]:
    """This process's place in each hierarchy, from `/proc/self/cgroup` (cgroups(7))."""
    found: dict[str, str] = {}
    for line in cgroups.splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0":
            found["v2"] = path
        elif "memory" in controllers.split(","):
            found["v1"] = path
    return found


def _folder(mount: tuple[str, str], home: str) -> str:
    root, path = mount
    inside = home.removeprefix(root.rstrip("/")) if home.startswith(root) else ""
    return os.path.normpath(f"{path}/{inside}")


def find_memory_groups(name: str) -> MemoryGroups | None:
    """Find a place where this process may limit memory; None where there is none.

    Groups are made below this process's own, so that limits on it hold on. Version 2 allows no
    group with both processes and limited children: there the one above is tried as well, which
    is this user's where a service manager delegates to a subgroup.
    """
    try:
        mounts = mounts_in(_read("/proc/self/mountinfo"))
        homes = homes_in(_read("/proc/self/cgroup"))
    except OSError:
        return None
    candidates = []
    if "v2" in mounts and "v2" in homes:
        home = _folder(mounts["v2"], homes["v2"])
        above = os.path.dirname(home) if home != mounts["v2"][1] else home
        candidates += [(home, V2, home), (above, V2, home)]
    if "v1" in mounts and "v1" in homes:
        home = _folder(mounts["v1"], homes["v1"])
        candidates.append((home, V1, home))
    for parent, dialect, home in candidates:
        groups = MemoryGroups(f"{parent}/{name}", dialect, home)
        try:
            if dialect is V2:
                _write(f"{parent}/cgroup.subtree_control", "+memory")
            groups.try_out()
        except OSError:
            groups.remove()
            continue
        return groups
    return None
