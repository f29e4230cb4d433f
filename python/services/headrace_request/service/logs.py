"""Logs of workers: live from the node while it has them, else from the store."""

import asyncio
import json
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from itertools import count
from typing import TYPE_CHECKING, Any

from headrace_model.errors import InvalidInput, Unavailable
from headrace_model.ids import JobId, NodeId
from headrace_model.job import Job
from headrace_model.resources import Allocation
from headrace_model.status import Status
from headrace_request.core.logpiece import Piece, gap_mark, join, read_piece
from headrace_request.service.waiters import Waiters, woken
from headrace_wire.logsearch import Line, Place, read_lines

if TYPE_CHECKING:
    from headrace_adapters.redis.log_replies import LogReplies

_ANSWER_S = 2.0  # how long an agent may take before the store is asked
_LEASE_MS = 9_000
_RENEW_S = 3.0
_CHECK_S = 15.0  # a token that expires is told by no event
_INBOX_BYTES = 1 << 20
# How long a log that ended is looked for while its node is silent and the store has none: an
# agent that was killed comes back, and ships it.
_SHIPPED_S = 15.0

ReadStore = Callable[[JobId, int, str, int], AsyncIterator[bytes]]
ReadAllocation = Callable[[JobId, int], Awaitable[Allocation | None]]


@dataclass(frozen=True, slots=True)
class Asker:
    """Who reads a log: `job` reads its job again, and raises once they may see it no more."""

    user: str
    job: Callable[[], Awaitable[Job]]


@dataclass(frozen=True, slots=True)
class LogFile:
    """One worker's output: `name` is "<rank>.out" or "<rank>.err".

    With `task` what a task of an array wrote on the node of that rank.
    """

    job: JobId
    attempt: int
    rank: int
    stream: str
    task: int | None = None

    @property
    def name(self) -> str:
        """Its file name."""
        return f"{self.rank}.{self.stream}"


def check_one_log(job: Job) -> None:
    """Raise `InvalidInput` for an array: its tasks write logs, and it has none."""
    if job.is_array:
        raise InvalidInput(
            f"job {job.id} is an array, and each of its tasks has a log of its own",
            hint="name one: --task 0, or task=0 by REST",
        )


class Reach(Enum):
    """How far an agent's answer has come in a log file."""

    MORE = "more"
    END = "end"
    GONE = "gone"  # the node has no such file: it was shipped, or nothing wrote it


class _Inbox:
    """What an agent answered and the reader has not taken: bounded, the newest is dropped."""

    def __init__(self) -> None:
        self._pieces: deque[Piece] = deque()
        self._held = 0
        self.filled = asyncio.Event()

    def put(self, piece: Piece) -> None:
        # A dropped piece shows as a gap before the next: `join` sees it by the offsets.
        if self._held + len(piece.data) <= _INBOX_BYTES or not self._pieces:
            self._pieces.append(piece)
            self._held += len(piece.data)
            self.filled.set()

    def take(self) -> Piece | None:
        if not self._pieces:
            self.filled.clear()
            return None
        piece = self._pieces.popleft()
        self._held -= len(piece.data)
        return piece


class LogReader:
    """Reads and follows log files; one for the whole service."""

    def __init__(
        self,
        replies: "LogReplies",
        waiters: Waiters,
        store: ReadStore,
        allocation: ReadAllocation,
        limit: int,
        user_limit: int,
    ) -> None:
        self._replies = replies
        self._waiters = waiters
        self._store = store
        self._allocation = allocation
        self._limit = limit
        self._user_limit = user_limit
        self._reading: Counter[str] = Counter()
        self._inboxes: dict[str, _Inbox] = {}
        self._numbers = count(1)
        self._listening = asyncio.Event()

    async def run(self) -> None:
        """Hand the agents' answers to their readers, for ever."""
        async for reader, text in self._replies.follow():
            if not reader:
                self._listening.set()
            elif inbox := self._inboxes.get(reader):
                try:
                    inbox.put(read_piece(text))
                except InvalidInput:
                    continue  # an agent of another version; its reader turns to the store

    async def stream(
        self, asker: Asker, file: LogFile, *, follow: bool, offset: int, onwards: bool
    ) -> AsyncIterator[bytes]:
        """Yield the text of a log file from byte `offset`; UTF-8, a part of it at a time.

        `follow`: until its attempt is over, and with `onwards` then the next attempt's, until
        the job is. A job that has not started is waited for.
        """
        at = offset
        while True:
            async for piece, _ in self.attempt(asker, file, at, follow=follow):
                yield piece
            if not (follow and onwards):
                return
            job = await self.after(asker, file)
            if job.attempt <= file.attempt:
                return
            file = LogFile(file.job, job.attempt, file.rank, file.stream)
            yield f"[headrace: attempt {job.attempt}]\n".encode()
            at = 0

    async def after(self, asker: Asker, file: LogFile) -> Job:
        """Wait until the job is closed or opens another attempt."""
        with self._waiters.watch(file.job) as change:
            while True:
                job = await asker.job()
                if job.status.closed or job.attempt > file.attempt:
                    return job
                await woken(change, _RENEW_S)

    async def attempt(
        self, asker: Asker, file: LogFile, at: int, *, follow: bool
    ) -> AsyncIterator[tuple[bytes, int]]:
        """Yield one attempt's log as (text, the byte of the file to go on from)."""
        look_until_s: float | None = None
        with self._waiters.watch(file.job) as change:
            while True:
                change.clear()  # before the job is read: what changes from here on is heard
                job = await asker.job()
                live = may_write(job, file.attempt)
                node = await self._node(job, file)
                reach = Reach.MORE
                if node is not None:
                    pieces = self.ask(asker.user, file, node, at, change, follow=follow and live)
                    async for text, at_now, reached in pieces:
                        at, reach = at_now, reached
                        if text:
                            yield text.encode(), at
                    if reach is not Reach.END:
                        async for part in self._store(file.job, file.attempt, file.name, at):
                            at, reach = at + len(part), Reach.END
                            yield part, at
                if not follow:
                    return
                if not live:
                    if node is None or reach is not Reach.MORE:
                        return
                    # While it is collected, an agent that is away comes back, or is lost.
                    if job.status.closed or job.attempt != file.attempt:
                        now_s = asyncio.get_running_loop().time()
                        look_until_s = look_until_s or now_s + _SHIPPED_S
                        if now_s >= look_until_s:
                            return
                await woken(change, _RENEW_S if node is None or reach is Reach.END else 1.0)

    async def _node(self, job: Job, file: LogFile) -> NodeId | None:
        """The node of a rank; None while the attempt has no nodes."""
        held = job.allocation if job.attempt == file.attempt else None
        held = held or await self._allocation(file.job, file.attempt)
        if held is None:
            return None
        if file.rank >= len(held.shares):
            raise InvalidInput(
                f"job {file.job} has {len(held.shares)} worker(s): ranks count from 0"
            )
        return held.shares[file.rank].node

    async def ask(
        self,
        user: str,
        file: LogFile,
        node: NodeId,
        at: int,
        change: asyncio.Event,
        *,
        follow: bool,
    ) -> AsyncIterator[tuple[str, int, Reach]]:
        """Yield (text, read up to, how far that is) as the node's agent answers.

        Ends at the end of the file, while following not before the job changes, so that the
        caller looks at it again; with GONE when the node has no such file; and with nothing
        when it does not answer.
        """
        while True:
            reached, again = at, False
            with self.counted(user), self._inbox() as (reader, inbox):
                async for piece in self._answers(file, node, at, reader, inbox, change, follow):
                    if piece.gone:
                        yield "", at, Reach.GONE
                        return
                    joined = join(at, piece)
                    if joined.skipped and not follow:
                        again = True  # fell behind: ask once more from where we are
                        break
                    if joined.skipped:
                        yield gap_mark(joined.skipped), at, Reach.MORE
                    at = joined.at
                    yield joined.data, at, Reach.END if piece.eof else Reach.MORE
            if not again or at == reached:
                return

    async def look(
        self, file: LogFile, node: NodeId, text: str, *, all_tasks: bool = False
    ) -> AsyncIterator[tuple[list[Line], Place, Reach]]:
        """Have the node's agent search a file, or the logs of all tasks; yields what it finds.

        Ends at the end of the file, with GONE when the node has no such file, and else where the
        agent does not answer, or no more. The caller has `counted` it.
        """
        lost, place = True, Place()
        while lost:
            lost = False
            more: dict[str, Any] = {"search": text, "line": place.line, "told": place.told}
            if all_tasks:
                more["run"] = place.run
            with self._inbox() as (reader, inbox):
                pieces = self._answers(
                    file, node, place.offset, reader, inbox, asyncio.Event(), True, more
                )
                while piece := await _within(pieces, _ANSWER_S + _RENEW_S):
                    if piece.gone or piece.line is None:  # None: an agent that can't search
                        yield [], place, Reach.GONE if piece.gone else Reach.MORE
                        return
                    if (piece.begun, piece.offset) > (place.run, place.offset):
                        lost = True  # an answer was lost: ask once more from where we are
                        break
                    place = Place(piece.end, piece.line, piece.told, piece.run)
                    reach = Reach.END if piece.eof else Reach.MORE
                    yield read_lines(piece.data), place, reach
                    if piece.eof:
                        return

    async def _answers(
        self,
        file: LogFile,
        node: NodeId,
        at: int,
        reader: str,
        inbox: _Inbox,
        change: asyncio.Event,
        follow: bool,
        more: Mapping[str, Any] | None = None,
    ) -> AsyncIterator[Piece]:
        async with asyncio.timeout(5.0):
            await self._listening.wait()
        want = {
            "job": file.job,
            "attempt": file.attempt,
            "node": node,
            "name": file.name,
            "offset": at,
            "reply": self._replies.channel(reader),
            "follow": follow,
            "lease_ms": _LEASE_MS,
            **({} if file.task is None else {"task": file.task}),
            **(more or {}),
        }
        loop = asyncio.get_running_loop()
        await self._replies.ask(json.dumps(want))
        began_s = asked_s = loop.time()
        answered = False
        while True:
            while piece := inbox.take():
                answered = True
                yield piece
                if piece.gone or (piece.eof and not follow):
                    return
                want["offset"] = piece.end
                if more and piece.line is not None:  # an agent that was started anew goes on so
                    want |= {"line": piece.line, "told": piece.told}
                    want |= {"run": piece.run} if "run" in more else {}
            now_s = loop.time()
            if not answered and now_s - asked_s >= _ANSWER_S:
                return
            # A search ends by itself, and soon.
            if follow and not more and now_s - began_s >= _CHECK_S:
                change.set()
            if follow and change.is_set():
                return
            if now_s - asked_s >= _RENEW_S:
                if not follow:
                    return
                await self._replies.ask(json.dumps(want))
                asked_s = now_s
            await _either(inbox.filled, change if follow else None, 0.5)

    @contextmanager
    def counted(self, user: str) -> Iterator[None]:
        """Count one more log that a user reads; raises `Unavailable` when there are too many."""
        for count_, limit, whose in (
            (self._reading[user], self._user_limit, " of yours"),
            (self._reading.total(), self._limit, ""),
        ):
            if count_ >= limit:
                raise Unavailable(
                    f"{limit} logs{whose} are being read already", hint="try again in a moment"
                )
        self._reading[user] += 1
        try:
            yield
        finally:
            self._reading[user] -= 1
            if not self._reading[user]:
                del self._reading[user]

    @contextmanager
    def _inbox(self) -> Iterator[tuple[str, _Inbox]]:
        reader, inbox = str(next(self._numbers)), _Inbox()
        self._inboxes[reader] = inbox
        try:
            yield reader, inbox
        finally:
            del self._inboxes[reader]


def may_write(job: Job, attempt: int) -> bool:
    """Tell whether an attempt's workers may still write, or have not begun to."""
    return (
        job.attempt == attempt
        and not job.status.closed
        and job.status is not Status.AWAITING_COLLECTION
    )


async def _within(pieces: AsyncIterator[Piece], seconds: float) -> Piece | None:
    """The next piece; None where there is none, or none comes in time."""
    try:
        async with asyncio.timeout(seconds):
            return await anext(pieces, None)
    except TimeoutError:
        return None


async def _either(one: asyncio.Event, other: asyncio.Event | None, within_s: float) -> None:
    waits = [asyncio.ensure_future(event.wait()) for event in (one, other) if event]
    try:
        await asyncio.wait(waits, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waits:
            each.cancel()
