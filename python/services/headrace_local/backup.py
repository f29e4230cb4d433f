"""Backup and restore of a home: Redis, and the files that its contents are worth nothing without.

A backup is one tar file, mode 0600:

```
backup.json   {version, at, headrace, size_bytes, sha256}
redis.rdb     jobs, datasets' descriptions, users, tokens, secrets (encrypted), as of one moment
config.json   secrets.key   internal.token   admin.token
```

The objects (`store/`, or S3) are not in it, nor is what agents keep (`agent/`).
"""

import dataclasses
import hashlib
import io
import json
import os
import shutil
import tarfile
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from headrace_adapters.redis import snapshot
from headrace_local import processes
from headrace_local.environ import redis_url
from headrace_local.folders import prepare, write_private
from headrace_local.layout import Home
from headrace_local.redis_users import admin_password, connect
from headrace_model.errors import Conflict, InvalidInput

VERSION: Final = 1
_RDB: Final = "redis.rdb"
_ABOUT: Final = "backup.json"
_FILES: Final = ("config.json", "secrets.key", "internal.token", "admin.token")
_SMALL_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Backup:
    """What a backup says of itself."""

    at: str
    headrace: str
    size_bytes: int
    sha256: str


def make(home: Home, target: Path) -> Backup:
    """Back a running home up to a new file. Raises `Unavailable`, `Conflict`, OSError."""
    if target.exists():
        raise Conflict(f"{target} is there already", hint="name a new file")
    part = target.with_name(f"{target.name}.part")
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".headrace-backup-") as scratch:
        rdb = Path(scratch) / _RDB
        at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        snapshot.copy(redis_url(home), admin_password(home), rdb)
        about = Backup(at, version("headrace"), rdb.stat().st_size, _digest(rdb))
        number = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(number, "wb") as file:
            with tarfile.open(fileobj=file, mode="w") as tar:
                _add(tar, _ABOUT, json.dumps(_plain(about), indent=2).encode() + b"\n")
                for name in _FILES:
                    if (path := home.root / name).exists():
                        _add(tar, name, path.read_bytes())
                tar.add(rdb, _RDB, filter=_private)
            file.flush()
            os.fsync(file.fileno())
    part.rename(target)
    return about


def restore(home: Home, source: Path) -> Backup:
    """Put a backup in the place of what the home's Redis holds; the next `up` begins with it.

    What Redis held is set aside in `redis/before-restore-*`. Raises `Conflict` while it is up,
    `InvalidInput` for a file that is no backup or damaged.
    """
    if processes.find(home.id, "supervisor", "services", "redis"):
        raise Conflict("Headrace is up", hint="`headrace local down` first")
    try:
        with tarfile.open(source) as tar:
            about = _read_about(tar)
            if not home.config.exists():
                home.root.mkdir(mode=0o700, parents=True, exist_ok=True)
                write_private(home.config, _member(tar, home.config.name).decode())
            prepare(home)
            part = _part(home)
            _unpack(tar, about, part)
            for name in _FILES[1:]:
                _put_back(home, tar, name)
    except (tarfile.TarError, KeyError, TypeError, ValueError) as error:
        raise InvalidInput(f"{source} is no whole backup: {error}") from error
    # First: a Redis of a backup must not come up as the one that went on after it.
    write_private(home.restored, about.at + "\n")
    _set_aside(home.redis)
    part.rename(home.redis / snapshot.AOF)
    return about


async def finish_restore(home: Home) -> None:
    """Make a new epoch of a Redis that was restored, before the services start.

    Raises `Conflict` where a restore was cut off.
    """
    if (part := _part(home)).exists():
        raise Conflict(
            "a restore was cut off",
            hint=f"repeat it; or remove {part} to go on with what Redis holds now",
        )
    if not home.restored.exists():
        return
    redis = connect(home)
    try:
        await snapshot.begin_epoch(redis, home.restored.read_text().strip())
    finally:
        await redis.close()
    home.restored.unlink()


def _part(home: Home) -> Path:
    """The copy before it is laid: there only while a restore is at work, or was cut off."""
    return home.redis / f"{snapshot.AOF}.part"


def _read_about(tar: tarfile.TarFile) -> Backup:
    plain = json.loads(_member(tar, _ABOUT))
    if plain["version"] != VERSION:
        raise InvalidInput(
            f"the backup has version {plain['version']}, and this Headrace reads {VERSION}",
            hint=f"it was made by Headrace {plain.get('headrace')}: restore it with that",
        )
    return Backup(plain["at"], plain["headrace"], plain["size_bytes"], plain["sha256"])


def _member(tar: tarfile.TarFile, name: str) -> bytes:
    """A small file of the backup; raises KeyError."""
    file = tar.extractfile(name)
    if file is None:
        raise ValueError(f"{name} is no file")
    return file.read(_SMALL_BYTES)


def _unpack(tar: tarfile.TarFile, about: Backup, target: Path) -> None:
    file = tar.extractfile(_RDB)
    if file is None:
        raise ValueError(f"{_RDB} is no file")
    number = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with open(number, "wb") as out:
            shutil.copyfileobj(file, out)
            out.flush()
            os.fsync(out.fileno())
        if _digest(target) != about.sha256:
            raise ValueError(f"{_RDB} was changed")
    except BaseException:
        target.unlink()
        raise


def _put_back(home: Home, tar: tarfile.TarFile, name: str) -> None:
    """Lay a file where the home has none. Of keys lay those that it lacks; and the admin's token
    of that time, since the restored Redis knows no later one.
    """
    if name not in tar.getnames():
        return
    path, text = home.root / name, _member(tar, name).decode()
    if path == home.secrets_key and path.exists():
        here = path.read_text().splitlines()
        lines = [*here, *(line for line in text.splitlines() if line not in here)]
        text = "".join(f"{line}\n" for line in lines)
    elif path != home.admin_token and path.exists():
        return
    write_private(path, text)


def _set_aside(redis: Path) -> None:
    """Move what Redis held out of its way, beside what earlier restores set aside."""
    aside = redis / f"before-restore-{time.time_ns()}"
    aside.mkdir(mode=0o700)
    for name in ("appendonlydir", snapshot.AOF, "dump.rdb"):
        if (path := redis / name).exists():
            path.rename(aside / name)


def _plain(about: Backup) -> dict[str, Any]:
    return {"version": VERSION, **dataclasses.asdict(about)}


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), 0o600
    tar.addfile(entry, io.BytesIO(data))


def _private(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.mode, entry.uid, entry.gid, entry.uname, entry.gname = 0o600, 0, 0, "", ""
    return entry


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
