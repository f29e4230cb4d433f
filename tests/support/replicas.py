"""Replicas of the scheduler and the monitor as real processes, and the simulated agents of many
nodes: on these a job that is launched has ended well at once."""

import asyncio
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from headrace_adapters.redis.connection import Redis
from headrace_adapters.redis.events import Events
from headrace_adapters.redis.jobs import JobStore
from headrace_adapters.redis.nodes import NodeStore
from headrace_model.ids import JobId, NodeId
from headrace_model.resources import Resources
from headrace_model.work import Fact, FactKind, Verb
from headrace_wire.records import decode_work
from tests.support.preloaded import Preloaded

_TOKEN = "0123456789abcdef" * 4
_RENEW_S = 2.0
_LOOK_S = 3.0
_AT_ONCE = 200
_ENDS = {
    Verb.LAUNCH: (FactKind.STARTED, FactKind.EXITED),
    Verb.STOP: (FactKind.STOPPED,),
}


class Replica:
    """One process of a service, with the settings of a real installation."""

    def __init__(self, service: str, number: int, redis_url: str, folder: Path) -> None:
        self.service = service
        self.name = f"{service}{number}"
        token = folder / "token"
        if not token.exists():
            token.write_text(_TOKEN)
            token.chmod(0o600)
        self._log = folder / f"{self.name}.log"
        self._environ = os.environ | {
            "HEADRACE_STATE_DIR": str(folder),
            "HEADRACE_REDIS_URL": redis_url,
            "HEADRACE_INTERNAL_TOKEN_FILE": str(token),
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it."""
        with self._log.open("ab") as log:
            self._process = Preloaded(
                [sys.executable, "-m", f"headrace_{self.service}.main"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environ,
            )

    @property
    def pid(self) -> int:
        """Its process id; raises RuntimeError while it does not run."""
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError(f"{self.name} does not run; its log ends:\n{self.log()[-2000:]}")
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Tell whether it runs."""
        return self._process is not None and self._process.poll() is None

    def kill9(self) -> None:
        """SIGKILL, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def log(self) -> str:
        """All that it has logged."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    @property
    def term(self) -> int:
        """The term in which it took the lead last; 0: it never did."""
        found = [line for line in self.log().splitlines() if '"action": "lead"' in line]
        return int(json.loads(found[-1])["term"]) if found else 0

    @property
    def has_read_all(self) -> bool:
        """Tell whether it leads as a scheduler and has read the whole queue."""
        _, _, since = self.log().rpartition('"action": "lead"')
        return bool(self.term) and '"action": "queue_read"' in since

    def resident_bytes(self) -> int:
        """What it holds in memory now."""
        pages = Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")


def leader(replicas: Iterable[Replica]) -> Replica | None:
    """The replica that took the lead last; None while the one that did is not alive."""
    found = max(replicas, key=lambda each: each.term)
    return found if found.term and found.alive else None


class SimulatedNodes:
    """The agents of many nodes, in this process."""

    def __init__(self, redis: Redis, count: int, size: Resources) -> None:
        self._redis = redis
        self._jobs, self._nodes = JobStore(redis), NodeStore(redis)
        self._size = size
        self.ids = [NodeId(f"n{number:04}") for number in range(count)]
        self._verbs: dict[tuple[NodeId, str], Verb] = {}  # the last of each attempt
        self._looking = asyncio.Lock()  # what was read before another look would be old by now
        self.launched: Counter[str] = Counter()  # how often each attempt was to be launched

    async def join(self) -> None:
        """Have all nodes served."""
        for first in range(0, len(self.ids), _AT_ONCE):
            await asyncio.gather(
                *(
                    self._nodes.register(
                        node, f"run of {node}", self._size, frozenset({"process"}),
                        has_state_lock=True,
                    )
                    for node in self.ids[first : first + _AT_ONCE]
                )
            )  # fmt: skip

    async def run(self) -> None:
        """Serve them for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._renew())
            group.create_task(self._look_at_all())
            group.create_task(self._listen())

    async def _renew(self) -> None:
        while True:
            for first in range(0, len(self.ids), _AT_ONCE):
                some = self.ids[first : first + _AT_ONCE]
                await asyncio.gather(*(self._nodes.renew(n, f"run of {n}") for n in some))
            await asyncio.sleep(_RENEW_S)

    async def _look_at_all(self) -> None:
        while True:
            await self.look(self.ids)
            await asyncio.sleep(_LOOK_S)

    async def _listen(self) -> None:
        changed: set[NodeId] = set()
        wake = asyncio.Event()

        async def serve() -> None:
            while True:
                await wake.wait()
                wake.clear()
                some = sorted(changed)
                changed.clear()
                await self.look(some)

        async with asyncio.TaskGroup() as group:
            group.create_task(serve())
            async for hint in Events(self._redis).follow():
                if agents := hint.get("agents"):
                    changed.update(NodeId(each) for each in agents.split())
                    wake.set()

    async def look(self, nodes: list[NodeId]) -> None:
        """Do what some nodes owe: end what is launched, and forget what is to be cleaned."""
        async with self._looking:
            found = await self._redis.commands([("HGETALL", f"hr:work:{node}") for node in nodes])
            async with asyncio.TaskGroup() as group:
                for node, records in zip(nodes, found, strict=True):
                    if records:
                        group.create_task(self._do(node, records))

    async def _do(self, node: NodeId, records: dict[str, str]) -> None:
        facts: list[Fact] = []
        for run, text in records.items():
            work = decode_work(text)
            if self._verbs.get((node, run)) is work.verb:
                continue
            self._verbs[node, run] = work.verb
            if work.verb is Verb.CLEAN:
                await self._jobs.finish_work(node, f"run of {node}", text)
            if work.verb is Verb.LAUNCH:
                self.launched[run] += 1
            facts += [
                Fact(node, JobId(work.job), work.attempt, kind)
                for kind in _ENDS.get(work.verb, ())
            ]
        if facts:
            await self._jobs.report(node, f"run of {node}", facts)
