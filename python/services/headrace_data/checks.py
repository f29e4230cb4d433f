"""The data check of jobs, and the derivations that make what is missing."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from secrets import randbits
from typing import TYPE_CHECKING

from headrace_data.access import keys_for, readers_for
from headrace_data.catalogue import Catalogue
from headrace_data.core.checking import (
    Matched,
    awaited,
    broken,
    decide,
    failed_child,
    is_lock_list,
    made_by,
    to_derive,
)
from headrace_data.core.keys import log_key
from headrace_kinds.derivation import (
    DERIVATION,
    Derivable,
    content_of,
    derivation_key,
    environment_job,
    plan_job,
)
from headrace_model.errors import HeadraceError, InvalidInput
from headrace_model.estimate import likeness_of
from headrace_model.ids import DatasetId, JobId, job_id
from headrace_model.job import PROCESS, Ask, Job, Need, NewJob, first_step
from headrace_model.move import Derivation, Move
from headrace_model.requirement import Fulfilment, Miss, Requirement
from headrace_model.spec import JobSpec
from headrace_model.status import Status
from headrace_model.visible import Readers
from headrace_ports.object_store import ObjectStore
from headrace_wire.jobfile import dump_text, load_jobtext

if TYPE_CHECKING:
    from headrace_adapters.redis.jobs import JobStore
    from headrace_adapters.redis.users import UserStore

_LOG_TAIL_BYTES = 1_500
# A node ships the logs of a failed job after the job has closed.
_LOG_PATIENCE_MS = 15_000


@dataclass(slots=True)
class DataChecks:
    """Decides for jobs in AWAITING_DATA_CHECK and AWAITING_DERIVATION; writes nothing itself."""

    catalogue: Catalogue
    jobs: "JobStore"
    users: "UserStore"
    store: ObjectStore
    lock_script: bytes  # what a derivation of an environment runs
    _waits: dict[JobId, frozenset[JobId]] = field(default_factory=dict)

    async def check(self, job: Job, children: Sequence[Job] = ()) -> Move | None:
        """Match every requirement of a job, whose `children` are closed; None: it goes on waiting
        for a promised output.
        """
        try:
            matched = await self._match(job, children)
        except InvalidInput as error:
            return broken(job, f"what the job asks for can't be read: {error}")
        if waits := awaited(matched):
            self._waits[job.id] = waits
        else:
            self._waits.pop(job.id, None)
        wanted = to_derive(matched)
        for each in wanted:
            child = made_by(each, children)
            if child is None or child.status is Status.COMPLETED:
                continue
            if content_of(child.derivation) == each.content:  # it would end so again
                return broken(job, failed_child(child, ""))
        now_ms = await self.jobs.now_ms()
        move = decide(job, matched, [self._derivation(job, each, now_ms) for each in wanted])
        if move is None or not move.fulfilments:
            return move
        known = [self.catalogue.get(one) for met in move.fulfilments for one in met.datasets]
        return replace(move, input_bytes=sum(each.size_bytes for each in known if each))

    async def after_derivation(self, job: Job) -> Move | None:
        """Go on once every child is closed; None: some still work, or a log is on its way.

        A child whose data went before it began is no failure: there may be another way.
        """
        children = await self.jobs.get_many(job.children)
        if any(not child.status.closed for child in children):
            return None
        for child in children:
            if child.status not in (Status.COMPLETED, Status.DATA_UNPROVIDEABLE):
                log = await self._log_tail(child)
                return None if log is None else broken(job, failed_child(child, log))
        return await self.check(job, children)

    def waiting_for(self, closed: JobId) -> list[JobId]:
        """The jobs that wait for an output of `closed`."""
        return [job for job, waits in self._waits.items() if closed in waits]

    def is_waiting(self, job: JobId) -> bool:
        """Tell whether a job waits for promises that may still be kept."""
        waits = self._waits.get(job)
        return bool(waits) and all(self.catalogue.promises(each) for each in waits or ())

    def left(self, job: JobId) -> None:
        """Note that a job waits no longer."""
        self._waits.pop(job, None)

    async def _match(self, job: Job, children: Sequence[Job]) -> list[Matched]:
        wanted = self.catalogue.expand(job).requirements
        readers = await readers_for(self.users, job.owner)
        # A derivation reads what is there: waiting for others it might wait for its own parents.
        here = job.kind == DERIVATION
        found: list[Matched] = []
        for each in wanted:
            keys = keys_for(each, job.owner, readers)
            met = await self.catalogue.match(each, keys, job.id, here=here)
            if isinstance(met, Miss) and is_lock_list(each):
                met = Derivable(met, None)
            if isinstance(met, Derivable) and (child := made_by(met, children)):
                met = await self._taken_from(child, met, keys) or met
            found.append(met)
        return found

    async def _taken_from(
        self, child: Job, wanted: Derivable, readers: Readers
    ) -> Fulfilment | None:
        """What a child has made, although other data would be taken for it now."""
        made = tuple(DatasetId(one) for one in json.loads(child.outputs or "{}").values())
        if not made or await self.catalogue.hidden(made, readers):
            return None
        known = [self.catalogue.get(one) for one in made]
        titles = tuple(each.title for each in known if each is not None)
        why = f"{', '.join(titles)} was derived for this job"
        return Fulfilment(wanted.miss.requirement.name, made, None, why, titles)

    def _derivation(self, job: Job, missed: Derivable, now_ms: int) -> Derivation:
        """The job that makes missing data: of the parent's owner and priority."""
        wanted = missed.miss.requirement
        plan = missed.plan
        spec = plan_job(plan, job.priority) if plan else self._lock_job(job, wanted)
        needs = {Need.COLLECTION} | ({Need.DATA_CHECK, Need.STAGING} if spec.inputs else set())
        new = NewJob(
            id=job_id(now_ms, randbits(30)),
            owner=job.owner,
            name=spec.name,
            kind=DERIVATION,
            spec=dump_text(spec),
            priority=job.priority,
            ask=Ask(
                resources=spec.resources.amount,
                paradigm=spec.resources.paradigm,
                backend=PROCESS,
                time_ms=spec.limits.time_ms,
            ),
            needs=frozenset(needs),
            parents=(job.id,),
            likeness=likeness_of(spec, job.owner),
            request_id=job.request_id,
        )
        key = derivation_key(missed.content, job.owner)
        return Derivation(key, new, first_step(new.needs))

    def _lock_job(self, job: Job, wanted: Requirement) -> JobSpec:
        environment = load_jobtext(job.spec).environment
        if environment is None:
            raise InvalidInput(f"input {wanted.name}: a {wanted.format} can't be derived")
        return environment_job(environment, wanted, self.lock_script, job.priority)

    async def _log_tail(self, child: Job) -> str | None:
        """The end of a failed child's error log; None: it may still come."""
        if child.allocation is None:
            return ""
        try:
            key = log_key(child.id, child.attempt, "0.err")
            known = await self.store.stat(key)
            if known is None:
                waited_ms = await self.jobs.now_ms() - child.entered_ms
                return "" if waited_ms > _LOG_PATIENCE_MS else None
            start = max(0, known.size_bytes - _LOG_TAIL_BYTES)
            parts = [data async for data in self.store.stream(key, start)]
        except HeadraceError:
            return ""  # the log is a comfort: without it the detail is shorter
        return b"".join(parts).decode(errors="replace").strip()
