"""The Python client for programs without an event loop, and for notebooks: calls that wait.

It has no logic of its own: each call runs one of `AsyncClient` on a thread in the background, so
that it works within a running loop too. Handles stand for what is on the server: a job, a dataset.
"""

from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from headrace_client import html
from headrace_client.api import AsyncClient
from headrace_client.background import Background
from headrace_client.jobsource import JobSource
from headrace_client.syncdata import Dataset, Datasets, Listing, Outputs
from headrace_model.series import Resolution
from headrace_model.status import Status
from headrace_wire.api import HistoryView, JobView, NodeView, TaskView
from headrace_wire.history import PhaseView
from headrace_wire.lineage import DEPTH, NODES, LineageView
from headrace_wire.live import Change, LogPiece, Snapshot
from headrace_wire.logsearch import LogFound, SearchEnd
from headrace_wire.progress import ProgressView
from headrace_wire.series import SeriesView
from headrace_wire.usage import UsageView
from headrace_wire.why import PlanView, WhenView, WhyView

T = TypeVar("T")


class Nodes(Listing[NodeView]):
    """Nodes, as they were when they were listed."""

    __slots__ = ()
    _html = staticmethod(html.nodes_html)


class Tasks(Listing[TaskView]):
    """Tasks of an array, as they were when they were listed."""

    __slots__ = ()
    _html = staticmethod(html.tasks_html)


class Job:
    """A job. It is read anew where something is asked of it that may have changed."""

    def __init__(self, background: Background, view: JobView) -> None:
        self._background = background
        self._view = view

    @property
    def id(self) -> str:
        """Its id."""
        return self._view.id

    @property
    def view(self) -> JobView:
        """The job as it is now."""
        if not self._view.status.final:
            self._view = self._call(lambda client: client.job(self.id))
        return self._view

    @property
    def status(self) -> Status:
        """Where it is now."""
        return self.view.status

    def result(self, timeout: float | None = None) -> Outputs:
        """Wait until the job has completed; gives what it made.

        Raises `JobFailed`, `NotCompleted` where it was canceled or stopped, and `StillRunning`
        after `timeout` seconds. The job goes on then, and when this is interrupted (Ctrl-C).
        """
        self._view = self._call(lambda client: client.result(self.id, timeout))
        return self.outputs()

    def outputs(self) -> Outputs:
        """The datasets that it has made until now."""

        async def read(client: AsyncClient) -> dict[str, Mapping[str, Any]]:
            made = await client.outputs(self.id)
            return {name: await client.datasets.get(id_) for name, id_ in made.items()}

        found = self._call(read)
        datasets = {name: Dataset(self._background, view) for name, view in found.items()}
        return Outputs(self._view, datasets)

    def download(self, folder: Path | str) -> dict[str, Path]:
        """Wait as `result` does, and download each output into a folder below `folder`."""
        return self.result().download(folder)

    def logs(
        self,
        *,
        stream: str = "both",
        rank: int = 0,
        attempt: int | None = None,
        task: int | None = None,
    ) -> str:
        """What a worker has written until now: its `stream` "out", "err", or one after the other.

        Of the current attempt unless another is named; `rank`: which worker of a parallel job;
        `task`: which task of an array.
        """

        async def read(client: AsyncClient) -> str:
            parts = client.log(self.id, stream=stream, rank=rank, attempt=attempt, task=task)
            return b"".join([part async for part in parts]).decode(errors="replace")

        return self._call(read)

    def follow(
        self, *, stream: str = "both", rank: int | None = 0, attempt: int | None = None
    ) -> Iterator[LogPiece]:
        """Yield what a worker writes as it comes, until the job is over; `rank` None: what all do.

        Raises `InvalidInput` for an array: its tasks write logs, and it has none.

        `for piece in job.follow(): print(piece, end="")`
        """
        return self._background.iterate(
            lambda client: client.follow(self.id, stream=stream, rank=rank, attempt=attempt)
        )

    def lineage(self, *, depth: int = DEPTH, limit: int = NODES) -> LineageView:
        """What it came from and what came of it, `depth` jobs each way, at most `limit` nodes."""
        return self._call(lambda client: client.lineage(self.id, depth=depth, limit=limit))

    def usage(
        self, *, attempt: int | None = None, rank: int | None = None, since: str = ""
    ) -> UsageView:
        """What its workers use, or used, beside what they hold, with samples of each.

        Of the current attempt unless another is named; `rank`: of that worker alone, else of the
        first 32; `since`: only samples after that time.
        """
        return self._call(
            lambda client: client.usage(self.id, attempt=attempt, rank=rank, since=since)
        )

    def progress(self, *, attempt: int | None = None) -> ProgressView:
        """How far it is: percent, step, the model's time, and how long it takes still."""
        return self._call(lambda client: client.progress(self.id, attempt=attempt))

    def tasks(self, *, state: str = "", limit: int = 100) -> Tasks:
        """The first tasks of an array by index, those in one state if asked.

        Raises `NotFound` for a job that is no array.
        """
        page = self._call(lambda client: client.tasks(self.id, state=state, limit=limit))
        return Tasks(page.tasks)

    def search(
        self,
        text: str,
        *,
        stream: str = "both",
        rank: int | None = None,
        attempt: int | None = None,
        task: int | None = None,
    ) -> Iterator[LogFound | SearchEnd]:
        """Yield the lines of its logs that hold a text, of all ranks unless one is named, and
        last of all a `SearchEnd`, which tells whether all was looked through."""
        return self._background.iterate(
            lambda client: client.search_log(
                self.id, text, stream=stream, rank=rank, attempt=attempt, task=task
            )
        )

    def watch(self) -> Iterator[HistoryView]:
        """Yield each step of its way once, from its beginning until it is closed."""
        return self._background.iterate(lambda client: client.watch(self.id))

    def history(self) -> tuple[HistoryView, ...]:
        """Its way until now."""
        return self._call(lambda client: client.history(self.id))

    def phases(self) -> tuple[PhaseView, ...]:
        """How long it was in each status, attempt after attempt."""
        return self._call(lambda client: client.phases(self.id))

    def why(self) -> WhyView:
        """Why it is where it is, what is in the way, and the smallest change that would help."""
        return self._call(lambda client: client.why(self.id))

    def when(self) -> WhenView:
        """When it starts, with the range that holds it in 8 of 10 cases."""
        return self._call(lambda client: client.when(self.id))

    def cancel(self) -> None:
        """Cancel it, for good; a repeat is success."""
        self._desire("cancel")

    def stop(self) -> None:
        """Stop it; it can be restarted."""
        self._desire("stop")

    def restart(self) -> None:
        """Restart it, where it was stopped, as a further attempt."""
        self._desire("restart")

    def hold(self) -> None:
        """Hold it back while it has no nodes yet."""
        self._desire("hold")

    def release(self) -> None:
        """Release it, where it was held back."""
        self._desire("release")

    def retry(self) -> "Job":
        """Run it anew, when it is over, as another job."""

        async def again(client: AsyncClient) -> JobView:
            return await client.job((await client.retry(self.id)).id)

        return Job(self._background, self._call(again))

    def _desire(self, verb: str) -> None:
        self._view = self._call(lambda client: client.desire(self.id, verb))

    def _call(self, work: Callable[[AsyncClient], Coroutine[Any, Any, T]]) -> T:
        return self._background.call(work)

    def __repr__(self) -> str:
        return f"<Job {self.id} {self._view.name} {self._view.status}>"

    def _repr_html_(self) -> str:
        return html.job_html(self.view)


class Jobs(Listing[Job]):
    """Jobs, as they were when they were listed."""

    __slots__ = ()

    @staticmethod
    def _html(jobs: Sequence[Job]) -> str:
        return html.jobs_html([job._view for job in jobs])


class Client:
    """Talks to one server as one user; the arguments are those of `AsyncClient`.

    It may be used from several threads, as a context manager, or until nobody holds it and its
    jobs and datasets any more.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        patience_s: float = 60.0,
        ca_file: str | None = None,
    ) -> None:
        self._background = Background(
            AsyncClient(url, token, patience_s=patience_s, ca_file=ca_file)
        )

    @property
    def is_usable(self) -> bool:
        """Whether it can be asked: not after `close`, nor in a process that was forked off."""
        return self._background.is_usable

    def close(self) -> None:
        """Hang up; its jobs and datasets can't be asked any more. A repeat is success."""
        self._background.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def run(self, source: JobSource) -> Job:
        """Submit a job: a mapping with the keys of a job file, the path of one, or its text.

        Inputs that are local paths are uploaded before. `.result()` of the job waits for it.
        """

        async def submit(client: AsyncClient) -> JobView:
            return await client.job((await client.run(source)).id)

        return Job(self._background, self.call(submit))

    def plan(self, source: JobSource) -> PlanView:
        """What would come of running a job now: nothing is sent, made or changed."""
        return self.call(lambda client: client.plan(source))

    def job(self, job: str) -> Job:
        """A job by its id."""
        return Job(self._background, self.call(lambda client: client.job(job)))

    def jobs(
        self,
        *,
        status: Sequence[str] = (),
        kind: str = "",
        owner: str = "",
        q: str = "",
        since: str = "",
        limit: int = 100,
    ) -> Jobs:
        """List jobs, the last that moved first; at most `limit` (up to 1,000)."""
        page = self.call(
            lambda client: client.jobs(
                status=status, kind=kind, owner=owner, q=q, since=since, limit=limit
            )
        )
        return Jobs(Job(self._background, view) for view in page.jobs)

    def dataset(self, name: str) -> Dataset:
        """A dataset by name, `name@version` or id."""
        view = self.call(lambda client: client.datasets.get(name))
        return Dataset(self._background, view)

    def datasets(self, **query: str | int | Mapping[str, Any]) -> Datasets:
        """List datasets, the newest first; `query` as for GET /datasets (docs/rest.md)."""
        page = self.call(lambda client: client.datasets.list(**query))
        return Datasets(Dataset(self._background, view) for view in page["datasets"])

    def series(self, step: Resolution = Resolution.SECONDS, *, since: str = "") -> SeriesView:
        """What the cluster was like: each 10 s of the last hour, or in steps of `1m` or `15m`."""
        return self.call(lambda client: client.series(step, since=since))

    def nodes(self) -> Nodes:
        """List the nodes."""
        return Nodes(self.call(lambda client: client.nodes()))

    def watch(
        self,
        *,
        status: Sequence[str] = (),
        kind: str = "",
        owner: str = "",
        q: str = "",
        after: str = "",
    ) -> Iterator[Snapshot | Change]:
        """Yield the jobs as they are, then each change of one of them, once and in order.

        It goes on after a break; docs/python.md tells about `after` and `Snapshot.resync`.
        """
        return self.iterate(
            lambda client: client.live.jobs(
                status=status, kind=kind, owner=owner, q=q, after=after
            )
        )

    def call(self, work: Callable[[AsyncClient], Coroutine[Any, Any, T]]) -> T:
        """Run any call of the async client: `client.call(lambda c: c.people.me())`."""
        return self._background.call(work)

    def iterate(self, follow: Callable[[AsyncClient], AsyncGenerator[T, None]]) -> Iterator[T]:
        """Yield what an iterator of the async client does, for example of `c.live`."""
        return self._background.iterate(follow)
