"""The shell around the pure core: takes jobs in, passes wishes on, reads and lists."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from secrets import randbits
from typing import TYPE_CHECKING, Any, TypeVar

from headrace_kinds.ngen_program import NgenProgram, refuse_without_ngen
from headrace_model.array import ArrayRecord, TaskCounts, TaskState
from headrace_model.bounds import Bounds
from headrace_model.errors import (
    Conflict,
    HeadraceError,
    InvalidInput,
    NotFound,
    Stale,
    Unavailable,
)
from headrace_model.ids import JobId, NodeId, job_id
from headrace_model.job import Job, first_step
from headrace_model.move import Move
from headrace_model.node import NodeState
from headrace_model.people import Act, Shares, User, check_may, check_thing, sees
from headrace_model.quota import RunLimit
from headrace_model.spec import JobSpec
from headrace_model.status import Status, move
from headrace_request.core.accept import (
    accept,
    ask_of,
    needs_of,
    refuse_too_late,
    refuse_unserved,
    refuse_urgent,
)
from headrace_request.core.desire import DesireVerb, Done, Refusal, desire
from headrace_request.core.fits import KnownNode, refuse_over_quota, refuse_unplaceable
from headrace_request.core.room import Full
from headrace_request.service.archive import Archive
from headrace_request.service.cached import Cached
from headrace_request.service.waiters import Waiters, woken
from headrace_service.logs import logger
from headrace_service.metrics import REFUSALS, TRANSITIONS
from headrace_wire.jobfile import dump_text, load_jobfile, load_jobtext, load_or_nothing

if TYPE_CHECKING:
    from headrace_adapters.redis.arrays import ArrayStore
    from headrace_adapters.redis.jobs import Idempotency, JobStore
    from headrace_adapters.redis.nodes import NodeRecord
    from headrace_adapters.redis.quotas import QuotaStore

_DECISIONS = 20
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Submitted:
    """What a submit answered: the job, its first step, when it was created (ms since 1970)."""

    id: JobId
    name: str
    status: Status
    created_ms: int


@dataclass(frozen=True, slots=True)
class Way:
    """A job's history (JSON texts, oldest first), its current attempt, and the time by Redis."""

    lines: Sequence[str]
    attempt: int
    now_ms: int


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a submit asks for: a spec, its canonical JSON, the caller's key for it.

    `told`: how errors name it; `origin`: the job whose spec a retry submits anew.
    """

    spec: JobSpec
    text: str
    once: "Idempotency | None"
    told: str = ""
    origin: Job | None = None


class JobDesk:
    """All that the public API does with jobs, but for listing and logs."""

    def __init__(
        self,
        store: "JobStore",
        arrays: "ArrayStore",
        archive: Archive,
        nodes: Cached[list["NodeRecord"]],
        bounds: Cached[Bounds | None],
        room: Cached[Full | None],
        waiters: Waiters,
        once: "type[Idempotency]",
        quotas: "QuotaStore",
        limits: Cached[tuple[RunLimit, ...]],
        ngen: NgenProgram,
    ) -> None:
        self._ngen = ngen
        self._store = store
        self._arrays = arrays
        self._archive = archive
        self._nodes = nodes
        self._bounds = bounds
        self._room = room
        self._waiters = waiters
        self._once = once
        self._quotas = quotas
        self._limits = limits
        self._log = logger("request")

    async def check(self, plain: Any, user: User) -> JobSpec:
        """Check a job as a submit would; raises what keeps it from being taken."""
        spec = self.read(plain, user)
        await self.check_spec(spec, user)
        return spec

    def read(self, plain: Any, user: User) -> JobSpec:
        """Read a job that a user would submit; raises what is no job, and `Forbidden`."""
        return self._ngen.given_to(_read(plain, user))

    async def check_spec(self, spec: JobSpec, user: User) -> tuple[JobId, ...]:
        """Raise what keeps a spec from being taken; gives the jobs that it still waits for."""
        refuse_unserved(spec)
        refuse_without_ngen(spec)
        refuse_urgent(spec, user)
        refuse_too_late(spec, int(time.time() * 1000))
        records, bounds, limits = await asyncio.gather(
            self._nodes.get(), self._bounds.get(), self._limits.get()
        )
        nodes = [KnownNode(each.id, each.capacity, each.backends) for each in records]
        refuse_unplaceable(ask_of(spec), nodes, bounds)
        refuse_over_quota(ask_of(spec), user, limits)
        if spec.outputs:
            # Not what it will make, which nobody knows: a result is never lost for a quota.
            await self._quotas.check(user.name, 0)
        return await self.still_to_complete(spec, user) if spec.after else ()

    async def still_to_complete(self, spec: JobSpec, user: User) -> tuple[JobId, ...]:
        """The jobs in `after:` that are in Redis; an archived one must have completed."""
        live = {job.id: job for job in await self._store.get_many(spec.after)}
        archived = await self._archive.find_all(job for job in spec.after if job not in live)
        jobs = live | {record.job.id: record.job for record in archived}
        for job in spec.after:
            found = jobs.get(job)
            if found is None or not sees(user, found.owner, found.shared):
                raise NotFound(f"after: there is no job {job}")
            if job not in live and found.status is not Status.COMPLETED:
                raise Conflict(
                    f"after: job {job} ended in {found.status}, so it will never complete",
                    hint="leave it out of `after`, or retry it and wait for the new job",
                )
        return tuple(job for job in spec.after if job in live)

    async def submit(
        self, plains: Sequence[Any], user: User, key: str | None, request_id: str
    ) -> list[Submitted]:
        """Take jobs in, all checked before the first is created.

        With an idempotency key (of this user) a repeat gets the first answers, whatever would
        keep the jobs from being taken now.
        """
        asked = []
        for place, plain in enumerate(plains):
            told = f"job {place} of the list: " if len(plains) > 1 else ""
            part = f"{key}.{place}" if key and told else key
            with _named(told):
                spec = self.read(plain, user)
            asked.append(self._asked(spec, user, part, told=told))
        return await self._take(asked, user, request_id)

    async def retry(self, job: JobId, user: User, key: str | None, request_id: str) -> Submitted:
        """Submit the spec of a closed job anew, with the old job as its origin."""
        old = await self.get(job, user)
        check_may(user, Act.SUBMIT_JOB)
        asked = self._asked(load_jobtext(old.spec), user, key, origin=old)
        return (await self._take([asked], user, request_id))[0]

    def _asked(
        self,
        spec: JobSpec,
        user: User,
        key: str | None,
        *,
        told: str = "",
        origin: Job | None = None,
    ) -> _Asked:
        text, once = dump_text(spec), None
        if key is not None:
            content = f"{origin.id if origin else ''}\n{text}"
            once = self._once(f"{user.name}:{key}", sha256(content.encode()).hexdigest())
        return _Asked(spec, text, once, told, origin)

    async def _take(self, asked: Sequence[_Asked], user: User, request_id: str) -> list[Submitted]:
        """Check and create what was not answered before.

        The script that creates a job finds a repeat by itself, so the key of a single one is
        looked up only where something is in the way: that saves a round trip. Of a list nothing
        may be taken when one of its keys was used for another job.
        """
        done: list[Submitted | None] = [None] * len(asked)
        if len(asked) > 1:
            done = await _all([self._first_answer(each) for each in asked])
        new = [each for each, first in zip(asked, done, strict=True) if first is None]
        try:
            after = await self._check_all(new, user)
        except HeadraceError:
            if len(asked) == 1 and (first := await self._first_answer(asked[0])):
                return [first]
            raise
        made = [
            self._create(each, still, user, request_id)
            for each, still in zip(new, after, strict=True)
        ]
        created = iter(await _all(made))
        return [first or next(created) for first in done]

    async def _check_all(self, new: Sequence[_Asked], user: User) -> list[tuple[JobId, ...]]:
        """Raise what keeps one from being taken; gives the jobs that each still waits for."""
        if new:
            await self.refuse_when_full()
        after = []
        for each in new:
            old = each.origin
            if old and not old.status.closed:
                raise Conflict(
                    f"job {old.id} is not over: it is in {old.status}",
                    hint=f"stop it (`headrace jobs stop {old.id}`), or wait for its end",
                )
            with _named(each.told):
                # Of a retry too: what the old job's owner may see in `after`, another may not.
                after.append(await self.check_spec(each.spec, user))
        return after

    async def _first_answer(self, asked: _Asked) -> Submitted | None:
        """What was answered to this key before; raises `Conflict` where to another job."""
        first = await self._store.taken(asked.once) if asked.once else None
        return await self._repeated(asked, *first) if first else None

    async def _repeated(self, asked: _Asked, job: JobId, created_ms: int) -> Submitted:
        """The answer that the first submit of a job got."""
        found = await self._store.get_many([job])
        after = found[0].after if found else asked.spec.after
        status = move(Status.ACCEPTED, first_step(needs_of(asked.spec, after))).to
        return Submitted(job, asked.spec.name, status, created_ms)

    async def _create(
        self, asked: _Asked, after: tuple[JobId, ...], user: User, request_id: str
    ) -> Submitted:
        spec = asked.spec
        accepted = accept(
            spec,
            asked.text,
            after=after,
            job=job_id(int(time.time() * 1000), randbits(30)),
            owner=user.name,
            request_id=request_id,
            origin=asked.origin.id if asked.origin else None,
        )
        job, created_ms = await self._store.create(accepted.new, accepted.first, asked.once)
        if job != accepted.new.id:
            return await self._repeated(asked, job, created_ms)
        TRANSITIONS.labels("request", accepted.first).inc()
        self._log.info(f"accepted→{accepted.status}", action="accept", job=job, kind=spec.kind)
        return Submitted(job, spec.name, accepted.status, created_ms)

    async def refuse_when_full(self) -> None:
        """Raise `Unavailable` when there is no room for new work."""
        if no := await self._room.get():
            raise Unavailable(no.sentence, hint=no.next_step)

    async def get(self, job: JobId, user: User, act: Act = Act.SEE_JOB) -> Job:
        """Read a job for something that the user may do with it; raises `NotFound` for one that
        they may not see, `Forbidden`.
        """
        missing = NotFound(
            f"there is no job {job}", hint="`headrace jobs list` shows the jobs you may see"
        )
        for found in await self.get_many([job]):
            check_thing(user, act, Act.SEE_JOB, found.owner, found.shared, missing)
            return found
        raise missing

    async def get_many(self, jobs: Iterable[JobId]) -> list[Job]:
        """Read several jobs, live and archived; those that are gone are left out."""
        ids = list(jobs)
        found = await self._store.get_many(ids) if ids else []
        live = {job.id for job in found}
        archived = await self._archive.find_all(job for job in ids if job not in live)
        return [*found, *(record.job for record in archived)]

    async def tasks(self, job: Job) -> TaskCounts | None:
        """How many tasks of an array are in each state; None where the job is none."""
        return (await self._arrays.counts([job.id])).get(job.id) if job.is_array else None

    async def array(self, job: JobId, user: User) -> ArrayRecord:
        """Read an array with all its tasks; raises `NotFound`, also where the job is none."""
        found = await self.get(job, user)
        record = await self._arrays.read(job) if found.is_array else None
        if record is None:
            raise NotFound(
                f"job {job} has no tasks: it is no array", hint="see `array` in docs/job-file.md"
            )
        return record

    async def task(self, job: JobId, user: User, index: int) -> TaskState:
        """The state of one task; raises `NotFound`."""
        record = await self.array(job, user)
        if index >= record.counts.total:
            raise NotFound(f"job {job} has {record.counts.total:,} tasks, counted from 0")
        return record.state(index)

    async def changed(self, job: JobId, user: User, after_version: int, wait_s: float) -> Job:
        """Read a job as soon as its version is above `after_version`, or `wait_s` have passed."""
        deadline = time.monotonic() + wait_s
        with self._waiters.watch(job) as change:
            while True:
                found = await self.get(job, user)
                left_s = deadline - time.monotonic()
                if found.version > after_version or left_s <= 0:
                    return found
                await woken(change, left_s)

    async def silent_nodes(self, job: Job) -> list[NodeId]:
        """The lost nodes where a worker of an exclusive job may still live."""
        there = {share.node for share in job.allocation.shares} if job.allocation else set()
        if job.status.closed or not there or not load_or_nothing(job.spec).limits.exclusive:
            return []
        run = f"{job.id}.{job.attempt}"
        return [
            node.id
            for node in await self._nodes.get()
            if node.id in there
            and node.state is NodeState.LOST
            and not node.confirmed
            and run in node.held
        ]

    async def history(self, job: JobId, user: User) -> Way:
        """Read a job's history."""
        attempt = (await self.get(job, user)).attempt
        try:
            lines, now_ms = await asyncio.gather(self._store.history(job), self._store.now_ms())
        except NotFound:
            if record := await self._archive.find(job):
                return Way(record.history, attempt, 0)
            raise
        return Way(lines, attempt, now_ms)

    async def share(self, job: JobId, user: User, change: Callable[[Shares], Shares]) -> Job:
        """Change with whom a job is shared; raises `NotFound`, `Forbidden`, `InvalidInput`."""
        for _ in range(_DECISIONS):
            found = await self.get(job, user, Act.SHARE_JOB)
            wanted = change(found.shared)
            try:
                await self._store.share(found, wanted, user.name)
            except Stale:
                continue
            except NotFound:
                raise Conflict(
                    f"job {job} is archived, and whom it is shared with stays as it is",
                    hint=f"`headrace jobs retry {job}` makes a new job of it",
                ) from None
            self._log.info("shares changed", action="share", job=job)
            return replace(found, shared=wanted)
        raise Unavailable(f"the shares of job {job} change too fast", hint="try again")

    async def desire(self, job: JobId, verb: DesireVerb, user: User) -> Job:
        """Do what a verb asks; a job that moved meanwhile is decided anew."""
        for _ in range(_DECISIONS):
            found = await self.get(job, user, Act.STEER_JOB)
            counts = await self.tasks(found)
            match desire(found, verb, counts.unfinished if counts else None):
                case Done():
                    return found
                case Refusal(sentence, next_step):
                    raise Conflict(sentence, hint=next_step)
                case Move() as change:
                    try:
                        await self._store.apply(replace(change, user=user.name))
                    except Stale as error:
                        REFUSALS.labels("request", error.code).inc()
                        continue
                    TRANSITIONS.labels("request", change.event or "DESIRE").inc()
                    self._log.info(
                        f"{change.status}→{change.to}, desired {change.desired}",
                        action=verb,
                        job=job,
                        attempt=change.attempt,
                    )
                    return await self.get(job, user, Act.STEER_JOB)
        raise Unavailable(f"job {job} moves too fast to be told", hint="try again")


async def _all(works: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Do several things at once; a lone one without a task, which costs turns of the loop."""
    if len(works) == 1:
        return [await works[0]]
    return await asyncio.gather(*works)


def _read(plain: Any, user: User) -> JobSpec:
    check_may(user, Act.SUBMIT_JOB)
    if not isinstance(plain, dict):
        raise InvalidInput('a job is a JSON object, for example {"headrace": 1, …}')
    return load_jobfile(plain, sent=True)


@contextmanager
def _named(told: str) -> Iterator[None]:
    """Have an error tell which job of a list it is about."""
    try:
        yield
    except HeadraceError as error:
        error.message = f"{told}{error.message}"
        raise
