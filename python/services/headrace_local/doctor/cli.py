"""`headrace doctor`: what is wrong with an installation, and how to mend it."""

import asyncio
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import click

from headrace_client.cli import exits
from headrace_client.cli.base import Asked, asked, output_option
from headrace_client.cli.show import show
from headrace_local.config import Config, load
from headrace_local.doctor import folder, machine, redis, running, server
from headrace_local.doctor.finding import Finding, Level, ok, problem, warn
from headrace_local.folders import find_home
from headrace_local.layout import Home
from headrace_model.errors import HeadraceError, InvalidInput

Check = Callable[[], Iterable[Finding]]
_COLOURS = {Level.OK: "green", Level.WARN: "yellow", Level.PROBLEM: "red"}


@dataclass(frozen=True, slots=True)
class Report:
    """All that was looked at; `ok`: no problem among it."""

    ok: bool
    checks: tuple[Finding, ...]


@click.command(name="doctor")
@output_option
def doctor(form: str) -> int:
    """Find what is wrong with this installation, and how to mend it; exit code 1 if anything is.

    It changes nothing and shows no secret. With --url or HEADRACE_URL it looks at that server
    instead of the Headrace on this machine.

    \b
    Example: headrace doctor -o json
    """
    found = tuple(examine(asked()))
    report = Report(all(each.level is not Level.PROBLEM for each in found), found)
    show(form, report, lambda: _write(found))
    return exits.OK if report.ok else exits.JOB_FAILED


def examine(said: Asked) -> Iterator[Finding]:
    """Look at everything, in the order in which it is shown."""
    yield from machine.python()
    if said.url or os.environ.get("HEADRACE_URL"):
        yield from _run("server", partial(_server, said, None))
        return
    home = find_home()
    try:
        config = load(home)
        yield ok("config", f"{home.config}" if home.config.exists() else "none yet")
    except (InvalidInput, OSError) as error:
        says = error.message if isinstance(error, InvalidInput) else f"{home.config}: {error}"
        yield problem("config", says, getattr(error, "hint", None))
        config = Config()
    for name, check in _checks(home, config).items():
        yield from _run(name, check)
    if home.config.exists():
        yield from _run("server", partial(_server, said, config.url))
    else:
        yield warn("server", "no Headrace was ever started here", "headrace local up")


def _checks(home: Home, config: Config) -> dict[str, Check]:
    return {
        "redis-server": machine.redis_program,
        "extras": partial(machine.extras, config),
        "engine": partial(machine.containers, home, config),
        "cgroups": machine.memory_limits,
        "folder": partial(folder.access, home),
        "settings": partial(folder.settings, home, config),
        "resources": partial(folder.resources, home, config),
        "disk": partial(folder.disk, home, config),
        "sockets": partial(folder.sockets, home),
        "clock": partial(folder.clock, home),
        "processes": partial(running.processes_of, home),
        "lock": partial(running.lock, home),
        "port": partial(running.port, home, config),
        "store": partial(running.store, home, config),
        "tls": partial(running.tls, config),
        "redis": partial(redis.running, home, config),
    }


def _server(said: Asked, local_url: str | None) -> list[Finding]:
    async def collect() -> list[Finding]:
        return [each async for each in server.server(said, local_url)]

    return asyncio.run(collect())


def _run(name: str, check: Check) -> Iterator[Finding]:
    """Run a check; one that can't be done says so and leaves the others their turn."""
    try:
        yield from check()
    except HeadraceError as error:
        yield problem(name, error.message, error.hint)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        yield problem(name, f"can't be looked at: {error.strerror or error}{where}", None)


def _write(found: tuple[Finding, ...]) -> None:
    width = max(len(each.check) for each in found)
    for each in found:
        mark = click.style(f"{each.level.value:<7}", fg=_COLOURS[each.level])
        click.echo(f"{mark}  {each.check:<{width}}  {each.says}")
        if each.fix:
            click.echo(f"{'':<7}  {'':<{width}}  fix: {each.fix}")
    click.echo(f"\n{_counted(found)}")


def _counted(found: Iterable[Finding]) -> str:
    levels = [each.level for each in found]
    words = []
    for level, word in ((Level.PROBLEM, "problem"), (Level.WARN, "warning")):
        if count := levels.count(level):
            words.append(f"{count} {word}" + ("s" if count > 1 else ""))
    return ", ".join(words) or "all is well"
