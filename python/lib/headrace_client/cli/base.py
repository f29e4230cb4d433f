"""What all commands share: groups that load late, the connection, several names, -o."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import click
from click.shell_completion import CompletionItem

from headrace_client.cli import complete
from headrace_client.cli.show import note
from headrace_model.errors import HeadraceError
from headrace_model.nearest import did_you_mean

if TYPE_CHECKING:
    from headrace_client.api import AsyncClient
    from headrace_client.connection import Connection

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
# Commands of other packages: the client must not import services.
PLUGINS: Final = "headrace.commands"
_PLUGIN_HELP: Final = {
    "doctor": "Find what is wrong with an installation, and how to mend it.",
    "hydrofabric": "Cut a hydrofabric on this disk: upstream, downstream, by id.",
    "local": "Headrace on this machine: up, down, status, backup, reset.",
    "partition": "Split a hydrofabric for a parallel run of ngen; check and explain a split.",
    "simulate": "Try jobs on nodes that need not exist: how long they would wait.",
    "support": "Write one archive for somebody who helps, without secrets.",
}


@dataclass(frozen=True, slots=True)
class Late:
    """A command that is imported when it is used: `module:attribute`, and its line of help."""

    where: str
    help: str

    def load(self) -> click.Command:
        """Import it."""
        module, _, name = self.where.partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command


class Words(click.Group):
    """A group: a dash and an underscore are alike in its commands' names; some load late."""

    def __init__(
        self,
        *args: Any,
        late: Mapping[str, Late] | None = None,
        plugins: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._late = dict(late or {})
        self._plugins = plugins

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, those of plug-ins too."""
        return sorted({*self.commands, *self._late, *self._found()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Find and, where needed, import a command."""
        name = cmd_name.replace("-", "_")
        for known, found in self.commands.items():
            if known.replace("-", "_") == name:
                return found
        if name in self._late:
            return self._late[name].load()
        entry = self._found().get(name)
        if entry is None:
            return None
        command: click.Command = entry.load()
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name the nearest known command for one that is not known."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            near = did_you_mean(args[0], self.list_commands(ctx))
            ctx.fail(f"{args[0]!r} is not a command; {near}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        rows = [(name, self._help_of(name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Offer the commands without importing them, and the options after a dash."""
        begun = incomplete.replace("-", "_")
        offers = [
            CompletionItem(name, help=self._help_of(name))
            for name in self.list_commands(ctx)
            if name.startswith(begun)
        ]
        return offers + click.Command.shell_complete(self, ctx, incomplete)

    def _help_of(self, name: str) -> str:
        if name in self._late:
            return self._late[name].help
        if name in self.commands:
            return self.commands[name].get_short_help_str(80)
        return _PLUGIN_HELP.get(name, "A command of an installed package.")

    def _found(self) -> dict[str, Any]:
        if not self._plugins:
            return {}
        return {entry.name: entry for entry in entry_points(group=PLUGINS)}


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of `headrace` itself."""

    url: str | None
    token_file: str | None
    ca_file: str | None = None


def asked() -> Asked:
    """The options of `headrace` itself, as they were given."""
    return click.get_current_context().find_object(Asked) or Asked(None, None)


def run(
    work: "Callable[[AsyncClient], Awaitable[T]]",
    *,
    patience_s: float = 60.0,
    connection: "Connection | None" = None,
) -> T:
    """Run `work` with a client connected as the options say, or as `connection` does."""
    # Imported here: `headrace --help` must not wait for an HTTP library.
    from headrace_client.api import AsyncClient
    from headrace_client.connection import find_ca_file, find_connection

    options = asked()
    found = connection or find_connection(options.url, options.token_file, os.environ)
    ca_file = find_ca_file(options.ca_file, found.url, os.environ)

    async def with_client() -> T:
        async with AsyncClient(
            found.url, found.token, patience_s=patience_s, ca_file=ca_file
        ) as client:
            return await work(client)

    return asyncio.run(with_client())


@dataclass(frozen=True, slots=True)
class Outcomes(Generic[T]):
    """What came of one call for each of several names; a wrong one doesn't keep the others."""

    done: tuple[T, ...]
    wrong: tuple[tuple[str, HeadraceError], ...]

    def raise_wrong(self) -> None:
        """Note all errors but the first, and raise that one."""
        for name, error in self.wrong[1:]:
            note(f"{name}: {error}")
        if self.wrong:
            raise self.wrong[0][1]


def run_each(
    names: Iterable[str], call: "Callable[[AsyncClient, str], Awaitable[T]]"
) -> "Outcomes[T]":
    """Run a call for each name, one after the other, with one client."""

    async def work(client: "AsyncClient") -> Outcomes[T]:
        done: list[T] = []
        wrong: list[tuple[str, HeadraceError]] = []
        for name in names:
            try:
                done.append(await call(client, name))
            except HeadraceError as error:
                wrong.append((name, error))
        return Outcomes(tuple(done), tuple(wrong))

    return run(work)


def output_option(command: F) -> F:
    """Add `-o table|json|yaml`."""
    return click.option(
        "-o",
        "--output",
        "form",
        type=click.Choice(["table", "json", "yaml"]),
        default="table",
        show_default=True,
        help="How the answer is written.",
    )(command)


job_argument = click.argument("job", metavar="JOB", shell_complete=complete.job)
jobs_argument = click.argument(
    "jobs", metavar="JOB...", nargs=-1, required=True, shell_complete=complete.job
)
file_argument = click.argument("file", metavar="FILE", shell_complete=complete.file)
dataset_argument = click.argument("name", metavar="DATASET", shell_complete=complete.dataset)
