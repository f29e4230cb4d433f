"""`headrace dataset`: upload, find, describe and download data."""

from collections.abc import Mapping
from typing import Any

import click

from headrace_client.api import AsyncClient
from headrace_client.cli import complete, exits, lineage
from headrace_client.cli.base import Late, Words, dataset_argument, output_option, run
from headrace_client.cli.covers import (
    category_option,
    domain_option,
    format_option,
    plain_domain,
)
from headrace_client.cli.curation import add_curation, show_dataset
from headrace_client.cli.importing import import_
from headrace_client.cli.progress import WaitingLine, transfer
from headrace_client.cli.sharing import asked_shares, with_option, write_option
from headrace_client.cli.show import age, note, rows, show
from headrace_client.cli.transfers import add_transfers, exclude_option, local_files
from headrace_model.dataset import Category
from headrace_model.errors import Conflict
from headrace_model.units import rough_size


@click.group(
    cls=Words,
    name="dataset",
    late={
        "domain": Late("headrace_client.cli.domain:group", "See what files on this disk cover."),
        "match": Late("headrace_client.cli.match:match", "Tell which data a job would get."),
    },
)
def group() -> None:
    """Upload, find and download data. DATASET is a name, name@version or an id.

    \b
    Example: headrace dataset create drb --category FORCING --upload ./forcing
    """


@group.command(name="create")
@click.argument("name", metavar="NAME")
@category_option
@format_option
@domain_option
@click.option("--description", default="", help="A sentence for people.")
@click.option("--expires-in", metavar="TIME", help="Delete it after 12h, 30d; default: never.")
@click.option("--new-version", is_flag=True, help="Make a further version of the name.")
@click.option(
    "--upload",
    "source",
    metavar="PATH",
    help="Upload a file or folder, and seal it.",
    shell_complete=complete.file,
)
@exclude_option
@output_option
def create(
    name: str,
    category: str | None,
    format_: str | None,
    domain: str | None,
    description: str,
    expires_in: str | None,
    new_version: bool,
    source: str | None,
    exclude: tuple[str, ...],
    form: str,
) -> None:
    """Make a dataset; with --upload fill and seal it in one step.

    \b
    Example: headrace dataset create drb --category FORCING --upload ./forcing \\
               --domain '{HYDROFABRIC_DATA_ID: drb}'
    """
    if category is None:
        raise click.UsageError(f"--category is missing: one of {', '.join(Category)}")
    asked = {
        "name": name,
        "category": category.upper(),
        "format": format_,
        "domain": plain_domain(domain),
        "description": description,
        "expires_in": expires_in,
        "version": "new" if new_version else None,
    }

    async def make(client: AsyncClient) -> Mapping[str, Any]:
        try:
            view = await client.datasets.create({k: v for k, v in asked.items() if v})
        except Conflict as error:
            hint = error.hint or "--new-version makes a further version of it"
            raise Conflict(error.message, hint=hint) from None
        if source is None:
            return view
        with transfer(f"upload {name}") as moved:
            await client.datasets.upload(view["id"], files, moved)
        return await _seal(client, view["id"], name)

    named = [] if source is None else [source]
    take_up = f"`headrace dataset upload {name} {source} --seal` takes it up again"
    with local_files(named, exclude) as files, exits.resumable(take_up):
        view = run(make)
    show_dataset(form, view)


async def _seal(
    client: AsyncClient, dataset: str, name: str, said: Mapping[str, Any] | None = None
) -> Mapping[str, Any]:
    with WaitingLine() as line:
        line.say(f"{name} is described and sealed")
        return await client.datasets.seal(dataset, said)


@group.command(name="list")
@category_option
@click.option("--format", "format_", default="", metavar="FORMAT", help="Only of this format.")
@click.option(
    "--state",
    type=click.Choice(["OPEN", "SEALED", "DELETED"], case_sensitive=False),
    help="Only those being written, those that never change again, or those to be brought back.",
)
@click.option("--owner", default="", help="Only this user's.")
@click.option("--job", default="", help="Only what this job made.")
@click.option("--since", default="", metavar="TIME", help="Only what was made since 2026-05-01.")
@click.option(
    "--domain",
    metavar="YAML",
    help="Only with data for some of this: '{TIME: [1979-01-01, 1980-01-01]}'.",
)
@click.option("-q", "--query", default="", help="Part of the name, description or a tag.")
@click.option(
    "--limit", default=100, show_default=True, type=click.IntRange(1, 1000), help="Show so many."
)
@output_option
def list_datasets(
    category: str | None,
    format_: str,
    state: str | None,
    owner: str,
    job: str,
    since: str,
    domain: str | None,
    query: str,
    limit: int,
    form: str,
) -> None:
    """List datasets, the newest first.

    \b
    Example: headrace dataset list --category FORCING --domain '{HYDROFABRIC_DATA_ID: drb}'
    """
    covers = plain_domain(domain)
    page = run(
        lambda client: client.datasets.list(
            category=(category or "").upper(),
            format=format_,
            state=(state or "").upper(),
            owner=owner,
            job=job,
            since=since,
            domain=covers or "",
            q=query,
            limit=limit,
        )
    )
    found = page["datasets"]
    heads = ("NAME", "STATE", "CATEGORY", "FORMAT", "SIZE", "FILES", "AGE", "OWNER")
    lines = [
        (
            f"{d['name']}@{d['version']}", d["state"], d["category"], d["format"],
            *_amount(d), age(d["created"]), d["owner"],
        )
        for d in found
    ]  # fmt: skip
    show(form, found, lambda: rows(heads, lines, "no dataset fits"))
    if page["cursor"] and form == "table":
        note(f"there are more: see --limit, now {limit}")


def _amount(view: dict[str, Any]) -> tuple[object, object]:
    """Bytes and files; those of a dataset that is still written are counted when it is sealed."""
    if view["state"] == "OPEN":
        return "", ""
    return rough_size(view["size_bytes"]), view["item_count"]


@group.command(name="items")
@dataset_argument
@output_option
def items(name: str, form: str) -> None:
    """List the files of a dataset.

    \b
    Example: headrace dataset items drb
    """

    async def read(client: AsyncClient) -> list[Mapping[str, Any]]:
        return [item async for item in client.datasets.items(name)]

    found = run(read)
    lines = [(i["path"], rough_size(i["size_bytes"]), i["sha256"][:16]) for i in found]
    show(form, found, lambda: rows(("PATH", "SIZE", "SHA-256"), lines, "it holds no file"))


@group.command(name="info")
@dataset_argument
@output_option
def info(name: str, form: str) -> None:
    """Show one dataset: what it is, covers and comes from.

    \b
    Example: headrace dataset info drb@2
    """
    show_dataset(form, run(lambda client: client.datasets.get(name)))


@group.command(name="seal")
@dataset_argument
@format_option
@domain_option
@output_option
def seal(name: str, format_: str | None, domain: str | None, form: str) -> None:
    """Seal a dataset: from then on it never changes, and jobs find it.

    \b
    Example: headrace dataset seal drb
    """
    said = {"format": format_, "domain": plain_domain(domain)}
    known = {k: v for k, v in said.items() if v}
    view = run(lambda client: _seal(client, name, name, known))
    show_dataset(form, view)


@group.command(name="share")
@dataset_argument
@with_option
@write_option
@output_option
def share(name: str, who: tuple[str, ...], writing: bool, form: str) -> None:
    """Share a dataset: those people find and download it; with --write they fill and seal it.

    \b
    Example: headrace dataset share drb --with group:models --write
    """
    shares = asked_shares(who, writing)

    async def ask(client: AsyncClient) -> Mapping[str, Any]:
        view: Mapping[str, Any] = {}
        for each in shares:
            view = await client.datasets.share(name, each.who, each.level)
        return view

    show_dataset(form, run(ask))


@group.command(name="unshare")
@dataset_argument
@with_option
@output_option
def unshare(name: str, who: tuple[str, ...], form: str) -> None:
    """Take shares of a dataset back; success where there are none.

    \b
    Example: headrace dataset unshare drb --with group:models
    """
    shares = asked_shares(who)

    async def ask(client: AsyncClient) -> Mapping[str, Any]:
        view: Mapping[str, Any] = {}
        for each in shares:
            view = await client.datasets.unshare(name, each.who)
        return view

    show_dataset(form, run(ask))


group.add_command(lineage.of_dataset)
group.add_command(import_)
add_curation(group)
add_transfers(group)
