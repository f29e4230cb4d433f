"""Live updates: each event of a job is told once, in order, to all who follow it and may see it.

One hub a service reads each job of an event once, whoever follows. What a connection is to be
told waits in its own outbox; whose outbox is full is dropped, and may come again and resume.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any

from headrace_model.errors import HeadraceError, NotFound, Unauthorized
from headrace_model.ids import JobId
from headrace_model.job import Job
from headrace_model.people import Act, Standing, check_may, sees
from headrace_model.status import Status
from headrace_request.core.live import (
    MOST_NAMED,
    Close,
    FollowJobs,
    FollowLog,
    FollowNodes,
    is_after,
    write,
    write_error,
)
from headrace_request.service.doorman import Caller, Doorman
from headrace_request.service.jobs import JobDesk
from headrace_request.service.lister import Lister
from headrace_request.service.logs import Asker, LogFile, LogReader
from headrace_request.service.outbox import Outbox, TooSlow
from headrace_service.logs import logger
from headrace_wire.api import job_view

if TYPE_CHECKING:
    from headrace_adapters.redis.events import Events
    from headrace_adapters.redis.jobs import JobStore

Event = Mapping[str, str]
_OPEN = tuple(status for status in Status if not status.closed)
_AT_ONCE = 500
_HELD = 10_000
_PATIENCE_S = 60.0
_CHECK_S = 15.0
_NODES_EVERY_S = 0.5


class _Jobs:
    """A subscription to jobs. While what was missed is told, new events are held back."""

    def __init__(self, asked: FollowJobs) -> None:
        self.asked = asked
        self.at = ""  # the last event that was told or passed over
        self.held: list[tuple[Event, Job]] | None = []


class Live:
    """One connection: who it is, what it follows, what it has still to be told."""

    def __init__(self, caller: Caller, outbox_bytes: int) -> None:
        self.caller = caller
        self.outbox = Outbox(outbox_bytes)
        self.closing: asyncio.Future[Close] = asyncio.get_running_loop().create_future()
        self.jobs: dict[str, _Jobs] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    def close(self, why: Close) -> None:
        """Have the connection ended."""
        if not self.closing.done():
            self.closing.set_result(why)

    def sees(self, job: Job) -> bool:
        """Tell whether this caller may see a job."""
        return sees(self.caller.user, job.owner, job.shared)

    def drop(self, id_: str) -> None:
        """End a subscription; success if there is none."""
        self.jobs.pop(id_, None)
        if task := self.tasks.pop(id_, None):
            task.cancel()


class LiveHub:
    """Knows all connections, and tells them."""

    def __init__(
        self,
        events: "Events",
        store: "JobStore",
        doorman: Doorman,
        desk: JobDesk,
        lister: Lister,
        reader: LogReader,
    ) -> None:
        self._events = events
        self._store = store
        self._doorman = doorman
        self._desk = desk
        self._lister = lister
        self._reader = reader
        self._all: set[Live] = set()
        self._pending: list[Event] = []
        self._wake = asyncio.Event()
        self._nodes_changed = asyncio.Event()
        self._people_changed = asyncio.Event()
        self._log = logger("request")

    # ---- connections

    def count(self, user: str | None = None) -> int:
        """How many connections there are, of one user or of all."""
        return sum(user is None or live.caller.user.name == user for live in self._all)

    def add(self, live: Live) -> None:
        """Begin to tell a connection."""
        self._all.add(live)

    def remove(self, live: Live) -> None:
        """Tell a connection no more."""
        self._all.discard(live)
        for id_ in [*live.jobs, *live.tasks]:
            live.drop(id_)

    def close_all(self) -> None:
        """End all connections: the clients come again, here or elsewhere, and resume."""
        for live in self._all:
            live.close(Close.GOING)

    # ---- loops

    def hear(self, event: Event) -> None:
        """Take an event; an empty one tells that some were missed."""
        match event.get("kind"):
            case None:
                self._pending.clear()
                self.close_all()
            case "job":
                if self._all:
                    self._pending.append(event)
                    self._wake.set()
            case "node":
                self._nodes_changed.set()
            case _:
                self._people_changed.set()

    async def run(self) -> None:
        """Tell events for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._pending:
                batch, self._pending = self._pending[:_AT_ONCE], self._pending[_AT_ONCE:]
                for event, job in await self._read(batch):
                    for live in tuple(self._all):
                        self._tell(live, event, job)

    async def watch_people(self) -> None:
        """End the connections of those whose token no longer counts, for ever."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_CHECK_S):
                    await self._people_changed.wait()
            self._people_changed.clear()
            for live in tuple(self._all):
                try:
                    live.caller = await self._doorman.still(live.caller)
                except Unauthorized:
                    live.close(Close.UNAUTHORIZED)
                except HeadraceError:
                    continue  # Redis is away: nobody can be looked up now

    # ---- subscriptions

    def follow_jobs(self, live: Live, asked: FollowJobs) -> None:
        """Begin to tell the events of jobs."""
        subscription = _Jobs(asked)
        live.jobs[asked.id] = subscription
        self._start(live, asked.id, self._catch_up(live, subscription))

    def follow_log(self, live: Live, asked: FollowLog) -> None:
        """Begin to tell a worker's output."""
        self._start(live, asked.id, self._tell_log(live, asked))

    def follow_nodes(self, live: Live, asked: FollowNodes) -> None:
        """Begin to tell the nodes; raises `Forbidden`."""
        check_may(live.caller.user, Act.SEE_NODES)
        self._start(live, asked.id, self._tell_nodes(live, asked))

    def _start(self, live: Live, id_: str, work: Awaitable[None]) -> None:
        async def guarded() -> None:
            try:
                await work
            except TooSlow:
                live.close(Close.TOO_SLOW)
            except HeadraceError as error:
                live.jobs.pop(id_, None)
                with suppress(TooSlow):
                    live.outbox.put_now(write_error(error, id_))
            except Exception as error:
                self._log.error(f"a live update failed: {error!r}", action="live", exc_info=True)
                live.close(Close.GOING)

        task = asyncio.ensure_future(guarded())
        live.tasks[id_] = task

        def ended(_: object) -> None:
            if live.tasks.get(id_) is task:
                del live.tasks[id_]

        task.add_done_callback(ended)

    # ---- jobs

    async def _read(self, events: list[Event]) -> list[tuple[Event, Job]]:
        """Read the jobs of some events, each once; an event of a job that is gone is left out."""
        ids = {JobId(event["job"]): None for event in events}
        jobs = {job.id: job for job in await self._store.get_many(ids)}
        return [
            (event, jobs[JobId(event["job"])]) for event in events if JobId(event["job"]) in jobs
        ]

    def _tell(self, live: Live, event: Event, job: Job) -> None:
        for subscription in live.jobs.values():
            if subscription.held is not None:
                if len(subscription.held) >= _HELD:
                    live.close(Close.TOO_SLOW)
                    return
                subscription.held.append((event, job))
            elif text := _told(live, subscription, event, job):
                try:
                    live.outbox.put_now(text)
                except TooSlow:
                    live.close(Close.TOO_SLOW)
                    return

    async def _catch_up(self, live: Live, subscription: _Jobs) -> None:
        """Tell what the client missed, or (where that is unknown) all as it is; then go live."""
        asked = subscription.asked
        check_may(live.caller.user, Act.SEE_JOB, Standing.OWNER)
        missed = await self._events.since(asked.after, _AT_ONCE) if asked.after else None
        if missed is None:
            if asked.after:
                await live.outbox.put(write("resync", asked.id), _PATIENCE_S)
            subscription.at = await self._events.last()
            await live.outbox.put(await self._snapshot(live, subscription), _PATIENCE_S)
        else:
            subscription.at = asked.after or ""
            start = write("following", asked.id, at=subscription.at)
            await live.outbox.put(start, _PATIENCE_S)
            while missed:
                jobs = [event for event in missed if event.get("kind") == "job"]
                for event, job in await self._read(jobs):
                    if text := _told(live, subscription, event, job):
                        await live.outbox.put(text, _PATIENCE_S)
                subscription.at = missed[-1]["at"]
                missed = await self._events.since(subscription.at, _AT_ONCE)
                if missed is None:
                    live.close(Close.GOING)
                    return
        # Nothing is awaited between the last of these and going live: none is told late.
        held, subscription.held = subscription.held or [], None
        for event, job in held:
            if text := _told(live, subscription, event, job):
                live.outbox.put_now(text)

    async def _snapshot(self, live: Live, subscription: _Jobs) -> str:
        asked = subscription.asked
        if asked.named:
            found = [job for job in await self._store.get_many(asked.named) if live.sees(job)]
            jobs = [job for job in found if asked.takes(job, job.status)]
            more = False
        else:
            statuses = tuple(asked.statuses) or _OPEN
            page = await self._lister.page(
                live.caller.user, statuses, asked.wanted, limit=MOST_NAMED, after=None
            )
            jobs, more = list(page.jobs), page.go_on is not None
        views = [job_view(job, spec=False) for job in jobs]
        return write("snapshot", asked.id, at=subscription.at, jobs=views, more=more)

    # ---- logs

    async def _tell_log(self, live: Live, asked: FollowLog) -> None:
        async def read_job() -> Job:
            return await self._desk.get(asked.job, live.caller.user)

        asker = Asker(live.caller.user.name, read_job)
        job = await read_job()
        attempt, offsets = asked.attempt or job.attempt, dict(asked.offsets)
        if attempt > job.attempt:
            raise NotFound(f"job {job.id} has {job.attempt} attempt(s), so no attempt {attempt}")
        while True:
            async with asyncio.TaskGroup() as group:
                for stream in asked.streams:
                    file = LogFile(asked.job, attempt, asked.rank, stream)
                    at = offsets[stream]
                    group.create_task(self._tell_file(live, asked.id, asker, file, at))
            if asked.attempt is None:
                job = await self._reader.after(asker, file)
            if asked.attempt is not None or job.attempt == attempt:
                await live.outbox.put(write("end", asked.id), _PATIENCE_S)
                return
            attempt, offsets = attempt + 1, dict.fromkeys(offsets, 0)

    async def _tell_file(self, live: Live, id_: str, asker: Asker, file: LogFile, at: int) -> None:
        parts: AsyncIterator[tuple[bytes, int]] = self._reader.attempt(
            asker, file, at, follow=True
        )
        async with aclosing(parts):  # type: ignore[type-var] # it is an async generator
            async for text, to in parts:
                more: dict[str, Any] = {"attempt": file.attempt, "stream": file.stream}
                said = text.decode(errors="replace")
                await live.outbox.put(
                    write("log", id_, **more, offset=at, end=to, text=said), _PATIENCE_S
                )
                at = to

    # ---- nodes

    async def _tell_nodes(self, live: Live, asked: FollowNodes) -> None:
        told = None
        while True:
            self._nodes_changed.clear()
            views = await self._desk.nodes(live.caller.user)
            if views != told:
                await live.outbox.put(write("nodes", asked.id, nodes=views), _PATIENCE_S)
                told = views
            await asyncio.sleep(_NODES_EVERY_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(_CHECK_S):
                    await self._nodes_changed.wait()


def _told(live: Live, subscription: _Jobs, event: Event, job: Job) -> str | None:
    """The message of an event, where it is to be told and was not yet."""
    if subscription.at and not is_after(event["at"], subscription.at):
        return None
    subscription.at = event["at"]
    to = Status(event["to"])
    if not live.sees(job) or not subscription.asked.takes(job, to):
        return None
    return write(
        "job",
        subscription.asked.id,
        at=event["at"],
        event={
            "from": event["from"],
            "to": to,
            "version": int(event["version"]),
            "attempt": int(event["attempt"]),
        },
        job=job_view(job, spec=False),
    )
