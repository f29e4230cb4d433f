"""Answers about jobs for which several services know a part: why a job is where it is."""

import asyncio
from typing import Any

from headrace_model.errors import HeadraceError
from headrace_model.ids import JobId
from headrace_model.job import Job
from headrace_model.people import User
from headrace_model.requirement import Requirement
from headrace_model.status import Status
from headrace_request.core.waits import Wanted, waits_for
from headrace_request.service.jobs import JobDesk
from headrace_request.service.peers import Peer
from headrace_request.service.triage import Triager
from headrace_wire.jobfile import load_jobtext
from headrace_wire.schema import from_plain
from headrace_wire.triage import view_of
from headrace_wire.why import CauseView, ChangeView, WhyView

_MOST_JOBS = 100  # that a job waits for, and that are told one by one


class AnswerDesk:
    """Asks the scheduler and the data service what they know, for one user."""

    def __init__(self, desk: JobDesk, scheduler: Peer, data: Peer, triager: Triager) -> None:
        self._desk = desk
        self._scheduler = scheduler
        self._data = data
        self._triager = triager

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

    async def _of_the_queue(self, job: Job) -> WhyView:
        try:
            said = await self._scheduler.json(f"/internal/why/{job.id}")
        except HeadraceError as error:
            sentence = f"It waits in the queue; {error.message}."
            return WhyView(job.id, job.status, sentence, error.hint)
        change = said["change"]
        return WhyView(
            job.id,
            job.status,
            said["sentence"],
            said["hint"],
            said["position"],
            tuple(from_plain(CauseView, each) for each in said["causes"]),
            from_plain(ChangeView, change) if change else None,
        )

    async def _data_of(self, job: Job, user: User) -> list[Wanted]:
        """What the data service says of the inputs of a job that waits for data."""
        if job.status is not Status.AWAITING_DATA_CHECK:
            return []
        needs = load_jobtext(job.spec).requirements
        try:
            return await asyncio.gather(*(self.match(each, user) for each in needs))
        except HeadraceError:
            return []  # what is known without it is said all the same

    async def match(self, wanted: Requirement, user: User) -> Wanted:
        """Ask how an input would be met; raises `Unavailable`, and `InvalidInput`."""
        plain: dict[str, Any] = {
            "name": wanted.name,
            "category": wanted.category.value,
            "format": wanted.format,
            "domain": wanted.domain.to_plain(),
            "shape": wanted.shape.value,
        }
        body = {key: value for key, value in plain.items() if value is not None}
        said = await self._data.asked("/api/v1/datasets:match", body, user)
        return Wanted(wanted.name, said["result"], said["why"], said.get("job"))
