"""The process backend: workers as plain processes of this machine, under a nest.

The nest (`nest.py`) lives on when this object, its program and every service die; another
`ProcessBackend` on the same folder finds all workers there. When the nest itself dies, a new
one is started, which ends the survivors of the old one and reports their workers as LOST.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from headrace_adapters.backends.ends import Ends
from headrace_adapters.backends.nest_link import LinkLost, NestLink, connect_or_start
from headrace_adapters.backends.nest_wire import MAX_MESSAGE_BYTES, Message, split_key
from headrace_model.errors import HeadraceError, Unavailable
from headrace_model.ids import JobId
from headrace_model.usage import Sample
from headrace_model.worker import (
    ExitCause,
    Handle,
    MemoryLimitBy,
    RunningWorker,
    TaskLaunch,
    TaskLog,
    WorkerExit,
    WorkerKey,
    WorkerLaunch,
    WorkerState,
    WorkerUsage,
)

_REPLY_S: Final = 30.0
_TRIES: Final = 4
_AGAIN_S: Final = 0.5
_DYING_S: Final = 0.05
_PAGE: Final = 500


class ProcessBackend:
    """Starts, ends and tells of workers on this machine.

    All methods may be repeated, also after a cancel; each reconnects, and starts a nest, where
    that is needed. All raise `Unavailable` when no nest can be had.
    """

    def __init__(
        self, folder: Path, python: str = sys.executable, *, use_cgroups: bool = True
    ) -> None:
        """`folder` is the nest's own; `use_cgroups` False limits memory by sampling only."""
        self._folder = folder
        self._python = python
        self._use_cgroups = use_cgroups
        self._link: NestLink | None = None
        self._connecting = asyncio.Lock()
        self._keeper: asyncio.Task[None] | None = None
        self._ends = Ends()

    async def open(self) -> None:
        """Connect to the folder's nest, or start one; from now on exits are listened for."""
        await self._connected()
        if self._keeper is None:
            self._keeper = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """Disconnect; nest and workers stay. The iterators of `exits` end."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
            self._keeper = None
        if self._link is not None:
            await self._link.close()
            self._link = None
        self._ends.close()

    async def start(self, launch: WorkerLaunch) -> Handle | WorkerExit:
        """Start a worker; returns when its program is executed.

        A key that was started before is not started again: its handle, or its exit, is the
        answer. So is the exit NOT_STARTED when the program can't be executed. Cancelled or
        failed, the worker may run all the same; start again to know.
        """
        reply = await self._call(
            "spawn",
            key=str(launch.key),
            argv=launch.argv,
            env=dict(launch.env),
            cwd=str(launch.cwd),
            stdout=str(launch.stdout),
            stderr=str(launch.stderr),
            memory=launch.memory_bytes,
            exclusive=launch.exclusive,
        )
        state = _state(reply["worker"])
        if isinstance(state, WorkerExit):
            self._ends.learn(state)
            return state
        if state.handle is None:
            raise Unavailable(f"the remains of worker {launch.key} are still being ended")
        return state.handle

    async def queue(self, slots: int, shared: WorkerLaunch, tasks: Sequence[TaskLaunch]) -> None:
        """Let tasks of one attempt wait for one of its `slots`, and start by themselves.

        `shared` says the rest, but for its command; what the tasks of a slot print comes one after
        another in the files `<stdout>.<slot>.out` and `.err`. What was started before is not
        started again; its exit is among `exits`. What still waits is lost with the nest: hand it
        over again.
        """
        fields: dict[str, object] = {
            "job": shared.key.job,
            "attempt": shared.key.attempt,
            "slots": slots,
            "env": dict(shared.env),
            "cwd": shared.cwd,
            "memory": shared.memory_bytes,
            "exclusive": shared.exclusive,
            "logs": shared.stdout,
        }
        plain: list[list[object]] = [[str(task.key), task.argv, dict(task.env)] for task in tasks]
        for part in _by_size(plain, MAX_MESSAGE_BYTES // 2):
            await self._call("queue", **fields, tasks=part)

    async def stop(self, job: JobId, attempt: int, grace_s: float) -> None:
        """End an attempt's workers and return when nothing of them is left.

        SIGTERM goes to every process, SIGKILL after `grace_s` to those that remain; the nest
        sees to it even if this program dies. A repeat may only shorten the grace; an unknown
        attempt is success. Cancelled, the stop goes on.
        """
        with self._ends.news((job, attempt)) as news:
            while True:
                news.clear()
                reply = await self._call(
                    "stop", job=job, attempt=attempt, grace_ms=round(grace_s * 1000)
                )
                if not reply["left"]:
                    return
                await news.wait()

    async def signal(self, job: JobId, attempt: int, number: int) -> bool:
        """Send a signal to the first process of each worker of an attempt, and to no other.

        Raises `InvalidInput` where the nest is of a version that can't.
        """
        reply = await self._call("signal", job=job, attempt=attempt, number=number)
        return bool(reply["sent"])

    async def kill(self, job: JobId, attempt: int) -> None:
        """`stop` without any grace: SIGKILL at once."""
        await self.stop(job, attempt, 0)

    async def list(self) -> tuple[WorkerState, ...]:
        """All workers that were not cleaned, in the order of their start."""
        return await self._list(None)

    def exits(self) -> AsyncIterator[WorkerExit]:
        """Exits as they happen, after all earlier ones that were not cleaned.

        Each comes at least once, to each iterator; after a reconnect none is missed. Ends by
        `close`.
        """
        return self._ends.follow()

    async def clean(self, job: JobId, attempt: int) -> None:
        """Forget an attempt's exits. An unknown attempt is success; raises `Conflict` while a
        worker of it lives."""
        reply = await self._call("forget", job=job, attempt=attempt)
        self._forget(reply["forgot"])

    async def clean_tasks(self, keys: Sequence[WorkerKey]) -> None:
        """Forget the exits of some tasks of one attempt; unknown ones are success."""
        if keys:
            job, attempt = keys[0].job, keys[0].attempt
            texts = [str(key) for key in keys]
            reply = await self._call("forget", job=job, attempt=attempt, keys=texts)
            self._forget(reply["forgot"])

    async def usage(self) -> tuple[WorkerUsage, ...]:
        """What the workers use that were not cleaned, a rank each.

        CPU time and bytes count living processes and those they waited for. Memory is the control
        group's where there is one; else the sum of resident sizes, so that a page shared by two
        processes counts twice.
        """
        reply = await self._call("usage")
        # A nest of an earlier version tells of no memory, and of what lives only.
        return tuple(_usage(item) for item in reply["usage"] if "memory" in item)

    async def memory_limit_by(self) -> MemoryLimitBy:
        """What enforces memory limits on this machine."""
        return MemoryLimitBy((await self._call("ping"))["memory_limit_by"])

    async def shut_down(self) -> None:
        """End the nest, when a node is taken out of use; raises `Conflict` while a worker
        lives. Where no nest is running one is started first, to end what an old one left."""
        await self._connected()
        if self._keeper is not None:
            self._keeper.cancel()  # it would bring the nest back
            await asyncio.gather(self._keeper, return_exceptions=True)
            self._keeper = None
        await self._call("shutdown")
        await self.close()

    # ---- the connection

    async def _call(self, op: str, **fields: object) -> Message:
        for _ in range(_TRIES):
            link = await self._connected()
            try:
                # Not wait_for: before Python 3.12 it forgets a cancel that comes with the answer,
                # and who was cancelled would go on.
                async with asyncio.timeout(_REPLY_S):
                    return await link.call(op, **fields)
            except LinkLost:
                continue  # every request may be repeated
            except TimeoutError as error:
                raise Unavailable(f"the nest has not answered for {_REPLY_S:g} s") from error
        raise Unavailable(
            f"the nest in {self._folder} died {_TRIES} times while it was asked to {op}",
            hint=f"look at {self._folder / 'log'}",
        )

    async def _connected(self) -> NestLink:
        if self._link is not None and not self._link.lost.is_set():
            return self._link
        async with self._connecting:
            if self._link is not None and not self._link.lost.is_set():
                return self._link
            earlier = set(self._ends.known)
            link, states = await self._fresh_link()
            self._link = link
        exits = {state.key: state for state in states if isinstance(state, WorkerExit)}
        self._ends.forget(earlier - exits.keys())
        for found in exits.values():
            self._ends.learn(found)
        self._ends.wake()
        return link

    async def _fresh_link(self) -> tuple[NestLink, tuple[WorkerState, ...]]:
        """Connect and hear of all workers; again where the nest was just dying."""
        for _ in range(_TRIES):
            link = await connect_or_start(
                self._folder, self._python, self._use_cgroups, self._on_push
            )
            try:
                # Subscribed first: what ends between the two is heard twice rather than never.
                async with asyncio.timeout(_REPLY_S):
                    await link.call("subscribe")
                return link, await self._list(link)
            except LinkLost:
                await link.close()
                await asyncio.sleep(_DYING_S)
            except TimeoutError as error:
                await link.close()
                raise Unavailable(f"the nest has not answered for {_REPLY_S:g} s") from error
            except BaseException:
                await link.close()
                raise
        raise Unavailable(
            f"the nest in {self._folder} died {_TRIES} times while it was asked for its workers",
            hint=f"look at {self._folder / 'log'}",
        )

    async def _list(self, link: NestLink | None) -> tuple[WorkerState, ...]:
        states: list[WorkerState] = []
        fields = {"after": 0, "most": _PAGE}
        while True:
            call = self._call("list", **fields) if link is None else link.call("list", **fields)
            reply = await call
            states += [_state(record) for record in reply["workers"]]
            if not reply["more"]:
                return tuple(states)
            fields["after"] = reply["last"]

    async def _keep(self) -> None:
        """Come back by itself when the nest is lost: its workers' exits must be heard."""
        while True:
            link = self._link
            if link is not None:
                await link.lost.wait()
            try:
                await self._connected()
            except HeadraceError:
                await asyncio.sleep(_AGAIN_S)

    # ---- what is known

    def _on_push(self, message: Message) -> None:
        if record := message.get("exit"):
            state = _state(record)
            if isinstance(state, WorkerExit):
                self._ends.learn(state)
        self._forget(message.get("forgot", ()))

    def _forget(self, keys: Iterable[str]) -> None:
        self._ends.forget(_key(key) for key in keys)


def _key(text: str) -> WorkerKey:
    job, *numbers = split_key(text)
    return WorkerKey(JobId(job), *numbers)


def _usage(item: Message) -> WorkerUsage:
    sample = Sample(
        at_ms=item["at_ms"],
        cpu_ms=round(item["cpu_s"] * 1000),
        memory_bytes=item["memory"],
        read_bytes=item["read"],
        written_bytes=item["written"],
    )
    return WorkerUsage(_key(item["key"]), sample)


def _by_size(tasks: list[list[object]], most_bytes: int) -> Iterator[list[list[object]]]:
    """Parts of the list that fit in a message each, unless a single task does not."""
    part: list[list[object]] = []
    size = 0
    for task in tasks:
        length = len(json.dumps(task))
        if part and size + length > most_bytes:
            yield part
            part, size = [], 0
        part.append(task)
        size += length
    yield part


def _state(record: Message) -> WorkerState:
    key = _key(record["key"])
    handle = None
    if record["pid"] is not None:
        # A pid comes back, but not with the same boot and start time.
        handle = Handle(f"{record['boot']}:{record['pid']}:{record['start']}")
    ended = record["exit"]
    log = _log(record)
    if ended is None:
        by = MemoryLimitBy(record["by"]) if record["by"] else None
        return RunningWorker(key, handle, record["exclusive"], by, log)
    return WorkerExit(
        key=key,
        handle=handle,
        cause=ExitCause(ended["cause"]),
        exit_code=ended["exit_code"],
        signal=ended["signal"],
        peak_memory_bytes=ended["peak"],
        at_ms=ended["at_ms"],
        message=ended["message"],
        log=log,
    )


def _log(record: Message) -> TaskLog | None:
    log = record.get("log")  # a nest of an earlier version tells of none
    if log is None:
        return None
    ends = record["exit"]["log_ends"] if record["exit"] else (None, None)
    return TaskLog(log["slot"], *log["begins"], *ends)
