"""`headrace tokens`: what programs show instead of a password."""

import click

from headrace_client.api import AsyncClient
from headrace_client.cli.base import Words, output_option, run, run_each
from headrace_client.cli.show import age, note, plain, rows, show, write
from headrace_client.cli.typed import note_once, tell_once
from headrace_model.people import USUAL_SCOPES, Scope
from headrace_wire.people import NewToken, TokenView

_USUAL = ", ".join(scope for scope in Scope if scope in USUAL_SCOPES)


@click.group(cls=Words, name="tokens")
def group() -> None:
    """Make and revoke tokens for programs. A token never allows more than you may.

    \b
    Example: headrace tokens create --scope read --expires-in 30d > token
    """


@group.command(name="list")
@click.option("--user", metavar="NAME", help="For an admin: this user's.")
@output_option
def list_tokens(user: str | None, form: str) -> None:
    """List tokens by their ids; the tokens themselves are shown when they are made only.

    \b
    Example: headrace tokens list
    """
    tokens = run(lambda client: client.people.tokens(user))
    heads = ("ID", "USER", "LABEL", "SCOPES", "AGE", "EXPIRES")
    lines = [
        (each.id, each.user, each.label, " ".join(each.scopes), age(each.created), each.expires)
        for each in tokens
    ]
    answer = [_without_token(each) for each in tokens]
    show(form, answer, lambda: rows(heads, lines, "there is no token"))


@group.command(name="create")
@click.option("--label", default="", help="A word for people: which program it is for.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice([scope.value for scope in Scope]),
    help=f"What it may be used for; may be repeated. [default: {_USUAL}]",
)
@click.option("--expires-in", metavar="TIME", help="For example 12h. [default: 30d]")
@click.option("--user", metavar="NAME", help="For an admin: make it for this user.")
@output_option
def create(
    label: str, scopes: tuple[str, ...], expires_in: str | None, user: str | None, form: str
) -> None:
    """Make a token, and write it to standard output: this once.

    \b
    Example: headrace tokens create --label ci --scope read --scope jobs --expires-in 30d > token
    """
    asked = NewToken(label, tuple(Scope(scope) for scope in scopes), expires_in, user)

    async def make(client: AsyncClient) -> TokenView:
        return await client.people.create_token(asked)

    made = run(make)
    if form != "table":
        show(form, made, lambda: None)
        note_once("token")
        return
    until = f"until {made.expires}" if made.expires else "until it is revoked"
    note(f"headrace: token {made.id} of {made.user} for {', '.join(made.scopes)}, {until}")
    tell_once(made.token or "", "token")


@group.command(name="revoke")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@click.option("--user", metavar="NAME", help="For an admin: this user's.")
def revoke(ids: tuple[str, ...], user: str | None) -> None:
    """Revoke tokens by their ids; within seconds nobody gets in with them. A repeat is success.

    \b
    Example: headrace tokens revoke 0123456789ab
    """

    async def one(client: AsyncClient, id_: str) -> None:
        await client.people.revoke_token(id_, user)
        write(f"{id_} is revoked")

    run_each(ids, one).raise_wrong()


def _without_token(view: TokenView) -> dict[str, object]:
    return {name: value for name, value in plain(view).items() if name != "token"}
