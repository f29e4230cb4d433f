"""Processes as Linux shows them under /proc: who they are, whose children, what they use.

Formats: proc(5). Every reader answers None or leaves out what ended meanwhile or what this user
may not read: processes come and go while one looks.
"""

import os
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

MARKER: Final = "HEADRACE_WORKER"
"""The environment variable that names the worker to which a process belongs."""

PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")

_DEAD: Final = frozenset("ZX")
_READ_BYTES: Final = 65536


class ProcessStat(NamedTuple):
    """What `/proc/<pid>/stat` tells; times in clock ticks, `start_time` since boot."""

    pid: int
    state: str
    ppid: int
    group: int
    session: int
    cpu_ticks: int
    start_time: int
    rss_bytes: int

    @property
    def dead(self) -> bool:
        """Tell whether only the entry is left, waiting for its parent."""
        return self.state in _DEAD


Table = dict[int, ProcessStat]


def parse_stat(text: bytes) -> ProcessStat:
    """Parse `/proc/<pid>/stat`; the name in it may itself hold spaces and parentheses.

    CPU time includes that of children who ended and were waited for. Raises ValueError.
    """
    pid, opening, _ = text.partition(b" (")
    closing = text.rfind(b")")
    field = text[closing + 2 :].split()
    if not opening or closing < 0 or len(field) < 22:
        raise ValueError(f"not the text of a process's stat file: {text[:80]!r}")
    return ProcessStat(
        pid=int(pid),
        state=field[0].decode("ascii"),
        ppid=int(field[1]),
        group=int(field[2]),
        session=int(field[3]),
        cpu_ticks=int(field[11]) + int(field[12]) + int(field[13]) + int(field[14]),
        start_time=int(field[19]),
        rss_bytes=int(field[21]) * PAGE_BYTES,
    )


def _read(path: str) -> bytes | None:
    # os.open and os.read: half the cost of a file object, and this is read hundreds of times.
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    parts = []
    try:
        while part := os.read(file, _READ_BYTES):
            parts.append(part)
    except OSError:
        return None
    finally:
        os.close(file)
    return b"".join(parts)


def read_stat(pid: int) -> ProcessStat | None:
    """Read one process; None when there is none (any more)."""
    text = _read(f"/proc/{pid}/stat")
    return parse_stat(text) if text else None


def parse_io(text: bytes) -> tuple[int, int]:
    """Bytes read from and written to block devices, of `/proc/<pid>/io`.

    What was to be written and was removed before is taken off, as the kernel does not write it.
    """
    fields = dict(line.split(b": ", 1) for line in text.splitlines() if b": " in line)
    read, written, cancelled = (
        int(fields.get(name, 0))
        for name in (b"read_bytes", b"write_bytes", b"cancelled_write_bytes")
    )
    return read, max(0, written - cancelled)


def read_io(pid: int) -> tuple[int, int]:
    """The bytes that a process, and the children that it waited for, read and wrote; 0 each
    where this user may not see it, or the kernel does not count."""
    text = _read(f"/proc/{pid}/io")
    return parse_io(text) if text else (0, 0)


def scan() -> Table:
    """Read every process of the machine (some 30 µs each)."""
    table: Table = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (stat := read_stat(int(name))):
            table[stat.pid] = stat
    return table


def own_children() -> frozenset[int]:
    """The pids of this process's children, zombies too; costs one read where Linux allows.

    The list is exact because this process has one thread and is the only one to reap them.
    """
    own = os.getpid()
    text = _read(f"/proc/{own}/task/{own}/children")
    if text is None:  # a kernel without CONFIG_PROC_CHILDREN
        return frozenset(stat.pid for stat in scan().values() if stat.ppid == own)
    return frozenset(int(pid) for pid in text.split())


def with_descendants(table: Table, roots: Iterable[int]) -> set[int]:
    """The roots which are in the table and all that descends from them."""
    children: dict[int, list[int]] = {}
    for stat in table.values():
        children.setdefault(stat.ppid, []).append(stat.pid)
    found: set[int] = set()
    waiting = [pid for pid in roots if pid in table]
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting.extend(children.get(pid, ()))
    return found


def marker_in(environ: bytes) -> str | None:
    """Find the marker's value in the text of `/proc/<pid>/environ`."""
    name = MARKER.encode() + b"="
    for entry in environ.split(b"\0"):
        if entry.startswith(name):
            return entry[len(name) :].decode("ascii", "replace")
    return None


def read_marker(pid: int) -> str | None:
    """The worker that a process says it belongs to; None for none or when unreadable."""
    text = _read(f"/proc/{pid}/environ")
    return marker_in(text) if text else None


def scan_markers(table: Table) -> dict[int, str]:
    """The markers of all processes in the table that have one."""
    found = ((pid, read_marker(pid)) for pid in table)
    return {pid: marker for pid, marker in found if marker is not None}


def boot_id() -> str:
    """The id of this boot of the machine."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def survivors(
    table: Table,
    markers: Mapping[int, str],
    handles: Mapping[str, tuple[int, int] | None],
) -> dict[str, set[int]]:
    """Find what still lives of workers whose nest died, by worker key.

    `handles` gives each key's (pid, start time), None where the start was not journaled. Found
    are the main process (same pid and start time), whatever carries the key's marker, the
    session of that pid if one of these is in it (a session whose members are all strangers
    may be a recycled pid), and every descendant. Zombies don't live.
    """
    found: dict[str, set[int]] = {key: set() for key in handles}
    for pid, marker in markers.items():
        if marker in found:
            found[marker].add(pid)
    for key, handle in handles.items():
        if handle is None:
            continue
        pid, start_time = handle
        main = table.get(pid)
        if main is not None and main.start_time == start_time:
            found[key].add(pid)
        if any(table[member].session == pid for member in found[key] if member in table):
            found[key].update(stat.pid for stat in table.values() if stat.session == pid)
    return {
        key: {pid for pid in with_descendants(table, roots) if not table[pid].dead}
        for key, roots in found.items()
    }
