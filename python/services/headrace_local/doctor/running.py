"""What runs of a home, and what it needs for it: lock, port, store, TLS files."""

import os
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509

from headrace_adapters.backends.proc_tree import read_stat
from headrace_local import health, processes, stores
from headrace_local.config import Config
from headrace_local.doctor.finding import Finding, ok, problem, warn
from headrace_local.layout import Home
from headrace_model.errors import HeadraceError, InvalidInput
from headrace_service.sockets import tls_of

_UP: Final = "headrace local up"
_AGAIN: Final = "headrace local down && headrace local up"
_PARTS: Final = ("supervisor", "redis", "services")
SOON: Final = timedelta(days=14)


def processes_of(home: Home) -> Iterator[Finding]:
    """All of Headrace runs, or nothing of it."""
    found = {each.name: each for each in processes.find(home.id, *_PARTS)}
    missing = [name for name in _PARTS if name not in found]
    if len(missing) == len(_PARTS):
        yield ok("processes", "none runs")
        return
    lives = " and ".join(f"{each.name} (pid {each.pid})" for each in found.values())
    if "supervisor" in missing:
        yield problem("processes", f"the supervisor is gone; without it run {lives}", _UP)
    elif missing:
        log = shlex.quote(str(home.log(missing[0])))
        says = f"{' and '.join(missing)} can't be kept running"
        yield problem("processes", says, f"tail -n 30 {log}")
    elif stopped := [each for each in found.values() if _is_paused(each.pid)]:
        says = f"{stopped[0].name} (pid {stopped[0].pid}) is paused"
        yield problem("processes", says, f"kill -CONT {stopped[0].pid}")
    else:
        yield ok("processes", lives)
    if "services" in found:
        yield from _nest(home)


def _is_paused(pid: int) -> bool:
    found = read_stat(pid)
    return found is not None and found.state in "Tt"


def _nest(home: Home) -> Iterator[Finding]:
    if nests := processes.find_nests(home.id):
        yield ok("nest", f"pid {nests[-1].pid} keeps the workers")
    else:
        yield problem("nest", "the nest, which keeps the workers, does not run", _AGAIN)


def lock(home: Home) -> Iterator[Finding]:
    """No stranger holds the supervisor's lock."""
    ours = {each.pid for each in processes.find(home.id, "supervisor")}
    for pid in _holders(home.lock):
        if pid not in ours:
            says = f"process {pid} ({_program(pid)}) holds {home.lock}: no supervisor can start"
            yield problem("lock", says, f"kill {pid}")
            return
    yield ok("lock", "held by the supervisor" if ours else "free")


def _holders(file: Path) -> list[int]:
    """Who holds a flock(2) on a file: `/proc/locks`, proc(5), says device and inode."""
    try:
        found = file.stat()
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return []
    place = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    rows = (line.split() for line in lines)
    # Those that wait have an arrow in the second column.
    return [int(row[4]) for row in rows if row[1] == "FLOCK" and row[5] == place]


def port(home: Home, config: Config) -> Iterator[Finding]:
    """Our services have the port, or nobody."""
    ours = processes.find(home.id, "services")
    if any(processes.listens(each.pid, config.port) for each in ours):
        yield ok("port", f"127.0.0.1:{config.port} is ours")
    elif health.is_free(config.port):
        yield ok("port", f"127.0.0.1:{config.port} is free")
    elif not home.config.exists():
        yield ok("port", f"{config.port} is taken: the first `headrace local up` chooses another")
    else:
        pid = _listener(config.port)
        who = f"process {pid} ({_program(pid)})" if pid else "another user's program"
        says = f"{who} listens on port {config.port}"
        yield problem("port", says, f"headrace local up --port {health.any_free_port()}")


def _listener(number: int) -> int | None:
    """The process of this user that listens on a port."""
    pids = (int(name) for name in os.listdir("/proc") if name.isdigit())
    return next((pid for pid in pids if processes.listens(pid, number)), None)


def _program(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "gone"


def store(home: Home, config: Config) -> Iterator[Finding]:
    """Where objects lie answers, and lets us in."""
    if not config.store:
        yield ok("store", f"the folder {home.store}")
        return
    silent: list[str] = []
    try:
        stores.try_out(home, config, silent.append)
    except ImportError:
        return  # the check of the extras says so
    except HeadraceError as error:
        yield problem("store", error.message, error.hint)
        return
    if silent:
        host = config.store.removeprefix("s3://").partition("/")[0]
        yield problem("store", silent[0], f"start the S3 server at {host}, or mend the way to it")
    else:
        yield ok("store", f"{config.store} answers")


def tls(config: Config) -> Iterator[Finding]:
    """The certificate fits its key, is still good, and the key is ours alone."""
    if not config.tls_cert:
        return
    try:
        tls_of(config.tls_cert, config.tls_key)
    except InvalidInput as error:
        yield problem("tls", error.message, error.hint)
        return
    if Path(config.tls_key).stat().st_mode & 0o077:
        says = f"others may read the key {config.tls_key}"
        yield problem("tls", says, f"chmod 600 {shlex.quote(config.tls_key)}")
    found = x509.load_pem_x509_certificates(Path(config.tls_cert).read_bytes())[0]
    yield certificate(found.not_valid_after_utc, f"the certificate {config.tls_cert}")


def certificate(ends: datetime, what: str, now: datetime | None = None) -> Finding:
    """A certificate that is good until `ends`."""
    left = ends - (now or datetime.now(UTC))
    until = f"{ends:%Y-%m-%d}"
    fix = f"have it renewed, write it over the old one, then `{_AGAIN}`"
    if left <= timedelta():
        return problem("tls", f"{what} has expired on {until}", fix)
    if left <= SOON:
        return warn("tls", f"{what} expires on {until}", fix)
    return ok("tls", f"{what} is good until {until}")
