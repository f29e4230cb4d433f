"""Agents as real processes on a real Redis, with a small stand-in for the data service."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from aiohttp import web

from headrace_adapters.backends.process import ProcessBackend
from headrace_adapters.redis.connection import Redis
from headrace_agent.settings import Settings
from headrace_model.ids import job_id
from headrace_model.job import Ask, Job, Need, NewJob, first_step
from headrace_model.move import move_of
from headrace_model.node import NodeState
from headrace_model.resources import Allocation, Paradigm, Resources, Share
from headrace_model.spec import Retry
from headrace_model.status import Event, Role, Status
from headrace_model.work import Fact, FactKind, Verb, Work
from headrace_monitor.core.decide import Seen, decide
from headrace_scheduler.core.launch import launch, place
from headrace_service.settings import to_environ
from headrace_wire.jobfile import dump_text, load_jobfile
from tests.support.preloaded import Preloaded
from tests.support.script_scenes import N1, Stage
from tests.support.wait import wait_until

SIZE = Resources(1_000, 2**30)
WAIT_S = 60.0


class StandInDataService:
    """Grants what agents ask for; stands in for the data service, which has tests of its own.

    `staged` is what it answers to staging; `conflict` has it refuse outputs of attempts that are
    over. What agents put by its grants lies in `store`.
    """

    def __init__(self, folder: Path) -> None:
        self.store = folder / "store"
        self.store.mkdir()
        self._socket = folder / "data.sock"
        self.staged: dict[str, dict[str, bytes]] = {}
        self.lies: dict[str, str] = {}  # path → the SHA-256 that is told of it
        self.secrets: dict[str, bytes] = {}
        self.no_secret = ""  # why the secrets are refused
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"unix:{self._socket}"

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/internal/staging", self._staging)
        app.router.add_post("/internal/outputs", self._outputs)
        app.router.add_post("/internal/logs", self._logs)
        app.router.add_post("/internal/secrets", self._secrets)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.UnixSite(self._runner, str(self._socket)).start()

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _staging(self, request: web.Request) -> web.Response:
        self.asked.append("staging")
        requirements = [
            {
                "name": name,
                "items": [self._item(path, data) for path, data in items.items()],
                "datasets": [[f"d-{name}", len(items)]],
            }
            for name, items in self.staged.items()
        ]
        return web.json_response({"requirements": requirements})

    def _item(self, path: str, data: bytes) -> dict[str, Any]:
        digest = sha256(data).hexdigest()
        (self.store / digest).write_bytes(data)
        told = self.lies.get(path, digest)
        grant = {"path": str(self.store / digest)}
        return {"path": path, "size_bytes": len(data), "sha256": told, "grant": grant}

    async def _outputs(self, request: web.Request) -> web.Response:
        self.asked.append("outputs")
        body = await request.json()
        return web.json_response(
            {
                "items": [
                    {"key": key, "grant": {"path": str(self.store / key)}}
                    for key in (f"{each['output']}/{each['path']}" for each in body["items"])
                ]
            }
        )

    async def _secrets(self, _: web.Request) -> web.Response:
        self.asked.append("secrets")
        if self.no_secret:
            return web.json_response({"detail": self.no_secret}, status=404)
        plain = [
            {"name": name, "value": b64encode(value).decode()}
            for name, value in self.secrets.items()
        ]
        return web.json_response({"secrets": plain})

    async def _logs(self, request: web.Request) -> web.Response:
        self.asked.append("logs")
        body = await request.json()
        folder = self.store / "logs" / body["job"] / str(body["attempt"])
        files = [{"grant": {"path": str(folder / each["name"])}} for each in body["files"]]
        return web.json_response({"files": files})


class AgentProcess:
    """One run of `python -m headrace_agent.main`."""

    def __init__(self, settings: Settings, log: Path) -> None:
        self._log = log
        with log.open("ab") as out:
            self._process = Preloaded(
                [sys.executable, "-m", "headrace_agent.main"],
                env={**os.environ, **to_environ(settings)},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )

    def said(self, words: str) -> bool:
        return words in self._log.read_text(errors="replace")

    def kill9(self) -> None:
        self._process.kill()
        self._process.wait(WAIT_S)

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(WAIT_S)


class AgentBench(Stage):
    """One node with its agent; the test is request service, scheduler and monitor."""

    def __init__(self, redis: Redis, folder: Path, redis_url: str) -> None:
        super().__init__(redis)
        self.state = folder / "node"
        self.data = StandInDataService(folder)
        self._folder = folder
        token = folder / "token"
        token.write_text("t" * 40)
        token.chmod(0o600)
        self.settings = Settings(
            state_dir=self.state,
            redis_url=redis_url,
            internal_token_file=token,
            data_url=self.data.url,
            node=N1,
            cpus=4.0,
            memory_bytes=4 * 2**30,
            renew_s=0.1,
            sweep_s=0.2,
            node_lost_s=1.0,
        )
        self._runs: list[AgentProcess] = []
        self._made = 0

    async def open(self) -> None:
        await self.redis.open()
        await self.lead()
        await self.data.start()

    async def close(self) -> None:
        """End the agents, their workers and the nest."""
        for run in self._runs:
            run.stop()
        backend = ProcessBackend(self.state / "nest")
        await backend.open()
        for worker in await backend.list():
            await backend.kill(worker.key.job, worker.key.attempt)
            await backend.clean(worker.key.job, worker.key.attempt)
        await backend.shut_down()
        await self.data.stop()
        await self.redis.close()

    def start(self, **other: Any) -> AgentProcess:
        """Start a run of the agent, with other settings than the bench's."""
        settings = replace(self.settings, **other)
        run = AgentProcess(settings, self._folder / f"agent{len(self._runs)}.log")
        self._runs.append(run)
        return run

    async def agent(self, **other: Any) -> AgentProcess:
        """Start a run of the agent and wait until it serves its node."""
        run = self.start(**other)
        await wait_until(lambda: run.said("serves node"), "the agent to serve", within_s=WAIT_S)
        return run

    async def submit(self, *command: str, needs: set[Need] | None = None, **file: Any) -> Job:
        """Make a job that runs a command."""
        self._made += 1
        plain = {"headrace": 1, "kind": "command", "name": "run", "command": list(command)}
        new = NewJob(
            id=job_id(time.time_ns() // 1_000_000, self._made),
            owner="ann",
            name="run",
            kind="command",
            spec=dump_text(load_jobfile({**plain, **file})),
            priority=50,
            ask=Ask(SIZE, Paradigm.SINGLE_NODE, "process"),
            needs=frozenset(needs or ()),
        )
        await self.jobs.create(new, first_step(new.needs & {Need.DATA_CHECK}))
        return await self.jobs.get(new.id)

    async def run(self, *command: str, memory_bytes: int = SIZE.memory_bytes, **file: Any) -> Job:
        """Make a job and place it on the node; returns it placed."""
        job = await self.submit(*command, **file)
        share = Share(N1, replace(SIZE, memory_bytes=memory_bytes))
        return await self.apply(place(job, Allocation((share,))))

    async def launch(self, job: Job) -> Job:
        """Go on after staging, as data service and scheduler do."""
        staged = await self.write(job, Event.STAGED, Role.DATA)
        return await self.apply(launch(staged))

    async def write(self, job: Job, event: Event, role: Role, **more: Any) -> Job:
        return await self.apply(replace(move_of(job, event, role), **more))

    async def stop(self, job: Job) -> Job:
        """Ask the node to stop the attempt, as the monitor does."""
        job = await self.jobs.get(job.id)
        return await self.write(
            job, Event.STOP, Role.MONITOR, work=(Work(N1, job.id, 1, Verb.STOP, job.spec),)
        )

    async def facts(self, job: Job) -> dict[FactKind, Fact]:
        found = await self.jobs.facts(job.id, job.attempt, [N1])
        return {kind: fact for (_, kind), fact in found.items()}

    async def fact(self, job: Job, kind: FactKind) -> Fact:
        """Wait for a fact of the attempt."""

        async def there() -> Fact | None:
            return (await self.facts(job)).get(kind)

        found = await wait_until(there, f"{kind} of {job.id}", within_s=WAIT_S)
        assert found is not None
        return found

    async def until(self, job: Job, status: Status) -> Job:
        """Be the monitor until the job is in a status."""

        async def there() -> Job | None:
            known = await self.jobs.get(job.id)
            by = Seen(
                facts=await self.jobs.facts(job.id, known.attempt, [N1]),
                lost={n.id for n in await self.nodes.all() if n.state is NodeState.LOST},
                holding=await self.jobs.holders(known),
                retry=Retry(limit=0),
                now_ms=await self.jobs.now_ms(),
            )
            if known.status is not status and (move := decide(known, by)):
                known = await self.apply(move)
            return known if known.status is status else None

        found = await wait_until(there, f"{job.id} to be {status}", within_s=WAIT_S)
        assert found is not None
        return found

    def attempt(self, job: Job) -> Path:
        return self.state / "attempts" / f"{job.id}.{job.attempt}"

    async def gone(self, what: Callable[[], bool], said: str) -> None:
        await wait_until(lambda: not what(), said, within_s=WAIT_S)

    async def cleaned(self, job: Job) -> None:
        """Wait until the node has nothing of the attempt any more."""

        async def done() -> bool:
            records = await self.jobs.work(N1)
            return f"{job.id}.{job.attempt}" not in records and not self.attempt(job).exists()

        await wait_until(done, "the attempt to be cleaned", within_s=WAIT_S)


async def open_bench(folder: Path, redis_url: str) -> AgentBench:
    redis = await asyncio.to_thread(Redis, redis_url)
    bench = AgentBench(redis, folder, redis_url)
    await bench.open()
    return bench
