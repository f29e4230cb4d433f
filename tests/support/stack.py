"""All services as separate processes of one home, for tests that break them one by one.

The settings come from `headrace_local.environ`, as those of `headrace local up` do. Names: redis,
data, scheduler-1, scheduler-2, monitor-1, monitor-2, agent, request; and `nest`, which the agent
starts and, once it is dead, starts again.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from headrace_adapters.redis.acl import ADMIN
from headrace_adapters.redis.connection import Redis
from headrace_adapters.redis.jobs import JobStore
from headrace_adapters.redis.nodes import NodeStore
from headrace_client.api import AsyncClient
from headrace_local import config as configs
from headrace_local import folders, health, processes, redis_server, redis_users, workers
from headrace_local.admin import ensure_admin, ensure_internal_token
from headrace_local.environ import environ_for, redis_url
from headrace_local.layout import SERVICES, Home, named
from headrace_model.ids import JobId
from tests.support import crash_points
from tests.support.preloaded import Preloaded
from tests.support.wait import wait_until

_PROJECT = Path(__file__).parents[2]
_REPLICAS = {"scheduler": 2, "monitor": 2}
_PROGRAMS = {
    named(service, replica): (service, replica)
    for service in SERVICES
    for replica in range(1, _REPLICAS.get(service, 1) + 1)
}
_KEEP_ALIVE_S = 0.1
_STOPPED_WITHIN_S = 60.0
_READY_WITHIN_S = 180.0
_ANSWER_S = 2.0


class Stack:
    """Redis and every service below `home`, each one a process that a test may kill or pause.

    The short times (seconds) make faults show early: leases, the sweep, the node's counter. A
    node counts as lost after far more than an agent's restart takes on a busy machine: a test of
    lost nodes asks for less.
    With `keep_alive` a process that died is started again within 0.3 s, as a container platform
    would; without it, by the test's own `restart`. `settings` adds settings for all services.
    With `points` each service can be stopped at its calls to Redis, see `points`. With
    `second_node` there is a second agent: `agent-2` of the node `local-2`, as Redis's admin.
    """

    names = ("redis", *_PROGRAMS, "nest")

    def __init__(
        self,
        home: Path,
        *,
        keep_alive: bool = False,
        lease_s: float = 1.5,
        node_lost_s: float = 30.0,
        sweep_s: float = 0.5,
        renew_s: float = 0.5,
        cpus: float = 2.0,
        memory_bytes: int = 2 * 2**30,
        settings: Mapping[str, str] | None = None,
        points: bool = False,
        second_node: bool = False,
    ) -> None:
        self._programs = _PROGRAMS | ({"agent-2": ("agent", 2)} if second_node else {})
        self._has_points = points
        self.home: Home = folders.find_home(home)
        self._keep_alive = keep_alive
        self._server = redis_server.find_server()
        times = {
            "lease_s": lease_s,
            "node_lost_s": node_lost_s,
            "sweep_s": sweep_s,
            "renew_s": renew_s,
        }
        texts = {name: str(value) for name, value in times.items()}
        self.config = configs.Config(
            port=health.any_free_port(),
            cpus=cpus,
            memory_bytes=memory_bytes,
            settings={**texts, **(settings or {})},
        )
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._keeper: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where the request service listens."""
        return self.config.url

    @property
    def token(self) -> str:
        """The first admin's token."""
        return self.home.admin_token.read_text().strip()

    # ---- all of it

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start what does not run and wait until all answer; a failed start ends everything."""
        try:
            await self._start_all()
        except BaseException:
            await self.stop()
            raise
        if self._keep_alive and self._keeper is None:
            self._keeper = asyncio.create_task(self._keep())

    async def _start_all(self) -> None:
        folders.prepare(self.home)
        configs.save(self.home, self.config)
        ensure_internal_token(self.home)
        self._start("redis")
        await self._wait_ready("redis")
        await ensure_admin(self.home)
        for name in self._programs:
            self._start(name)
        for name in self._programs:
            await self._wait_ready(name)

    async def stop(self) -> None:
        """End everything, workers and nest too; the files stay."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
            self._keeper = None
        for name in reversed(list(self._programs)):
            self._terminate(name)
        for name in self._programs:
            await asyncio.to_thread(self._wait_end, name)
        await asyncio.to_thread(workers.end_all, self.home, 0.0)
        self._terminate("redis")
        await asyncio.to_thread(self._wait_end, "redis")

    # ---- one process

    def alive(self, name: str) -> bool:
        """Tell whether a process runs (a paused one does)."""
        return self.pid(name) is not None

    def pid(self, name: str) -> int | None:
        """The pid of a running process."""
        if name == "nest":
            nests = processes.find_nests(self.home.id)
            return nests[-1].pid if nests else None
        process = self._running.get(name)
        return process.pid if process and process.poll() is None else None

    def kill9(self, *names: str) -> None:
        """SIGKILL, to all of them before anything else; returns when they are gone."""
        nests = processes.find_nests(self.home.id) if "nest" in names else []
        for name in names:
            if process := self._running.get(name):
                process.kill()
        for nest in nests:
            nest.signal(signal.SIGKILL)
        for name in names:
            if process := self._running.get(name):
                process.wait(_STOPPED_WITHIN_S)
        if processes.wait_gone(nests, _STOPPED_WITHIN_S):
            raise RuntimeError("the nest is killed, but not gone")

    def pause(self, name: str) -> None:
        """SIGSTOP: connections stay open, and nothing answers."""
        self._signal(name, signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """SIGCONT."""
        self._signal(name, signal.SIGCONT)

    async def restart(self, name: str) -> None:
        """End a process gracefully where it runs, start it and wait until it answers."""
        if name == "nest":
            raise ValueError("the agent starts the nest: restart the agent")
        await self.end(name)
        self._start(name)
        await self._wait_ready(name)

    async def end(self, name: str) -> None:
        """End a process gracefully where it runs, and wait until it is gone."""
        self._terminate(name)
        await asyncio.to_thread(self._wait_end, name)

    def points(self, service: str) -> crash_points.Points:
        """The points of a service's calls to Redis, for all its replicas."""
        return crash_points.Points(self.home.run / "points" / service)

    def leader(self, service: str) -> str | None:
        """The replica that took the lead last; None while the one that did is not alive."""
        terms: list[tuple[int, str]] = []
        for name, (of, _) in _PROGRAMS.items():
            if of != service:
                continue
            for line in self.log(name).splitlines():
                if '"action": "lead"' in line:
                    terms.append((json.loads(line)["term"], name))
        _, name = max(terms, default=(0, ""))
        return name if name and self.alive(name) else None

    def log(self, name: str) -> str:
        """All that a process has logged."""
        path = self.home.nest / "log" if name == "nest" else self.home.log(name)
        return path.read_text(errors="replace") if path.exists() else ""

    # ---- what tests ask

    def client(self) -> AsyncClient:
        """A client of the public API with the first admin's token."""
        return AsyncClient(self.url, self.token)

    @contextlib.asynccontextmanager
    async def redis(self) -> Any:
        """A connection to the stack's Redis, for looking at what no API shows."""
        redis = redis_users.connect(self.home)
        try:
            yield redis
        finally:
            await redis.close()

    async def leaks(self) -> list[str]:
        """A sentence for each thing left of closed jobs or wrong in the ledger; [] is right."""
        async with self.redis() as redis:
            nodes = NodeStore(redis)
            found = await nodes.ledger_errors()
            rests: list[tuple[str, str]] = []
            for node in await nodes.all():
                rests += [(run, f"{node.id} still holds a share of {run}") for run in node.held]
                for what in ("work", "facts"):
                    keys = await redis.command("HKEYS", f"hr:{what}:{node.id}")
                    rests += [(run, f"{node.id}'s {what} still holds {run}") for run in keys]
            rests += [(run, f"the folder of {run} is still there") for run in self._attempts()]
            rests += [
                (run, f"worker {run} still lives")
                for run in await asyncio.to_thread(workers.living, self.home)
            ]
            open_jobs = await self._open_jobs(redis, {run for run, _ in rests})
        found += [sentence for run, sentence in rests if _job(run) not in open_jobs]
        return found + [f"stray file {path}" for path in self._parts(open_jobs)]

    async def _open_jobs(self, redis: Redis, runs: set[str]) -> set[JobId]:
        jobs = await JobStore(redis).get_many({_job(run) for run in runs})
        return {job.id for job in jobs if not job.status.closed}

    def _attempts(self) -> list[str]:
        attempts = self.home.attempts
        return sorted(path.name for path in attempts.iterdir()) if attempts.is_dir() else []

    def _parts(self, open_jobs: set[JobId]) -> list[Path]:
        """Files that somebody began to write; those of attempts under way are none of them."""
        attempts = self.home.attempts
        # Not Path.rglob: folders of attempts go while one looks.
        files = (
            Path(folder, name) for folder, _, names in os.walk(self.home.root) for name in names
        )
        return [
            path
            for path in sorted(path for path in files if path.suffix == ".part")
            if not (
                attempts in path.parents and _job(path.relative_to(attempts).parts[0]) in open_jobs
            )
        ]

    # ---- processes

    def _start(self, name: str) -> None:
        if self.alive(name):
            return
        if name == "redis":
            command = redis_server.command(self._server, self.home, self.config)
            settings: dict[str, str] = {}
        else:
            service, _ = self._programs[name]
            command = [sys.executable, "-m", f"headrace_{service}.main"]
            settings = self._settings(name)
            if self._has_points:
                command[2:] = ["tests.support.crash_points", service]
                settings[crash_points.VARIABLE] = str(self.home.run / "points" / service)
            Path(settings["HEADRACE_STATE_DIR"]).mkdir(0o700, parents=True, exist_ok=True)
        # The mark names the home and no process: the nest inherits it.
        environ = {**os.environ, **settings, processes.HOME_ID: self.home.id}
        with self.home.log(name).open("ab") as log:
            start = subprocess.Popen[bytes] if name == "redis" else Preloaded
            self._running[name] = start(
                command,
                env=environ,
                cwd=_PROJECT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    async def _wait_ready(self, name: str) -> None:
        def answers() -> bool:
            if not self.alive(name):
                raise RuntimeError(f"{name} ended; its log ends:\n{self.log(name)[-2000:]}")
            if name == "redis":
                return redis_server.ask(self.home) is redis_server.Answer.PONG
            return _answers(self._address(name))

        await wait_until(
            lambda: asyncio.to_thread(answers), f"{name} to answer", within_s=_READY_WITHIN_S
        )

    def _address(self, name: str) -> str:
        return self._settings(name)["HEADRACE_LISTEN"]

    def _settings(self, name: str) -> dict[str, str]:
        service, replica = self._programs[name]
        settings = environ_for(self.home, self.config, service, replica)
        if name == "agent-2":
            settings |= {
                "HEADRACE_NODE": "local-2",
                "HEADRACE_STATE_DIR": str(self.home.root / name),
                "HEADRACE_LISTEN": f"unix:{self.home.sockets / name}.sock",
                "HEADRACE_REDIS_URL": redis_url(self.home, ADMIN),
                "HEADRACE_REDIS_PASSWORD_FILE": str(self.home.password(ADMIN)),
            }
        return settings

    def _signal(self, name: str, number: signal.Signals) -> None:
        pid = self.pid(name)
        if pid is None:
            raise RuntimeError(f"{name} does not run")
        os.kill(pid, number)

    def _terminate(self, name: str) -> None:
        if self.alive(name):
            self._running[name].terminate()
            self._signal(name, signal.SIGCONT)  # a paused process takes no other signal

    def _wait_end(self, name: str) -> None:
        if process := self._running.get(name):
            try:
                process.wait(_STOPPED_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(_STOPPED_WITHIN_S)

    async def _keep(self) -> None:
        while True:
            for name in ("redis", *self._programs):
                if not self.alive(name):
                    self._start(name)
            await asyncio.sleep(_KEEP_ALIVE_S)


def _job(run: str) -> JobId:
    """The job of `<job>.<attempt>`, of a worker's or a fact's name."""
    return JobId(run.partition(".")[0])


def _answers(listen: str) -> bool:
    """Tell whether a service that listens at host:port or unix:/path says that it is live."""
    try:
        with socket.socket(_family(listen), socket.SOCK_STREAM) as connection:
            connection.settimeout(_ANSWER_S)
            connection.connect(_address(listen))
            connection.sendall(b"GET /health/live HTTP/1.0\r\nHost: headrace\r\n\r\n")
            return b" 200 " in connection.recv(64).partition(b"\r\n")[0]
    except OSError:
        return False


def _family(listen: str) -> socket.AddressFamily:
    return socket.AF_UNIX if listen.startswith("unix:") else socket.AF_INET


def _address(listen: str) -> str | tuple[str, int]:
    if listen.startswith("unix:"):
        return listen.removeprefix("unix:")
    host, _, port = listen.rpartition(":")
    return host, int(port)
