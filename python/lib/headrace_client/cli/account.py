"""`headrace login`, `logout` and `whoami`."""

import getpass
import os
from contextlib import suppress
from dataclasses import dataclass

import click
from yarl import URL

from headrace_client.api import AsyncClient
from headrace_client.cli.base import asked, output_option, run
from headrace_client.cli.quota import run_text, stored_text
from headrace_client.cli.show import note, pairs, show
from headrace_client.cli.typed import password_from
from headrace_client.connection import Connection, find_server
from headrace_client.logins import Login, login_at
from headrace_model.errors import Unauthorized
from headrace_model.units import duration_text
from headrace_wire.people import QuotaView, ShareOfUseView, TokenView

_LOGIN_PATIENCE_S = 5.0  # who typed a password waits: better a sentence than a silent minute
_HERE = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class _LoginView:
    user: str
    url: str
    expires: str | None
    scopes: tuple[str, ...]


@click.command(name="login")
@click.option("--user", metavar="NAME", help="Your name here. [default: as on this machine]")
@click.option("--password-file", metavar="FILE", help="Its first line (`-`: standard input).")
@output_option
def login(user: str | None, password_file: str | None, form: str) -> None:
    """Log in with a password; the token is kept for this server, in a file of yours alone.

    The password is typed unseen, or without a terminal read from standard input.

    \b
    Example: headrace --url http://127.0.0.1:8378 login --user ann
    """
    url = find_server(asked().url, os.environ)
    name = user or getpass.getuser()
    if not _is_private(url):
        note(f"headrace: {url} is plain HTTP: whoever is on the way can read the password")
    password = password_from(password_file, f"Password of {name} at {url}")
    made, kept = enter(url, name, password)
    view = _LoginView(made.user, url, made.expires, made.scopes)
    show(form, view, lambda: pairs([("user", made.user), ("url", url), ("until", made.expires)]))
    if form == "table":
        note(f"headrace: the token is kept in {kept.file}; `headrace logout` revokes it")
    if wins := _wins():
        note(f"headrace: {wins} is given and goes before this login")


def enter(url: str, name: str, password: str) -> tuple[TokenView, Login]:
    """Log in at a server and keep the token."""

    async def ask(client: AsyncClient) -> TokenView:
        return await client.people.login(name, password)

    made = run(ask, patience_s=_LOGIN_PATIENCE_S, connection=Connection(url, ""))
    if made.token is None:
        raise Unauthorized(f"{url} took the password, but gave no token")
    kept = login_at(url, os.environ)
    kept.keep(made.token)
    return made, kept


@click.command(name="logout")
def logout() -> None:
    """Log out: revoke the token that `headrace login` kept, and remove it. A repeat is success.

    \b
    Example: headrace logout
    """
    url = find_server(asked().url, os.environ)
    kept = login_at(url, os.environ)
    token = kept.token()
    if token is None:
        note(f"headrace: you are not logged in at {url}")
        return
    with suppress(Unauthorized):  # it was revoked or has expired: what was asked for is so
        run(lambda client: client.people.logout(), connection=Connection(url, token))
    kept.forget()
    note(f"headrace: logged out of {url}")


@click.command(name="whoami")
@output_option
def whoami(form: str) -> None:
    """Tell who you are here, and what your token may be used for.

    \b
    Example: headrace whoami -o json
    """
    me = run(lambda client: client.people.me())
    shown = [
        ("user", me.name),
        ("role", me.role.value),
        ("groups", " ".join(me.groups)),
        ("token for", " ".join(me.scopes)),
        ("until", me.expires),
        ("stored", "\n".join(_storage(each) for each in me.storage)),
        ("running", "\n".join(_running(each) for each in me.storage if each.run_quota)),
        ("share", _share(me.share) if me.share else ""),
    ]
    show(form, me, lambda: pairs(shown))


def _storage(view: QuotaView) -> str:
    return stored_text(view) + _whose(view)


def _running(view: QuotaView) -> str:
    return f"{run_text(view)}{_whose(view)}"


def _whose(view: QuotaView) -> str:
    kind, _, group = view.who.partition(":")
    return f" (members of group {group})" if kind == "group" else ""


def _share(view: ShareOfUseView) -> str:
    return (
        f"{view.cpu_hours:g} CPU hours of late, {view.part:.0%} of all; "
        f"jobs go back by {duration_text(view.behind_s * 1000)}"
    )


def _is_private(url: str) -> bool:
    """Tell whether nobody on the way can read what is sent to an address."""
    return all(each.startswith("https://") or URL(each).host in _HERE for each in url.split(","))


def _wins() -> str | None:
    """What goes before a login, where it is given."""
    if asked().token_file:
        return "--token-file"
    names = ("HEADRACE_TOKEN_FILE", "HEADRACE_TOKEN")
    return next((name for name in names if os.environ.get(name)), None)
