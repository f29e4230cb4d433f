"""The state folder: whose it is, who may read it, where it lies, how full its disk is."""

import asyncio
import os
import shlex
import stat
import time
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Final

from headrace_local.config import Config
from headrace_local.doctor.finding import Finding, ok, problem, warn
from headrace_local.environ import NODE, environ_for
from headrace_local.layout import LONGEST_SOCKET_PATH, SERVICES, Home
from headrace_model.errors import InvalidInput
from headrace_model.units import rough_size
from headrace_request.core.room import Filling, Watermarks, full
from headrace_request.service.room import disk_filling
from headrace_request.settings import Settings
from headrace_scheduler.limits_file import LimitsFile
from headrace_scheduler.settings import Settings as SchedulerSettings
from headrace_service.settings import read
from headrace_wire.resourcesfile import parse_resources

_AHEAD_S: Final = 60.0
_NO_MEMORY: Final = Filling(0, 0)


def access(home: Home) -> Iterator[Finding]:
    """The folder and what is secret in it belong to this user, and to nobody else."""
    found = list(_access(home))
    yield from found or [ok("folder", f"{home.root}, readable by you alone")]


def _access(home: Home) -> Iterator[Finding]:
    if not home.root.exists():
        yield from _makeable(home.root)
        return
    entries = [home.root, *(path for path in _private(home) if path.exists())]
    if foreign := [path for path in entries if path.lstat().st_uid != home.uid]:
        says = f"{_names(foreign)} belong{'s' if len(foreign) == 1 else ''} to another user"
        yield problem("folder", says, f"sudo chown -R {home.uid} {shlex.quote(str(home.root))}")
        return
    if not home.root.is_dir():
        yield problem("folder", f"{home.root} is no folder", "export HEADRACE_HOME=~/headrace")
        return
    if os.statvfs(home.root).f_flag & os.ST_RDONLY:
        says = f"{home.root} lies on a disk that is mounted read-only"
        yield problem("folder", says, f"sudo mount -o remount,rw {_mount(home.root)}")
        return
    closed = [path for path in entries if _lacks(path)]
    if closed:
        yield problem("folder", f"you may not write {_names(closed)}", _chmod("u+rwX", closed))
    if opened := [path for path in entries if path.lstat().st_mode & 0o077]:
        says = f"others may read {_names(opened)}"
        yield problem("folder", says, _chmod("go=", opened))


def _makeable(root: Path) -> Iterator[Finding]:
    above = next(path for path in root.parents if path.exists())
    if above.is_dir() and os.access(above, os.W_OK | os.X_OK):
        yield ok("folder", f"{root} is not there yet and can be made")
    else:
        says = f"{root} can't be made: {above} is not yours to write"
        yield problem("folder", says, "export HEADRACE_HOME=~/headrace")


def _private(home: Home) -> Iterator[Path]:
    yield from home.entries
    if home.passwords.is_dir() and os.access(home.passwords, os.R_OK | os.X_OK):
        yield from sorted(home.passwords.iterdir())


def _lacks(path: Path) -> bool:
    """Tell whether its owner has shut themself out."""
    needed = stat.S_IRWXU if path.is_dir() else stat.S_IRUSR | stat.S_IWUSR
    return path.stat().st_mode & needed != needed


def _names(paths: Iterable[Path]) -> str:
    first, *others = map(str, paths)
    return f"{first} and {len(others)} more" if others else first


def _chmod(mode: str, paths: Iterable[Path]) -> str:
    return f"chmod {mode} " + " ".join(shlex.quote(str(path)) for path in paths)


def _mount(path: Path) -> Path:
    while not path.is_mount():
        path = path.parent
    return path


def settings(home: Home, config: Config) -> Iterator[Finding]:
    """What config.json sets can be read by every service."""
    for service in SERVICES:
        try:
            asked = import_module(f"headrace_{service}.settings").Settings
            read(asked, environ_for(home, config, service))
        except InvalidInput as error:
            yield problem("settings", f"{home.config}: {error.message}", error.hint)
            return
    yield ok("settings", f"{home.config} can be read by every service")


def resources(home: Home, config: Config) -> Iterator[Finding]:
    """The resources.yaml that the scheduler is told to read, where there is one, can be read."""
    path = read(SchedulerSettings, environ_for(home, config, "scheduler")).resources_file
    if not path:
        return
    limits = LimitsFile(Path(path))
    try:
        asyncio.run(limits.open())
    except InvalidInput as error:
        says = error.message.replace("resources.yaml", path, 1)
        if path not in says:
            says = f"{path}: {says}"
        fix = "mend the line" if Path(path).exists() else "write it, or take `resources_file` away"
        hint = f"; {error.hint}" if error.hint else ""
        yield problem("resources", says, f"{fix}{hint} (what was read before counts until then)")
        return
    nodes = parse_resources(limits.text).nodes if limits.text else None
    if nodes is not None and NODE not in nodes:
        says = f"{path} gives nothing of `{NODE}`, which is this machine: no job starts here"
        yield warn("resources", says, f"name it below `nodes`: {NODE}: {{}} gives all of it")
        return
    yield ok("resources", f"{path} can be read")


def disk(home: Home, config: Config) -> Iterator[Finding]:
    """There is room for new work, as the request service sees it."""
    room = disk_filling(next(path for path in (home.redis, *home.redis.parents) if path.exists()))
    marks = _marks(home, config)
    if no_room := full(_NO_MEMORY, room, marks):
        yield problem("disk", no_room.sentence, no_room.next_step)
        return
    free = rough_size(room.limit_bytes - room.used_bytes)
    yield ok("disk", f"{free} of {rough_size(room.limit_bytes)} free")


def _marks(home: Home, config: Config) -> Watermarks:
    asked = read(Settings, environ_for(home, config, "request"))
    return Watermarks(asked.memory_percent, asked.disk_percent, asked.disk_spare_bytes)


def sockets(home: Home) -> Iterator[Finding]:
    """The paths of the unix sockets are short enough, and their folder is ours."""
    longest = max(len(bytes(home.socket(each, 99))) for each in SERVICES)
    if longest > LONGEST_SOCKET_PATH:
        says = (
            f"the paths of sockets in {home.sockets} are too long: {longest} bytes of at most "
            f"{LONGEST_SOCKET_PATH}"
        )
        yield problem("sockets", says, "export TMPDIR=/tmp")
        return
    if home.sockets.is_symlink() or (
        home.sockets.exists() and home.sockets.lstat().st_uid != home.uid
    ):
        says = f"{home.sockets} is not a folder of this user's own"
        yield problem("sockets", says, f"sudo rm -r {shlex.quote(str(home.sockets))}")
        return
    yield ok("sockets", f"in {home.sockets}")


def clock(home: Home, now_s: float | None = None) -> Iterator[Finding]:
    """The clock has not gone back: no file of ours is from the future."""
    now = time.time() if now_s is None else now_s
    written = [home.config, home.state, *(home.redis.rglob("*") if home.redis.is_dir() else ())]
    newest = max((path.stat().st_mtime for path in written if path.exists()), default=0.0)
    if newest > now + _AHEAD_S:
        says = f"the clock has gone back by {int(newest - now)} s: files here are from the future"
        yield problem("clock", says, "sudo timedatectl set-ntp true")
        return
    yield ok("clock", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)))
