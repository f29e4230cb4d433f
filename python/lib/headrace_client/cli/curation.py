"""Changing, emptying and deleting a dataset: commands of the group `dataset`."""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import click

from headrace_client.api import AsyncClient
from headrace_client.cli.base import dataset_argument, output_option, run
from headrace_client.cli.progress import WaitingLine
from headrace_client.cli.sharing import shares_text
from headrace_client.cli.show import note, pairs, rows, show, write
from headrace_model.errors import NotFound
from headrace_model.units import rough_size

_NEVER = "never"


def add_curation(group: click.Group) -> None:
    """Add the commands to the group `dataset`."""
    for command in (change, remove, delete, undelete, sweep):
        group.add_command(command)


@click.command(name="change")
@dataset_argument
@click.option("--name", "new_name", metavar="NAME", help="Rename it, with all its versions.")
@click.option("--description", help="A sentence for people; '' takes it away.")
@click.option("--tags", metavar="TAG,…", help="All its tags from now on; '' takes them away.")
@click.option("--expires-in", metavar="TIME", help="Delete it after 12h, 30d; or never.")
@output_option
def change(
    name: str,
    new_name: str | None,
    description: str | None,
    tags: str | None,
    expires_in: str | None,
    form: str,
) -> None:
    """Describe, tag or rename a dataset, or change how long it is kept; sealed ones too.

    \b
    Example: headrace dataset change drb --tags calibration,2024 --expires-in 30d
    """
    asked: dict[str, Any] = {}
    if new_name is not None:
        asked["name"] = new_name
    if description is not None:
        asked["description"] = description
    if tags is not None:
        asked["tags"] = [tag.strip() for tag in tags.split(",") if tag.strip()]
    if expires_in is not None:
        asked["expires_in"] = None if expires_in == _NEVER else expires_in
    if not asked:
        raise click.UsageError("nothing is to be changed")
    show_dataset(form, run(lambda client: client.datasets.change(name, asked)))


@click.command(name="remove")
@dataset_argument
@click.argument("items", metavar="ITEM...", nargs=-1, required=True)
def remove(name: str, items: tuple[str, ...]) -> None:
    """Remove items from an OPEN dataset; ITEM is a path, folder or pattern.

    \b
    Example: headrace dataset remove drb old '*.tmp'
    """

    async def take_away(client: AsyncClient) -> int:
        found = await client.datasets.chosen(name, items)
        for item in found:
            await client.datasets.remove(name, item["path"])
        return len(found)

    write(f"{run(take_away)} item(s) removed")


@click.command(name="delete")
@dataset_argument
@click.option("--now", is_flag=True, help="For good, at once; also one that was deleted before.")
@click.option("--yes", is_flag=True, help="Don't ask.")
def delete(name: str, now: bool, yes: bool) -> None:
    """Delete a dataset that no job uses; `undelete` brings it back for some days.

    \b
    Example: headrace dataset delete drb@1 --yes
    """
    if not yes:
        click.confirm(f"Delete {name}{' for good' if now else ''}?", abort=True, err=True)

    async def ask(client: AsyncClient) -> tuple[str, Mapping[str, Any] | None]:
        title = name
        with suppress(NotFound):  # it was deleted before
            title = (await client.datasets.get(name))["title"]
        return title, await client.datasets.delete(name, now=now)

    title, view = run(ask)
    if view is None:
        write(f"{title} is deleted for good")
        return
    version = f"{view['name']}@{view['version']}"
    write(
        f"{version} is deleted; its {rough_size(view['size_bytes'])} go {view['purged']}; until "
        f"then `headrace dataset undelete {version}` brings it back"
    )


@click.command(name="undelete")
@dataset_argument
@click.option("--as", "new_name", metavar="NAME", help="Under another name: its own was taken.")
@output_option
def undelete(name: str, new_name: str | None, form: str) -> None:
    """Bring a deleted dataset back; `dataset list --state deleted` shows those there are.

    \b
    Example: headrace dataset undelete drb@1
    """
    show_dataset(form, run(lambda client: client.datasets.undelete(name, new_name)))


@click.command(name="sweep")
@click.option("--dry-run", is_flag=True, help="Only tell what would go, and why.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@click.option(
    "--limit",
    default=1000,
    show_default=True,
    type=click.IntRange(1, 100_000),
    help="Show so many.",
)
@output_option
def sweep(dry_run: bool, yes: bool, limit: int, form: str) -> None:
    """For admins: remove from the store, now, what nothing can name any more.

    Headrace does so by itself; what is too young for that stays, and is shown as such.

    \b
    Example: headrace dataset sweep --dry-run
    """
    if not (dry_run or yes):
        click.confirm("Remove what nothing names from the store?", abort=True, err=True)
    found: list[Mapping[str, Any]] = []
    counts = {"looked_at": 0, "nameless": 0, "due": 0, "due_bytes": 0}

    async def walk(client: AsyncClient) -> None:
        with WaitingLine() as line:
            async for page in client.datasets.sweep(dry_run=dry_run):
                due = [each for each in page["nameless"] if each["due"]]
                counts["looked_at"] += page["looked_at"]
                counts["nameless"] += len(page["nameless"])
                counts["due"] += len(due)
                counts["due_bytes"] += sum(each["size_bytes"] for each in due)
                found.extend(page["nameless"][: limit - len(found)])
                line.say(f"{counts['looked_at']:,} objects looked at, {counts['due']:,} to go")

    run(walk)
    lines = [
        (
            each["key"], rough_size(each["size_bytes"]), f"{each['age_s'] / 3600:.1f}h",
            "yes" if each["due"] else "too young", each["why"],
        )
        for each in found
    ]  # fmt: skip
    heads = ("ID", "SIZE", "AGE", "GOES" if dry_run else "GONE", "WHY")
    show(form, {**counts, "objects": found}, lambda: rows(heads, lines, "nothing is nameless"))
    what = "would go" if dry_run else "are gone"
    note(
        f"{counts['looked_at']:,} objects looked at; {counts['due']:,} with "
        f"{rough_size(counts['due_bytes'])} {what}"
        + (f"; --limit shows {limit:,} of them" if counts["nameless"] > len(found) else "")
    )


def show_dataset(form: str, view: Mapping[str, Any]) -> None:
    """Write one dataset."""
    origin = view.get("origin")
    shown = [
        ("name", f"{view['name']}@{view['version']}"),
        ("id", view["id"]),
        ("state", view["state"]),
        ("category", view["category"]),
        ("format", view["format"]),
        ("covers", "\n".join(f"{k}: {_short(v)}" for k, v in view["domain"].items())),
        ("files", view["item_count"]),
        ("size", rough_size(view["size_bytes"])),
        ("owner", view["owner"]),
        ("made by", f"job {origin['job']}, attempt {origin['attempt']}" if origin else ""),
        ("partial", "the attempt failed: it is no result" if view.get("partial") else ""),
        ("about", view["description"]),
        ("tags", " ".join(view.get("tags", ()))),
        ("shared", shares_text(view.get("shared", ()))),
        ("created", view["created"]),
        ("expires", view["expires"]),
        ("deleted", view.get("deleted")),
        ("files go", view.get("purged")),
        ("notes", "\n".join(view.get("notes", ()))),
    ]
    show(form, view, lambda: pairs(shown))


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:70]}… ({text.count(',') + 1} values)"
