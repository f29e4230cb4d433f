"""`headrace exec`: run jobs."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import click

from headrace_client.api import AsyncClient
from headrace_client.cli import exits
from headrace_client.cli.base import Late, Words, file_argument, output_option, run
from headrace_client.cli.follow import follow, say_end
from headrace_client.cli.progress import transfer
from headrace_client.cli.show import note, pairs, plain, show, write
from headrace_client.cli.used import read_triage
from headrace_client.cli.waits import plan_lines
from headrace_client.inputs import source_of, upload_inputs
from headrace_model.spec import JobSpec
from headrace_wire.api import AcceptedView, JobView
from headrace_wire.errors import InvalidJobFile, Problem
from headrace_wire.jobchanges import parse_change
from headrace_wire.jobfile import dump, load_jobfile
from headrace_wire.jsontext import parse_json
from headrace_wire.triage import TriageView

Ended = tuple[JobView, TriageView | None]

follow_option = click.option(
    "-f", "--follow", "following", is_flag=True, help="Show its logs; end as the job ends."
)
set_option = click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a key of the file first: resources.cpus=2. May be repeated.",
)


_KINDS: Final = {
    "calibration": Late("headrace_client.cli.calibration:calibration", "Calibrate a model."),
    "evaluation": Late(
        "headrace_client.cli.evaluate:evaluation", "Score simulations against observations."
    ),
    "ngen_cal": Late(
        "headrace_client.cli.calibration:ngen_cal", "Calibrate ngen as ngen-cal's YAML says."
    ),
    "ngen": Late("headrace_client.cli.ngen:ngen", "Run ngen, NOAA's NextGen framework."),
}


@click.group(cls=Words, name="exec", late=_KINDS)
def group() -> None:
    """Run jobs.

    \b
    Example: headrace exec run --follow -- echo hello
    """


@group.command(name="run", context_settings={"ignore_unknown_options": False})
@click.option("--name", default="command", show_default=True, help="A name for people.")
@click.option("--cpus", metavar="N", help="CPUs, for example 2 or 500m. [default: 1]")
@click.option("--memory", metavar="SIZE", help="Memory, for example 4GiB. [default: 1GiB]")
@click.option("--time", "time_limit", metavar="TIME", help="Longest run, for example 30m.")
@click.option("--env", multiple=True, metavar="NAME=VALUE", help="A variable; may be repeated.")
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="NAME=PATH",
    help="Upload a file or folder; it is {NAME} in the command. May be repeated.",
)
@follow_option
@output_option
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run_command(
    name: str,
    cpus: str | None,
    memory: str | None,
    time_limit: str | None,
    env: tuple[str, ...],
    inputs: tuple[str, ...],
    following: bool,
    form: str,
    command: tuple[str, ...],
) -> int:
    """Run a command as a job. Write it after `--`.

    \b
    Example: headrace exec run --cpus 2 --input data=./mine -f -- wc -l {data}/a.csv

    What the command writes into {output} is kept as a dataset (`headrace jobs outputs`).
    For braces themselves write {{ and }}.
    """
    if len(command) == 1 and _is_job_file(Path(command[0])):
        raise click.UsageError(
            f"{command[0]} is a job file and no command: `headrace exec from_file {command[0]}` "
            "runs it, with --set too"
        )
    resources = {key: value for key, value in (("cpus", cpus), ("memory", memory)) if value}
    job: dict[str, Any] = {"headrace": 1, "kind": "command", "name": name}
    job["command"] = list(command)
    if any("{output}" in word for word in (*command, *env)):
        job["outputs"] = {"results": {"category": "OUTPUT", "format": "GENERIC"}}
    if resources:
        job["resources"] = resources
    if time_limit:
        job["limits"] = {"time": time_limit}
    if env:
        job["env"] = dict(_pair("--env", each) for each in env)
    if inputs:
        job["inputs"] = {
            key: {"path": path} for key, path in (_pair("--input", i) for i in inputs)
        }
    return submit(load_jobfile(job), Path.cwd(), following, form)


@group.command(name="from_file")
@file_argument
@set_option
@follow_option
@output_option
def from_file(file: str, changes: tuple[str, ...], following: bool, form: str) -> int:
    """Run the job that a YAML job file describes (`-`: standard input).

    \b
    Example: headrace exec from_file prms.yaml --set resources.cpus=2 --follow

    The value of --set is YAML, read as if it stood in the file.
    """
    spec, folder = load_file(file, changes, as_json=False)
    return submit(spec, folder, following, form)


@group.command(name="from_json")
@file_argument
@set_option
@follow_option
@output_option
def from_json(file: str, changes: tuple[str, ...], following: bool, form: str) -> int:
    """Run the job that a JSON job file describes (`-`: standard input).

    \b
    Example: headrace exec from_json job.json
    """
    spec, folder = load_file(file, changes, as_json=True)
    return submit(spec, folder, following, form)


@group.command(name="validate")
@file_argument
@set_option
@output_option
def validate(file: str, changes: tuple[str, ...], form: str) -> None:
    """Check a job file and what it names on this machine; show all that is wrong.

    \b
    Example: headrace exec validate job.yaml -o yaml
    """
    spec, _ = load_file(file, changes, as_json=False)
    show(form, dump(spec), lambda: write(f"{file} is a valid job file: kind {spec.kind}"))


@group.command(name="plan")
@file_argument
@set_option
@output_option
def plan(file: str, changes: tuple[str, ...], form: str) -> int:
    """Tell what would come of running a job file now: data, image, quota, nodes, start and end.

    Nothing is sent, made or changed. The exit code is 0 where it would start now, 8 where it
    would wait, 9 where it could never start, 10 where data is missing.

    \b
    Example: headrace exec plan job.yaml --set resources.memory=12GiB
    """
    spec, _ = load_file(file, changes)
    view = run(lambda client: client.plan(spec))
    show(form, view, lambda: pairs(plan_lines(view)))
    return exits.code_of_outcome(view.outcome)


def load_file(
    file: str, changes: Iterable[str] = (), *, as_json: bool = False
) -> tuple[JobSpec, Path]:
    """Read a job file, and the small files that it names; gives its folder too."""
    asked = [parse_change(each) for each in changes]
    text = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    folder = Path.cwd() if file == "-" else Path(file).resolve().parent
    source: Any = parse_json(text, what="job file") if as_json else text

    def read(name: str) -> bytes:
        return (folder / name).read_bytes()

    spec = load_jobfile(source, read_file=read, changes=asked)
    missing = [
        Problem(f"inputs.{each.name}.path", f"{each.path!r} is neither a file nor a folder")
        for each in spec.path_inputs
        if not source_of(folder, each.path).exists()
    ]
    if missing:
        raise InvalidJobFile(missing)
    return spec, folder


def submit(spec: JobSpec, folder: Path, following: bool, form: str) -> int:
    """Send a job, its local files first; gives the exit code."""
    if following:
        return _submit_and_follow(spec, folder, form)
    with exits.resumable():
        accepted = run(lambda client: _send(client, spec, folder))
    show(form, accepted, lambda: write(accepted.id))
    if sys.stdout.isatty() and form == "table":
        note(f"follow it with `headrace jobs logs {accepted.id} --follow`")
    return exits.OK


def _submit_and_follow(spec: JobSpec, folder: Path, form: str) -> int:
    sent: list[str] = []

    async def work(client: AsyncClient) -> Ended:
        # One client for both: a server that it has met is waited for, whenever that goes away.
        accepted = await _send(client, spec, folder)
        sent.append(accepted.id)
        note(f"headrace: job {accepted.id}")
        # Who asked for JSON or YAML reads standard output: it holds nothing else.
        out = None if form == "table" else sys.stderr.buffer
        view = await follow(client, accepted.id, out=out)
        return view, await read_triage(client, view)

    try:
        return _end(*run(work), form)
    except KeyboardInterrupt:
        if not sent and spec.path_inputs:
            raise exits.Interrupted(
                "interrupted; what has arrived is kept, no job was sent",
                "the same command takes it up again",
            ) from None
        if not sent:
            raise
        raise exits.detached(f"headrace jobs logs {sent[0]} --follow") from None


async def _send(client: AsyncClient, spec: JobSpec, folder: Path) -> AcceptedView:
    if spec.path_inputs:
        with transfer("inputs") as moved:
            spec = await upload_inputs(client.datasets, spec, folder, moved)
    return await client.submit(dump(spec))


def follow_job(job: str, rank: int | None = 0) -> int:
    """Follow a job to its end; gives the exit code that stands for it."""

    async def work(client: AsyncClient) -> Ended:
        view = await follow(client, job, rank=rank)
        return view, await read_triage(client, view)

    try:
        return _end(*run(work), "table")
    except KeyboardInterrupt:
        raise exits.detached(f"headrace jobs logs {job} --follow") from None


def _end(view: JobView, triage: TriageView | None, form: str) -> int:
    """Say how a followed job ended; gives the exit code that stands for it."""
    say_end(view, triage)
    if form != "table":
        show(form, {**plain(view), "triage": plain(triage)}, lambda: pairs([]))
    return exits.code_of_job(view)


def _is_job_file(path: Path) -> bool:
    named = path.suffix in (".yaml", ".yml", ".json")
    return named and path.is_file() and not os.access(path, os.X_OK)


def _pair(option: str, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.UsageError(f"{option} {text!r}: NAME=… is expected")
    return name, value
