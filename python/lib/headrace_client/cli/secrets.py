"""`headrace secrets`: what one's own jobs need to know and nobody else may."""

import click

from headrace_client.api import AsyncClient
from headrace_client.cli.base import Words, output_option, run, run_each
from headrace_client.cli.show import age, rows, show, write
from headrace_client.cli.typed import secret_from


@click.group(cls=Words, name="secrets")
def group() -> None:
    """Keep secrets for your jobs: `secrets: [NAME]` in a job file, a file for its worker.

    \b
    Example: headrace secrets set usgs_token
    """


@group.command(name="list")
@output_option
def list_secrets(form: str) -> None:
    """List the names of your secrets; nobody can read their values, not even you.

    \b
    Example: headrace secrets list
    """
    secrets = run(lambda client: client.people.secrets())
    lines = [(each.name, f"{age(each.changed)} ago") for each in secrets]
    show(form, secrets, lambda: rows(("NAME", "CHANGED"), lines, "there is no secret"))


@group.command(name="set")
@click.argument("name", metavar="NAME")
@click.option(
    "--from-file",
    "file",
    metavar="FILE",
    help="Read it from there as it is (`-`: standard input).",
)
@output_option
def set_secret(name: str, file: str | None, form: str) -> None:
    """Make or replace a secret; it is typed unseen, never written on the command line.

    Without a terminal it is all of standard input, line ends too.

    \b
    Example: headrace secrets set usgs_token --from-file token.txt
    """
    value = secret_from(file, f"Secret {name}")
    view = run(lambda client: client.people.set_secret(name, value))
    show(form, view, lambda: write(f"{view.name} is set"))


@group.command(name="delete")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
def delete(names: tuple[str, ...]) -> None:
    """Delete secrets: jobs that start later and ask for them fail.

    \b
    Example: headrace secrets delete usgs_token
    """

    async def one(client: AsyncClient, name: str) -> None:
        await client.people.delete_secret(name)
        write(f"{name} is deleted")

    run_each(names, one).raise_wrong()
