"""Software environments: built once per node from a hash-locked list, then read-only."""

import asyncio
import hashlib
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Protocol

from headrace_agent.trees import remove_tree
from headrace_model.errors import HeadraceError
from headrace_service.locks import Locks
from headrace_service.threads import finish

_TAIL_CHARACTERS = 2_000
_COMPLETE = "complete"  # comes last, and holds the size in bytes


class EnvironmentFailed(HeadraceError):
    """A software environment could not be built from its lock list."""

    code = "ENVIRONMENT_FAILED"


class Python(Protocol):
    """The interpreter that environments are made for, and how it is run."""

    program: str

    async def identity(self) -> str:
        """What tells it from others: an environment serves one of them only."""

    def place(self, ready: Path) -> str:
        """Where it sees the environment whose folder on the node is `ready`."""

    async def run(self, ready: Path, command: Sequence[str]) -> tuple[int, str]:
        """Run a command that makes something in `ready`; its exit code, the end of its output."""


class NodePython:
    """The agent's own Python, for workers that are processes of the node.

    `environ` is what the package installer may see: the agent's environment less our own
    variables.
    """

    program = sys.executable

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    async def identity(self) -> str:
        """Version and platform."""
        return f"{sys.version} {sys.platform} {os.uname().machine}"

    def place(self, ready: Path) -> str:
        """The folder itself."""
        return str(ready)

    async def run(self, ready: Path, command: Sequence[str]) -> tuple[int, str]:
        """Run it as a process, which dies with a cancelled caller."""
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=self._environ,
        )
        try:
            output, _ = await process.communicate()
        except asyncio.CancelledError:
            process.kill()
            await process.wait()
            raise
        return process.returncode or 0, output.decode(errors="replace")


@dataclass(frozen=True, slots=True)
class BuiltEnvironment:
    """An environment on this node."""

    folder: Path
    place: str  # as workers see it

    @property
    def programs(self) -> str:
        """The folder of its programs, as workers see it."""
        return f"{self.place}/bin"


class Environments:
    """`<state>/cache/environments/<key>/`, one virtual environment a lock list and Python.

    Those least recently used are removed first; one is pinned by a second link to its file
    `complete`, as long as that exists. `user` (uid, gid) owns the folder while it is built, where
    that is another than the agent.
    """

    def __init__(
        self, root: Path, limit_bytes: int, python: Python, user: tuple[int, int] | None = None
    ) -> None:
        self._root = root
        self._limit_bytes = limit_bytes
        self._python = python
        self._user = user
        self._busy = Locks[str]()  # what is built, pinned or removed

    async def build(self, lock: bytes, pin: Path) -> BuiltEnvironment:
        """Build the environment unless it is there; it stays while the file `pin` does.

        A build that was killed leaves nothing that counts. Raises `EnvironmentFailed`.
        """
        digest = hashlib.sha256(lock)
        digest.update((await self._python.identity()).encode())
        key = digest.hexdigest()[:32]
        ready = self._root / key
        async with self._busy.hold(key):
            if not (ready / _COMPLETE).exists():
                await finish(remove_tree, ready)
                await self._build(lock, ready)
            await finish(_pin, ready, pin)
        return BuiltEnvironment(ready, self._python.place(ready))

    async def trim(self) -> int:
        """Remove what was used least recently and no attempt uses, down to the limit.

        Returns the bytes removed.
        """
        found = sorted(await finish(_environments, self._root))
        left = sum(size for _, _, size in found)
        removed = 0
        for _, key, size in found:
            if left - removed <= self._limit_bytes:
                break
            if key in self._busy:
                continue
            async with self._busy.hold(key):
                if await finish(_remove_unused, self._root / key):
                    removed += size
        return removed

    async def _build(self, lock: bytes, ready: Path) -> None:
        # A virtual environment knows its own path, so it is built in its place.
        name = f"lock.{token_hex(4)}.txt"
        place = self._python.place(ready)
        await finish(_begin, ready, name, lock, self._user)
        try:
            await self._run(ready, self._python.program, "-m", "venv", place)
            await self._run(
                ready, f"{place}/bin/python", "-m", "pip", "install", "--quiet",
                "--no-input", "--no-deps", "--require-hashes", "--only-binary", ":all:",
                "--disable-pip-version-check", "--requirement", f"{place}/{name}",
            )  # fmt: skip
        except EnvironmentFailed:
            await finish(remove_tree, ready)
            raise
        await finish(_finish, ready)

    async def _run(self, ready: Path, *command: str) -> None:
        code, output = await self._python.run(ready, command)
        if code:
            tail = output[-_TAIL_CHARACTERS:].strip()
            raise EnvironmentFailed(f"the software environment could not be built: {tail}")


def _begin(ready: Path, name: str, lock: bytes, user: tuple[int, int] | None) -> None:
    ready.mkdir(mode=0o700, parents=True)
    (ready / name).write_bytes(lock)
    if user is not None:
        os.chown(ready / name, *user)
        os.chown(ready, *user)


def _finish(ready: Path) -> None:
    for root, folders, files in os.walk(ready):
        for name in (*folders, *files):
            path = os.path.join(root, name)
            if not os.path.islink(path):
                os.chmod(path, os.stat(path).st_mode & 0o555)
    complete = ready / _COMPLETE
    complete.write_text(str(_size_bytes(ready)))
    complete.chmod(0o444)
    os.chmod(ready, 0o555)  # noqa: S103 (read-only; the node's state folder lets nobody in)


def _pin(ready: Path, pin: Path) -> None:
    complete = ready / _COMPLETE
    os.utime(complete)  # tells when it was used last
    if pin.exists() and pin.samefile(complete):
        return  # never without one: a worker may be running
    part = pin.with_name(f"{pin.name}.{token_hex(4)}")
    os.link(complete, part)
    part.replace(pin)


def _environments(root: Path) -> list[tuple[int, str, int]]:
    """When each was used last (0: its build was killed), its key and its bytes."""
    found = []
    for ready in root.iterdir() if root.exists() else ():
        if not ready.is_dir():
            continue  # nothing of ours
        complete = ready / _COMPLETE
        try:
            used_ns, told = complete.stat().st_mtime_ns, complete.read_text()
        except FileNotFoundError:
            used_ns, told = 0, ""
        found.append((used_ns, ready.name, int(told) if told else _size_bytes(ready)))
    return found


def _size_bytes(ready: Path) -> int:
    total = 0
    for root, _, files in os.walk(ready):
        for name in files:
            with suppress(FileNotFoundError):  # it is being built
                total += os.lstat(os.path.join(root, name)).st_size
    return total


def _remove_unused(ready: Path) -> bool:
    complete = ready / _COMPLETE
    try:
        if complete.stat().st_nlink > 1:
            return False
        ready.chmod(0o700)
        complete.unlink()  # first, so that what is left of it after a kill does not count
    except FileNotFoundError:
        pass
    remove_tree(ready)
    return True
