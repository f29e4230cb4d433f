"""Following jobs, logs and nodes live: each event once and in order, whatever breaks meanwhile.

A subscription that ends for a reason that passes (a server that restarts, a connection that
breaks, a reader that was slow) is begun again from what its reader has had last.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Final, TypeVar

from headrace_client.errors import Behind
from headrace_client.http import Http
from headrace_client.sockets import Message, Sockets
from headrace_model.errors import Unavailable
from headrace_wire.api import NodeView, read_view
from headrace_wire.live import (
    Change,
    LogPiece,
    Snapshot,
    read_change,
    read_log_piece,
    read_nodes,
    read_snapshot,
)
from headrace_wire.progress import ProgressView
from headrace_wire.series import SeriesView
from headrace_wire.usage import UsageView
from headrace_wire.why import WhenView

T = TypeVar("T")

_PAUSE_S: Final = 0.2


class Live:
    """What a client may follow. Each iterator may raise what every call may.

    A server that goes away is waited for as long as for other calls.
    """

    def __init__(self, http: Http, sockets: Sockets) -> None:
        self._http = http
        self._sockets = sockets

    async def jobs(
        self,
        *,
        jobs: Sequence[str] = (),
        status: Sequence[str] = (),
        kind: str = "",
        owner: str = "",
        q: str = "",
        after: str = "",
    ) -> AsyncGenerator[Snapshot | Change, None]:
        """Yield the jobs as they are, and then each change of one of them, for ever.

        `jobs`: ids, by default all that you may see. `status` asks for changes to these. `after`
        is the `at` of a change or snapshot: it goes on from there, without a snapshot unless it
        is too long ago (`Snapshot.resync`).
        """
        asked: dict[str, Any] = {
            "topic": "jobs", "jobs": list(jobs), "status": list(status), "kind": kind,
            "owner": owner, "q": q,
        }  # fmt: skip
        asked = {name: value for name, value in asked.items() if value}
        at, resync = after, False
        told = self._told(lambda: {**asked, "after": at} if at else asked)
        async with aclosing(told):
            async for message in told:
                match message["type"]:
                    case "resync":
                        resync = True
                    case "snapshot":
                        snapshot = read_snapshot(message, resync=resync)
                        at, resync = snapshot.at, False
                        yield snapshot
                    case "job":
                        change = read_change(message)
                        at = change.at
                        yield change

    async def logs(
        self, job: str, *, attempt: int, stream: str = "both", rank: int = 0
    ) -> AsyncGenerator[LogPiece, None]:
        """Yield what a worker of an attempt writes, from its first byte on, until it is over.

        `stream` is "out", "err" or "both": these are told as they come, each in its own order.
        """
        asked: dict[str, Any] = {
            "topic": "logs", "job": job, "attempt": attempt, "stream": stream, "rank": rank
        }  # fmt: skip
        at = {"out": 0, "err": 0}
        told = self._told(lambda: {**asked, "offsets": at})
        async with aclosing(told):
            async for message in told:
                match message["type"]:
                    case "log":
                        piece = replace(read_log_piece(message), rank=rank)
                        at[piece.stream] = piece.end
                        yield piece
                    case "end":
                        return

    def progress(self, job: str) -> AsyncGenerator[ProgressView, None]:
        """Yield how far a job is, now and whenever that changes, until it is over."""
        return self._views("progress", job, ProgressView)

    def when(self, job: str) -> AsyncGenerator[WhenView, None]:
        """Yield a job's place and when it starts, now and whenever that changes, until it is
        over."""
        return self._views("when", job, WhenView)

    async def _views(self, topic: str, job: str, kind: type[T]) -> AsyncGenerator[T, None]:
        told = self._told(lambda: {"topic": topic, "job": job})
        async with aclosing(told):
            async for message in told:
                if message["type"] == "end":
                    return
                yield read_view(kind, message[topic])

    async def usage(self, job: str) -> AsyncGenerator[UsageView, None]:
        """Yield what a job's workers use, each sample once, until it is over."""
        at = ""
        told = self._told(lambda: {"topic": "usage", "job": job, "since": at})
        async with aclosing(told):
            async for message in told:
                if message["type"] == "end":
                    return
                view = read_view(UsageView, message["usage"])
                at = max((s.at for rank in view.ranks for s in rank.samples), default=at)
                yield view

    async def cluster(self) -> AsyncGenerator[SeriesView, None]:
        """Yield what the cluster was like in the last hour, and then each new point, for ever."""
        at = ""
        told = self._told(lambda: {"topic": "cluster", "since": at})
        async with aclosing(told):
            async for message in told:
                view = read_view(SeriesView, message["series"])
                at = view.points[-1].at
                yield view

    async def nodes(self) -> AsyncGenerator[tuple[NodeView, ...], None]:
        """Yield the nodes, now and whenever something of them changes, for ever."""
        told = self._told(lambda: {"topic": "nodes"})
        async with aclosing(told):
            async for message in told:
                yield read_nodes(message)

    async def _told(self, ask: Callable[[], Message]) -> AsyncGenerator[Message, None]:
        """What a subscription is told, for ever; what it asks for is made anew for each try."""
        while True:
            progressed = False
            async for last in self._http.tries():
                try:
                    async with self._sockets.follow(ask()) as inbox:
                        while True:
                            message = await inbox.take()
                            progressed = True
                            yield message
                except Behind:
                    break
                except Unavailable:
                    if progressed:
                        # A new patience for a new break; not all come again at once.
                        await asyncio.sleep(_PAUSE_S * random.random())  # noqa: S311
                        break
                    if last:
                        raise
