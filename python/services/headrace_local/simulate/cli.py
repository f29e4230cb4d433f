"""`headrace simulate`: what a trace of jobs would find on a cluster that need not exist."""

import gzip
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

import click

from headrace_client.cli import complete, exits
from headrace_client.cli.base import output_option
from headrace_client.cli.progress import WaitingLine
from headrace_client.cli.show import note, rows, show
from headrace_local.simulate.engine import Setting, Simulation
from headrace_local.simulate.figures import Figures, figures_of
from headrace_local.simulate.lublin import Asked, generate
from headrace_local.simulate.pool import nodes_of_file, nodes_of_trace, said_nodes
from headrace_local.simulate.swf import LONGEST_LINE, MOST_JOBS, parse_swf, write_swf
from headrace_local.simulate.trace import Trace
from headrace_model.bounds import Policy
from headrace_model.errors import Conflict, InvalidInput, NeverFits
from headrace_model.resources import Paradigm
from headrace_model.units import duration_text, parse_size
from headrace_scheduler.core.snapshot import Node

_FILE = click.Path(path_type=Path)
_JOBS = 5_000
_LOAD = 0.8


@dataclass(frozen=True, slots=True)
class Simulated:
    """The whole answer: which jobs on what, and the figures."""

    trace: str
    left_out: dict[str, int]
    nodes: int
    cpus: float
    runs: dict[str, Figures]  # by policy


@click.command(name="simulate")
@click.argument("trace", required=False, type=_FILE, metavar="[TRACE]")
@click.option(
    "--nodes",
    "said",
    multiple=True,
    metavar="[COUNTx]CPUS[,MEMORY]",
    help="Nodes, such as 16x8,32GiB; may be given several times.",
)
@click.option(
    "--resources",
    "file",
    type=_FILE,
    metavar="FILE",
    shell_complete=complete.file,
    help="A resources.yaml that gives the nodes.",
)
@click.option("--pool", metavar="NAME", help="Only the nodes of this pool of the resources.yaml.")
@click.option(
    "--jobs",
    type=click.IntRange(1, MOST_JOBS),
    metavar="N",
    help=f"The first N jobs of TRACE; or so many are made, {_JOBS:,} if not said.",
)
@click.option(
    "--load",
    type=click.FloatRange(0, 100, min_open=True),
    metavar="F",
    help=f"How much of the CPUs the jobs that are made ask for; {_LOAD} if not said.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    metavar="N",
    help="Another one makes other jobs; 0 if not said.",
)
@click.option(
    "--policy",
    "policies",
    multiple=True,
    type=click.Choice([each.value for each in Policy], case_sensitive=False),
    help="Who may pass whom in the queue; several times: one after the other. "
    "EASY, or what the resources.yaml says.",
)
@click.option(
    "--paradigm",
    type=click.Choice([each.value for each in Paradigm]),
    default=Paradigm.FILL_NODES.value,
    show_default=True,
    help="How jobs spread over nodes.",
)
@click.option(
    "--memory-per-cpu",
    metavar="SIZE",
    help="What a CPU of a job asks where TRACE doesn't say; nothing if not said.",
)
@click.option(
    "--write-trace",
    "to",
    type=_FILE,
    metavar="FILE",
    help="Keep the jobs as a new file in SWF, to simulate them on other nodes too.",
)
@output_option
def simulate(
    trace: Path | None,
    said: tuple[str, ...],
    file: Path | None,
    pool: str | None,
    jobs: int | None,
    load: float | None,
    seed: int | None,
    policies: tuple[str, ...],
    paradigm: str,
    memory_per_cpu: str | None,
    to: Path | None,
    form: str,
) -> int:
    """Simulate jobs on nodes that need not exist: utilisation, waiting, slowdown, fairness.

    The planner is the real one. The jobs are those of TRACE, a file in the Standard Workload
    Format (SWF, .gz too), or are made by the model of Lublin and Feitelson. It needs no server.

    To size a cluster say what you would buy (--nodes 16x8,32GiB: 16 nodes of 8 CPUs and 32 GiB
    each) and how busy it is to be (--load 0.9: jobs ask nine tenths of its CPUs), or give TRACE,
    your own accounting, and compare the waiting on several. Slowdown is (waited + ran) / ran, with
    10 s at least for what ran: 1 is no waiting. Fairness is Jain's index of the users' mean
    slowdowns: 1 where all bear the same, 1/n where one of n bears it all.

    \b
    Example: headrace simulate --nodes 16x8,32GiB --load 0.9
             headrace simulate trace.swf.gz --nodes 64x32 --policy FIFO --policy EASY -o json
    """
    if trace is not None and (load is not None or seed is not None):
        raise click.UsageError("--load and --seed are for jobs that are made: no TRACE")
    nodes, policy = _nodes(said, file, pool)
    with WaitingLine() as line:
        if trace is not None:
            line.say(f"reading {trace}")
            found = read_trace(trace, jobs)
            nodes = nodes or nodes_of_trace(found)
        elif not nodes:
            raise click.UsageError("say the nodes: --nodes 16x8,32GiB, or --resources FILE")
        else:
            line.say("making jobs")
            found = _made(nodes, jobs or _JOBS, load or _LOAD, seed or 0)
        if to is not None:
            _write(found, to)
        memory_bytes = parse_size(memory_per_cpu) if memory_per_cpu else 0
        chosen = [Policy(each.upper()) for each in dict.fromkeys(policies)] or [policy]
        settings = [Setting(nodes, each, Paradigm(paradigm), memory_bytes) for each in chosen]
        answer = _simulated(found, settings, line.say)
    show(form, answer, lambda: _table(answer))
    return exits.OK


def read_trace(path: Path, most: int | None) -> Trace:
    """Read a trace of a file in SWF; raises `InvalidInput`, `TooLarge` and `OSError`."""
    try:
        return parse_swf(_lines(path), path.name, most)
    except EOFError:
        raise InvalidInput(f"{path} ends in the middle", hint="fetch it again") from None


def _lines(path: Path) -> Iterator[str]:
    opener = gzip.open if path.suffix == ".gz" else open
    # What is no text shows as a wrong number, with its line.
    with opener(path, "rt", encoding="utf-8", errors="replace") as file:
        while line := file.readline(LONGEST_LINE + 1):
            yield line


def _nodes(
    said: tuple[str, ...], file: Path | None, pool: str | None
) -> tuple[tuple[Node, ...], Policy]:
    if said and file is not None:
        raise click.UsageError("--nodes and --resources say the same: give one of them")
    if pool is not None and file is None:
        raise click.UsageError("--pool needs --resources, which says the pools")
    return (said_nodes(said), Policy.EASY) if file is None else nodes_of_file(file, pool)


def _made(nodes: tuple[Node, ...], jobs: int, load: float, seed: int) -> Trace:
    cpus = sum(node.capacity.millicpus // 1000 for node in nodes)
    source = f"Lublin-Feitelson, {jobs} jobs, {cpus} CPUs, load {load:g}, seed {seed}"
    chance = Random(seed)  # noqa: S311 - the same jobs for the same seed
    return generate(Asked(jobs, cpus, load), chance, source)


def _write(trace: Trace, path: Path) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            try:
                file.writelines(write_swf(trace))
            except BaseException:
                with suppress(OSError):
                    path.unlink()
                raise
    except FileExistsError:
        raise Conflict(f"{path} is there already", hint="name a new file") from None


def _simulated(trace: Trace, settings: Sequence[Setting], say: Callable[[str], None]) -> Simulated:
    nodes = settings[0].nodes
    return Simulated(
        trace.source,
        trace.left_out,
        len(nodes),
        sum(node.capacity.millicpus for node in nodes) / 1000,
        {each.policy.value: _figures(trace, each, say) for each in settings},
    )


def _figures(trace: Trace, setting: Setting, say: Callable[[str], None]) -> Figures:
    count = len(trace.jobs)

    def tell(ended: int, now_ms: int) -> None:
        day = now_ms // 86_400_000
        say(f"{setting.policy}: {ended:,} of {count:,} jobs have ended, day {day}")

    run = Simulation(trace.jobs, setting, time.process_time, tell=tell).run()
    if not run.ran:
        raise NeverFits(
            f"none of the {count:,} jobs fits into these nodes, even when they are empty",
            hint="give larger nodes, or less of --memory-per-cpu",
        )
    return figures_of(run, setting.nodes)


def _table(answer: Simulated) -> None:
    note(f"{answer.trace}, on {answer.nodes:,} nodes with {answer.cpus:g} CPUs")
    for why, count in answer.left_out.items():
        note(f"{count:,} jobs of it are left out: {why}")
    one = next(iter(answer.runs.values()))
    if one.too_large:
        note(f"{one.too_large:,} jobs never run: they are larger than all of these nodes")
    columns = [_column(found) for found in answer.runs.values()]
    lines = [(name, *(column[name] for column in columns)) for name in columns[0]]
    rows(["FIGURE", *answer.runs], lines, "")


def _column(found: Figures) -> dict[str, str]:
    wait, slow, fair = found.wait_s, found.slowdown, found.fairness
    return {
        "jobs that ran": f"{found.jobs:,}",
        "ended by their time limit": f"{found.timed_out:,}",
        "waited for ever": f"{found.stranded:,}",
        "makespan": _time(found.makespan_s),
        "utilisation": f"{found.utilisation:.1%}",
        "wait, mean": _time(wait.mean),
        "wait, p50 / p90 / p99": " / ".join(map(_time, (wait.p50, wait.p90, wait.p99))),
        "slowdown, mean": f"{slow.mean:.2f}",
        "slowdown, p50 / p90 / p99": f"{slow.p50:.2f} / {slow.p90:.2f} / {slow.p99:.2f}",
        "fairness, 1 is equal (Jain)": f"{fair.jain:.3f} over {fair.users} users",
        "a user's slowdown, best / worst": f"{fair.lowest:.2f} / {fair.highest:.2f}",
        "reserved, began later": f"{found.reserved:,}, {found.late:,}",
        "over-bookings": f"{found.overbooked:,}",
        "placements a second": f"{found.placements_per_s:,.0f}",
    }


def _time(seconds: float) -> str:
    """A duration for people: to the second, the minute or the hour, as it is long."""
    step_s = next((step for over, step in ((172_800, 3_600), (1_200, 60)) if seconds > over), 1)
    return duration_text(round(seconds / step_s) * step_s * 1000)
