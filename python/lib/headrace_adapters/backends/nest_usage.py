"""What workers have used: CPU and bytes of block devices of living trees and of those that ended.

Units: seconds and bytes. Formats: `/proc/<pid>/io` in proc(5), `struct rusage` in getrusage(2).
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from headrace_adapters.backends import proc_tree
from headrace_adapters.backends.nest_wire import Message
from headrace_adapters.backends.proc_tree import ProcessStat

if TYPE_CHECKING:
    from resource import struct_rusage

_RUSAGE_BLOCK_BYTES: Final = 512


class Used(NamedTuple):
    """What counts up."""

    cpu_s: float = 0.0
    read: int = 0
    written: int = 0

    def plus(self, other: "Used") -> "Used":
        """Both together."""
        cpu_s, read, written = other
        return Used(self.cpu_s + cpu_s, self.read + read, self.written + written)

    def at_least(self, other: "Used") -> "Used":
        """The larger of each. What an ended orphan had used leaves a sum over living processes,
        and some kernels count no bytes under /proc: a figure shall not fall for that."""
        cpu_s, read, written = other
        return Used(max(self.cpu_s, cpu_s), max(self.read, read), max(self.written, written))


def of_processes(stats: Iterable[ProcessStat]) -> Used:
    """What living processes have used, with the children that they waited for."""
    used = Used()
    for stat in stats:
        used = used.plus(
            Used(stat.cpu_ticks / proc_tree.TICKS_PER_S, *proc_tree.read_io(stat.pid))
        )
    return used


def of_rusage(used: "struct_rusage") -> Used:
    """What an ended process has used, with the children that it waited for."""
    return Used(
        used.ru_utime + used.ru_stime,
        used.ru_inblock * _RUSAGE_BLOCK_BYTES,
        used.ru_oublock * _RUSAGE_BLOCK_BYTES,
    )


class Ranks:
    """What the workers of each rank used that have ended, until their attempt is forgotten."""

    def __init__(self) -> None:
        self._ended: dict[str, tuple[Used, int]] = {}

    def add(self, key: str, used: Used, at_ms: int) -> None:
        """Count in a worker, or a task, that has ended."""
        rank = _rank(key)
        before, _ = self._ended.get(rank, (Used(), 0))
        self._ended[rank] = (before.plus(used), at_ms)

    def forget(self, job: str, attempt: int) -> None:
        """Drop what an attempt used."""
        start = f"{job}.{attempt}."
        for rank in [rank for rank in self._ended if rank.startswith(start)]:
            del self._ended[rank]

    def tell(self, living: Mapping[str, tuple[Used, int]], at_ms: int) -> list[Message]:
        """Tell of each rank; `living` gives what its workers have used, and their memory now.

        The time of a rank without any is that of its last end.
        """
        found = {rank: (used, 0, ended_ms) for rank, (used, ended_ms) in self._ended.items()}
        for key, (used, memory) in living.items():
            rank = _rank(key)
            before, more, _ = found.get(rank, (Used(), 0, 0))
            found[rank] = (before.plus(used), memory + more, at_ms)
        return [
            {"key": rank, **used._asdict(), "memory": memory, "at_ms": seen_ms}
            for rank, (used, memory, seen_ms) in found.items()
        ]


def _rank(key: str) -> str:
    """The key of a task's rank; that of another worker as it is."""
    return ".".join(key.split(".")[:3])
