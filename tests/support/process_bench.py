"""A process backend with a nest of its own, and short ways to launch workers in it."""

import asyncio
import contextlib
import hashlib
import os
import time
from pathlib import Path

from headrace_adapters.backends.process import ProcessBackend
from headrace_model.ids import JobId, job_id
from headrace_model.worker import Handle, WorkerExit, WorkerKey, WorkerLaunch
from tests.support.wait import wait_until

PATH = os.environ["PATH"]
WAIT_S = 60.0

ESCAPE = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        if sys.argv[1] == "bare":
            os.execve(sys.executable, [sys.executable, "-c", sys.argv[3], sys.argv[2]], {})
        open(sys.argv[2], "w").write(str(os.getpid()))
        time.sleep(600)
    os._exit(0)
os.wait()
"""
BARE = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(600)"
EAT = "x = bytearray(300_000_000)\nfor i in range(0, len(x), 4096): x[i] = 1\n"


def stat_fields(pid: int) -> list[str]:
    """The fields of a process's stat file after its name; none when it is gone.

    Read here and not by the code under test, which may not block a test's event loop either.
    """
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def start_time(pid: int) -> int:
    """When a living process began, in clock ticks since boot."""
    return int(stat_fields(pid)[19])


def lives(pid: int) -> bool:
    """Tell whether a process is there and more than a zombie."""
    return stat_fields(pid)[:1] not in ([], ["Z"], ["X"])


def pids() -> list[int]:
    """All processes of the machine."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def pid_of(handle: Handle) -> int:
    """The process that the backend's handle names."""
    return int(handle.split(":")[1])


def pid_in(path: Path) -> int:
    try:
        return int(path.read_text())
    except (FileNotFoundError, ValueError):
        return 0


def text_of(pid: int, name: str) -> bytes:
    """A file of a process under /proc; empty when it is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/{name}").read_bytes()
    return b""


def marked(job: str) -> list[int]:
    """The living processes that carry the marker of a job's worker."""
    marker = f"HEADRACE_WORKER={job}.".encode()
    return [pid for pid in pids() if marker in text_of(pid, "environ") and lives(pid)]


def groups_of(nest: Path) -> list[Path]:
    """The control groups left of a nest."""
    name = "headrace-" + hashlib.sha256(os.fsencode(nest.resolve())).hexdigest()[:12]
    # Not Path.glob: the groups of others come and go while one looks.
    found = os.walk("/sys/fs/cgroup")
    return [Path(folder, name) for folder, inside, _ in found if name in inside]


class Bench:
    """A backend with a job's id, and short ways to launch."""

    def __init__(self, folder: Path, use_cgroups: bool) -> None:
        self.folder = folder
        self.nest = folder / "nest"
        self.use_cgroups = use_cgroups
        self.job: JobId = job_id(time.time_ns() // 1_000_000, time.time_ns())
        self.backend = ProcessBackend(self.nest, use_cgroups=use_cgroups)

    def launch(
        self, *argv: str, attempt: int = 1, rank: int = 0, memory: int | None = None
    ) -> WorkerLaunch:
        return WorkerLaunch(
            key=WorkerKey(self.job, attempt, rank),
            argv=argv,
            env={"PATH": PATH, "GIVEN": "yes"},
            cwd=self.folder,
            stdout=self.folder / f"out.{attempt}.{rank}",
            stderr=self.folder / f"err.{attempt}.{rank}",
            memory_bytes=memory,
        )

    async def start(self, *argv: str, **how: int) -> Handle:
        handle = await self.backend.start(self.launch(*argv, **how))
        assert not isinstance(handle, WorkerExit)
        return handle

    async def exit_of(self, attempt: int = 1, rank: int = 0) -> WorkerExit:
        return await self.exit_of_key(WorkerKey(self.job, attempt, rank))

    async def exit_of_key(self, key: WorkerKey) -> WorkerExit:
        async with asyncio.timeout(WAIT_S):
            async with contextlib.aclosing(self.backend.exits()) as exits:
                async for found in exits:
                    if found.key == key:
                        return found
        raise AssertionError("exits ended")

    async def run(self, *argv: str, **how: int) -> WorkerExit:
        await self.backend.start(self.launch(*argv, **how))
        return await self.exit_of(how.get("attempt", 1), how.get("rank", 0))

    def out(self, attempt: int = 1, rank: int = 0) -> str:
        return (self.folder / f"out.{attempt}.{rank}").read_text()

    def nest_pids(self) -> list[int]:
        folder = b"\0" + os.fsencode(self.nest)
        return [pid for pid in pids() if folder in text_of(pid, "cmdline") and lives(pid)]

    def nest_pid(self) -> int:
        found = self.nest_pids()
        assert len(found) == 1, found
        return found[0]

    async def end(self) -> None:
        for state in await self.backend.list():
            await self.backend.kill(state.key.job, state.key.attempt)
            await self.backend.clean(state.key.job, state.key.attempt)
        nest = self.nest_pid()
        await self.backend.shut_down()
        await wait_until(lambda: not lives(nest), "the nest to end")
        assert marked(self.job) == [], "no process is left behind"
        assert groups_of(self.nest) == [], "no control group is left behind"
