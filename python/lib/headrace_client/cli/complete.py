"""What the shell offers after TAB. A server is asked for a moment only.

A function here is what click calls `shell_complete`: (context, parameter, beginning) → offers.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Final, TypeAlias

import click
from click.shell_completion import CompletionItem

from headrace_model.errors import HeadraceError

if TYPE_CHECKING:
    from headrace_client.api import AsyncClient

_WITHIN_S: Final = 1.0
_MOST: Final = 50

Offers: TypeAlias = list[CompletionItem]
Completer: TypeAlias = Callable[[click.Context, click.Parameter, str], Offers]


def one_of(known: Callable[[], Iterable[str]]) -> Completer:
    """Offer the words that are known without a server, in any case of letters."""

    def offer(_: click.Context, __: click.Parameter, begun: str) -> Offers:
        return [CompletionItem(w) for w in known() if w.lower().startswith(begun.lower())]

    return offer


def file(_: click.Context, __: click.Parameter, begun: str) -> Offers:
    """Let the shell offer files and folders."""
    return [CompletionItem(begun, type="file")]


def job(ctx: click.Context, _: click.Parameter, begun: str) -> Offers:
    """Offer ids of jobs, with name and status where the shell shows such a thing."""

    async def ask(client: "AsyncClient") -> Offers:
        page = await client.jobs(q=begun, limit=_MOST)
        return [
            CompletionItem(each.id, help=f"{each.name} {each.status.partition(':')[2]}")
            for each in page.jobs
            if each.id.startswith(begun)
        ]

    return _asked(ctx, ask)


def dataset(ctx: click.Context, _: click.Parameter, begun: str) -> Offers:
    """Offer names of datasets."""

    async def ask(client: "AsyncClient") -> Offers:
        page = await client.datasets.list(q=begun.partition("@")[0], limit=_MOST)
        found = {}
        for each in page["datasets"]:
            name, version = each["name"], f"{each['name']}@{each['version']}"
            offered = version if "@" in begun else name
            if offered.startswith(begun):
                found[offered] = CompletionItem(
                    offered, help=f"{each['category']} {each['format']}"
                )
        return list(found.values())

    return _asked(ctx, ask)


def _asked(ctx: click.Context, ask: "Callable[[AsyncClient], Awaitable[Offers]]") -> Offers:
    """Ask the server that the command line names; nothing when it has no answer in time."""
    # Imported here: most completions need no HTTP library.
    from headrace_client.api import AsyncClient
    from headrace_client.connection import find_ca_file, find_connection

    said = ctx.find_root().params

    async def within() -> Offers:
        found = find_connection(said.get("url"), said.get("token_file"), os.environ)
        ca_file = find_ca_file(said.get("ca_file"), found.url, os.environ)
        async with (
            asyncio.timeout(_WITHIN_S),
            AsyncClient(found.url, found.token, patience_s=0.0, ca_file=ca_file) as client,
        ):
            return await ask(client)

    try:
        return asyncio.run(within())
    except (HeadraceError, OSError):  # a TimeoutError is an OSError
        return []
