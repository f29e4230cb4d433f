"""The public addresses of jobs."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from aiohttp import web

from headrace_model.array import TaskState
from headrace_model.errors import InvalidInput, TooLarge
from headrace_model.job import Job
from headrace_model.listing import Filter
from headrace_model.people import Act, Standing, check_may, not_shared_with, shared_with
from headrace_model.times import parse_instant
from headrace_request.api.requests import (
    job_of,
    key_of,
    number,
    read_json,
    user_of,
)
from headrace_request.core.desire import DesireVerb
from headrace_request.core.listing import read_cursor, statuses_named, write_cursor
from headrace_request.service.answers import AnswerDesk
from headrace_request.service.jobs import JobDesk, Submitted
from headrace_request.service.lister import Lister
from headrace_request.settings import Settings
from headrace_service.http import REQUEST_ID_KEY
from headrace_wire.api import accepted_view, history_view, job_view, task_page
from headrace_wire.history import phases_view
from headrace_wire.jobfile import dump
from headrace_wire.people import ShareRequest
from headrace_wire.schema import from_plain

ROOT: Final = "/api/v1"
_LONGEST_WAIT_S: Final = 30


class JobRoutes:
    """Decodes requests about jobs, calls the shell, encodes its answers."""

    def __init__(
        self, desk: JobDesk, lister: Lister, answers: AnswerDesk, settings: Settings
    ) -> None:
        self._desk = desk
        self._answers = answers
        self._lister = lister
        self._settings = settings

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        one = ROOT + "/jobs/{job:[^/:]+}"
        app.router.add_post(f"{ROOT}/jobs", self.submit)
        app.router.add_post(f"{ROOT}/jobs:validate", self.validate)
        app.router.add_get(f"{ROOT}/jobs", self.list)
        app.router.add_get(one, self.get)
        app.router.add_get(f"{one}/tasks", self.tasks)
        app.router.add_get(f"{one}/history", self.history)
        app.router.add_get(f"{one}/outputs", self.outputs)
        app.router.add_post(f"{one}:retry", self.retry)
        app.router.add_post(f"{one}:share", self.share)
        app.router.add_post(f"{one}:unshare", self.unshare)
        app.router.add_post(one + ":{verb:[a-z]+}", self.verb)

    async def submit(self, request: web.Request) -> web.Response:
        """Take in one job, or a list: all of it, or (when one is wrong) none of it."""
        body = await read_json(request, self._settings.json_limit_bytes)
        plains = body if isinstance(body, list) else [body]
        if not plains:
            raise InvalidInput("the list of jobs is empty")
        if len(plains) > self._settings.jobs_limit:
            raise TooLarge(
                f"{len(plains):,} jobs in one list; at most {self._settings.jobs_limit:,}",
                hint="send several lists",
            )
        done = await self._desk.submit(
            plains, user_of(request), key_of(request), request[REQUEST_ID_KEY]
        )
        views = [_accepted(each) for each in done]
        if isinstance(body, list):
            return web.json_response({"jobs": views}, status=201)
        where = {"Location": f"{ROOT}/jobs/{done[0].id}"}
        return web.json_response(views[0], status=201, headers=where)

    async def validate(self, request: web.Request) -> web.Response:
        """Check a job as a submit would, and answer its canonical form."""
        body = await read_json(request, self._settings.json_limit_bytes)
        spec = await self._desk.check(body, user_of(request))
        return web.json_response({"valid": True, "spec": dump(spec)})

    async def list(self, request: web.Request) -> web.Response:
        """List jobs, the last that moved first."""
        check_may(user_of(request), Act.SEE_JOB, Standing.OWNER)
        query = request.query
        since = query.get("since")
        kind = query.get("kind")
        page = await self._lister.page(
            user_of(request),
            statuses_named(
                name for text in query.getall("status", []) for name in text.split(",")
            ),
            Filter(
                kind=kind.replace("_", "-") if kind else None,
                owner=query.get("owner") or None,
                q=query.get("q", ""),
                since_ms=parse_instant(since) if since else None,
            ),
            limit=number(request, "limit", 100, 1, 1000),
            after=read_cursor(query["cursor"]) if query.get("cursor") else None,
        )
        return web.json_response(
            {
                "jobs": [job_view(job, spec=False) for job in page.jobs],
                "cursor": write_cursor(page.go_on) if page.go_on else None,
                "incomplete": page.incomplete,
            }
        )

    async def get(self, request: web.Request) -> web.Response:
        """Show a job; with `after_version` and `wait`, as soon as it is newer than that."""
        job, user = job_of(request), user_of(request)
        if "wait" in request.query:
            found = await self._desk.changed(
                job,
                user,
                number(request, "after_version", 0),
                number(request, "wait", 0, 0, _LONGEST_WAIT_S),
            )
        else:
            found = await self._desk.get(job, user)
        return await self._shown(found, await self._answers.glance(found))

    async def tasks(self, request: web.Request) -> web.Response:
        """Show an array's tasks, those in one state if asked."""
        query = request.query
        wanted, cursor = query.get("state", ""), query.get("cursor") or "0"
        try:
            state = TaskState(wanted.upper()) if wanted else None
        except ValueError:
            known = ", ".join(TaskState).lower()
            raise InvalidInput(f"state={wanted[:20]!r} is none of {known}") from None
        if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 12):
            raise InvalidInput(f"cursor={cursor[:20]!r} is none that a page of tasks gave")
        record = await self._desk.array(job_of(request), user_of(request))
        limit = number(request, "limit", 100, 1, 1000)
        return web.json_response(task_page(record, state, int(cursor), limit))

    async def history(self, request: web.Request) -> web.Response:
        """Show a job's history, oldest first, and the phases that it tells."""
        way = await self._desk.history(job_of(request), user_of(request))
        return web.json_response(
            {
                "history": [history_view(line) for line in way.lines],
                "phases": phases_view(way.lines, way.attempt, way.now_ms),
            }
        )

    async def outputs(self, request: web.Request) -> web.Response:
        """Name the datasets that a job has made, by output."""
        found = await self._desk.get(job_of(request), user_of(request))
        view = job_view(found, spec=False)
        return web.json_response(
            {"job": found.id, "status": found.status, "outputs": view["outputs"]}
        )

    async def verb(self, request: web.Request) -> web.Response:
        """Do what the verb after the colon says."""
        name = request.match_info["verb"]
        try:
            verb = DesireVerb(name)
        except ValueError:
            known = ", ".join([*DesireVerb, "retry", "share", "unshare"])
            raise InvalidInput(
                f"{name[:40]!r} is not a verb for a job; known are {known}"
            ) from None
        return await self._shown(await self._desk.desire(job_of(request), verb, user_of(request)))

    async def share(self, request: web.Request) -> web.Response:
        """Let somebody else see a job, or steer it too."""
        share = (await self._shared(request)).share
        return await self._shown(
            await self._desk.share(
                job_of(request), user_of(request), lambda shares: shared_with(shares, share)
            )
        )

    async def unshare(self, request: web.Request) -> web.Response:
        """Take a share back; success if there is none."""
        who = (await self._shared(request)).share.who
        return await self._shown(
            await self._desk.share(
                job_of(request), user_of(request), lambda shares: not_shared_with(shares, who)
            )
        )

    async def _shown(
        self, job: Job, more: Mapping[str, Any] = MappingProxyType({})
    ) -> web.Response:
        view = job_view(job, spec=True, tasks=await self._desk.tasks(job)) | {**more}
        return web.json_response(view, headers={"ETag": f'"{job.version}"'})

    async def _shared(self, request: web.Request) -> ShareRequest:
        return from_plain(ShareRequest, await read_json(request, self._settings.json_limit_bytes))

    async def retry(self, request: web.Request) -> web.Response:
        """Submit the spec of a closed job as a new job."""
        done = await self._desk.retry(
            job_of(request), user_of(request), key_of(request), request[REQUEST_ID_KEY]
        )
        return web.json_response(_accepted(done), status=201)


def _accepted(done: Submitted) -> dict[str, Any]:
    return accepted_view(done.id, done.name, done.status, done.created_ms)
