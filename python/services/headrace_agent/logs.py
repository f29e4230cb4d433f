"""Showing the logs of this node's workers to those who follow them, while they do.

A worker's samples and marks of progress are read in the same way, but not followed: their files
are thinned now and then.
"""

import asyncio
import codecs
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace_agent import tasklogs
from headrace_agent.folders import AttemptFolder
from headrace_agent.logsearch import Search, answer_search, answer_tasks
from headrace_model.errors import HeadraceError, InvalidInput
from headrace_model.ids import NodeId, parse_job_id
from headrace_model.worker import WorkerState
from headrace_ports.backend import Backend
from headrace_service.logs import logger
from headrace_wire.logsearch import Place, check_text
from headrace_wire.progress import PROGRESS
from headrace_wire.usage import USAGE

if TYPE_CHECKING:
    from headrace_adapters.redis.log_wants import LogWants

_SMALL = (USAGE, PROGRESS)  # files that are read whole, and are no output of a worker
_PIECE_BYTES = 64 * 1024
_LOOK_S = 0.05  # how often a followed file is looked at: nothing tells us that it grew
_FOLLOWED_AT_ONCE = 200
_BYTES_PER_S = 4 * 2**20  # what one reader gets at the most; `join` marks what it misses


@dataclass(frozen=True, slots=True)
class Want:
    """What a reader asked for."""

    folder: str  # <job>.<attempt>
    name: str
    offset: int
    reply: str
    follow: bool
    lease_s: float
    task: int | None = None  # whose log, where the job is an array
    search: Search | None = None


def read_want(text: str, node: NodeId) -> Want | None:
    """Read a want; None when another node is meant. Raises `InvalidInput`."""
    try:
        plain = json.loads(text)
        if plain["node"] != node:
            return None
        rank, _, stream = str(plain["name"]).partition(".")
        if not rank.isdigit() or stream not in ("out", "err", *_SMALL):
            raise InvalidInput("no worker has a log of that name")
        return Want(
            folder=f"{parse_job_id(plain['job'])}.{int(plain['attempt'])}",
            name=f"{int(rank)}.{stream}",
            offset=max(0, int(plain["offset"])),
            reply=str(plain["reply"]),
            follow=bool(plain["follow"]) and stream not in _SMALL,
            task=None if plain.get("task") is None else int(plain["task"]),
            lease_s=min(60.0, float(plain["lease_ms"]) / 1000),
            search=_search_of(plain) if "search" in plain and stream not in _SMALL else None,
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InvalidInput(f"this is no want: {text[:80]!r}") from None


def _search_of(plain: Mapping[str, Any]) -> Search:
    task, lease = plain.get("run", (0, 0))
    begin = Place(
        max(0, int(plain["offset"])),
        int(plain["line"]),
        int(plain["told"]),
        (int(task), int(lease)),
    )
    return Search(check_text(str(plain["search"])), begin, all_tasks="run" in plain)


class LogAnswers:
    """Answers wants from the files in `attempts`."""

    def __init__(self, wants: "LogWants", node: NodeId, attempts: Path, backend: Backend) -> None:
        self._wants = wants
        self._backend = backend
        self._node = node
        self._attempts = attempts
        self._until: dict[str, float] = {}  # reply channel → when its lease is over
        self._log = logger("agent")

    async def run(self) -> None:
        """Hear and answer for ever."""
        async with asyncio.TaskGroup() as group:
            async for text in self._wants.follow():
                try:
                    want = read_want(text, self._node)
                except HeadraceError:
                    continue  # a reader of another version; it turns to the store
                if want is None:
                    continue
                known = want.reply in self._until
                if not known and len(self._until) >= _FOLLOWED_AT_ONCE:
                    continue
                self._until[want.reply] = time.monotonic() + want.lease_s
                if not known:
                    group.create_task(self._answer(want))

    async def _answer(self, want: Want) -> None:
        try:
            await self._send(want)
        except (HeadraceError, OSError) as error:
            self._log.warning(f"a log could not be shown: {error}", action="log", run=want.folder)
        finally:
            self._until.pop(want.reply, None)

    async def _of_run(self, run: str) -> tuple[WorkerState, ...]:
        return tuple(
            each
            for each in await self._backend.list()
            if f"{each.key.job}.{each.key.attempt}" == run
        )

    async def _search(self, want: Want, logs: Path, asked: Search) -> None:
        def wanted() -> bool:
            return time.monotonic() <= self._until.get(want.reply, 0.0)

        if asked.all_tasks and await asyncio.to_thread(logs.is_dir):
            there = await self._of_run(want.folder)
            stream = want.name.rpartition(".")[2]
            await answer_tasks(
                asked,
                lambda: tasklogs.TaskLogs(logs).runs(stream, there),
                lambda text: self._wants.answer(want.reply, text),
                wanted,
            )
            return
        there = () if want.task is None else await self._of_run(want.folder)
        await answer_search(
            asked,
            lambda at, most: asyncio.to_thread(_read, logs, want, at, there, most),
            lambda text: self._wants.answer(want.reply, text),
            wanted,
        )

    async def _send(self, want: Want) -> None:
        logs = AttemptFolder(self._attempts / want.folder).logs
        if want.search is not None:
            await self._search(want, logs, want.search)
            return
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        at, answered = want.offset, False
        while True:
            there = () if want.task is None else await self._of_run(want.folder)
            data = await asyncio.to_thread(_read, logs, want, at, there)
            if data is None:
                await self._wants.answer(want.reply, _piece(at, at, "", eof=True, gone=True))
                return
            ended = len(data) < _PIECE_BYTES
            # An empty piece tells a follower that there is a file, which grows perhaps.
            if data or not want.follow or not answered:
                answered = True
                text = decoder.decode(data)
                if not await self._wants.answer(
                    want.reply, _piece(at, at + len(data), text, eof=ended)
                ):
                    return
            at += len(data)
            if ended and not want.follow:
                return
            if time.monotonic() > self._until.get(want.reply, 0.0):
                return
            await asyncio.sleep(_LOOK_S if ended else len(data) / _BYTES_PER_S)


def _read(
    logs: Path,
    want: Want,
    offset: int,
    there: tuple[WorkerState, ...],
    limit: int = _PIECE_BYTES,
) -> bytes | None:
    log: tasklogs.Place | None = tasklogs.Place(logs / want.name, 0, None)
    if want.task is not None:
        log = tasklogs.TaskLogs(logs).find(want.task, want.name.rpartition(".")[2], there)
    return None if log is None else tasklogs.read(log, offset, limit)


def _piece(offset: int, end: int, data: str, *, eof: bool, gone: bool = False) -> str:
    return json.dumps(
        {
            "offset": offset,
            "end": end,
            "data": data,
            "eof": eof,
            "state": "gone" if gone else "running",
        }
    )
