"""What a job used beside what it asked: `headrace jobs usage`, and lines of `jobs info`."""

import asyncio
from collections.abc import Iterator
from typing import Final

import click

from headrace_client.api import AsyncClient
from headrace_client.cli.base import job_argument, output_option, run
from headrace_client.cli.history import lasted
from headrace_client.cli.show import note, pairs, show
from headrace_model.errors import HeadraceError
from headrace_model.status import Status
from headrace_model.units import rough_size
from headrace_wire.api import JobView
from headrace_wire.progress import ProgressView
from headrace_wire.triage import TriageView
from headrace_wire.usage import UsageView

_PATIENCE_S: Final = 1.0
_TRIAGE_S: Final = 10.0  # the server itself looks for the end of a log for some seconds


async def read_used(client: AsyncClient, view: JobView) -> UsageView | None:
    """What the job's attempt used until now, and what earlier runs tell of it; None where nobody
    tells that soon.

    A node may be silent, and a server older than this program: the rest of a job is shown then.
    """
    try:
        async with asyncio.timeout(_PATIENCE_S):
            return await client.usage(view.id, attempt=view.attempt)
    except (HeadraceError, TimeoutError):
        return None


async def read_progress(client: AsyncClient, view: JobView) -> ProgressView | None:
    """How far a job is that has nodes; None where nobody tells that soon, as of `read_used`."""
    if view.status.closed or not view.allocation or view.tasks:
        return None
    try:
        async with asyncio.timeout(_PATIENCE_S):
            return await client.progress(view.id)
    except (HeadraceError, TimeoutError):
        return None


async def read_triage(client: AsyncClient, view: JobView) -> TriageView | None:
    """What a failed job most likely failed of; None of others, and where nobody tells."""
    if view.status is not Status.FAILED:
        return None
    try:
        async with asyncio.timeout(_TRIAGE_S):
            return (await client.why(view.id)).triage
    except (HeadraceError, TimeoutError):
        return None


def progress_text(progress: ProgressView | None) -> str:
    """As in `37 %, step 12 of 100, at 1980-01-05, about 4 min left`; empty where nothing tells."""
    if progress is None or not progress.ranks:
        return ""
    first = progress.ranks[0]
    said = [] if progress.percent is None else [f"{progress.percent:.0f} %"]
    if first.step is not None:
        said.append(f"step {first.step:,}" + (f" of {first.of:,}" if first.of else ""))
    if first.model_time:
        said.append(f"at {first.model_time.removesuffix('T00:00:00.000Z')}")
    if progress.seconds_left is not None and progress.percent != 100.0:
        said.append(f"about {lasted(progress.seconds_left)} left")
    return ", ".join(said)


def cpu_text(used: UsageView | None) -> str:
    """As in `1.83 of 2 on average, 16.0 s in all`; empty where no sample was taken."""
    if used is None or used.cpu_s is None:
        return ""
    mean = "" if used.mean_cpus is None else f"{used.mean_cpus:.2f} of {used.cpus:g} on average, "
    shown = len(used.ranks)
    of = f" ({shown} of {used.workers} workers)" if 0 < shown < used.workers else ""
    return f"{mean}{used.cpu_s:,.1f} s in all{of}"


def peak_text(view: JobView, used: UsageView | None) -> str:
    """As in `812.0 MiB of 4.0 GiB`; of the last attempt that ended where no sample was taken."""
    if used is not None and used.peak_memory:
        return f"{rough_size(used.peak_memory)} of {rough_size(used.memory)}"
    return rough_size(view.peak_memory) if view.peak_memory else ""


def triage_lines(found: TriageView | None) -> list[tuple[str, str]]:
    """What a failed job most likely failed of, as lines of a page; what nobody
    tells has none."""
    if found is None:
        return []
    lines = [
        ("fault", found.fault.value),
        ("tells most", found.line),
        ("hint", found.hint),
        ("last lines", "\n".join(found.lines)),
    ]
    return [(name, text) for name, text in lines if text]


def add_usage(group: click.Group) -> None:
    """Add `usage` to `headrace jobs`."""

    @group.command(name="usage")
    @job_argument
    @click.option("--attempt", type=click.IntRange(1), help="Which. [default: the current one]")
    @output_option
    def usage(job: str, attempt: int | None, form: str) -> None:
        """Show what a job asked and what it used of it, and what would be asked better.

        \b
        Example: headrace jobs usage 0123456789abcdef
        """
        used = run(lambda client: client.usage(job, attempt=attempt))

        def page() -> None:
            pairs(list(_report(used)))
            for each in used.advice:
                note(f"next time: {each}")

        show(form, used, page)


def _report(used: UsageView) -> Iterator[tuple[str, object]]:
    limit = "" if used.time_limit_s is None else f" of {used.time_limit_s:,.0f} s"
    yield "attempt", used.attempt
    yield "ran", "" if used.run_s is None else f"{used.run_s:,.1f} s{limit}"
    yield "CPU used", cpu_text(used)
    part = "" if used.efficiency is None else f"{used.efficiency:.0%} of {used.cpus:g} CPU"
    yield "efficiency", part
    peak = rough_size(used.peak_memory) if used.peak_memory else "not measured"
    yield "peak memory", f"{peak} of {rough_size(used.memory)}"
    yield "learned", learned_text(used)


def learned_text(used: UsageView | None) -> str:
    """As in `9.0 s at most (half of them within 5.0 s, …), 800.0 MiB: p90 of 37 runs of …`."""
    if used is None or used.estimate is None:
        return ""
    known = used.estimate
    memory = "" if known.memory is None else f", {rough_size(known.memory)}"
    return (
        f"{known.p90_s:,.1f} s at most (half of them within {known.p50_s:,.1f} s, few below "
        f"{known.p10_s:,.1f} s){memory}: {known.basis}"
    )
