"""`headrace webhooks`: who is told of one's own jobs."""

import click

from headrace_client.api import AsyncClient
from headrace_client.cli.base import Words, output_option, run, run_each
from headrace_client.cli.show import age, note, rows, show, write
from headrace_model.webhook import HookEvent


@click.group(cls=Words, name="webhooks")
def group() -> None:
    """Have addresses told when jobs of yours start, end or fail.

    \b
    Example: headrace webhooks add https://example.org/hook --event failed
    """


@group.command(name="list")
@output_option
def list_webhooks(form: str) -> None:
    """List your webhooks, with what they have still to be told.

    \b
    Example: headrace webhooks list
    """
    hooks = run(lambda client: client.people.webhooks())
    heads = ("ID", "URL", "EVENTS", "KIND", "JOBS", "CREATED", "WAITING", "ERROR")
    lines = [
        (
            each.id, each.url, " ".join(each.events), each.kind,
            each.name and f"{each.name}*", f"{age(each.created)} ago", each.waiting, each.error,
        )
        for each in hooks
    ]  # fmt: skip
    show(form, hooks, lambda: rows(heads, lines, "there is no webhook"))


@group.command(name="add")
@click.argument("url")
@click.option(
    "--event",
    "events",
    multiple=True,
    type=click.Choice([str(each) for each in HookEvent]),
    default=[str(HookEvent.ENDED)],
    show_default=True,
    help="What is told; may be repeated.",
)
@click.option("--kind", default="", help="Only of jobs of this kind.")
@click.option("--name", default="", metavar="BEGIN", help="Only of jobs whose name begins so.")
@output_option
def add(url: str, events: tuple[str, ...], kind: str, name: str, form: str) -> None:
    """Have URL told of your jobs; the secret that messages are signed with is shown once.

    \b
    Example: headrace webhooks add https://example.org/hook --event started --event ended
    """
    told = tuple(HookEvent(each) for each in dict.fromkeys(events))
    hook = run(lambda client: client.people.add_webhook(url, events=told, kind=kind, name=name))
    show(form, hook, lambda: write(f"{hook.id} {hook.secret}"))
    if hook.warning:
        note(f"warning: {hook.warning}; `headrace webhooks list` tells what went wrong")
    note("keep the secret: it is not shown again, and tells that a message is from here")


@group.command(name="remove")
@click.argument("hooks", metavar="ID...", nargs=-1, required=True)
def remove(hooks: tuple[str, ...]) -> None:
    """Remove webhooks; what they had still to be told is dropped. A repeat is success.

    \b
    Example: headrace webhooks remove 0123456789ab
    """

    async def one(client: AsyncClient, hook: str) -> None:
        await client.people.remove_webhook(hook)
        write(f"{hook} is removed")

    run_each(hooks, one).raise_wrong()
