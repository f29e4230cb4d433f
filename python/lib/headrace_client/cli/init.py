"""`headrace init`: a job file to begin with, in which every key is explained."""

import shlex
from importlib.resources import files
from pathlib import Path

import click

from headrace_client.cli import complete
from headrace_client.cli.show import note, write
from headrace_kinds.registry import KIND_NAMES, kind_named
from headrace_model.errors import Conflict


def template(kind: str) -> str:
    """The job file to begin with; raises `InvalidSpec` for an unknown kind."""
    name = kind_named(kind).name
    return files("headrace_client.cli").joinpath("templates", f"{name}.yaml").read_text()


@click.command(name="init")
@click.argument("file", metavar="[FILE]", default="job.yaml")
@click.option(
    "--kind",
    default="command",
    show_default=True,
    help=f"What the job is: {', '.join(KIND_NAMES)}.",
    shell_complete=complete.one_of(lambda: KIND_NAMES),
)
def init(file: str, kind: str) -> None:
    """Write a job file to begin with: every key with a line about it, and it runs as it stands.

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
    note(f"  next: `headrace exec from_file {named} --follow` runs it as it stands")
