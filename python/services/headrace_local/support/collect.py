"""What somebody who helps needs to see of an installation, as texts by name."""

import asyncio
import json
import os
import platform
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import distributions, version
from pathlib import Path
from typing import Any, Final

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector

from headrace_adapters.redis.connection import Redis
from headrace_adapters.redis.nodes import NodeStore
from headrace_client.api import AsyncClient
from headrace_client.cli.show import plain
from headrace_client.connection import Connection
from headrace_client.tls import trust
from headrace_local import report
from headrace_local.config import Config
from headrace_local.layout import Home
from headrace_local.redis_users import connect
from headrace_model.errors import HeadraceError

Text = Callable[[], str]
_LOG_BYTES: Final = 4 * 2**20
PATIENCE_S: Final = 3.0
_PAGES: Final = {"health.json": "/health/ready", "metrics.txt": "/metrics"}
_INFO: Final = ("server", "memory", "persistence", "stats", "clients")


def about() -> str:
    """Versions and the machine."""
    uname = platform.uname()
    return as_json(
        {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "headrace": version("headrace"),
            "python": sys.version,
            "system": f"{uname.system} {uname.release} {uname.machine}",
            "cpus": os.cpu_count(),
            "load": os.getloadavg(),
            "up_s": round(time.monotonic()),
            "packages": sorted(f"{d.name}=={d.version}" for d in distributions()),
        }
    )


def of_server(connection: Connection) -> dict[str, Text]:
    """What any user sees of a server: health, metrics, nodes, maintenance."""
    texts: dict[str, Text] = {
        name: lambda path=path: asyncio.run(_page(connection, path))  # type: ignore[misc] # its own path
        for name, path in _PAGES.items()
    }
    asks: dict[str, Callable[[AsyncClient], Awaitable[object]]] = {
        "nodes.json": lambda client: client.nodes(),
        "maintenance.json": lambda client: client.maintenance(),
    }
    for name, ask in asks.items():
        texts[name] = lambda ask=ask: asyncio.run(_asked(connection, ask))  # type: ignore[misc] # its own
    return texts


def of_home(home: Home, config: Config) -> dict[str, Text]:
    """What only this machine knows: settings, processes, the ledger, Redis, recent logs."""
    texts: dict[str, Text] = {
        "settings.json": lambda: as_json(
            {"config": _config(home), "environ": _environ(os.environ)}
        ),
        "status.json": lambda: as_json(report.make(home, config).document()),
        **of_redis(lambda: connect(home, patience_s=PATIENCE_S)),
    }
    for path in _logs(home):
        texts[f"logs/{path.name}"] = lambda path=path: _tail(path)  # type: ignore[misc] # its own
    return texts


def of_redis(to: Callable[[], Redis]) -> dict[str, Text]:
    """What only Redis knows, asked over a connection that may do everything."""
    return {
        "ledger.json": lambda: asyncio.run(_of_redis(to, _ledger)),
        "redis.json": lambda: asyncio.run(_of_redis(to, _redis_info)),
    }


def _logs(home: Home) -> Iterator[Path]:
    if home.logs.is_dir():
        yield from sorted(home.logs.glob("*.log"))


def _tail(path: Path) -> str:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _LOG_BYTES))
        return file.read().decode(errors="replace")


def _config(home: Home) -> object:
    try:
        return json.loads(home.config.read_text())
    except ValueError as error:
        return f"damaged: {error}"


def _environ(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that Headrace, Docker and Python look at."""
    names = ("HEADRACE_", "DOCKER_", "PYTHON", "XDG_")
    return {name: value for name, value in sorted(environ.items()) if name.startswith(names)}


async def _page(connection: Connection, path: str) -> str:
    """A page of the first address that answers."""
    ssl = await asyncio.to_thread(trust, connection)
    said = ""
    async with ClientSession(
        connector=TCPConnector(ssl=ssl), timeout=ClientTimeout(total=PATIENCE_S)
    ) as session:
        for url in connection.urls:
            try:
                async with session.get(f"{url}{path}", allow_redirects=False) as answer:
                    return await answer.text()
            except (ClientError, TimeoutError) as error:
                said += f"{url}{path} does not answer: {error!r}\n"
    return said


async def _asked(connection: Connection, ask: Callable[[AsyncClient], Awaitable[object]]) -> str:
    async with AsyncClient(
        connection.url, connection.token, patience_s=0.0, ca_file=connection.ca_file
    ) as client:
        return as_json(plain(await ask(client)))


async def _of_redis(to: Callable[[], Redis], ask: Callable[[Redis], Awaitable[object]]) -> str:
    redis = await asyncio.to_thread(to)
    try:
        return as_json(await ask(redis))
    finally:
        await redis.close()


async def _ledger(redis: Redis) -> object:
    """What nodes give and have left, and where that does not add up."""
    store = NodeStore(redis)
    nodes = await store.all()
    return {
        "errors": await store.ledger_errors(),
        "free": {
            node.id: await redis.command("HGET", f"hr:free:{node.id}", "room") for node in nodes
        },
        "held": {node.id: await redis.command("HGETALL", f"hr:held:{node.id}") for node in nodes},
        "quarantined": await store.quarantined(node.id for node in nodes),
    }


async def _redis_info(redis: Redis) -> object:
    found: dict[str, Any] = {name: await redis.command("INFO", name) for name in _INFO}
    return found | {"keys": await redis.command("DBSIZE")}


def text_of(make: Text) -> str:
    """Make a text; where that can't be, say why instead: the rest is wanted all the same."""
    try:
        return make()
    except (HeadraceError, OSError) as error:
        return f"can't be had: {error}\n"


def as_json(value: object) -> str:
    """A value as indented JSON, what has no form there as text."""
    return json.dumps(value, indent=2, default=str) + "\n"
