"""The Python client: `async with AsyncClient() as client: await client.run(…)`.

Every call may raise the errors of headrace_model.errors, with the server's sentence and hint.
headrace_client.sync has the face for programs without an event loop.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from secrets import token_hex
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from headrace_client.connection import choose_connection
from headrace_client.datasets import Datasets
from headrace_client.errors import StillRunning, check_completed
from headrace_client.http import GONE, Http
from headrace_client.inputs import upload_inputs, with_stand_ins
from headrace_client.jobsource import JobSource, read_job
from headrace_client.live import Live
from headrace_client.merge import merged
from headrace_client.people import People
from headrace_client.sockets import Sockets
from headrace_model.errors import Unavailable
from headrace_model.people import Level
from headrace_model.series import Resolution
from headrace_model.spec import JobSpec
from headrace_model.status import Status
from headrace_wire.api import (
    AcceptedView,
    DiscardRequest,
    HistoryView,
    JobView,
    NodeView,
    TaskPage,
    read_history,
    read_view,
)
from headrace_wire.history import PhaseView, read_phase
from headrace_wire.jobfile import dump
from headrace_wire.lineage import DEPTH, NODES, LineageView, read_lineage
from headrace_wire.live import LogPiece
from headrace_wire.logsearch import LogFound, SearchEnd, read_found
from headrace_wire.maintenance import MaintenanceChange, MaintenanceView
from headrace_wire.people import ShareRequest
from headrace_wire.progress import ProgressView
from headrace_wire.schema import to_plain
from headrace_wire.series import SeriesView
from headrace_wire.usage import UsageView
from headrace_wire.why import PlanView, WhenView, WhyView


@dataclass(frozen=True, slots=True)
class JobPage:
    """Some jobs, the last that moved first; `cursor` None: there are no more.

    `incomplete` says what may be missing while the server still reads archived jobs.
    """

    jobs: tuple[JobView, ...]
    cursor: str | None
    incomplete: str | None = None


class AsyncClient:
    """Talks to one server as one user. Use it as an async context manager.

    Without `url` or `token` they are found as the command `headrace` finds them; an empty token
    shows none: that is enough for `people.login`. `patience_s`: how long a server that went away
    is waited for. Raises `InvalidInput` and `Unauthorized` where there is none.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        patience_s: float = 60.0,
        ca_file: str | None = None,
    ) -> None:
        connection = choose_connection(url, token, ca_file, os.environ)
        self._http = Http(connection, patience_s=patience_s)
        self._sockets = Sockets(self._http)
        self.datasets = Datasets(self._http)
        self.people = People(self._http)
        self.live = Live(self._http, self._sockets)

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._sockets.close()
        await self._http.__aexit__(kind, error, trace)

    # ---- running a job

    async def run(self, source: JobSource) -> AcceptedView:
        """Upload the inputs that are local paths and submit a job; accepted means kept.

        `source`: a mapping with the keys of a job file, the path of one, or its text (YAML).
        """
        spec, folder = await asyncio.to_thread(read_job, source)
        return await self.submit(dump(await upload_inputs(self.datasets, spec, folder)))

    async def result(
        self,
        job: str,
        timeout: float | None = None,  # noqa: ASYNC109 - it gives up the waiting, not the job
    ) -> JobView:
        """Wait until a job has completed; the job as it is then.

        Raises `JobFailed`, `NotCompleted` where it was canceled or stopped, and `StillRunning`
        after `timeout` seconds. Giving up leaves the job running.
        """
        try:
            async with asyncio.timeout(timeout):
                view = await self.ended(job)
        except TimeoutError:
            raise StillRunning(
                f"job {job} is not over after {timeout:g} s", hint="it goes on; ask again"
            ) from None
        check_completed(view)
        return view

    async def submit(self, job: Mapping[str, Any], *, key: str | None = None) -> AcceptedView:
        """Submit a job (as `headrace_wire.jobfile.dump` gives it); accepted means kept.

        A server that dies meanwhile is waited for, and takes the job once: the idempotency `key`
        (a random one by default) goes with every try.
        """
        headers = {"Idempotency-Key": key or token_hex(16)}
        plain = await self._http.json("POST", "/jobs", body=dict(job), headers=headers)
        return read_view(AcceptedView, plain)

    async def submit_many(
        self, jobs: Sequence[Mapping[str, Any]], *, key: str | None = None
    ) -> tuple[AcceptedView, ...]:
        """Submit several jobs: when one is wrong none is taken."""
        headers = {"Idempotency-Key": key or token_hex(16)}
        body = [dict(job) for job in jobs]
        plain = await self._http.json("POST", "/jobs", body=body, headers=headers)
        return tuple(read_view(AcceptedView, each) for each in plain["jobs"])

    async def validate(self, job: Mapping[str, Any]) -> Mapping[str, Any]:
        """Check a job as a submit would; gives its canonical form."""
        plain: Mapping[str, Any] = await self._http.json("POST", "/jobs:validate", body=dict(job))
        return plain

    async def job(self, job: str) -> JobView:
        """Read one job, with its spec."""
        return read_view(JobView, await self._http.json("GET", f"/jobs/{job}"))

    async def until(self, job: str, there: Callable[[JobView], bool]) -> JobView:
        """Wait until a job is as asked for; changes that come at once may be seen as one."""
        first = await self.job(job)
        if there(first):
            return first
        async with aclosing(self.live.jobs(jobs=[job])) as told:
            async for news in told:
                for view in news.jobs or (await self.job(job),):
                    if there(view):
                        # News tell neither of the spec nor of an array's tasks.
                        tasks = (await self.job(job)).tasks if first.tasks else None
                        return replace(view, spec=first.spec, tasks=tasks)
        raise AssertionError("a subscription to jobs has no end")

    async def ended(self, job: str) -> JobView:
        """Wait until the job is closed."""
        return await self.until(job, lambda view: view.status.closed)

    async def watch(self, job: str) -> AsyncGenerator[HistoryView, None]:
        """Yield each step of a job's way once, from its beginning until it is closed."""
        told = 0
        async with aclosing(self.live.jobs(jobs=[job])) as news:
            async for _ in news:
                way = await self.history(job)
                for step in way[told:]:
                    yield step
                told = len(way)
                if Status(way[-1].to).closed:
                    return

    async def jobs(
        self,
        *,
        status: Sequence[str] = (),
        kind: str = "",
        owner: str = "",
        q: str = "",
        since: str = "",
        limit: int = 100,
        cursor: str = "",
    ) -> JobPage:
        """List jobs, the last that moved first."""
        asked: dict[str, str | int] = {
            "status": ",".join(status), "kind": kind, "owner": owner, "q": q, "since": since,
            "limit": limit, "cursor": cursor,
        }  # fmt: skip
        query = {name: value for name, value in asked.items() if value != ""}
        plain = await self._http.json("GET", "/jobs", query=query)
        jobs = tuple(read_view(JobView, each) for each in plain["jobs"])
        return JobPage(jobs, plain["cursor"], plain.get("incomplete"))

    async def history(self, job: str) -> tuple[HistoryView, ...]:
        """Read a job's history, oldest first."""
        plain = await self._http.json("GET", f"/jobs/{job}/history")
        return tuple(read_history(each) for each in plain["history"])

    async def phases(self, job: str) -> tuple[PhaseView, ...]:
        """How long a job was in each status, attempt after attempt."""
        plain = await self._http.json("GET", f"/jobs/{job}/history")
        return tuple(read_phase(each) for each in plain["phases"])

    async def why(self, job: str) -> WhyView:
        """Ask why a job is where it is."""
        return read_view(WhyView, await self._http.json("GET", f"/jobs/{job}/why"))

    async def when(self, job: str) -> WhenView:
        """Ask when a job starts, with the range that holds it in 8 of 10 cases."""
        return read_view(WhenView, await self._http.json("GET", f"/jobs/{job}/when"))

    async def plan(self, source: JobSource | JobSpec) -> PlanView:
        """Ask what would come of running a job now; nothing is sent, made or changed.

        `source` as for `run`. Raises what a submit would be refused.
        """
        if isinstance(source, JobSpec):
            spec = source
        else:
            spec, _ = await asyncio.to_thread(read_job, source)
        uploads = [each.name for each in spec.path_inputs]
        query = {"uploads": ",".join(uploads)} if uploads else {}
        body = dump(with_stand_ins(spec))
        return read_view(
            PlanView, await self._http.json("POST", "/jobs:plan", body=body, query=query)
        )

    async def lineage(self, job: str, *, depth: int = DEPTH, limit: int = NODES) -> LineageView:
        """What a job came from and what came of it, `depth` jobs each way, `limit` nodes."""
        query = {"depth": depth, "limit": limit}
        return read_lineage(await self._http.json("GET", f"/jobs/{job}/lineage", query=query))

    async def outputs(self, job: str) -> Mapping[str, str]:
        """The datasets (their ids) that a job has made, by output."""
        outputs: Mapping[str, str] = (await self._http.json("GET", f"/jobs/{job}/outputs"))[
            "outputs"
        ]
        return outputs

    async def usage(
        self, job: str, *, attempt: int | None = None, rank: int | None = None, since: str = ""
    ) -> UsageView:
        """What a job's workers use, or used: of the current attempt unless another is named.

        `rank`: of that worker alone, else of the first 32; `since`: only samples after that time.
        """
        asked = {"attempt": attempt, "rank": rank, "since": since}
        query = {name: value for name, value in asked.items() if value not in (None, "")}
        return read_view(
            UsageView, await self._http.json("GET", f"/jobs/{job}/usage", query=query)
        )

    async def progress(self, job: str, *, attempt: int | None = None) -> ProgressView:
        """How far a job is, by its tasks or by what its workers write."""
        query = {} if attempt is None else {"attempt": attempt}
        plain = await self._http.json("GET", f"/jobs/{job}/progress", query=query)
        return read_view(ProgressView, plain)

    async def series(
        self, step: Resolution = Resolution.SECONDS, *, since: str = ""
    ) -> SeriesView:
        """What the cluster was like: each 10 s of the last hour, minute of the last day, or
        quarter of an hour of the last two weeks; `since`: only after that time."""
        query = {"step": str(step), **({"since": since} if since else {})}
        plain = await self._http.json("GET", "/cluster/series", query=query)
        return read_view(SeriesView, plain)

    async def desire(self, job: str, verb: str) -> JobView:
        """Stop, restart, cancel, hold or release a job; repeating it is success."""
        return read_view(JobView, await self._http.json("POST", f"/jobs/{job}:{verb}"))

    async def share(self, job: str, who: str, level: Level = Level.READ) -> JobView:
        """Share a job with `user:NAME`, `group:NAME` or `everyone`; a repeat is success."""
        body = to_plain(ShareRequest(who, level))
        return read_view(JobView, await self._http.json("POST", f"/jobs/{job}:share", body=body))

    async def unshare(self, job: str, who: str) -> JobView:
        """Take a share of a job back; success if there is none."""
        body = to_plain(ShareRequest(who))
        return read_view(JobView, await self._http.json("POST", f"/jobs/{job}:unshare", body=body))

    async def retry(self, job: str, *, key: str | None = None) -> AcceptedView:
        """Run a closed job anew, as another job."""
        headers = {"Idempotency-Key": key or token_hex(16)}
        plain = await self._http.json("POST", f"/jobs/{job}:retry", headers=headers)
        return read_view(AcceptedView, plain)

    async def nodes(self) -> tuple[NodeView, ...]:
        """List the nodes."""
        return _nodes(await self._http.json("GET", "/nodes"))

    async def label_node(
        self, node: str, labels: Mapping[str, str], remove: Sequence[str] = ()
    ) -> tuple[NodeView, ...]:
        """Give a node labels and take others away, as an admin; gives the nodes then."""
        body = {"set": dict(labels), "remove": list(remove)}
        path = f"/nodes/{quote(node, safe='')}:label"
        return _nodes(await self._http.json("POST", path, body=body))

    async def change_node(self, node: str, verb: str) -> tuple[NodeView, ...]:
        """Do `drain`, `undrain`, `confirm-lost` or `remove`, as an admin; gives the nodes then."""
        path = f"/nodes/{quote(node, safe='')}:{verb}"
        return _nodes(await self._http.json("POST", path))

    async def discard(self, node: str, attempts: Sequence[str] = ()) -> tuple[NodeView, ...]:
        """Have a node end and remove what it keeps in quarantine, as an admin; none: all."""
        body = to_plain(DiscardRequest(tuple(attempts)))
        path = f"/nodes/{quote(node, safe='')}:discard"
        return _nodes(await self._http.json("POST", path, body=body))

    async def maintenance(self) -> MaintenanceView:
        """Tell whether new work is kept away, and what is still to finish."""
        return read_view(MaintenanceView, await self._http.json("GET", "/maintenance"))

    async def turn_maintenance(self, *, on: bool, why: str = "") -> MaintenanceView:
        """Keep new work away, or let it come again, as an admin; a repeat is success."""
        body = to_plain(MaintenanceChange(on, why))
        return read_view(MaintenanceView, await self._http.json("PUT", "/maintenance", body=body))

    async def tasks(
        self, job: str, *, state: str = "", limit: int = 100, cursor: str = ""
    ) -> TaskPage:
        """Give tasks of an array by index, those in one state if asked; a page at a time."""
        asked: dict[str, str | int] = {"state": state, "limit": limit, "cursor": cursor}
        query = {name: value for name, value in asked.items() if value != ""}
        return read_view(TaskPage, await self._http.json("GET", f"/jobs/{job}/tasks", query=query))

    async def log(
        self,
        job: str,
        *,
        stream: str = "both",
        rank: int = 0,
        attempt: int | None = None,
        task: int | None = None,
        follow: bool = False,
    ) -> AsyncIterator[bytes]:
        """Yield a worker's log, by default of the current attempt; `follow`: until it is over.

        `task`: that of a task of an array, by default of the newest attempt that ran it.

        A stream that breaks is taken up again where it broke (with stream="both" only before its
        first byte, since two files have no common offset).
        """
        if attempt is None and task is None:
            attempt = (await self.job(job)).attempt
        query: dict[str, str | int] = {
            "stream": stream,
            "rank": rank,
            "follow": str(follow).lower(),
        }
        query |= {} if attempt is None else {"attempt": attempt}
        query |= {} if task is None else {"task": task}
        at, progressed = 0, True
        while progressed:
            progressed = False
            async for last in self._http.tries():
                try:
                    async with self._http.open(
                        "GET", f"/jobs/{job}/logs", query={**query, "offset": at}
                    ) as answer:
                        async for part in answer.content.iter_any():
                            at, progressed = at + len(part), True
                            yield part
                    return
                except Unavailable:
                    if last:
                        raise
                except GONE as error:
                    if progressed and stream != "both":
                        break  # a new patience for a new break
                    if last or at:
                        raise self._http.unreachable(error) from None

    async def search_log(
        self,
        job: str,
        text: str,
        *,
        stream: str = "both",
        rank: int | None = None,
        attempt: int | None = None,
        task: int | None = None,
    ) -> AsyncGenerator[LogFound | SearchEnd, None]:
        """Yield the lines of a job's logs that hold a text, and last of all a `SearchEnd`.

        Of all ranks and tasks unless one is named, by default of the current attempt (of an
        array: of all attempts).
        """
        asked = {"stream": stream, "rank": rank, "attempt": attempt, "task": task, "search": text}
        query = {name: value for name, value in asked.items() if value is not None}
        async with self._http.open("GET", f"/jobs/{job}/logs", query=query) as answer:
            async for line in answer.content:
                yield read_found(line)

    async def follow(
        self,
        job: str,
        *,
        stream: str = "both",
        rank: int | None = 0,
        attempt: int | None = None,
    ) -> AsyncGenerator[LogPiece, None]:
        """Yield what a job's worker writes, from its first byte on, until the job is over.

        It begins with the current attempt; with `attempt` it is that one alone. Bytes that are
        no UTF-8 are replaced. `rank` None: what all workers write, each in its own order.
        """
        now = attempt or (await self.job(job)).attempt
        while True:
            ranks = range(await self._workers(job, now)) if rank is None else (rank,)
            pieces = merged(
                [self.live.logs(job, attempt=now, stream=stream, rank=each) for each in ranks]
            )
            async with aclosing(pieces):
                async for piece in pieces:
                    yield piece
            if attempt or not (await self._opened_after(job, now)):
                return
            now += 1

    async def _workers(self, job: str, attempt: int) -> int:
        """How many workers an attempt has, as soon as it has nodes; none where it never had."""
        view = await self.until(
            job, lambda now: bool(now.allocation) or now.status.closed or now.attempt > attempt
        )
        if view.attempt == attempt:
            return len(view.allocation)
        return (await self.usage(job, attempt=attempt, rank=0)).workers

    async def _opened_after(self, job: str, attempt: int) -> bool:
        """Wait until a job opens another attempt, or is closed without one."""
        view = await self.until(job, lambda view: view.status.closed or view.attempt > attempt)
        return view.attempt > attempt


def _nodes(plain: Mapping[str, Any]) -> tuple[NodeView, ...]:
    return tuple(read_view(NodeView, each) for each in plain["nodes"])
