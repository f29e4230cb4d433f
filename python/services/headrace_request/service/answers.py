"""Answers for which several services know a part: why a job is where it is, when it starts, what
would come of a submit. None of them changes anything."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from headrace_model.errors import HeadraceError, Unavailable
from headrace_model.estimate import likeness_of
from headrace_model.ids import JobId
from headrace_model.job import Job
from headrace_model.people import User, sees
from headrace_model.requirement import Requirement
from headrace_model.spec import JobSpec
from headrace_model.status import Status
from headrace_model.times import instant_text
from headrace_request.core.accept import ask_of, needs_of
from headrace_request.core.begins import begin_of, ends_of
from headrace_request.core.fits import could_never_start
from headrace_request.core.waits import Wanted, waits_for
from headrace_request.service.jobs import JobDesk
from headrace_request.service.peers import Peer
from headrace_request.service.triage import Triager
from headrace_wire.api import ResourcesView
from headrace_wire.datasets import MatchRequest
from headrace_wire.jobfile import dump, load_jobtext
from headrace_wire.schema import from_plain, to_plain
from headrace_wire.triage import view_of
from headrace_wire.why import (
    CauseView,
    InputView,
    Outcome,
    PlacedView,
    PlanRequest,
    PlanView,
    WhenView,
    WhyView,
)

if TYPE_CHECKING:
    from headrace_adapters.redis.estimates import EstimateStore

_MOST_JOBS: Final = 100  # that a job waits for, and that are told one by one
_MOST_FORESEEN: Final = 3  # of those
_GLANCE_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class _Met:
    """How an input would be met, and how large what meets it is, as far as it is there."""

    view: InputView
    size_bytes: int = 0


class AnswerDesk:
    """Asks the scheduler and the data service what they know, for one user."""

    def __init__(
        self,
        desk: JobDesk,
        scheduler: Peer,
        data: Peer,
        triager: Triager,
        estimates: "EstimateStore",
    ) -> None:
        self._desk = desk
        self._scheduler = scheduler
        self._data = data
        self._triager = triager
        self._estimates = estimates

    async def why(self, job: JobId, user: User) -> WhyView:
        """Tell why a job is where it is; raises `NotFound`."""
        found = await self._desk.get(job, user)
        if found.status is Status.AWAITING_ALLOCATION:
            return await self._of_the_queue(found)
        named = found.children if found.status is Status.AWAITING_DERIVATION else found.after
        others = await self._desk.get_many(named[:_MOST_JOBS])
        wanted = await self._data_of(found, user)
        silent = await self._desk.silent_nodes(found)
        reason = waits_for(found, others, silent, wanted)
        causes = tuple(CauseView(cause, sentence) for cause, sentence in reason.causes)
        first = CauseView(found.status.partition(":")[2], reason.sentence)
        triage = None
        if found.status is Status.FAILED:
            way = await self._desk.history(job, user)
            triage = await self._triager.of(user.name, found, way.lines)
        return WhyView(
            job,
            found.status,
            reason.sentence,
            reason.next_step,
            causes=causes or (first,),
            triage=view_of(triage),
        )

    async def when(self, job: JobId, user: User) -> WhenView:
        """Tell when a job starts, or started; raises `NotFound`."""
        return await self.start_of(await self._desk.get(job, user), user)

    async def start_of(self, job: Job, user: User) -> WhenView:
        """Tell it of a job that the user may see."""
        if job.status is not Status.AWAITING_ALLOCATION:
            return await self._begin_of(job, user)
        try:
            said = await self._scheduler.json(f"/internal/when/{job.id}")
        except HeadraceError as error:
            return WhenView(
                job.id, job.status, f"It waits in the queue; {error.message}.", made=_now()
            )
        start, basis = said["start"] or {}, said["basis"]
        if not start:
            sentence = f"When it starts can't be told: {basis}."
        elif start["low"] == start["high"]:
            sentence = f"It starts at {start['at']}."
        else:
            sentence = (
                f"It starts at {start['at']} or about then, in 8 of 10 cases from "
                f"{start['low']} to {start['high']}."
            )
        return WhenView(
            job.id, job.status, sentence, start.get("at"), start.get("low"), start.get("high"),
            said["position"], basis if start else None, said["made"],
        )  # fmt: skip

    async def glance(self, job: Job) -> dict[str, Any]:
        """The place and start of a job that waits in the queue, where they are told at once."""
        if job.status is not Status.AWAITING_ALLOCATION:
            return {}
        with suppress(HeadraceError, TimeoutError):
            async with asyncio.timeout(_GLANCE_S):
                said = await self._scheduler.json(f"/internal/when/{job.id}?at_once=1")
                return {"position": said["position"], "start": said["start"]}
        return {}

    async def _begin_of(self, job: Job, user: User) -> WhenView:
        """Tell it of a job that is not in the queue."""
        open_ones, starts, estimate = await self._awaited(job, user), {}, None
        if job.status is Status.RUNNING:
            estimate = (await self._estimates.of([job])).get(job.id)
        for other in open_ones[:_MOST_FORESEEN]:
            if other.status is Status.AWAITING_ALLOCATION:
                starts[other.id] = (await self.start_of(other, user)).at
        begin = begin_of(job, estimate, open_ones, {k: at for k, at in starts.items() if at})
        at = instant_text(begin.at_ms) if begin.at_ms is not None else None
        return WhenView(job.id, job.status, begin.sentence, at, at, at, made=_now())

    async def _awaited(self, job: Job, user: User) -> list[Job]:
        """The jobs that this one waits for and that have not completed; those that the user may
        see, for their starts are told."""
        match job.status:
            case Status.AWAITING_PREREQUISITES:
                named = job.after
            case Status.AWAITING_DERIVATION:
                named = job.children
            case _:
                return []
        others = await self._desk.get_many(named[:_MOST_JOBS])
        return [
            each
            for each in others
            if each.status is not Status.COMPLETED and sees(user, each.owner, each.shared)
        ]

    async def plan(self, plain: object, user: User, uploads: frozenset[str]) -> PlanView:
        """Tell what a submit would lead to; raises what is no job, or not one for this user."""
        spec = self._desk.read(plain, user)
        wants = [self._input(each, user, uploads) for each in spec.requirements]
        met = await asyncio.gather(*wants)
        data = [each.view for each in met]
        after: tuple[JobId, ...] = ()
        others: list[Job] = []
        try:
            after = await self._desk.check_spec(spec, user)
        except HeadraceError as error:
            if not could_never_start(error):
                raise
            placed = PlacedView(error.message, error.hint, never=True)
        else:
            others = await self._desk.get_many(after)
            placed = _after_failed(others) or await self._placed(
                spec, user, sum(each.size_bytes for each in met)
            )
        waits = [*await self._prerequisite(others), *_promised(data)]
        missing = [each for each in data if each.result == "missing"]
        if placed.never:
            outcome, sentence = Outcome.NEVER, placed.sentence
        elif missing:
            outcome, sentence = Outcome.DATA_MISSING, _named(missing[0])
        elif waits or not placed.nodes:
            outcome, sentence = Outcome.WAITS, (waits or [placed.sentence])[0]
        else:
            outcome, sentence = Outcome.STARTS, placed.sentence
        if waits or missing:  # it is not in the queue till then
            placed = replace(placed, start=None, end=None, basis=None)
        ask = ask_of(spec)
        return PlanView(
            outcome=outcome,
            sentence=sentence,
            resources=ResourcesView(ask.resources.millicpus / 1000, ask.resources.memory_bytes),
            paradigm=ask.paradigm,
            backend=ask.backend,
            spec=dump(spec),
            placement=placed,
            needs=tuple(sorted(needs_of(spec, after))),
            image=spec.image,
            data=tuple(data),
        )

    async def _input(self, wanted: Requirement, user: User, uploads: frozenset[str]) -> _Met:
        if wanted.name in uploads:
            why = "it is sent before the job is submitted"
            return _Met(InputView(wanted.name, "upload", why))
        found = await self.match(wanted, user)
        view = InputView(wanted.name, found.result, found.why, found.datasets)
        return _Met(view, found.size_bytes)

    async def _prerequisite(self, others: Sequence[Job]) -> list[str]:
        """Name the first job that is still to complete, and when that ends where it is known."""
        first = next((each for each in others if each.status is not Status.COMPLETED), None)
        if first is None:
            return []
        runs = ""
        if first.status is Status.RUNNING:
            estimate = (await self._estimates.of([first])).get(first.id)
            runs = f", which runs{ends_of(first, estimate)}"
        return [f"It waits for job {first.id} to complete{runs}."]

    async def _placed(self, spec: JobSpec, user: User, input_bytes: int) -> PlacedView:
        together = spec.parallel is not None and not spec.is_spread and spec.image is not None
        request = PlanRequest(
            ask_of(spec), spec.priority, user.name, together, tuple(sorted(user.groups)),
            likeness_of(spec, user.name), input_bytes,
        )  # fmt: skip
        try:
            said = await self._scheduler.ask("/internal/plan", to_plain(request), user)
        except Unavailable as error:
            return PlacedView(f"Where it would start can't be told: {error.message}.", error.hint)
        return from_plain(PlacedView, said)

    async def _of_the_queue(self, job: Job) -> WhyView:
        try:
            said = await self._scheduler.json(f"/internal/why/{job.id}")
        except HeadraceError as error:
            sentence = f"It waits in the queue; {error.message}."
            return WhyView(job.id, job.status, sentence, error.hint)
        placed = from_plain(PlacedView, said)
        return WhyView(
            job.id, job.status, placed.sentence, placed.hint, placed.position, placed.causes,
            placed.change,
        )  # fmt: skip

    async def _data_of(self, job: Job, user: User) -> list[Wanted]:
        """What the data service says of the inputs of a job that waits for data."""
        if job.status not in (Status.AWAITING_DATA_CHECK, Status.AWAITING_DERIVATION):
            return []
        needs = load_jobtext(job.spec).requirements
        try:
            return await asyncio.gather(*(self.match(each, user) for each in needs))
        except HeadraceError:
            return []  # what is known without it is said all the same

    async def match(self, wanted: Requirement, user: User) -> Wanted:
        """Ask how an input would be met; raises `Unavailable`, and `InvalidInput`."""
        body = to_plain(MatchRequest.of(wanted))
        said = await self._data.ask("/api/v1/datasets:match", body, user)
        met = said.get("datasets", ())
        return Wanted(
            wanted.name, said["result"], said["why"], said.get("job"),
            datasets=tuple(f"{each['name'] or each['id']}@{each['version']}" for each in met),
            size_bytes=sum(each["size_bytes"] or 0 for each in met),
        )  # fmt: skip


def _named(missing: InputView) -> str:
    return f"The input {missing.input!r} is missing: {missing.why}."


def _after_failed(others: Sequence[Job]) -> PlacedView | None:
    """What is told of a job that waits for one that has ended and did not complete."""
    for other in others:
        if other.status.final and other.status is not Status.COMPLETED:
            return PlacedView(
                f"Job {other.id} ended in {other.status}, so it will never complete, and this "
                "one would end with the cause PREREQUISITE.",
                "leave it out of `after`, or retry it and wait for the new job",
                never=True,
            )
    return None


def _promised(data: Sequence[InputView]) -> list[str]:
    """The inputs that the job would wait for before it is in the queue."""
    return [
        f"The input {each.input!r} is {each.result}: {each.why}."
        for each in data
        if each.result in ("promised", "derivable")
    ]


def _now() -> str:
    return instant_text(time.time_ns() // 1_000_000)
