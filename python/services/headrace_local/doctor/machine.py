"""The machine and the installation: Python, the Redis server, extras, memory limits."""

import os
import shlex
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Final

from headrace_adapters.backends.nest_memory import find_memory_groups
from headrace_local import engine, redis_server
from headrace_local.config import Config
from headrace_local.doctor.finding import Finding, ok, problem, warn
from headrace_local.layout import Home
from headrace_model.errors import Unavailable

# As `requires-python` and the classifiers of pyproject.toml say.
OLDEST: Final = (3, 11)
NEWEST: Final = (3, 13)


def python(version: tuple[int, int] = sys.version_info[:2]) -> Iterator[Finding]:
    """A Python that Headrace is made for."""
    found, low, high = (".".join(map(str, each)) for each in (version, OLDEST, NEWEST))
    fix = f"python{high} -m venv headrace-env && headrace-env/bin/pip install headrace"
    if version < OLDEST:
        yield problem("python", f"Python {found} is too old: {low} to {high} are needed", fix)
    elif version > NEWEST:
        yield warn("python", f"Headrace was never tried with Python {found}: use {high}", fix)
    else:
        yield ok("python", f"Python {found}, {sys.executable}")


def redis_program() -> Iterator[Finding]:
    """A server of Redis's protocol that is new enough."""
    try:
        server = redis_server.find_server()
    except Unavailable as error:
        yield problem("redis-server", error.message, error.hint)
        return
    version = ".".join(map(str, redis_server.version_of(server) or ()))
    yield ok("redis-server", f"{server}, version {version}")


def extras(config: Config) -> Iterator[Finding]:
    """The libraries that come by choice, where they are needed."""
    if not _imports("netCDF4"):
        says = "netCDF4 is not installed: of NetCDF files neither format nor domain can be read"
        yield warn("netcdf", says, _install("netcdf"))
    else:
        yield ok("netcdf", "NetCDF files can be read")
    if config.store and not _imports("minio"):
        says = f"minio is not installed, and the data lie in {config.store}"
        yield problem("s3", says, _install("s3"))


def containers(home: Home, config: Config) -> Iterator[Finding]:
    """The engine and the image, where workers are containers."""
    if says := engine.look(home, config):
        yield ok("engine", says)


def memory_limits() -> Iterator[Finding]:
    """How workers are kept within their memory; neither way is wrong."""
    groups = find_memory_groups(f"headrace-doctor-{os.getpid()}")
    if groups is None:
        says = "none may be made here: workers' memory is measured, and a breach seen a bit later"
    else:
        groups.remove()
        says = f"the kernel holds workers to their memory ({groups.dialect.name})"
    yield ok("cgroups", says)


def _imports(module: str) -> bool:
    try:
        import_module(module)
    except ImportError:  # not there, or without a library that it needs
        return False
    return True


def _install(extra: str) -> str:
    return f"{shlex.quote(sys.executable)} -m pip install 'headrace[{extra}]'"
