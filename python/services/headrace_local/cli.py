"""The command group `headrace local`: Headrace on this machine, without root or Docker."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

import click

from headrace_client.cli.base import Words
from headrace_local import engine, power
from headrace_local.browser import gui, sign_in_url
from headrace_local.config import Config, load, salvage
from headrace_local.folders import find_home, remove
from headrace_local.layout import Home
from headrace_local.saying import HELP, errors_said
from headrace_local.supervisor import BUSY_STATUS
from headrace_model.errors import HeadraceError, InvalidInput, Unavailable
from headrace_model.units import parse_cpus, parse_size, rough_size

STOPPED_STATUS: Final = 3
_STOP_JOBS_WITHIN_S: Final = 120.0
_WORKER_GRACE_S: Final = 10.0
_output = click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json", "yaml"]),
    default="table",
    show_default=True,
    help="How the answer is written.",
)
_NGEN: Final = ("NGEN_IMAGE", "NGEN_EXECUTABLE", "NGEN_LIBRARY_ROOT")


@click.group(cls=Words, context_settings=HELP)
def local() -> None:
    """Run Headrace on this machine: all services, a private Redis, one state folder.

    The folder is ~/.local/share/headrace, or what HEADRACE_HOME names.
    """


local.add_command(gui)


def _cpus(_: click.Context, __: click.Parameter, text: str | None) -> float | None:
    try:
        return None if text is None else parse_cpus(text) / 1000
    except HeadraceError as error:
        raise click.BadParameter(str(error)) from error


def _size(_: click.Context, __: click.Parameter, text: str | None) -> int | None:
    try:
        return None if text is None else parse_size(text)
    except HeadraceError as error:
        raise click.BadParameter(str(error)) from error


def _file(_: click.Context, __: click.Parameter, text: str | None) -> str | None:
    """A path as it is remembered: from wherever the next `up` is said."""
    return str(Path(text).expanduser().absolute()) if text else text


@local.command(context_settings=HELP)
@click.option("--port", type=click.IntRange(1, 65535), help="Port on 127.0.0.1 (first: 8378).")
@click.option(
    "--gui-port", type=click.IntRange(1, 65535), help="Port of the web GUI (first: 8081)."
)
@click.option("--cpus", callback=_cpus, help="CPUs for jobs, for example 2 (first: all).")
@click.option("--memory", callback=_size, help="Memory for jobs, for example 4GiB (first: 9/10).")
@click.option(
    "--backend",
    type=click.Choice(engine.BACKENDS),
    help="Run jobs as processes, or in containers of the engine at DOCKER_HOST (first: process).",
)
@click.option(
    "--worker-image",
    metavar="IMAGE",
    help="With --backend docker: for jobs that name no image (first: headrace/worker-python).",
)
@click.option(
    "--store",
    metavar="s3://[HOST:PORT/]BUCKET[/PREFIX]",
    help="Keep objects on an S3 server, not in the state folder. Only at the first start.",
)
@click.option(
    "--store-credentials",
    metavar="FILE",
    type=click.Path(path_type=Path, resolve_path=True),
    help='With --store: a file, mode 0600, with {"access_key": "…", "secret_key": "…"}.',
)
@click.option("--store-region", help="With --store: the bucket's region (first: us-east-1).")
@click.option(
    "--store-tls",
    type=click.Choice(["yes", "no"]),
    help="With --store: TLS or not (first: not for this machine's own addresses).",
)
@click.option(
    "--tls-cert",
    metavar="FILE",
    callback=_file,
    help="Speak HTTPS, with this certificate (PEM, its chain below it); '' for HTTP again.",
)
@click.option("--tls-key", metavar="FILE", callback=_file, help="The certificate's key (PEM).")
@click.option("-F", "--foreground", is_flag=True, help="Stay until Ctrl-C, then stop.")
def up(
    port: int | None,
    gui_port: int | None,
    cpus: float | None,
    memory: int | None,
    backend: str | None,
    worker_image: str | None,
    foreground: bool,
    tls_cert: str | None,
    tls_key: str | None,
    store: str | None,
    store_credentials: Path | None,
    **store_settings: str | None,
) -> None:
    """Start Headrace and wait until it is ready; nothing to do when it is up.

    Ports, CPUs, memory, backend, TLS files and the store are remembered (of the store's keys only
    where their file is). Workers of an earlier run are adopted. NGEN_EXECUTABLE, NGEN_IMAGE and
    NGEN_LIBRARY_ROOT, where they are set, say which ngen runs, and are remembered too.
    """
    given = {name: text for name, text in store_settings.items() if text is not None}
    given |= engine.settings_from(backend, worker_image, os.environ)
    given |= {name.lower(): os.environ[name] for name in _NGEN if os.environ.get(name)}
    wish = power.Wish(
        port, cpus, memory, store, store_credentials, given, tls_cert, tls_key, gui_port
    )
    began = time.monotonic()
    with errors_said():
        home = find_home()
        if power.running(home):
            config = load(home)
            power.check_unchanged(config, wish)
            power.wait_ready(home, config, None, _say)
            click.echo(f"Headrace is already up: {config.url}")
            _say_browser(home, config)
            return
        config = power.configure(home, wish, _say)
        _say(f"starting Headrace in {home.root}")
        with _ended_on_interrupt(home):
            supervisor = power.spawn(home)
            try:
                power.wait_ready(home, config, supervisor, _say)
            except HeadraceError:
                if supervisor.poll() != BUSY_STATUS:  # else it is another `up` that goes on
                    power.stop(home)
                raise
            click.echo(f"Headrace is up: {config.url} ({time.monotonic() - began:.1f} s)")
            _say_browser(home, config)
            _say_next()
            if foreground:
                _stay(supervisor)


@contextmanager
def _ended_on_interrupt(home: Home) -> Iterator[None]:
    """Stop what was started when the user or a service manager says so."""

    def interrupt(_: int, __: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before = {
        number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    except KeyboardInterrupt:
        _say("stopping")
        power.stop(home)
        _say_workers(home)
        sys.exit(130)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stay(supervisor: subprocess.Popen[bytes]) -> None:
    status = supervisor.wait()
    if status != 0:
        raise HeadraceError(f"the supervisor ended with status {status}")


def _say(sentence: str) -> None:
    click.echo(f"… {sentence}", err=True)


def _say_browser(home: Home, config: Config) -> None:
    click.echo(f"In a browser (once, within ten minutes): {sign_in_url(home, config)}")


def _say_next() -> None:
    click.echo("Next: `headrace exec run --follow -- echo hello` runs a first job,")
    click.echo("      `headrace jobs list` lists jobs,")
    click.echo("      `headrace local down` stops Headrace and keeps all data.")


def _say_workers(home: Home) -> None:
    from headrace_local.workers import living

    try:
        left = living(home)
    except HeadraceError:
        click.echo("workers: unknown, the engine does not answer")
        return
    if left:
        click.echo(
            f"{_many(len(left), 'worker')} of running jobs live on; `headrace local up` adopts "
            "them, `headrace local down --stop-workers` ends them."
        )


@local.command(context_settings=HELP)
@click.option("--stop-workers", is_flag=True, help="Stop the running jobs first.")
def down(stop_workers: bool) -> None:
    """Stop the services and Redis; all data stays.

    Workers of running jobs live on, and the next `up` adopts them. With --stop-workers running
    jobs, and what would start in their place, are stopped first; `restart` runs them again.
    """
    from headrace_local import workers

    with errors_said():
        home = find_home()
        config = load(home)
        if stop_workers and power.running(home):
            _stop_jobs(home, config)
        was_up = power.stop(home)
        click.echo("Headrace is down." if was_up else "Headrace was not up.")
        if stop_workers:
            workers.end_all(home, _WORKER_GRACE_S)
        else:
            workers.end_idle_nest(home)
        _say_workers(home)


def _stop_jobs(home: Home, config: Config) -> None:
    """Stop jobs until none is under way; what resists is left to the nest."""
    from headrace_local.health import post
    from headrace_local.jobs import with_attempt

    deadline = time.monotonic() + _STOP_JOBS_WITHIN_S
    told: set[str] = set()
    try:
        while (under_way := with_attempt(home)) and time.monotonic() < deadline:
            for job in set(under_way) - told:
                _say(f"stopping job {job}")
                post(home, config, f"/jobs/{job}:stop", {})
                told.add(job)
            time.sleep(0.05)
    except HeadraceError as error:
        _say(f"the jobs can't be stopped in order, their workers are ended instead: {error}")


@local.command(context_settings=HELP)
@_output
def status(output: str) -> None:
    """Show processes, workers, jobs, disk; exit code 3 when it is not up."""
    from headrace_local import report

    with errors_said():
        home = find_home()
        if not home.config.exists():
            click.echo(
                f"There is no local Headrace in {home.root}; `headrace local up` makes one."
            )
            sys.exit(STOPPED_STATUS)
        found = report.make(home, load(home))
    match output:
        case "json":
            click.echo(json.dumps(found.document(), indent=2))
        case "yaml":
            import yaml

            click.echo(yaml.safe_dump(found.document(), sort_keys=False), nl=False)
        case _:
            click.echo(found.text())
    sys.exit(0 if found.ready else STOPPED_STATUS)


def _many(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


@local.command(context_settings=HELP)
@click.argument("file", type=click.Path(path_type=Path, resolve_path=True))
def backup(file: Path) -> None:
    """Write jobs, datasets' descriptions, users and keys, as of now, to FILE.

    Headrace has to be up. Objects are not in it: copy `store/` after it, or have the S3 server
    do so. Keep FILE as you keep a key: it holds secrets and what opens them.
    """
    from headrace_local import backup as backups

    with errors_said():
        home = find_home()
        power.check_home(home)
        if not power.running(home):
            raise Unavailable("Headrace is not up", hint="`headrace local up` first")
        made = backups.make(home, file)
    click.echo(f"{file} holds Headrace as of {made.at} ({rough_size(made.size_bytes)} of Redis).")


@local.command(context_settings=HELP)
@click.argument("file", type=click.Path(path_type=Path, resolve_path=True, exists=True))
@click.option("--yes", is_flag=True, help="Don't ask.")
def restore(file: Path, yes: bool) -> None:
    """Go back to the backup in FILE. Headrace has to be down; the next `up` begins with it.

    What was accepted later is forgotten, but for datasets that are in the store.
    """
    from headrace_local import backup as backups

    with errors_said():
        home = find_home()
        if not yes:
            click.confirm(f"Forget what {home.root} holds since that backup?", abort=True)
        made = backups.restore(home, file)
    click.echo(f"{home.root} is as it was at {made.at}. Next: `headrace local up`")
    click.echo("then `headrace nodes list` says what runs that this backup does not know.")


@local.command(context_settings=HELP)
@click.option("--yes", is_flag=True, help="Don't ask.")
def reset(yes: bool) -> None:
    """Stop everything and remove the state folder: jobs, datasets, tokens."""
    from headrace_local import workers

    store = ""
    with errors_said():
        home = find_home()
        power.check_home(home)
        if not yes:
            click.confirm(f"Remove {home.root} with all jobs and datasets?", abort=True)
        unknown = ""
        try:
            store = load(home).store
        except InvalidInput:  # a damaged config.json must not be in a reset's way
            if salvage(home) is None:
                unknown = engine.owner(home)
        power.stop(home)
        workers.remove_all(home)
        remove(home)
        click.echo(f"{home.root} is removed.")
        if unknown:
            click.echo(
                "Its config.json was damaged: if its jobs ran in containers, some may be left."
            )
            click.echo(f"`docker ps -a --filter label=headrace.owner={unknown}` lists them.")
        if store:
            click.echo(f"The objects in {store} are still there.")


@local.command(name="reset_admin", context_settings=HELP)
@_output
def reset_admin(output: str) -> None:
    """Make yourself an admin again, with a new token.

    Your old tokens are revoked. For who lost the token, was disabled, or fears that another has
    it. Headrace has to be up.
    """
    import asyncio
    import dataclasses

    from headrace_local.admin import reset_admin as reset_it

    with errors_said():
        home = find_home()
        power.check_home(home)
        if not power.running(home):
            raise Unavailable("Headrace is not up", hint="`headrace local up` first")
        done = asyncio.run(reset_it(home))
    document = dataclasses.asdict(done) | {"token_file": str(done.token_file)}
    match output:
        case "json":
            click.echo(json.dumps(document, indent=2))
        case "yaml":
            import yaml

            click.echo(yaml.safe_dump(document, sort_keys=False), nl=False)
        case _:
            click.echo(f"{done.user} is an admin; {_many(done.revoked, 'token')} revoked.")
            click.echo(f"The new token is in {done.token_file}; a password stays as it was.")
