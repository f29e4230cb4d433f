"""`headrace dataset import`: files that lie elsewhere become a dataset, and stay there."""

from collections.abc import Mapping
from typing import Any

import click

from headrace_client.api import AsyncClient
from headrace_client.cli import exits
from headrace_client.cli.base import output_option, run
from headrace_client.cli.curation import show_dataset
from headrace_client.cli.progress import WaitingLine
from headrace_model.errors import NotFound
from headrace_model.units import rough_size
from headrace_wire.yamlfile import parse_yaml


@click.command(name="import")
@click.argument("name", metavar="NAME")
@click.option(
    "--from",
    "source",
    required=True,
    metavar="PLACE",
    help="A folder of the server, or s3://bucket/prefix.",
)
@click.option("--category", metavar="CATEGORY", help="What kind of data it is, of a new dataset.")
@click.option("--format", "format_", metavar="FORMAT", help="Default: detected.")
@click.option("--domain", metavar="YAML", help="What it covers and the files don't tell.")
@click.option("--new-version", is_flag=True, help="Make a further version of the name.")
@output_option
def import_(
    name: str,
    source: str,
    category: str | None,
    format_: str | None,
    domain: str | None,
    new_version: bool,
    form: str,
) -> None:
    """Make a sealed dataset of files that lie elsewhere, without copying them; for admins.

    Only from places that the server's setting import_places names. The same command takes up an
    import that was cut off, and repeated later says whether the files are still what they were.

    \b
    Example: headrace dataset import aorc --from s3://forcing/aorc/2015 --category FORCING
    """
    covers = None if domain is None else parse_yaml(domain, what="domain").value
    said = {k: v for k, v in {"format": format_, "domain": covers}.items() if v}

    async def work(client: AsyncClient) -> Mapping[str, Any]:
        view = await _dataset(client, name, category, new=new_version)
        with WaitingLine() as line:

            def moved(files: str, size_bytes: int, _: int) -> None:
                line.say(f"import {name}: {files}, {rough_size(size_bytes)}")

            await client.datasets.import_from(view["id"], source, moved)
            line.say(f"{name} is described and sealed")
            return await client.datasets.seal(view["id"], said)

    with exits.resumable(f"`headrace dataset import {name} --from {source}` takes it up again"):
        view = run(work)
    show_dataset(form, view)


async def _dataset(
    client: AsyncClient, name: str, category: str | None, *, new: bool
) -> Mapping[str, Any]:
    """The dataset of the name, a new one where there is none, or where another is asked for."""
    try:
        view = await client.datasets.get(name)
        if not (new and view["state"] == "SEALED"):
            return view
        category = category or view["category"]
    except NotFound as error:
        if category is None:
            hint = "to make it, tell with --category what kind of data it is"
            raise NotFound(error.message, hint=hint) from None
    asked = {"name": name, "category": category.upper()} | ({"version": "new"} if new else {})
    return await client.datasets.create(asked)
