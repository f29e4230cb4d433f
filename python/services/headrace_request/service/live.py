"""Live updates: each event of a job is told once, in order, to all who follow it and may see it.

One hub a service reads each job of an event once, whoever follows. What a connection is to be
told waits in its own outbox; whose outbox is full is dropped, and may come again and resume.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import cached_property, partial
from typing import TYPE_CHECKING

from headrace_model.errors import HeadraceError, Unauthorized
from headrace_model.ids import JobId
from headrace_model.job import Job
from headrace_model.people import Act, Standing, check_may, sees
from headrace_model.status import Status
from headrace_request.core.live import (
    MOST_NAMED,
    Close,
    FollowCluster,
    FollowJobs,
    FollowLog,
    FollowNodes,
    FollowProgress,
    FollowUsage,
    FollowWhen,
    is_after,
    with_id,
    write,
    write_error,
)
from headrace_request.service.doorman import Caller, Doorman
from headrace_request.service.jobs import JobDesk
from headrace_request.service.lister import Lister
from headrace_request.service.livelogs import LiveLogs
from headrace_request.service.livesampled import LiveSampled
from headrace_request.service.nodes import NodeDesk
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
_MOST_PENDING = 100_000
_PATIENCE_S = 60.0
_CHECK_S = 15.0
_NODES_EVERY_S = 0.5
_HELD_EVERY_S = 1.0  # what jobs hold of nodes; nodes are remembered for as long


class _Move:
    """An event and its job. The text is the same for all who are told, and made once."""

    def __init__(self, event: Event, job: Job) -> None:
        self.at, self.to, self.job = event["at"], Status(event["to"]), job
        self._event = event

    @cached_property
    def text(self) -> str:
        """The message, but for the id of a subscription."""
        event = {
            "from": self._event["from"],
            "to": self.to,
            "version": int(self._event["version"]),
            "attempt": int(self._event["attempt"]),
        }
        return write("job", None, at=self.at, event=event, job=job_view(self.job, spec=False))


class _Jobs:
    """A subscription to jobs. While what was missed is told, new events are held back."""

    def __init__(self, asked: FollowJobs) -> None:
        self.asked = asked
        self.at = ""  # the last event that was told or passed over
        self.held: list[_Move] | None = []


class Live:
    """One connection: who it is, what it follows, what it has still to be told."""

    def __init__(self, caller: Caller, outbox_bytes: int) -> None:
        self.caller = caller
        self.outbox = Outbox(outbox_bytes)
        self.closing: asyncio.Future[Close] = asyncio.get_running_loop().create_future()
        self.jobs: dict[str, _Jobs] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}
        # One subscription at a time catches up: what it reads for that lies in memory.
        self.catching_up = asyncio.Lock()

    def close(self, why: Close) -> None:
        """Have the connection ended."""
        if not self.closing.done():
            self.closing.set_result(why)

    def tell(self, text: str) -> None:
        """Put a message into the outbox; a full one ends the connection.

        Then nothing more is told: a later event would pass over those that were not.
        """
        if self.closing.done():
            return
        try:
            self.outbox.put_now(text)
        except TooSlow:
            self.close(Close.TOO_SLOW)

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
        nodes: NodeDesk,
        lister: Lister,
        logs: LiveLogs,
        sampled: LiveSampled,
    ) -> None:
        self._events = events
        self._store = store
        self._doorman = doorman
        self._desk = desk
        self._nodes = nodes
        self._lister = lister
        self._logs = logs
        self._sampled = sampled
        self._all: set[Live] = set()
        self._pending: list[Event] = []
        self._wake = asyncio.Event()
        self._nodes_changed = asyncio.Event()
        self._nodes_soon = False
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
        if event.get("kind") == "job" and not self._nodes_soon:  # it may have taken shares
            self._nodes_soon = True
            asyncio.get_running_loop().call_later(_HELD_EVERY_S, self._nodes_told)
        match event.get("kind"):
            case None:
                self._pending.clear()
                self.close_all()
            case "job" if len(self._pending) >= _MOST_PENDING:
                # Nobody can be told that fast. Whoever comes again reads it at its own pace.
                self._pending.clear()
                self.close_all()
            case "job":
                if self._all:
                    self._pending.append(event)
                    self._wake.set()
            case "node":
                self._nodes_told()
            case _:
                self._people_changed.set()

    def _nodes_told(self) -> None:
        # Each follower waits for the event that it took before it looked.
        self._nodes_soon = False
        self._nodes_changed.set()
        self._nodes_changed = asyncio.Event()

    async def run(self) -> None:
        """Tell events for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._pending:
                batch, self._pending = self._pending[:_AT_ONCE], self._pending[_AT_ONCE:]
                try:
                    moves = await self._read(batch)
                except Exception:
                    self.close_all()  # nobody will be told of these: all come again and resume
                    raise
                for move in moves:
                    for live in tuple(self._all):
                        self._tell(live, move)
                    await asyncio.sleep(0)  # many followers must not keep others from the loop

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
        self._start(live, asked.id, partial(self._catch_up, live, subscription))

    def follow_log(self, live: Live, asked: FollowLog) -> None:
        """Begin to tell a worker's output."""
        self._start(live, asked.id, partial(self._logs.tell, live, asked))

    def follow_progress(self, live: Live, asked: FollowProgress) -> None:
        """Begin to tell how far a job is."""
        self._start(live, asked.id, partial(self._sampled.progress, live, asked))

    def follow_when(self, live: Live, asked: FollowWhen) -> None:
        """Begin to tell when a job starts."""
        self._start(live, asked.id, partial(self._sampled.when, live, asked))

    def follow_usage(self, live: Live, asked: FollowUsage) -> None:
        """Begin to tell what a job's workers use."""
        self._start(live, asked.id, partial(self._sampled.usage, live, asked))

    def follow_cluster(self, live: Live, asked: FollowCluster) -> None:
        """Begin to tell what the cluster is like; raises `Forbidden`."""
        check_may(live.caller.user, Act.SEE_NODES)
        self._start(live, asked.id, partial(self._sampled.cluster, live, asked))

    def follow_nodes(self, live: Live, asked: FollowNodes) -> None:
        """Begin to tell the nodes; raises `Forbidden`."""
        check_may(live.caller.user, Act.SEE_NODES)
        self._start(live, asked.id, partial(self._tell_nodes, live, asked))

    def _start(self, live: Live, id_: str, work: Callable[[], Awaitable[None]]) -> None:
        async def guarded() -> None:
            try:
                await work()
            except Exception as error:
                self._failed(live, id_, error)

        task = asyncio.ensure_future(guarded())
        live.tasks[id_] = task

        def ended(_: object) -> None:
            if live.tasks.get(id_) is task:
                del live.tasks[id_]

        task.add_done_callback(ended)

    def _failed(self, live: Live, id_: str, error: Exception) -> None:
        while isinstance(error, ExceptionGroup):  # of the two files of a log
            error = error.exceptions[0]
        live.jobs.pop(id_, None)
        match error:
            case TooSlow():
                live.close(Close.TOO_SLOW)
            case HeadraceError():
                live.tell(write_error(error, id_))
            case _:
                self._log.error(f"a live update failed: {error!r}", action="live", exc_info=error)
                live.close(Close.GOING)

    # ---- jobs

    async def _read(self, events: list[Event]) -> list[_Move]:
        """Read the jobs of some events, each once; an event of a job that is gone is left out."""
        ids = {JobId(event["job"]): None for event in events}
        jobs = {job.id: job for job in await self._store.get_many(ids)}
        return [
            _Move(event, jobs[JobId(event["job"])])
            for event in events
            if JobId(event["job"]) in jobs
        ]

    def _tell(self, live: Live, move: _Move) -> None:
        for subscription in live.jobs.values():
            if subscription.held is not None:
                if len(subscription.held) >= _HELD:
                    live.close(Close.TOO_SLOW)
                    return
                subscription.held.append(move)
            elif text := _told(live, subscription, move):
                live.tell(text)

    async def _catch_up(self, live: Live, subscription: _Jobs) -> None:
        """Tell what the client missed, or (where that is unknown) all as it is; then go live."""
        check_may(live.caller.user, Act.SEE_JOB, Standing.OWNER)
        async with live.catching_up:
            await self._tell_missed(live, subscription)
        # Nothing is awaited between the last of these and going live: none is told late.
        held, subscription.held = subscription.held or [], None
        for move in held:
            if text := _told(live, subscription, move):
                live.tell(text)

    async def _tell_missed(self, live: Live, subscription: _Jobs) -> None:
        asked = subscription.asked
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
                for move in await self._read(jobs):
                    if text := _told(live, subscription, move):
                        await live.outbox.put(text, _PATIENCE_S)
                subscription.at = missed[-1]["at"]
                missed = await self._events.since(subscription.at, _AT_ONCE)
                if missed is None:
                    live.close(Close.GOING)
                    return

    async def _snapshot(self, live: Live, subscription: _Jobs) -> str:
        asked = subscription.asked
        if asked.named:
            found = [job for job in await self._desk.get_many(asked.named) if live.sees(job)]
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

    # ---- nodes

    async def _tell_nodes(self, live: Live, asked: FollowNodes) -> None:
        told = None
        while True:
            changed = self._nodes_changed
            views = await self._nodes.show(live.caller.user)
            if views != told:
                await live.outbox.put(write("nodes", asked.id, nodes=views), _PATIENCE_S)
                told = views
            await asyncio.sleep(_NODES_EVERY_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(_CHECK_S):
                    await changed.wait()


def _told(live: Live, subscription: _Jobs, move: _Move) -> str | None:
    """The message of an event, where it is to be told and was not yet."""
    if subscription.at and not is_after(move.at, subscription.at):
        return None
    subscription.at = move.at
    if not live.sees(move.job) or not subscription.asked.takes(move.job, move.to):
        return None
    return with_id(subscription.asked.id, move.text)
