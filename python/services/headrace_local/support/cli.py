"""`headrace support`: one archive for somebody who helps, without secrets."""

import os
from dataclasses import replace
from pathlib import Path

import click

from headrace_client.cli import exits
from headrace_client.cli.base import Asked, asked
from headrace_client.cli.show import plain
from headrace_client.connection import Connection, find_ca_file, find_connection
from headrace_local.config import Config, load
from headrace_local.doctor.cli import examine
from headrace_local.folders import find_home
from headrace_local.support import bundle, collect
from headrace_local.support.redact import secrets_of
from headrace_model.errors import Conflict, HeadraceError


@click.command(name="support")
@click.argument("file", type=click.Path(path_type=Path, resolve_path=True))
def support(file: Path) -> int:
    """Write what somebody who helps needs to FILE (tar.gz), without secrets.

    Versions, settings, doctor's findings, health, metrics, nodes, the ledger, recent logs. Names
    of users, jobs, datasets and folders are in it; no job file, no log of a job, no secret. With
    --url or HEADRACE_URL it is about that server instead of the Headrace on this machine.

    \b
    Example: headrace support support.tar.gz
    """
    if file.exists():
        raise Conflict(f"{file} is there already", hint="name a new file")
    said = asked()
    texts, secrets = _texts(said), _secrets(said)
    number = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(number, "wb") as out:
        bundle.write(out, texts, secrets)
    click.echo(f"{file} holds {len(texts)} files; look at them before you send it")
    return exits.OK


def _texts(said: Asked) -> dict[str, collect.Text]:
    texts: dict[str, collect.Text] = {
        "about.json": collect.about,
        "doctor.json": lambda: collect.as_json(plain(tuple(examine(said)))),
    }
    if connection := _connection(said):
        texts |= collect.of_server(connection)
    if not _elsewhere(said):
        texts |= collect.of_home(find_home(), _config())
    return texts


def _elsewhere(said: Asked) -> bool:
    return bool(said.url or os.environ.get("HEADRACE_URL"))


def _config() -> Config:
    try:
        return load(find_home())
    except (HeadraceError, OSError):  # doctor says so
        return Config()


def _secrets(said: Asked) -> set[str]:
    found = secrets_of(find_home(), _config(), os.environ.items())
    connection = _connection(said)
    return found | {connection.token} if connection else found


def _connection(said: Asked) -> Connection | None:
    """The server and the token; None where there is none, which doctor says."""
    try:
        found = find_connection(said.url, said.token_file, os.environ)
    except HeadraceError:
        return None
    return replace(found, ca_file=find_ca_file(said.ca_file, found.url, os.environ))
