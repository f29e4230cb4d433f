"""The Python client: `async with AsyncClient(url, token) as client: await client.submit(…)`.

Every call may raise the errors of headrace_model.errors, with the server's sentence and hint.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from secrets import token_hex
from types import TracebackType
from typing import Any, Self

from headrace_client.connection import Connection
from headrace_client.datasets import Datasets
from headrace_client.http import GONE, Http
from headrace_client.people import People
from headrace_model.errors import Unavailable
from headrace_model.people import Level
from headrace_wire.api import (
    AcceptedView,
    HistoryView,
    JobView,
    NodeView,
    TaskPage,
    read_history,
    read_view,
)
from headrace_wire.people import ShareRequest
from headrace_wire.schema import to_plain

_LONG_POLL_S = 25


@dataclass(frozen=True, slots=True)
class JobPage:
    """Some jobs, the last that moved first; `cursor` None: there are no more.

    `incomplete` says what may be missing while the server still reads archived jobs.
    """

    jobs: tuple[JobView, ...]
    cursor: str | None
    incomplete: str | None = None


@dataclass(frozen=True, slots=True)
class WhyView:
    """Why a job is where it is, and what to do."""

    job: str
    status: str
    sentence: str
    hint: str | None = None


class AsyncClient:
    """Talks to one server as one user. Use it as an async context manager.

    An empty token shows none: that is enough for `people.login`.
    """

    def __init__(
        self, url: str, token: str, *, patience_s: float = 60.0, ca_file: str | None = None
    ) -> None:
        connection = Connection(url.rstrip("/"), token, ca_file)
        self._http = Http(connection, patience_s=patience_s)
        self.datasets = Datasets(self._http)
        self.people = People(self._http)

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.__aexit__(kind, error, trace)

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

    async def changed(self, job: JobView) -> JobView:
        """Wait until the job is newer than this view of it, at most for half a minute."""
        query = {"after_version": job.version, "wait": _LONG_POLL_S}
        return read_view(JobView, await self._http.json("GET", f"/jobs/{job.id}", query=query))

    async def ended(self, job: str) -> JobView:
        """Wait until the job is closed."""
        view = await self.job(job)
        while not view.status.closed:
            view = await self.changed(view)
        return view

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

    async def why(self, job: str) -> WhyView:
        """Ask why a job is where it is."""
        return read_view(WhyView, await self._http.json("GET", f"/jobs/{job}/why"))

    async def outputs(self, job: str) -> Mapping[str, str]:
        """The datasets (their ids) that a job has made, by output."""
        outputs: Mapping[str, str] = (await self._http.json("GET", f"/jobs/{job}/outputs"))[
            "outputs"
        ]
        return outputs

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
        plain = await self._http.json("GET", "/nodes")
        return tuple(read_view(NodeView, each) for each in plain["nodes"])

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
