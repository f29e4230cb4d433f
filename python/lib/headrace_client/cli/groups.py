"""`headrace groups`: users to share with in one word."""

import click

from headrace_client.api import AsyncClient
from headrace_client.cli.base import Words, output_option, run, run_each
from headrace_client.cli.quota import quota_option, run_text, stored_text
from headrace_client.cli.show import rows, show, write
from headrace_wire.people import GroupChange, GroupView

_names = click.argument("names", metavar="GROUP...", nargs=-1, required=True)
_group = click.argument("name", metavar="GROUP")
_users = click.argument("users", metavar="USER...", nargs=-1, required=True)


@click.group(cls=Words, name="groups")
def group() -> None:
    """See and manage groups of users.

    \b
    Example: headrace groups add models bob
    """


@group.command(name="list")
@output_option
def list_groups(form: str) -> None:
    """List the groups and their members.

    \b
    Example: headrace groups list
    """
    _show(form, run(lambda client: client.people.groups()))


@group.command(name="create")
@_names
@output_option
def create(names: tuple[str, ...], form: str) -> None:
    """Make groups.

    \b
    Example: headrace groups create models
    """
    outcomes = run_each(names, lambda client, name: client.people.create_group(name))
    if outcomes.done:
        _show(form, outcomes.done)
    outcomes.raise_wrong()


@group.command(name="change")
@_names
@quota_option
@output_option
def change(names: tuple[str, ...], quotas: tuple[str, ...], form: str) -> None:
    """Give groups quotas: what the datasets of all members may hold, and their jobs use, together.

    \b
    Example: headrace groups change models --quota 10TiB
    """
    if not quotas:
        raise click.UsageError("nothing is to be changed: say --quota")
    asked = GroupChange(" ".join(quotas))
    outcomes = run_each(names, lambda client, name: client.people.change_group(name, asked))
    if outcomes.done:
        _show(form, outcomes.done)
    outcomes.raise_wrong()


@group.command(name="delete")
@_names
@click.option("--yes", is_flag=True, help="Don't ask.")
def delete(names: tuple[str, ...], yes: bool) -> None:
    """Delete groups: their members lose what is shared with them.

    \b
    Example: headrace groups delete models --yes
    """
    if not yes:
        click.confirm(f"Delete {', '.join(names)}?", abort=True, err=True)

    async def one(client: AsyncClient, name: str) -> None:
        await client.people.delete_group(name)
        write(f"{name} is deleted")

    run_each(names, one).raise_wrong()


@group.command(name="add")
@_group
@_users
@output_option
def add(name: str, users: tuple[str, ...], form: str) -> None:
    """Put users into a group; a repeat is success.

    \b
    Example: headrace groups add models bob carol
    """
    outcomes = run_each(users, lambda client, user: client.people.add_member(name, user))
    if outcomes.done:
        _show_one(name, form)
    outcomes.raise_wrong()


@group.command(name="remove")
@_group
@_users
@output_option
def remove(name: str, users: tuple[str, ...], form: str) -> None:
    """Take users out of a group; success for those who are not in it.

    \b
    Example: headrace groups remove models bob
    """
    outcomes = run_each(users, lambda client, user: client.people.remove_member(name, user))
    if outcomes.done:
        _show_one(name, form)
    outcomes.raise_wrong()


def _show_one(name: str, form: str) -> None:
    groups = run(lambda client: client.people.groups())
    _show(form, tuple(each for each in groups if each.name == name))


def _show(form: str, groups: tuple[GroupView, ...]) -> None:
    lines = [
        (each.name, stored_text(each), run_text(each), " ".join(each.members)) for each in groups
    ]
    heads = ("NAME", "STORED", "RUNNING", "MEMBERS")
    show(form, groups, lambda: rows(heads, lines, "there is no group"))
