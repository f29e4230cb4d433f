"""One attempt on this node: each verb of its work record, done so that repeating it is success."""

import asyncio
import errno
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from headrace_agent.array import ArrayOnNode, Ended, TaskDesk, WatchdogKilled
from headrace_agent.cache import Cache, safe_folder
from headrace_agent.checkpoint import Checkpoints
from headrace_agent.collect import FoundFile, find_logs, send_file
from headrace_agent.core.ends import WATCHDOG_KILLED, exit_fact
from headrace_agent.core.parallel import is_spread
from headrace_agent.core.tasks import failures, reports, run_of
from headrace_agent.data_client import DataClient, SecretUnusable
from headrace_agent.environments import BuiltEnvironment, Environments
from headrace_agent.folders import AttemptFolder
from headrace_agent.grants import Grant
from headrace_agent.launches import (
    Containers,
    ImageUnusable,
    Place,
    image_of,
    parallel_files,
    place_of,
    shared_launch,
    task_launch,
    worker_launch,
)
from headrace_agent.outputs import Detect, Outputs
from headrace_agent.progress import ProgressMiner
from headrace_agent.renewal import Renewal
from headrace_agent.settings import Settings
from headrace_agent.tasklogs import TaskLogs
from headrace_agent.transfers import Transfers
from headrace_agent.usage import UsageRecorder
from headrace_agent.workplace import InputUnfit, lay
from headrace_kinds.command import ENVIRONMENT_REQUIREMENT
from headrace_model.cause import Cause
from headrace_model.errors import Conflict, HeadraceError
from headrace_model.spec import JobSpec
from headrace_model.work import Fact, FactKind, Verb, Work
from headrace_model.worker import WorkerExit
from headrace_ports.backend import Backend
from headrace_service.logs import logger
from headrace_service.threads import finish
from headrace_wire.jobfile import load_jobtext, load_or_nothing

Report = Callable[[Fact], Awaitable[bool]]


# Errors of a disk that may have room or work again later; they say nothing about the job.
_PASSING = frozenset(
    {errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EROFS}
)


_PARTIAL_S = 300.0
_PARTIAL_PAUSES_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)  # a service that died is back meanwhile


@dataclass(frozen=True, slots=True)
class Tools:
    """What every attempt on the node works with. `containers` None: workers are processes."""

    backend: Backend
    containers: Containers | None
    worker_user: tuple[int, int] | None  # (uid, gid), where another than the agent's
    cache: Cache
    environments: Environments
    data: DataClient
    transfers: Transfers
    detect: Detect
    report: Report
    tasks: TaskDesk
    usage: UsageRecorder
    progress: ProgressMiner
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
        self._checkpoints = Checkpoints(
            folder,
            tools.backend,
            tools.data,
            tools.transfers,
            tools.settings.checkpoint_every_s,
            tools.settings.checkpoint_limit_bytes,
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
        """Lay the inputs beside the worker while its image is pulled."""
        try:
            image = image_of(load_jobtext(work.spec), self._tools.containers)
            both = [asyncio.create_task(each) for each in (image, self._stage_inputs(work))]
            try:
                await asyncio.wait(both, return_when=asyncio.FIRST_EXCEPTION)
                for each in both:
                    if each.done():
                        each.result()
            finally:
                for each in both:
                    each.cancel()
                await asyncio.gather(*both, return_exceptions=True)
        except HeadraceError as error:
            if error.retryable:
                raise
            return _fact(work, FactKind.STAGED, _cause(error), str(error))
        return _fact(work, FactKind.STAGED)

    async def _stage_inputs(self, work: Work) -> None:
        staged = await self._tools.data.staging(work)
        renewal = Renewal(lambda: self._tools.data.staging(work), staged)
        for name, items in staged.items():
            folder = safe_folder(self.folder.datasets, name)
            await self._tools.cache.stage(items, folder, partial(renewal.of, name))
        if ENVIRONMENT_REQUIREMENT in staged:
            await self._environment()

    async def _environment(self) -> BuiltEnvironment:
        lock = await finish(self._lock)
        return await self._tools.environments.build(lock, self.folder.environment)

    def _lock(self) -> bytes:
        (lock,) = (self.folder.datasets / ENVIRONMENT_REQUIREMENT).glob("**/*.txt")
        return lock.read_bytes()

    async def _launch(self, work: Work) -> None:
        # An agent before this one may have killed the worker and not told of it.
        self.watchdog |= await finish(self.folder.watchdog_noted)
        try:
            spec = load_jobtext(work.spec)
            await finish(self._prepare, work, spec)
            image = await image_of(spec, self._tools.containers)
            if spec.checkpoint:
                await self._checkpoints.lay(work)
            built = None
            if spec.environment:
                built = await self._environment()
            if spec.secrets:  # last: they lie on the disk no longer than they must
                await self._lay_secrets(work)
        except OSError as error:
            if error.errno in _PASSING:
                raise
            await self._tools.report(_fact(work, FactKind.EXITED, Cause.NOT_STARTED, str(error)))
            return
        except (ImageUnusable, SecretUnusable, InputUnfit) as error:
            await self._tools.report(_fact(work, FactKind.EXITED, Cause.NOT_STARTED, str(error)))
            return
        except Conflict:
            raise  # nothing is launched any more: its record will be replaced
        except HeadraceError as error:
            if error.retryable:
                raise
            await self._tools.report(_fact(work, FactKind.EXITED, Cause.STAGING, str(error)))
            return
        place = place_of(self.folder, work, spec, image, built)
        if spec.array.is_array:
            await self._run_tasks(work, spec, place)
            return
        started = await self._tools.backend.start(worker_launch(self.folder, work, spec, place))
        if isinstance(started, WorkerExit):
            self.on_exit(started)
        await self._tools.report(_fact(work, FactKind.STARTED))
        attending = asyncio.create_task(self._checkpoints.attend(work, spec))
        try:
            await self._exited.wait()
        finally:
            attending.cancel()
            await asyncio.gather(attending, return_exceptions=True)
        if self._ended is None:
            raise AssertionError("a worker's exit was announced without its end")
        spread = is_spread(work, spec)
        await self._tools.report(
            exit_fact(work, self._ended, watchdog=self.watchdog, spread=spread)
        )

    async def _run_tasks(self, work: Work, spec: JobSpec, place: Place) -> None:
        """Run the array's tasks until all have ended."""
        shared = shared_launch(self.folder, work, spec, place)
        self._array = ArrayOnNode(
            work,
            spec,
            shared,
            partial(task_launch, work, spec, place),
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
        self.folder.keep_share(work.resources or spec.resources.amount)
        laid = parallel_files(work, spec, self._tools.worker_user)
        lay(self.folder, work.spec, spec, laid)

    async def bar(self) -> None:
        """See to it that no container of the attempt starts any more: a swarm may be late."""
        if self._tools.containers is None:
            return
        try:
            await finish(self.folder.bar)
        except OSError as error:  # nothing may keep anybody from ending workers
            logger("agent").warning(f"not barred: {error}", action="bar", run=self.folder.run)

    async def _stop(self, work: Work) -> None:
        await self.bar()
        spec = load_or_nothing(work.spec)
        if spec.array.is_array and not spec.outputs:
            await self._tell_ended(work, spec)
        grace_s = spec.limits.grace_ms / 1000
        await self._checkpoints.ask(work, spec, self._exited)
        await self._tools.backend.stop(work.job, work.attempt, grace_s)
        await finish(self.folder.remove_secrets)
        if spec.checkpoint:
            await self._checkpoints.ship(work)
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
        try:
            spec = load_jobtext(work.spec)
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
        """Ship the logs and samples, then leave nothing of the attempt on this node."""
        await self.bar()
        await self._tools.backend.stop(work.job, work.attempt, 0.0)
        await finish(self.folder.remove_secrets)
        await self._tools.usage.last(work.job, work.attempt)
        await self._tools.progress.last(work.job, work.attempt)
        try:
            await self._ship_logs(work)
        except HeadraceError as error:
            if error.retryable:
                raise
            # What can't be kept must not keep the attempt's folder and record for ever.
            logger("agent").warning(
                f"logs are not kept: {error}", action="logs", job=work.job, attempt=work.attempt
            )
        if work.spec:
            await self._keep_partials(work)
        await self._tools.backend.clean(work.job, work.attempt)
        await finish(self.folder.remove)

    async def _keep_partials(self, work: Work) -> None:
        """Keep what a failed attempt had written; a comfort, given up after a few tries.

        Nothing waits for it: the node's share came back before, and a retry has begun.
        """
        why: object = "it took too long"
        limit = self._tools.settings.partial_limit_bytes
        with suppress(TimeoutError):
            async with asyncio.timeout(_PARTIAL_S):
                for pause_s in _PARTIAL_PAUSES_S:
                    try:
                        spec = load_jobtext(work.spec)
                        why = await self._outputs.keep_partials(work, spec, limit)
                        break
                    except (HeadraceError, OSError) as error:
                        why = error
                        if isinstance(error, HeadraceError) and not error.retryable:
                            break
                    await asyncio.sleep(pause_s)
        if why:
            logger("agent").warning(
                f"what the failed attempt had written is not (all) kept: {why!s}",
                action="partial",
                job=work.job,
                attempt=work.attempt,
            )

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


def _cause(error: HeadraceError) -> Cause:
    return Cause.NOT_STARTED if isinstance(error, ImageUnusable) else Cause.STAGING


def _fact(work: Work, kind: FactKind, cause: Cause | None = None, detail: str = "") -> Fact:
    return Fact(work.node, work.job, work.attempt, kind, cause=cause, detail=detail[:2_000])
