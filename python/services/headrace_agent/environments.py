"""Software environments: built once per node from a hash-locked list, then read-only."""

import asyncio
import hashlib
import os
import sys
from pathlib import Path
from secrets import token_hex

from headrace_agent.folders import remove_tree
from headrace_model.errors import HeadraceError
from headrace_service.threads import finish

_TAIL_BYTES = 2_000


class EnvironmentFailed(HeadraceError):
    """A software environment could not be built from its lock list."""

    code = "ENVIRONMENT_FAILED"


class Environments:
    """`<state>/cache/environments/<key>/`, one virtual environment a lock list and interpreter.

    `installer_env` is what the package installer may see: the agent's environment less our own
    variables.
    """

    def __init__(self, root: Path, installer_env: dict[str, str]) -> None:
        self._root = root
        self._installer_env = installer_env
        self._building: dict[str, asyncio.Lock] = {}

    def key(self, lock: bytes) -> str:
        """The key of an environment: lock hash, Python and platform."""
        digest = hashlib.sha256(lock)
        digest.update(f"{sys.version} {sys.platform} {os.uname().machine}".encode())
        return digest.hexdigest()[:32]

    async def build(self, lock: bytes) -> Path:
        """Build the environment unless it is there; returns the folder of its programs.

        A build that was killed leaves nothing that counts. Raises `EnvironmentFailed`.
        """
        key = self.key(lock)
        ready = self._root / key
        async with self._building.setdefault(key, asyncio.Lock()):
            if not (ready / "complete").exists():
                await finish(remove_tree, ready)
                await self._build(lock, ready)
        return ready / "bin"

    async def _build(self, lock: bytes, ready: Path) -> None:
        # A virtual environment knows its own path, so it is built in its place, and the file
        # `complete` comes last.
        lock_file = ready / f"lock.{token_hex(4)}.txt"
        await finish(_begin, ready, lock_file, lock)
        try:
            await self._run(sys.executable, "-m", "venv", str(ready))
            await self._run(
                str(ready / "bin" / "python"), "-m", "pip", "install", "--quiet",
                "--no-input", "--no-deps", "--require-hashes", "--only-binary", ":all:",
                "--disable-pip-version-check", "--requirement", str(lock_file),
            )  # fmt: skip
        except EnvironmentFailed:
            await finish(remove_tree, ready)
            raise
        await finish(_finish, ready)

    async def _run(self, *command: str) -> None:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=self._installer_env,
        )
        try:
            output, _ = await process.communicate()
        except asyncio.CancelledError:
            process.kill()
            await process.wait()
            raise
        if process.returncode:
            tail = output[-_TAIL_BYTES:].decode(errors="replace").strip()
            raise EnvironmentFailed(f"the software environment could not be built: {tail}")


def _begin(ready: Path, lock_file: Path, lock: bytes) -> None:
    ready.mkdir(mode=0o700, parents=True)
    lock_file.write_bytes(lock)


def _finish(ready: Path) -> None:
    (ready / "complete").touch()
    for root, folders, files in os.walk(ready):
        for name in (*folders, *files):
            path = os.path.join(root, name)
            if not os.path.islink(path):
                os.chmod(path, os.stat(path).st_mode & 0o555)
    os.chmod(ready, 0o555)  # noqa: S103 (read-only; the node's state folder lets nobody in)
