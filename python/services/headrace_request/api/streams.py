"""The public addresses that answer with streams: logs and datasets; and the list of nodes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

from aiohttp import web
from aiohttp.typedefs import Handler

from headrace_model.array import TaskState
from headrace_model.errors import HeadraceError, InvalidInput, NotFound
from headrace_model.ids import NodeId, check_name
from headrace_model.job import Job
from headrace_request.api.jobs import ROOT
from headrace_request.api.requests import caller_of, job_of, number, read_json, user_of
from headrace_request.service.doorman import Doorman
from headrace_request.service.jobs import JobDesk
from headrace_request.service.logs import Asker, LogFile, LogReader, check_one_log
from headrace_request.service.logsearch import Asked, LogSearch, search_task
from headrace_request.service.nodes import ChangeNode, NodeDesk
from headrace_request.service.peers import Peer
from headrace_request.service.tasklogs import TaskLogs
from headrace_service.http import REQUEST_ID_KEY
from headrace_service.query import flag
from headrace_wire.api import DiscardRequest, LabelChange
from headrace_wire.logsearch import (
    LogFound,
    SearchEnd,
    check_text,
    end_line,
    found_line,
)
from headrace_wire.schema import from_plain

_LINES_WAITING = 256
_LABELS_BYTES = 64 * 1024
_BODY_BYTES = 256 * 1024


def add_logs(
    app: web.Application,
    desk: JobDesk,
    reader: LogReader,
    task_logs: TaskLogs,
    log_search: LogSearch,
    doorman: Doorman,
) -> None:
    """Add the route that streams a worker's log, or that of a task, or what is found in logs."""

    async def logs(request: web.Request) -> web.StreamResponse:
        job_id, caller = job_of(request), caller_of(request)
        stream = request.query.get("stream", "both")
        if stream not in ("out", "err", "both"):
            raise InvalidInput(f"stream={stream[:20]!r}: out, err or both is expected")
        follow, rank = flag(request, "follow"), number(request, "rank", 0, 0, 10_000)
        job = await desk.get(job_id, caller.user)
        attempt = number(request, "attempt", job.attempt, 1)
        if attempt > job.attempt:
            raise NotFound(f"job {job_id} has {job.attempt} attempt(s), so no attempt {attempt}")

        task = number(request, "task", 0, 0) if "task" in request.query else None
        if task is not None:
            await desk.task(job_id, caller.user, task)
        elif "search" not in request.query:
            check_one_log(job)

        # A stream lasts: it ends with the token, and with the right to see the job.

        async def read_job() -> Job:
            return await desk.get(job_id, (await doorman.still(caller)).user)

        async def read_task() -> TaskState:
            return await desk.task(job_id, (await doorman.still(caller)).user, task or 0)

        first = attempt if "attempt" in request.query or not job.is_array else 1
        attempts = range(first, attempt + 1)

        def of_task(file: LogFile, attempts: range) -> AsyncIterator[bytes]:
            return task_logs.stream(
                caller.user.name,
                file,
                attempts,
                read_task,
                follow=follow,
                offset=number(request, "offset", 0),
            )

        def parts(name: str) -> AsyncIterator[bytes]:
            if task is not None:
                return of_task(LogFile(job_id, attempt, rank, name, task), attempts)
            return reader.stream(
                Asker(caller.user.name, read_job),
                LogFile(job_id, attempt, rank, name),
                follow=follow,
                offset=number(request, "offset", 0),
                onwards="attempt" not in request.query,
            )

        streams = ("out", "err") if stream == "both" else (stream,)
        text: AsyncIterator[bytes]
        if "search" in request.query:
            wanted = request.query["search"]
            check_text(wanted)
            if follow or "offset" in request.query:
                raise InvalidInput(
                    "a search looks at the whole of what is there: without follow and offset"
                )
            if task is not None:
                files = [
                    [LogFile(job_id, each, rank, name, task) for each in reversed(attempts)]
                    for name in streams
                ]
                text = _written(
                    search_task(
                        wanted,
                        files,
                        lambda file: of_task(file, range(file.attempt, file.attempt + 1)),
                    )
                )
            else:
                one = rank if "rank" in request.query else None
                asked = Asked(wanted, streams, attempts, one)
                text = _written(log_search.run(caller.user.name, job, asked))
        elif stream == "both":
            text = _interleaved(parts("out"), parts("err"))
        else:
            text = parts(stream)
        response = web.StreamResponse(
            headers={
                "Content-Type": "text/plain; charset=utf-8",
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",
                "X-Request-ID": request[REQUEST_ID_KEY],
                "X-Headrace-Attempt": str(attempt),
            }
        )
        async with aclosing(text):  # type: ignore[type-var] # both are async generators
            started = False
            # The first part is asked for before the answer begins: till then errors can be said.
            try:
                async for part in _with_start(text):
                    if not started:
                        await response.prepare(request)
                        started = True
                    if part:
                        await response.write(part)
            except (HeadraceError, ExceptionGroup) as error:
                if not started:
                    raise
                # Too late for an error of its own: a cut answer is asked for again from there.
                raise ConnectionResetError(f"a log could not be read on: {error}") from None
            await response.write_eof()
        return response

    app.router.add_get(ROOT + "/jobs/{job:[^/:]+}/logs", logs)


async def _written(found: AsyncIterator[LogFound | SearchEnd]) -> AsyncIterator[bytes]:
    async with aclosing(found):  # type: ignore[type-var] # it is an async generator
        async for each in found:
            yield end_line(each) if isinstance(each, SearchEnd) else found_line(each)


async def _with_start(text: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Give the parts, and an empty one first when none comes soon."""
    first = asyncio.ensure_future(anext(text, None))
    try:
        await asyncio.wait({first}, timeout=0.5)
        if not first.done():
            yield b""
        part = await first
    finally:
        first.cancel()
    yield part or b""
    if part is not None:
        async for part in text:
            yield part


async def _interleaved(*texts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Merge streams line by line, in the order in which lines come."""
    lines: asyncio.Queue[bytes | None] = asyncio.Queue(_LINES_WAITING)

    async def pump(text: AsyncIterator[bytes]) -> None:
        rest = b""
        async for part in text:
            whole, newline, rest = (rest + part).rpartition(b"\n")
            if newline:
                await lines.put(whole + newline)
            elif len(rest) > 64 * 1024:
                await lines.put(rest)
                rest = b""
        if rest:
            await lines.put(rest + b"\n")

    async def ended(text: AsyncIterator[bytes]) -> None:
        try:
            await pump(text)
        finally:
            await lines.put(None)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(ended(text)) for text in texts]
        try:
            for _ in texts:
                while (line := await lines.get()) is not None:
                    yield line
        finally:
            for task in tasks:
                task.cancel()


def add_datasets(app: web.Application, data: Peer) -> None:
    """Pass everything about datasets, and users' secrets, through to the data service."""

    async def pass_on(request: web.Request) -> web.StreamResponse:
        return await data.pass_on(request, user_of(request))

    for path in (
        "/datasets", "/datasets:{verb:[a-z]+}", "/datasets/{rest:.+}",
        "/secrets", "/secrets/{name}",
    ):  # fmt: skip
        app.router.add_route("*", ROOT + path, pass_on)


def add_nodes(app: web.Application, desk: NodeDesk) -> None:
    """Add the list of nodes, and what admins do with one."""

    async def list_nodes(request: web.Request) -> web.Response:
        return web.json_response({"nodes": await desk.show(user_of(request))})

    def changing(change: ChangeNode) -> Handler:
        async def changed(request: web.Request) -> web.Response:
            node = NodeId(check_name(request.match_info["node"], "node"))
            return web.json_response({"nodes": await change(node, user_of(request))})

        return changed

    async def label(request: web.Request) -> web.Response:
        node = NodeId(check_name(request.match_info["node"], "node"))
        asked = from_plain(LabelChange, await read_json(request, _LABELS_BYTES))
        return web.json_response({"nodes": await desk.label(node, asked, user_of(request))})

    app.router.add_get(ROOT + "/nodes", list_nodes)
    app.router.add_post(f"{ROOT}/nodes/{{node}}:label", label)
    for verb, change in (
        ("drain", desk.drain),
        ("undrain", desk.undrain),
        ("confirm-lost", desk.confirm_lost),
        ("remove", desk.remove),
    ):
        app.router.add_post(f"{ROOT}/nodes/{{node}}:{verb}", changing(change))

    async def discard(request: web.Request) -> web.Response:
        node = NodeId(check_name(request.match_info["node"], "node"))
        body = await read_json(request, _BODY_BYTES) if request.can_read_body else {}
        asked = from_plain(DiscardRequest, body)
        return web.json_response(
            {"nodes": await desk.discard(node, user_of(request), asked.attempts)}
        )

    app.router.add_post(f"{ROOT}/nodes/{{node}}:discard", discard)
