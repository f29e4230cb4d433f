"""A data service in the test's own loop, with a client, and the parts of the other services."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, UnixConnector, web

from headrace_adapters.files.store import DirectoryStore
from headrace_adapters.redis.connection import Redis
from headrace_adapters.redis.datasets import DatasetStore
from headrace_adapters.redis.jobs import JobStore
from headrace_adapters.redis.leases import LeaseStore
from headrace_adapters.redis.nodes import NodeStore
from headrace_data.main import build
from headrace_data.settings import Settings
from headrace_model.domain import Domain
from headrace_model.ids import JobId, NodeId, job_id
from headrace_model.job import Ask, Job, Need, NewJob, first_step
from headrace_model.move import Move, move_of
from headrace_model.people import User, UserRole
from headrace_model.resources import Allocation, Paradigm, Resources, Share
from headrace_model.status import Event, Role, Status
from headrace_model.work import CollectedItem, CollectedOutput, Fact, FactKind, Verb, Work
from headrace_service.keyring import new_key
from headrace_wire.jobfile import dump_text, load_jobfile
from headrace_wire.people import encode_user
from tests.support.redis_server import RedisServer
from tests.support.wait import wait_until

SMALL = Resources(100, 2**20)
NODE = NodeId("node1")
INCARNATION = "first"
TOKEN = "t" * 40


@dataclass(frozen=True, slots=True)
class Found:
    """What a folder is; stands in for the readers of `headrace_formats`."""

    format: str = "GENERIC"
    domain: Domain = field(default_factory=Domain)
    notes: tuple[str, ...] = ()


async def reads_nothing(_folder: Path, _format: str | None) -> Found:
    """A reader that knows no format."""
    return Found()


Detects = Callable[[Path, str | None], Awaitable[Found]]


class Answer:
    """A whole HTTP answer."""

    def __init__(self, status: int, headers: Any, body: bytes, json: Any) -> None:
        self.status, self.headers, self.body, self.json = status, headers, body, json

    @property
    def code(self) -> str:
        """The code of an error."""
        return str(self.json["code"])


class DataHarness:
    """One running data service. `user` speaks for the client's requests."""

    def __init__(self, state: Path, redis_url: str, number: int, detect: Detects | None) -> None:
        folder = state / f"data{number}"
        folder.mkdir(exist_ok=True)
        token = state / "token"
        token.write_text(TOKEN)
        key = state / "secrets.key"
        if not key.exists():
            key.touch(0o600)
            key.write_text(new_key())
        self.settings = Settings(
            state_dir=folder,
            redis_url=redis_url,
            internal_token_file=token,
            secrets_key_file=str(key),
            lease_s=1.0,
            sweep_s=0.2,
            catalogue_sweep_s=60.0,
            item_limit_bytes=8 * 2**20,
            free_limit_bytes=0,
            dataset_undo_days=0.0,
            store=str(state / "store"),
        )
        self._detect = detect
        self._socket = folder / "http.sock"
        self.user: str | User = "ann"  # a name alone: a user in no group, with all scopes
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        # As in production, where the service is wired before its loop runs.
        self._service = await asyncio.to_thread(build, self.settings, detect=self._detect)
        for step in self._service.open:
            await step()
        assert self._service.app is not None
        self._runner = web.AppRunner(
            self._service.app, handler_cancellation=True, shutdown_timeout=0.1
        )
        await self._runner.setup()
        self._socket.unlink(missing_ok=True)
        await web.UnixSite(self._runner, str(self._socket)).start()
        self._tasks = [asyncio.create_task(_run(loop)) for loop in self._service.loops]
        self.session = ClientSession(
            connector=UnixConnector(str(self._socket)),
            headers={"Authorization": f"Bearer {TOKEN}"},
        )

        async def ready() -> bool:
            return (await self.ask("GET", "/health/ready")).status == 200

        await wait_until(ready, "the data service to be ready")

    async def kill(self) -> None:
        """Stop at once, wherever its loops are."""
        failed = [task.exception() for task in self._tasks if task.done()]
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.session.close()
        await self._runner.cleanup()
        for step in self._service.close:
            await step()
        for error in failed:
            raise AssertionError("a loop of the data service failed") from error

    async def ask(self, method: str, path: str, **options: Any) -> Answer:
        user = User(self.user, UserRole.USER) if isinstance(self.user, str) else self.user
        headers = {"X-Headrace-User": encode_user(user), **options.pop("headers", {})}
        async with self.session.request(
            method, f"http://data{path}", headers=headers, **options
        ) as response:
            body = await response.read()
            is_json = response.content_type.endswith("json")
            return Answer(
                response.status,
                response.headers,
                body,
                await response.json(content_type=None) if is_json and body else None,
            )

    async def api(self, method: str, path: str, **options: Any) -> Answer:
        return await self.ask(method, f"/api/v1{path}", **options)

    async def upload(self, name: str, path: str, data: bytes, **headers: str) -> Answer:
        headers = {"X-Content-SHA256": sha256(data).hexdigest(), **headers}
        return await self.api("PUT", f"/datasets/{name}/items/{path}", data=data, headers=headers)

    async def make(self, name: str, files: dict[str, bytes], **asked: Any) -> dict[str, Any]:
        """Create, fill and seal a dataset."""
        answer = await self.api(
            "POST", "/datasets", json={"name": name, "category": "FORCING", **asked}
        )
        assert answer.status == 201, answer.body
        view: dict[str, Any] = answer.json
        for path, data in files.items():
            assert (await self.upload(view["id"], path, data)).status == 201
        sealed = await self.api("POST", f"/datasets/{view['id']}:seal")
        assert sealed.status == 200, sealed.body
        sealed_view: dict[str, Any] = sealed.json
        return sealed_view


def read_granted(answered: dict[str, Any]) -> bytes:
    """Read a file by the grant in an answer, as an agent does."""
    return Path(answered["grant"]["path"]).read_bytes()


def write_granted(answered: dict[str, Any], content: bytes) -> None:
    """Write a file by the grant in an answer."""
    Path(answered["grant"]["path"]).write_bytes(content)


async def _run(loop: Callable[[], Awaitable[None]]) -> None:
    await loop()


@dataclass(slots=True)
class World:
    """Redis, the store, and what the scheduler, monitor and agent would write."""

    state: Path
    redis: Redis
    jobs: JobStore
    datasets: DatasetStore
    store: DirectoryStore
    _made: int = 0
    _numbers: int = 0

    @asynccontextmanager
    async def data(
        self,
        detect: Detects | None = reads_nothing,
        sweep_s: float = 0.2,
        free_limit_bytes: int = 0,
        store_unnamed_s: float = 86_400.0,
        dataset_undo_days: float = 0.0,
        import_places: str = "",
        **further: Any,
    ) -> AsyncIterator[DataHarness]:
        """A running data service; `further` settings are given as they are."""
        self._numbers += 1
        harness = DataHarness(self.state, self._url, self._numbers, detect)
        harness.settings = replace(
            harness.settings,
            sweep_s=sweep_s,
            free_limit_bytes=free_limit_bytes,
            store_unnamed_s=store_unnamed_s,
            dataset_undo_days=dataset_undo_days,
            import_places=import_places,
            **further,
        )
        await harness.start()
        try:
            yield harness
        finally:
            await harness.kill()

    _url: str = ""

    async def submit(
        self, needs: set[Need], file: dict[str, Any], kind: str = "command", owner: str = "ann"
    ) -> JobId:
        """Create a job as the request service does."""
        self._made += 1
        spec = load_jobfile({"headrace": 1, "kind": "command", "name": "run", **file})
        new = NewJob(
            id=job_id(int(time.time() * 1000), self._made),
            owner=owner,
            name=spec.name,
            kind=kind,
            spec=dump_text(spec),
            priority=50,
            ask=Ask(SMALL, Paradigm.SINGLE_NODE, "process"),
            needs=frozenset(needs),
        )
        made, _ = await self.jobs.create(new, first_step(new.needs))
        return made

    async def until(self, job: JobId, status: Status) -> Job:
        """Wait until a job is in a status."""

        async def there() -> Job | None:
            known = await self.jobs.get(job)
            assert known.status is status or not known.status.final, (known.status, known.detail)
            return known if known.status is status else None

        found = await wait_until(there, f"job {job} to be {status}")
        assert found is not None
        return found

    async def write(self, job: JobId, event: Event, role: Role, **more: Any) -> Job:
        """Apply a move of another service."""
        lease = await LeaseStore(self.redis).acquire(role, "test", 60_000)
        change: Move = replace(move_of(await self.jobs.get(job), event, role), **more)
        await self.jobs.apply(change, lease.term)
        return await self.jobs.get(job)

    async def node(self, name: NodeId = NODE) -> None:
        """Register a node."""
        await NodeStore(self.redis).register(
            name,
            INCARNATION,
            Resources(4000, 2**32),
            frozenset({"process"}),
            has_state_lock=True,
        )

    async def allocate(self, job: JobId, *nodes: NodeId, staging: bool = False) -> Job:
        """Place a waiting job on nodes, with staging or launched at once."""
        shares = Allocation(tuple(Share(node, SMALL) for node in nodes or (NODE,)))
        event = Event.ALLOCATED if staging else Event.LAUNCHED
        verb = Verb.STAGE if staging else Verb.LAUNCH
        work = tuple(Work(share.node, job, 1, verb) for share in shares.shares)
        return await self.write(job, event, Role.SCHEDULER, takes=shares, work=work)

    async def exited(self, job: JobId) -> Job:
        """Have the workers start and end well: the job awaits its collection."""
        await self.write(job, Event.STARTED, Role.MONITOR)
        nodes = [share.node for share in await self._shares(job)]
        return await self.write(job, Event.NEEDS_COLLECTION, Role.MONITOR, returns=tuple(nodes))

    async def _shares(self, job: JobId) -> tuple[Share, ...]:
        allocation = (await self.jobs.get(job)).allocation
        assert allocation is not None
        return allocation.shares

    async def report(self, *facts: Fact) -> None:
        """Report facts as the agents of their nodes."""
        for fact in facts:
            await self.jobs.report(fact.node, INCARNATION, [fact])

    async def collect(
        self,
        data: DataHarness,
        job: JobId,
        outputs: dict[str, dict[str, bytes]],
        node: NodeId = NODE,
        domains: dict[str, dict[str, object]] | None = None,
    ) -> Fact:
        """Put output files as an agent does; the fact that it would report."""
        wanted = [
            {
                "output": output,
                "path": path,
                "size_bytes": len(content),
                "sha256": sha256(content).hexdigest(),
            }
            for output, contents in outputs.items()
            for path, content in contents.items()
        ]
        answer = await data.ask(
            "POST",
            "/internal/outputs",
            json={"job": job, "attempt": 1, "node": node, "items": wanted},
        )
        assert answer.status == 200, answer.body
        items: dict[str, list[CollectedItem]] = {output: [] for output in outputs}
        for asked, granted in zip(wanted, answer.json["items"], strict=True):
            output, path = str(asked["output"]), str(asked["path"])
            content = outputs[output][path]
            write_granted(granted, content)
            items[output].append(
                CollectedItem(path, len(content), sha256(content).hexdigest(), granted["key"])
            )
        return Fact(
            node,
            job,
            1,
            FactKind.COLLECTED,
            outputs=tuple(
                CollectedOutput(name, tuple(found), "GENERIC", (domains or {}).get(name, {}))
                for name, found in items.items()
            ),
        )


@asynccontextmanager
async def world(state: Path, server: RedisServer) -> AsyncIterator[World]:
    """A Redis connection and a store below `state`."""
    redis = await asyncio.to_thread(Redis, server.url)
    await redis.open()
    try:
        yield World(
            state, redis, JobStore(redis), DatasetStore(redis), DirectoryStore(state / "store"),
            _url=server.url,
        )  # fmt: skip
    finally:
        await redis.close()
