"""`headrace jobs`: see and steer jobs."""

import asyncio
import sys
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from headrace_client.api import AsyncClient
from headrace_client.cli import complete, exits, lineage, used, waits
from headrace_client.cli.base import Words, job_argument, output_option, run
from headrace_client.cli.follow import say_end
from headrace_client.cli.history import history
from headrace_client.cli.logs import logs
from headrace_client.cli.partials import partial_of, partials_text, read_partials
from headrace_client.cli.progress import transfer
from headrace_client.cli.sharing import shares_text
from headrace_client.cli.show import age, note, pairs, plain, rows, show, step, write
from headrace_client.cli.steer import add_steering, status_text
from headrace_client.cli.tasks import ProgressLine, counts_text, failed_text, until_moved
from headrace_kinds.registry import all_kinds
from headrace_model.array import TaskState
from headrace_model.cause import MEANINGS, next_step
from headrace_model.errors import Conflict
from headrace_model.status import HAS_ATTEMPT, Status
from headrace_model.units import rough_size
from headrace_wire.api import JobView, TaskView
from headrace_wire.progress import ProgressView
from headrace_wire.triage import TriageView
from headrace_wire.usage import UsageView

_FIRST_FAILED = 5


@click.group(cls=Words, name="jobs")
def group() -> None:
    """See and steer jobs.

    \b
    Example: headrace jobs list --status RUNNING
    """


@group.command(name="list")
@click.option(
    "--status",
    multiple=True,
    help="A status, phase or step; may be repeated.",
    shell_complete=complete.one_of(lambda: map(step, Status)),
)
@click.option(
    "--kind",
    default="",
    help="Only this kind.",
    shell_complete=complete.one_of(all_kinds),
)
@click.option("--owner", default="", help="Only this user's.")
@click.option("-q", "--query", default="", help="Part of the name or id.")
@click.option(
    "--limit", default=50, show_default=True, type=click.IntRange(1, 100_000), help="Show so many."
)
@output_option
def list_jobs(
    status: tuple[str, ...], kind: str, owner: str, query: str, limit: int, form: str
) -> None:
    """List jobs, the last that moved first.

    \b
    Example: headrace jobs list --status RUNNING --status CLOSED -q delaware
    """

    async def read(client: AsyncClient) -> list[JobView]:
        found: list[JobView] = []
        cursor: str | None = ""
        incomplete: str | None = None
        while cursor is not None and len(found) < limit:
            page = await client.jobs(
                status=status,
                kind=kind,
                owner=owner,
                q=query,
                limit=min(limit - len(found), 1000),
                cursor=cursor,
            )
            found.extend(page.jobs)
            cursor = page.cursor
            incomplete = page.incomplete
        if incomplete:
            click.echo(f"not all is listed yet: {incomplete}", err=True)
        return found

    jobs = run(read)
    heads = ("ID", "NAME", "STATUS", "SINCE", "TRY", "CAUSE", "OWNER")
    lines = [
        (j.id, j.name[:28], status_text(j), age(j.entered), j.attempt, j.cause, j.owner)
        for j in jobs
    ]
    show(form, jobs, lambda: rows(heads, lines, "no job fits"))


@group.command(name="info")
@job_argument
@output_option
def info(job: str, form: str) -> None:
    """Show one job.

    \b
    Example: headrace jobs info 0123456789abcdef -o yaml
    """

    async def read(client: AsyncClient) -> tuple[JobView, _More]:
        view = await client.job(job)
        more = _More()
        more.used, more.progress, more.triage = await asyncio.gather(
            used.read_used(client, view),
            used.read_progress(client, view),
            used.read_triage(client, view),
        )
        if form != "table":
            return view, more
        if view.attempt > 1 or view.status is Status.FAILED:
            more.partials = await read_partials(client, job)
        if view.tasks and view.tasks.failed:
            page = await client.tasks(job, state="failed", limit=_FIRST_FAILED)
            more.failed = failed_text(page.tasks, view.tasks.failed)
        return view, more

    view, more = run(read)
    beside = {"usage": more.used, "progress": more.progress, "triage": more.triage}
    show(form, {**plain(view), **beside}, lambda: _info(view, more))


@group.command(name="tasks")
@job_argument
@click.option(
    "--state",
    type=click.Choice([state.lower() for state in TaskState], case_sensitive=False),
    help="Only those in this state.",
)
@click.option(
    "--limit",
    default=50,
    show_default=True,
    type=click.IntRange(1, 1_000_000),
    help="Show so many.",
)
@output_option
def tasks(job: str, state: str | None, limit: int, form: str) -> None:
    """List the tasks of an array.

    \b
    Example: headrace jobs tasks 0123456789abcdef --state failed
    """

    async def read(client: AsyncClient) -> list[TaskView]:
        found: list[TaskView] = []
        cursor: str | None = ""
        while cursor is not None and len(found) < limit:
            page = await client.tasks(
                job, state=state or "", limit=min(limit - len(found), 1000), cursor=cursor
            )
            found.extend(page.tasks)
            cursor = page.cursor
        return found

    found = run(read)
    heads = ("TASK", "STATE", "FAILURES", "CAUSE", "EXIT CODE", "DETAIL")
    lines = [
        (each.index, each.state, each.failures or "", each.cause, each.exit_code, each.detail)
        for each in found
    ]
    show(form, found, lambda: rows(heads, lines, "no task is in this state"))


@group.command(name="why")
@job_argument
@output_option
def why(job: str, form: str) -> None:
    """Tell why a job is where it is, all that is in the way, and what to do: of one that waits
    in the queue the smallest change that would let it start now.

    \b
    Example: headrace jobs why 0123456789abcdef
    """
    view = run(lambda client: client.why(job))
    lines = [*waits.why_lines(view), *used.triage_lines(view.triage)]
    show(form, view, lambda: pairs(lines))


@group.command(name="when")
@job_argument
@click.option(
    "-f", "--follow", "following", is_flag=True, help="Tell each change, until it has started."
)
@output_option
def when(job: str, following: bool, form: str) -> int:
    """Tell when a job starts, with the range that holds it in 8 of 10 cases.

    \b
    Example: headrace jobs when 0123456789abcdef --follow
    """
    if not following:
        view = run(lambda client: client.when(job))
        show(form, view, lambda: pairs(waits.when_lines(view)))
        return exits.OK

    async def until_started(client: AsyncClient) -> JobView | None:
        async with aclosing(client.live.when(job)) as told:
            async for view in told:
                waits.write_change(form, view)
                if view.status in (*HAS_ATTEMPT, Status.STOPPING):
                    return None
        return await client.job(job)

    try:
        over = run(until_started)
    except KeyboardInterrupt:
        raise exits.detached(f"headrace jobs when {job} --follow") from None
    return exits.code_of_job(over) if over else exits.OK


@group.command(name="watch")
@job_argument
def watch(job: str) -> int:
    """Write each change of a job until it is over, and end as it ends.

    \b
    Example: headrace jobs watch 0123456789abcdef
    """

    async def until_closed(client: AsyncClient) -> tuple[JobView, TriageView | None]:
        view = await client.job(job)
        shown, line = 0, ProgressLine()
        while True:
            if view.version > shown:
                write(f"{view.entered[:19]}  {status_text(view)}  {view.detail}".rstrip())
                sys.stdout.flush()
                shown = view.version
            if view.status.closed:
                return view, await used.read_triage(client, view)
            view = await until_moved(client, view, line)

    try:
        view, triage = run(until_closed)
    except KeyboardInterrupt:
        raise exits.detached(f"headrace jobs watch {job}") from None
    say_end(view, triage)
    return exits.code_of_job(view)


@group.command(name="retry")
@job_argument
@output_option
def retry(job: str, form: str) -> None:
    """Run a job that is over anew, as another job.

    \b
    Example: headrace jobs retry 0123456789abcdef
    """
    accepted = run(lambda client: client.retry(job))
    show(form, accepted, lambda: write(accepted.id))


@group.command(name="outputs")
@job_argument
@click.option(
    "--download",
    "folder",
    metavar="DIR",
    type=click.Path(file_okay=False),
    help="Fetch the files of each output into DIR/OUTPUT.",
)
@output_option
def outputs(job: str, folder: str | None, form: str) -> None:
    """Name the datasets that a job made, or download them into DIR/OUTPUT.

    What failed attempts had written is named too, as partial, for some days; it is no result, and
    `headrace dataset download` fetches it.

    \b
    Example: headrace jobs outputs 0123456789abcdef --download results
    """

    async def read(client: AsyncClient) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = []
        for name, dataset in (await client.outputs(job)).items():
            view = await client.datasets.get(dataset)
            line: dict[str, object] = {"output": name, **view}
            if folder is not None:
                with transfer(f"download {name}") as moved:
                    await client.datasets.download(dataset, Path(folder) / name, moved)
                line["downloaded"] = str(Path(folder) / name)
            found.append(line)
        if folder is None:
            found += await read_partials(client, job)
        if folder is not None and not found:
            raise Conflict(
                f"job {job} has no sealed output to download",
                hint="outputs are there once a job that declares some has completed: "
                f"`headrace jobs info {job}`",
            )
        return found

    with exits.resumable():
        found = run(read)
    heads = ("OUTPUT", "DATASET", "FORMAT", "FILES", "SIZE", *(["IN"] if folder else []))
    lines = [
        (
            partial_of(each) if each.get("partial") else each["output"], each["title"],
            each["format"], each["item_count"],
            rough_size(int(str(each["size_bytes"]))), *([each["downloaded"]] if folder else []),
        )
        for each in found
    ]  # fmt: skip
    show(form, found, lambda: rows(heads, lines, "this job has no sealed output"))


@dataclass(slots=True)
class _More:
    """What `info` tells beside the job's view."""

    failed: str = ""
    used: UsageView | None = None
    progress: ProgressView | None = None
    triage: TriageView | None = None
    partials: list[Mapping[str, Any]] = field(default_factory=list)


def _info(view: JobView, more: _More) -> None:
    shares = "\n".join(
        f"{s.node}: {s.cpus:g} CPU, {rough_size(s.memory)}" for s in view.allocation
    )
    asked = f"{view.resources.cpus:g} CPU, {rough_size(view.resources.memory)}"
    pairs(
        [
            ("id", view.id),
            ("name", view.name),
            ("kind", view.kind),
            ("owner", view.owner),
            ("status", f"{view.status.value} since {view.entered}"),
            ("desired", view.desired.value),
            ("cause", f"{view.cause.value}: {MEANINGS[view.cause].what}" if view.cause else ""),
            ("detail", view.detail),
            ("exit code", view.exit_code),
            *used.triage_lines(more.triage),
            ("position", view.position),
            ("starts", waits.range_text(view.start)),
            ("progress", used.progress_text(more.progress)),
            ("CPU used", used.cpu_text(more.used)),
            ("peak memory", used.peak_text(view, more.used)),
            ("learned", used.learned_text(more.used)),
            ("attempt", f"{view.attempt} (retries {view.retries})"),
            ("tasks", counts_text(view.tasks)),
            ("failed", more.failed),
            ("priority", f"{view.priority} ({view.priority_class})"),
            ("deadline", view.deadline),
            ("created", view.created),
            ("asks", f"{asked} a task" if view.tasks else asked),
            ("nodes", shares),
            ("after", " ".join(view.after)),
            ("repeats", view.origin),
            ("derived by", " ".join(view.children)),
            ("derives for", " ".join(view.parents)),
            ("shared", shares_text(view.shared)),
            ("outputs", "\n".join(f"{k}: {v}" for k, v in view.outputs.items())),
            ("partial", partials_text(more.partials)),
        ]
    )
    if view.status.closed and view.cause:
        note(f"next: {next_step(view.cause, view.id)}")
    if not view.status.closed:
        note(f"`headrace jobs why {view.id}` tells what it waits for")


group.add_command(lineage.of_job)
group.add_command(history)
group.add_command(logs)
used.add_usage(group)
add_steering(group)
