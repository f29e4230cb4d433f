"""The server that the command line would talk to: it answers, knows us, is as new as we are."""

import os
import shlex
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorSSLError,
    ClientError,
    ClientSession,
    ClientTimeout,
    TCPConnector,
)

from headrace_client.api import AsyncClient
from headrace_client.cli.base import Asked
from headrace_client.connection import (
    Connection,
    find_ca_file,
    find_connection,
    find_server,
    find_token_file,
)
from headrace_client.tls import trust, untrusted
from headrace_local.doctor.finding import Finding, ok, problem, warn
from headrace_local.doctor.running import certificate
from headrace_model.errors import HeadraceError, Unauthorized
from headrace_model.node import NodeState

_WITHIN_S: Final = 5.0
_CLOCKS_APART_S: Final = 60.0
_TOKEN_SOON: Final = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a server's health page says. `ends`: when its certificate does."""

    status: int
    says: Mapping[str, object]
    at: datetime | None
    ends: datetime | None


async def server(asked: Asked, local_url: str | None) -> AsyncIterator[Finding]:
    """All about the server that the options and the environment name."""
    try:
        url = find_server(asked.url, os.environ)
        ca_file = find_ca_file(asked.ca_file, url, os.environ)
        seen = await _look(Connection(url, "", ca_file))
    except HeadraceError as error:
        yield problem("server", error.message, error.hint)
        return
    except (ClientError, OSError) as error:
        fix = "headrace local up" if url == local_url else f"curl -v {shlex.quote(url)}"
        yield problem("server", f"no Headrace answers at {url}: {_why(error)}", fix)
        return
    if seen.says.get("service") != "request" and "code" not in seen.says:
        yield problem("server", f"what answers at {url} is no Headrace", "headrace local status")
        return
    if seen.status >= 400:
        hint = seen.says.get("hint")
        says = f"{url} is not ready: {seen.says.get('detail')}"
        yield problem("server", says, str(hint) if hint else "headrace local status")
    else:
        yield ok("server", f"{url} is ready")
    for found in (_version(seen, url == local_url), _clock(seen), _certificate(seen, url)):
        if found:
            yield found
    for each in _token_file(url, asked):
        yield each
    new_token = "headrace local reset-admin" if url == local_url else "headrace login"
    async for each in _inside(asked, url, ca_file, new_token):
        yield each


def _why(error: Exception) -> str:
    """A connection's error in the system's own words."""
    cause = getattr(error, "os_error", error)
    number = getattr(cause, "errno", None) or 0
    said = os.strerror(number) if number > 0 else getattr(cause, "strerror", None)
    return said or str(cause) or type(cause).__name__


async def _look(connection: Connection) -> _Seen:
    """Read the health page. Raises `Untrusted`, `ClientError`, `OSError`."""
    async with ClientSession(
        connector=TCPConnector(ssl=trust(connection)), timeout=ClientTimeout(total=_WITHIN_S)
    ) as session:
        try:
            async with session.get(
                f"{connection.urls[0]}/health/ready", allow_redirects=False
            ) as answer:
                way = answer.connection.transport if answer.connection else None
                shown = way.get_extra_info("peercert") if way else None
                ends = ssl.cert_time_to_seconds(shown["notAfter"]) if shown else None
                date = answer.headers.get("Date")
                try:
                    said = await answer.json(content_type=None)
                except ValueError:
                    said = None
        except (ClientConnectorCertificateError, ClientConnectorSSLError) as error:
            raise untrusted(connection, error) from None
    return _Seen(
        answer.status,
        said if isinstance(said, dict) else {},
        parsedate_to_datetime(date) if date else None,
        datetime.fromtimestamp(ends, UTC) if ends else None,
    )


def _version(seen: _Seen, is_local: bool) -> Finding | None:
    theirs, ours = seen.says.get("version"), version("headrace")
    if seen.status >= 400 or theirs == ours:
        return None if seen.status >= 400 else ok("version", f"{ours}, here and there")
    fix = "headrace local down && headrace local up" if is_local else None
    says = f"this is Headrace {ours}, and the server runs {theirs or 'an older one'}"
    return warn("version", says, fix or f"pip install 'headrace=={theirs or '…'}'")


def _clock(seen: _Seen) -> Finding | None:
    if seen.at is None:
        return None
    apart = abs(time.time() - seen.at.timestamp())
    if apart <= _CLOCKS_APART_S:
        return None
    says = f"this machine's clock and the server's are {apart:.0f} s apart"
    return warn("clocks", says, "sudo timedatectl set-ntp true")


def _certificate(seen: _Seen, url: str) -> Finding | None:
    return certificate(seen.ends, f"the certificate of {url}") if seen.ends else None


def _token_file(url: str, asked: Asked) -> list[Finding]:
    """The file that the token comes from is ours alone."""
    named = find_token_file(url, asked.token_file, os.environ)
    if named is None or not (path := Path(named).expanduser()).exists():
        return []
    found = path.stat()
    if found.st_uid != os.geteuid():
        says = f"the token file {path} belongs to another user: is the token yours?"
        return [problem("token file", says, "headrace login")]
    if found.st_mode & 0o077:
        says = f"others may read the token file {path}"
        return [problem("token file", says, f"chmod 600 {shlex.quote(str(path))}")]
    return [ok("token file", f"{path}, readable by you alone")]


async def _inside(
    asked: Asked, url: str, ca_file: str | None, new_token: str
) -> AsyncIterator[Finding]:
    """What only who is known there sees."""
    try:
        found = find_connection(url, asked.token_file, os.environ)
        async with AsyncClient(url, found.token, patience_s=0.0, ca_file=ca_file) as client:
            me = await client.people.me()
            nodes = await client.nodes()
    except Unauthorized as error:
        yield problem("token", error.message, new_token)
        return
    except HeadraceError as error:
        yield problem("api", error.message, error.hint)
        return
    until = f", until {me.expires}" if me.expires else ""
    if me.expires and datetime.fromisoformat(me.expires) - datetime.now(UTC) < _TOKEN_SOON:
        yield warn("token", f"the token of {me.name} expires soon{until}", new_token)
    else:
        yield ok("token", f"{me.name}, {me.role.value}{until}")
    up = [node.id for node in nodes if node.state is NodeState.UP]
    away = [f"{node.id} is {node.state.value}" for node in nodes if node.state is not NodeState.UP]
    if not up:
        says = "no node is there to run jobs" + (f": {', '.join(away)}" if away else "")
        yield problem("nodes", says, "headrace nodes list")
    elif away:
        yield warn("nodes", ", ".join(away), "headrace nodes list")
    else:
        yield ok("nodes", f"{', '.join(up)} up")
