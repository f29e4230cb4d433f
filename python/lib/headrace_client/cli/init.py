"""`headrace init`: a job file to begin with, in which every key is explained.

That of a command is written by hand; those of other kinds are made of what their settings tell.
"""

import shlex
from dataclasses import MISSING, fields
from importlib.resources import files
from pathlib import Path
from typing import Any

import click

from headrace_client.cli import complete
from headrace_client.cli.show import note, write
from headrace_kinds.base import Kind
from headrace_kinds.registry import BUILT_IN_NAMES, all_kinds, kind_named
from headrace_kinds.settings import told_of
from headrace_model.errors import Conflict


def template(kind: str) -> str:
    """The job file to begin with; raises `InvalidSpec` for an unknown kind."""
    found = kind_named(kind)
    kept = files("headrace_client.cli").joinpath("templates")
    if found.name == "command":
        return kept.joinpath("command.yaml").read_text()
    lines = kept.joinpath("settings.yaml").read_text().splitlines()
    return "".join(f"{line}\n" for each in lines for line in _filled(each, found))


def _filled(line: str, kind: Kind) -> list[str]:
    """A line of the template that all kinds with settings share."""
    if line == "settings:":
        return [line, *_settings(kind)] if kind.settings else []
    return [line.replace("KIND", kind.name).replace("SUMMARY", kind.summary)]


def _settings(kind: Kind) -> list[str]:
    """Each setting with its sentence; those that may be left out are commented out."""
    lines: list[str] = []
    record: Any = kind.settings
    for each in fields(record):
        about = told_of(each)
        off = "" if each.default is MISSING else "#"
        lines += [f"  # {about.about}", f"  {off}{each.name}: {about.example}"]
    return lines


@click.command(name="init")
@click.argument("file", metavar="[FILE]", default="job.yaml")
@click.option(
    "--kind",
    default="command",
    show_default=True,
    help=f"What the job is: {', '.join(BUILT_IN_NAMES)}, or the kind of a plug-in.",
    shell_complete=complete.one_of(all_kinds),
)
def init(file: str, kind: str) -> None:
    """Write a job file to begin with: every key with a line about it. That of a command
    runs as it stands; other kinds need data of yours.

    FILE is job.yaml, or what you say (`-`: standard output). A file that is there is left alone.

    \b
    Example: headrace init flood.yaml
    """
    text = template(kind)
    if file == "-":
        write(text.rstrip("\n"))
        return
    named = shlex.quote(file)
    try:
        with Path(file).open("x", encoding="utf-8") as made:
            made.write(text.replace("job.yaml", named))
    except FileExistsError:
        raise Conflict(
            f"{file} is there already and is left as it is",
            hint="name another file: `headrace init other.yaml`",
        ) from None
    note(f"headrace: {file} is written")
    if kind_named(kind).settings is None:
        note(f"  next: `headrace exec from_file {named} --follow` runs it as it stands")
    else:
        note(f"  next: fill it in; `headrace exec plan {named}` tells what would come of it")
