"""One attempt on this node: each verb of its work record, done so that repeating it is success."""

import asyncio
import errno
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from headrace_agent.array import ArrayOnNode, Ended, TaskDesk, WatchdogKilled
from headrace_agent.cache import Cache, StagedItem, safe_folder
from headrace_agent.collect import FoundFile, find_logs, send_file
from headrace_agent.core.command import (
    argv,
    environment,
    of_task,
    placeholders,
    task_environment,
)
from headrace_agent.core.ends import WATCHDOG_KILLED, exit_fact
from headrace_agent.core.tasks import TaskRun, failures, reports, run_of
from headrace_agent.data_client import DataClient, SecretUnusable
from headrace_agent.environments import Environments
from headrace_agent.folders import AttemptFolder
from headrace_agent.grants import Grant
from headrace_agent.outputs import Detect, Outputs
from headrace_agent.settings import Settings
from headrace_agent.tasklogs import TaskLogs
from headrace_agent.transfers import Transfers
from headrace_kinds.base import WorkerTemplate
from headrace_kinds.command import ENVIRONMENT_REQUIREMENT
from headrace_model.cause import Cause
from headrace_model.errors import Conflict, HeadraceError, NotFound
from headrace_model.spec import JobSpec
from headrace_model.work import Fact, FactKind, Verb, Work
from headrace_model.worker import TaskLaunch, WorkerExit, WorkerKey, WorkerLaunch
from headrace_service.logs import logger
from headrace_service.threads import finish
from headrace_wire.jobfile import load_jobtext

if TYPE_CHECKING:
    from headrace_adapters.backends.process import ProcessBackend

Report = Callable[[Fact], Awaitable[bool]]


# Errors of a disk that may have room or work again later; they say nothing about the job.
_PASSING = frozenset(
    {errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EROFS}
)


@dataclass(frozen=True, slots=True)
class Tools:
    """What every attempt on the node works with."""

    backend: "ProcessBackend"
    cache: Cache
    environments: Environments
    data: DataClient
    transfers: Transfers
    detect: Detect
    report: Report
    tasks: TaskDesk
    settings: Settings


class AttemptOnNode:
    """Does what the attempt's work record says. `exited` is set when a worker's end is known."""

    def __init__(self, folder: AttemptFolder, tools: Tools) -> None:
        self.folder = folder
        self._tools = tools
        self._ended: WorkerExit | None = None
        self._exited = asyncio.Event()
        self._ended_tasks = Ended()
        self._array: ArrayOnNode | None = None
        self._outputs = Outputs(
            folder, tools.data, tools.transfers, tools.detect, tools.settings.output_limit_items
        )
        self.watchdog = False  # set when the agent itself killed the worker

    def on_exit(self, ended: WorkerExit) -> None:
        """Learn how the worker ended."""
        self._ended = ended
        self._exited.set()

    def on_task_exit(self, ended: WorkerExit) -> None:
        """Learn how a run of a task ended."""
        self._ended_tasks.add(ended)

    def on_array_change(self) -> None:
        """Learn that tasks of the array wait again, or that all have ended."""
        if self._array is not None:
            self._array.changed()

    async def do(self, work: Work) -> None:
        """Do one verb to its end; may be cancelled at any point and done again.

        `Unavailable` and `OSError` mean: try again later.
        """
        match work.verb:
            case Verb.STAGE:
                await self._once(work, FactKind.STAGED, self._stage)
            case Verb.LAUNCH:
                await self._launch(work)
            case Verb.STOP:
                await self._stop(work)
            case Verb.COLLECT:
                await self._once(work, FactKind.COLLECTED, self._collect)
            case Verb.CLEAN:
                await self._clean(work)

    async def _once(
        self, work: Work, kind: FactKind, act: Callable[[Work], Awaitable[Fact]]
    ) -> None:
        """Act unless an earlier run of the agent did, and report the fact either way."""
        fact = await finish(self.folder.kept, kind)
        if fact is None:
            await finish(self.folder.make)
            fact = await act(work)
            await finish(self.folder.keep, fact)
        await self._tools.report(fact)

    async def _stage(self, work: Work) -> Fact:
        try:
            staged = await self._tools.data.staging(work)
            renewal = _Renewal(lambda: self._tools.data.staging(work), staged)
            for name, items in staged.items():
                folder = safe_folder(self.folder.datasets, name)
                await self._tools.cache.stage(items, folder, partial(renewal.of, name))
            if ENVIRONMENT_REQUIREMENT in staged:
                await self._tools.environments.build(await finish(self._lock))
        except HeadraceError as error:
            if error.retryable:
                raise
            return _fact(work, FactKind.STAGED, Cause.STAGING, str(error))
        return _fact(work, FactKind.STAGED)

    def _lock(self) -> bytes:
        (lock,) = (self.folder.datasets / ENVIRONMENT_REQUIREMENT).glob("**/*.txt")
        return lock.read_bytes()

    async def _launch(self, work: Work) -> None:
        key = WorkerKey(work.job, work.attempt, work.rank)
        spec = load_jobtext(work.spec)
        # An agent before this one may have killed the worker and not told of it.
        self.watchdog |= await finish(self.folder.watchdog_noted)
        try:
            await finish(self._prepare, work, spec)
            programs = [str(Path(sys.executable).parent)]
            if spec.environment:
                lock = await finish(self._lock)
                programs.insert(0, str(await self._tools.environments.build(lock)))
            if spec.secrets:  # last: they lie on the disk no longer than they must
                await self._lay_secrets(work)
        except OSError as error:
            if error.errno in _PASSING:
                raise
            await self._tools.report(_fact(work, FactKind.EXITED, Cause.NOT_STARTED, str(error)))
            return
        except SecretUnusable as error:
            await self._tools.report(_fact(work, FactKind.EXITED, Cause.NOT_STARTED, str(error)))
            return
        except Conflict:
            raise  # nothing is launched any more: its record will be replaced
        except HeadraceError as error:
            if error.retryable:
                raise
            await self._tools.report(_fact(work, FactKind.EXITED, Cause.STAGING, str(error)))
            return
        if spec.array.is_array:
            await self._run_tasks(work, spec, tuple(programs))
            return
        started = await self._tools.backend.start(self._worker(key, work, spec, tuple(programs)))
        if isinstance(started, WorkerExit):
            self.on_exit(started)
        await self._tools.report(_fact(work, FactKind.STARTED))
        await self._exited.wait()
        if self._ended is None:
            raise AssertionError("a worker's exit was announced without its end")
        await self._tools.report(exit_fact(work, self._ended, watchdog=self.watchdog))

    async def _run_tasks(self, work: Work, spec: JobSpec, programs: tuple[str, ...]) -> None:
        """Run the array's tasks until all have ended."""
        key = WorkerKey(work.job, work.attempt, work.rank)
        plain = replace(spec, command=(), env=())  # what holds placeholders is each task's own
        shared = replace(
            self._worker(key, work, plain, programs),
            stdout=str(self.folder.logs / str(work.rank)),
            memory_bytes=spec.resources.amount.memory_bytes,
        )
        self._array = ArrayOnNode(
            work,
            spec,
            shared,
            partial(self._task, work, spec),
            self.folder,
            self._tools.backend,
            self._tools.tasks,
            self._outputs,
            self._ended_tasks,
        )
        await self._tools.report(_fact(work, FactKind.STARTED))
        ended = _fact(work, FactKind.EXITED)
        try:
            await self._array.run(lambda: self.watchdog)
        except WatchdogKilled:
            ended = _fact(work, FactKind.EXITED, Cause.ATTEMPT_LOST, WATCHDOG_KILLED)
        await finish(self.folder.remove_secrets)
        await self._tools.report(ended)

    async def _lay_secrets(self, work: Work) -> None:
        """Lay the job's secrets beside workers that are about to start.

        Those that run, or have ended, are adopted: they have had their secrets.
        """
        there = {(each.key.job, each.key.attempt) for each in await self._tools.backend.list()}
        if (work.job, work.attempt) not in there:
            values = await self._tools.data.secrets(work)
            await finish(self.folder.write_secrets, values)

    def _prepare(self, work: Work, spec: JobSpec) -> None:
        self.folder.make()
        self.folder.write_job(work.spec, spec.files)

    def _worker(
        self,
        key: WorkerKey,
        work: Work,
        spec: JobSpec,
        programs: tuple[str, ...],
    ) -> WorkerLaunch:
        folders = self.folder.folders(secrets=bool(spec.secrets))
        template = WorkerTemplate(spec.command, spec.env)
        values = placeholders(folders, tuple(each.name for each in spec.inputs))
        return WorkerLaunch(
            key=key,
            argv=argv(template, values),
            env=environment(template, work, folders, values, os.environ, programs),
            cwd=folders.work,
            stdout=str(self.folder.logs / f"{work.rank}.out"),
            stderr=str(self.folder.logs / f"{work.rank}.err"),
            memory_bytes=work.resources.memory_bytes if work.resources else None,
            exclusive=spec.limits.exclusive,
        )

    def _task(self, work: Work, spec: JobSpec, run: TaskRun) -> TaskLaunch:
        """One task: what of its command and environment is its own."""
        folders = self.folder.folders(secrets=bool(spec.secrets))
        folders, own = of_task(folders, spec, run)
        template = WorkerTemplate(spec.command, spec.env)
        values = placeholders(folders, tuple(each.name for each in spec.inputs)) | own
        return TaskLaunch(
            WorkerKey(work.job, work.attempt, work.rank, run.lease, run.index),
            argv(template, values),
            task_environment(template, spec, folders, values, run),
        )

    async def _stop(self, work: Work) -> None:
        spec = load_jobtext(work.spec)
        if spec.array.is_array and not spec.outputs:
            await self._tell_ended(work, spec)
        grace_s = spec.limits.grace_ms / 1000
        await self._tools.backend.stop(work.job, work.attempt, grace_s)
        await finish(self.folder.remove_secrets)
        await self._tools.report(_fact(work, FactKind.STOPPED))

    async def _tell_ended(self, work: Work, spec: JobSpec) -> None:
        """Before tasks are stopped: those that have ended need not run again.

        Where they have outputs they do, since nothing is taken into the store any more.
        """
        ended = await self._tasks_that_ended(work)
        failed = failures(ended, spec.retry, spec.resources.amount.memory_bytes)
        done = [run_of(each) for each in ended if run_of(each) not in failed]
        if ended:
            limit = spec.retry.limit
            await self._tools.tasks.finish(work, reports(done, failed, {}), limit=limit)

    async def _tasks_that_ended(self, work: Work) -> list[WorkerExit]:
        """The runs of tasks whose ends the nest still knows."""
        return [
            state
            for state in await self._tools.backend.list()
            if isinstance(state, WorkerExit)
            and state.key.is_task
            and (state.key.job, state.key.attempt) == (work.job, work.attempt)
        ]

    async def _collect(self, work: Work) -> Fact:
        spec = load_jobtext(work.spec)
        try:
            outputs = await self._outputs.collect(work, spec)
        except Conflict:
            raise  # the attempt is over: its record will be replaced
        except HeadraceError as error:
            if error.retryable:
                raise
            return _fact(work, FactKind.COLLECTED, Cause.COLLECTION, str(error))
        fact = _fact(work, FactKind.COLLECTED)
        return Fact(fact.node, fact.job, fact.attempt, fact.kind, outputs=outputs)

    async def _clean(self, work: Work) -> None:
        """Ship the logs, then leave nothing of the attempt on this node."""
        await self._tools.backend.stop(work.job, work.attempt, 0.0)
        await finish(self.folder.remove_secrets)
        try:
            await self._ship_logs(work)
        except HeadraceError as error:
            if error.retryable:
                raise
            # What can't be kept must not keep the attempt's folder and record for ever.
            logger("agent").warning(
                f"logs are not kept: {error}", action="logs", job=work.job, attempt=work.attempt
            )
        await self._tools.backend.clean(work.job, work.attempt)
        await finish(self.folder.remove)

    async def _ship_logs(self, work: Work) -> None:
        limit = self._tools.settings.log_limit_bytes
        await finish(TaskLogs(self.folder.logs).note, await self._tasks_that_ended(work))
        logs = await finish(find_logs, self.folder.logs, limit)
        if not logs:
            return
        data = self._tools.data
        grants = await data.logs(work, [(log.path, log.size_bytes) for log in logs])
        for log, grant in zip(logs, grants, strict=True):

            async def renew(old: Grant, log: FoundFile = log) -> Grant:
                return (await data.logs(work, [(log.path, log.size_bytes)], old.upload))[0]

            await send_file(self.folder.logs, log, grant, renew, self._tools.transfers)


class _Renewal:
    """Grants of staged items that are asked for anew, for all items in one call."""

    def __init__(
        self,
        ask: Callable[[], Awaitable[dict[str, list[StagedItem]]]],
        staged: dict[str, list[StagedItem]],
    ) -> None:
        self._ask = ask
        self._known = self._grants(staged)
        self._asking = asyncio.Lock()

    async def of(self, requirement: str, item: StagedItem, old: Grant) -> Grant:
        """A grant for the item that is newer than `old`. Raises `NotFound`."""
        async with self._asking:
            if self._known.get((requirement, item.path)) in (None, old):
                self._known = self._grants(await self._ask())
            newer = self._known.get((requirement, item.path))
            if newer is None:
                raise NotFound(f"{item.path} is no longer to be staged")
            return newer

    @staticmethod
    def _grants(staged: dict[str, list[StagedItem]]) -> dict[tuple[str, str], Grant]:
        return {(name, item.path): item.grant for name, items in staged.items() for item in items}


def _fact(work: Work, kind: FactKind, cause: Cause | None = None, detail: str = "") -> Fact:
    return Fact(work.node, work.job, work.attempt, kind, cause=cause, detail=detail[:2_000])
