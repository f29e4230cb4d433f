"""`headrace users`: who may use this Headrace, and as what."""

import os

import click

from headrace_client.api import AsyncClient
from headrace_client.cli.account import enter
from headrace_client.cli.base import Outcomes, Words, asked, output_option, run, run_each
from headrace_client.cli.quota import quota_option, run_text, stored_text
from headrace_client.cli.show import age, note, pairs, plain, rows, show, write
from headrace_client.cli.typed import note_once, old_password_from, password_from, tell_once
from headrace_client.connection import find_server
from headrace_client.logins import login_at
from headrace_client.people import MadeUser
from headrace_model.people import UserRole
from headrace_wire.people import NewUser, PasswordChange, UserChange, UserView

_ROLES = [role.value for role in UserRole]
_name = click.argument("name", metavar="USER")
_names = click.argument("names", metavar="USER...", nargs=-1, required=True)


@click.group(cls=Words, name="users")
def group() -> None:
    """See and manage users. Users are never deleted, only disabled: no name is used twice.

    \b
    Example: headrace users create bob --role user
    """


@group.command(name="list")
@output_option
def list_users(form: str) -> None:
    """List the users.

    \b
    Example: headrace users list
    """
    users = run(lambda client: client.people.users())
    _show_users(form, users)


@group.command(name="create")
@click.argument("name", metavar="NAME")
@click.option(
    "--role",
    type=click.Choice(_ROLES),
    default="user",
    show_default=True,
    help="What they may do.",
)
@click.option("--group", "groups", multiple=True, metavar="GROUP", help="May be repeated.")
@click.option(
    "--password-file",
    metavar="FILE",
    help="Its first line (`-`: standard input). [default: one is made, and written once]",
)
@output_option
def create(
    name: str, role: str, groups: tuple[str, ...], password_file: str | None, form: str
) -> None:
    """Make a user. Without --password-file a password is made and written to standard output.

    \b
    Example: headrace users create bob --role user --group models
    """
    password = password_from(password_file, "Password") if password_file else None
    user = NewUser(name, UserRole(role), groups, password)

    async def make(client: AsyncClient) -> MadeUser:
        return await client.people.create_user(user)

    made = run(make)
    if form != "table":
        answer = plain(made.user) | ({"password": made.password} if made.password else {})
        show(form, answer, lambda: None)
        if made.password:
            note_once("password")
        return
    note(f"headrace: {made.user.name} is a new {made.user.role.value}")
    if made.password:
        tell_once(made.password, "password")


@group.command(name="info")
@_name
@output_option
def info(name: str, form: str) -> None:
    """Show one user.

    \b
    Example: headrace users info bob
    """
    user = run(lambda client: client.people.user(name))
    shown = [
        ("user", user.name),
        ("role", user.role.value),
        ("groups", " ".join(user.groups)),
        ("state", _state(user)),
        ("created", user.created),
        ("stored", stored_text(user)),
        ("running", run_text(user)),
    ]
    show(form, user, lambda: pairs(shown))


@group.command(name="change")
@_names
@click.option("--role", type=click.Choice(_ROLES), help="What they may do.")
@quota_option
@output_option
def change(names: tuple[str, ...], role: str | None, quotas: tuple[str, ...], form: str) -> None:
    """Give users another role, or quotas for what they keep in datasets and what they run.

    \b
    Example: headrace users change bob --role viewer
             headrace users change bob carol --quota 2TiB --quota cpus=64
    """
    if role is None and not quotas:
        raise click.UsageError("nothing is to be changed: say --role or --quota")
    _change(
        names,
        UserChange(role=UserRole(role) if role else None, quota=" ".join(quotas) or None),
        form,
    )


@group.command(name="disable")
@_names
@output_option
def disable(names: tuple[str, ...], form: str) -> None:
    """Disable users: no password and no token lets them in. What is theirs stays theirs.

    \b
    Example: headrace users disable bob
    """
    _change(names, UserChange(disabled=True), form)


@group.command(name="enable")
@_names
@output_option
def enable(names: tuple[str, ...], form: str) -> None:
    """Enable users who were disabled.

    \b
    Example: headrace users enable bob
    """
    _change(names, UserChange(disabled=False), form)


@group.command(name="password")
@click.argument("name", metavar="[USER]", required=False)
@click.option("--old-password-file", metavar="FILE", help="Your password until now.")
@click.option("--password-file", metavar="FILE", help="The new one: its first line.")
@click.option("--make", is_flag=True, help="For an admin: make one, and write it once.")
def password(
    name: str | None, old_password_file: str | None, password_file: str | None, make: bool
) -> None:
    """Change your password, or as an admin anybody's. All tokens of that user are revoked.

    Passwords are typed unseen. Without a terminal and files they are lines of standard input: for
    your own the old one (an empty line where you had none), then the new one.

    \b
    Example: headrace users password
             headrace users password bob --make
    """
    if make and password_file:
        raise click.UsageError("--make and --password-file exclude each other")
    me = run(lambda client: client.people.me()).name
    who = name or me
    old = old_password_from(old_password_file, "Your password until now") if who == me else None
    new = None if make else password_from(password_file, f"New password of {who}", twice=True)
    change = PasswordChange(new=new, old=old)
    made = run(lambda client: client.people.set_password(who, change))
    if made:
        tell_once(made, "password")
    else:
        write(f"the password of {who} is changed, and all of their tokens are revoked")
    url = find_server(asked().url, os.environ)
    if who == me and new is not None and login_at(url, os.environ).token() is not None:
        enter(url, who, new)  # the token of the login is revoked with the others


def _change(names: tuple[str, ...], change: UserChange, form: str) -> None:
    outcomes: Outcomes[UserView] = run_each(
        names, lambda client, name: client.people.change_user(name, change)
    )
    if outcomes.done:
        _show_users(form, outcomes.done)
    outcomes.raise_wrong()


def _show_users(form: str, users: tuple[UserView, ...]) -> None:
    heads = ("NAME", "ROLE", "GROUPS", "STATE", "STORED", "RUNNING", "AGE")
    lines = [
        (
            user.name, user.role.value, " ".join(user.groups), _state(user), stored_text(user),
            run_text(user), age(user.created),
        )
        for user in users
    ]  # fmt: skip
    show(form, users, lambda: rows(heads, lines, "there is no user"))


def _state(user: UserView) -> str:
    return "disabled" if user.disabled else "enabled"
