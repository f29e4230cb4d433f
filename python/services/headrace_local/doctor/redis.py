"""The running Redis: it keeps what it answers, and has room."""

import asyncio
import shlex
from collections.abc import Iterator
from typing import Any, Final

from headrace_local import processes, redis_server, redis_users
from headrace_local.config import Config
from headrace_local.doctor.finding import Finding, ok, problem, warn
from headrace_local.environ import environ_for
from headrace_local.layout import Home
from headrace_model.errors import HeadraceError
from headrace_model.units import rough_size
from headrace_request.core.room import Filling
from headrace_request.settings import Settings
from headrace_service.settings import read

# What redis.conf says: any other value could lose what was accepted (docs/design.md, section 3).
_KEEPS: Final = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}
_PATIENCE_S: Final = 2.0
_AGAIN: Final = "headrace local down && headrace local up"


def running(home: Home, config: Config) -> Iterator[Finding]:
    """A Redis that runs answers, is set as `headrace local` sets it, writes, and has room."""
    if not processes.find(home.id, "redis"):
        return
    match redis_server.ask(home):
        case redis_server.Answer.LOADING:
            yield warn("redis", "Redis loads its files and answers afterwards", None)
            return
        case redis_server.Answer.NONE:
            log = shlex.quote(str(home.log("redis")))
            yield problem("redis", "Redis runs and does not answer", f"tail -n 30 {log}")
            return
    try:
        said, info = asyncio.run(_asked(home))
    except HeadraceError as error:
        yield problem("redis", error.message, error.hint)
        return
    found = list(_wrong(home, config, said, info))
    memory = f"{rough_size(int(info['used_memory']))} of {rough_size(int(info['maxmemory']))} used"
    yield from found or [ok("redis", f"set as it has to be, {memory}")]


async def _asked(home: Home) -> tuple[dict[str, str], dict[str, Any]]:
    redis = redis_users.connect(home, patience_s=_PATIENCE_S)
    try:
        said: dict[str, str] = {}
        for name in _KEEPS:
            said.update(await redis.command("CONFIG", "GET", name))
        info: dict[str, Any] = await redis.command("INFO")
        return said, info
    finally:
        await redis.close()


def _wrong(
    home: Home, config: Config, said: dict[str, str], info: dict[str, Any]
) -> Iterator[Finding]:
    for name, right in _KEEPS.items():
        if said.get(name) != right:
            says = f"Redis's {name} is {said.get(name)}, not {right}: accepted jobs could be lost"
            yield problem("redis", says, _AGAIN)
    for name in ("aof_last_write_status", "aof_last_bgrewrite_status"):
        if info.get(name, "ok") != "ok":
            says = f"Redis could not write its file ({name} is {info[name]})"
            yield problem("redis", says, f"df -h {shlex.quote(str(home.redis))}")
    percent = read(Settings, environ_for(home, config, "request")).memory_percent
    memory = Filling(int(info["used_memory"]), int(info["maxmemory"]))
    if memory.limit_bytes != config.redis_memory_bytes:
        says = (
            f"Redis may use {rough_size(memory.limit_bytes)}, and {home.config} says "
            f"{rough_size(config.redis_memory_bytes)}"
        )
        yield warn("redis", says, _AGAIN)
    if memory.reached(percent):
        says = (
            f"Redis uses {rough_size(memory.used_bytes)} of {rough_size(memory.limit_bytes)}: "
            f"from {percent} % on no new job is taken"
        )
        fix = f"raise redis_memory_bytes in {home.config}, then `{_AGAIN}`"
        yield problem("redis", says, fix)
