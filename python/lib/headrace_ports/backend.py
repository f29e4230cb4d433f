"""What runs workers: processes of a machine, or containers of its engine.

What holds for every backend; `tests/contract/test_backend.py` holds each adapter to it:

* Workers live on when this object, its program and every service die; another object made with
  the same settings finds all of them, running or ended.
* Every method may be repeated, also after a cancel.
* An end is told only when nothing of the worker is left and all that it printed lies in its files,
  each byte once and in order.
* All methods raise `Unavailable` when what watches over the workers does not answer.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from headrace_model.ids import JobId
from headrace_model.worker import (
    Handle,
    MemoryLimitBy,
    TaskLaunch,
    WorkerExit,
    WorkerKey,
    WorkerLaunch,
    WorkerState,
    WorkerUsage,
)


class Backend(Protocol):
    """See the module."""

    async def open(self) -> None:
        """Connect; from now on ends are listened for."""

    async def close(self) -> None:
        """Disconnect; the workers stay. The iterators of `exits` end."""

    async def start(self, launch: WorkerLaunch) -> Handle | WorkerExit:
        """Start a worker; returns when its program is executed.

        A key that was started before is not started again: its handle, or its exit, is the
        answer. So is the exit NOT_STARTED when the program can't be executed, as far as that is
        known at once. Cancelled or failed, the worker may run all the same; start again to know.
        """

    async def queue(self, slots: int, shared: WorkerLaunch, tasks: Sequence[TaskLaunch]) -> None:
        """Let tasks of one attempt wait for one of its `slots`, and start by themselves.

        `shared` says the rest, but for its command; what the tasks of a slot print comes one after
        another in the files `<stdout>.<slot>.out` and `.err`. What was started before is not
        started again; its exit is among `exits`. What still waits may be lost: hand it over again.
        """

    async def stop(self, job: JobId, attempt: int, grace_s: float) -> None:
        """End an attempt's workers and return when nothing of them is left.

        SIGTERM first, SIGKILL after `grace_s` to what remains. A repeat may only shorten the
        grace; an unknown attempt is success.
        """

    async def signal(self, job: JobId, attempt: int, number: int) -> bool:
        """Send a signal to the first process of each worker of an attempt.

        To no other but, in a container of a swarm, those of its process group. Tells whether there
        was one; what has ended, or never was, is left alone.
        """

    async def kill(self, job: JobId, attempt: int) -> None:
        """`stop` without any grace: SIGKILL at once."""

    async def list(self) -> tuple[WorkerState, ...]:
        """All workers that were not cleaned, in the order of their start."""

    async def usage(self) -> tuple[WorkerUsage, ...]:
        """What the workers use that were not cleaned, a rank each; asked for every few seconds.

        A sample may be some seconds old; its time says so. Workers that have ended hold no memory
        and keep what they had used, as far as it is known; a rank of which nothing is known is
        left out. What counts up may begin anew when what watches over the workers died.
        """

    def exits(self) -> AsyncIterator[WorkerExit]:
        """Exits as they happen, after all earlier ones that were not cleaned.

        Each comes at least once, to each iterator. Ends by `close`.
        """

    async def clean(self, job: JobId, attempt: int) -> None:
        """Forget an attempt's exits. An unknown attempt is success; raises `Conflict` while a
        worker of it lives."""

    async def clean_tasks(self, keys: Sequence[WorkerKey]) -> None:
        """Forget the exits of some tasks of one attempt; unknown ones are success."""

    async def memory_limit_by(self) -> MemoryLimitBy:
        """What enforces memory limits on this machine."""
