"""One worker as the nest knows it."""

import os
from typing import Final

from headrace_adapters.backends.nest_journal import Record
from headrace_adapters.backends.nest_memory import Group
from headrace_adapters.backends.nest_usage import Used

SAMPLED: Final = "SAMPLED"


class Worker:
    """RUNNING, then ENDING, then gone: `exit` is set and journaled, nothing remains.

    `deadline` (monotonic seconds) is when what still lives gets SIGKILL, `pending` an exit that
    the journal has refused so far.
    """

    __slots__ = (
        "boot", "deadline", "exclusive", "exit", "group", "key", "log", "lost", "memory",
        "number", "over_limit", "peak", "pending", "pid", "start", "status",
        "used",
    )  # fmt: skip

    def __init__(self, record: Record, number: int) -> None:
        self.key: str = record["key"]
        self.boot: str = record["boot"]
        self.memory: int | None = record["memory"]
        self.exclusive: bool = record["exclusive"]
        self.pid: int | None = record.get("pid")
        self.start: int | None = record.get("start")
        self.exit: Record | None = record.get("exit")
        # Of a task: its slot, the files that the slot's tasks write to, and where it began there.
        self.log: Record | None = record.get("log")
        self.number = number
        self.group: Group | None = None
        self.status: int | None = None
        self.pending: Record | None = None
        self.lost = False
        self.over_limit = False
        self.deadline: float | None = None
        self.peak = 0
        self.used = Used()

    @property
    def running(self) -> bool:
        """Tell whether the main process lives (or is not yet known to have ended)."""
        gone = self.exit is not None or self.pending is not None or self.status is not None
        return not (gone or self.lost)

    @property
    def ending(self) -> bool:
        """Tell whether the main process has ended and what remains is being ended."""
        return self.exit is None and not self.running

    def due(self, now: float) -> bool:
        """Tell whether its grace is over."""
        return self.deadline is not None and now >= self.deadline

    def ended_as(self) -> tuple[str, int | None, int | None]:
        """The cause, the exit code and the signal of a worker that is ending.

        Over the limit and yet ended with 0 is a success: a helper process was killed whose
        loss the worker could bear.
        """
        if self.lost or self.status is None:
            return "LOST", None, None
        code = os.waitstatus_to_exitcode(self.status)
        exit_code, number = (code, None) if code >= 0 else (None, -code)
        if code != 0 and (self.over_limit or (self.group and self.group.oom_kills())):
            return "OOM", exit_code, number
        return ("EXITED" if number is None else "SIGNALED"), exit_code, number

    @property
    def record(self) -> Record:
        """What the journal keeps, and clients are told, about this worker."""
        return {
            "key": self.key, "boot": self.boot, "pid": self.pid, "start": self.start,
            "memory": self.memory, "exclusive": self.exclusive, "exit": self.exit,
            "by": None if self.memory is None else self.limit_by, "log": self.log,
        }  # fmt: skip

    @property
    def limit_by(self) -> str:
        """What enforces this worker's memory limit."""
        return SAMPLED if self.group is None else self.group.dialect.name
